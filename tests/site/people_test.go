package site

import (
	"errors"
	"testing"
	"time"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// TestPeople: a running server knows whose allowance to talk is whose, which
// nicks are reserved and which look alike.
func TestPeople(t *testing.T) {
	comes := func(r *running, args ...amf.Value) (*client.NetConnection, string) {
		nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/room/blue", client.Options{}, args...)
		if err != nil {
			return nil, wordsOf(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc, ""
	}
	says := func(nc *client.NetConnection) string {
		_, err := nc.Call(t.Context(), "say", amf.String("x"))
		return wordsOf(err)
	}
	for _, c := range []struct {
		name string
		flag string
		said int // of two who say two things each, at once
	}{
		{"this machine is exempt", "--exempt=127.0.0.0/8", 4},
		{"nobody is", "--exempt=", 2}, // both are new
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startServer(t, c.flag, "--admin-token=a token of the admin")
			began, said := time.Now(), 0
			for _, nick := range []string{"ann", "bob"} {
				nc, why := comes(r, amf.String(nick))
				if why != "" {
					t.Fatal(why)
				}
				for range 2 {
					switch why := says(nc); why {
					case "":
						said++
					case "You talk too fast.":
					default:
						t.Error(why)
					}
				}
			}
			if said != c.said && time.Since(began) < time.Second { // after that they may say more
				t.Errorf("%d messages came through, want %d", said, c.said)
			}
			for nick, want := range map[string]string{
				"\u0430nn": "Nickname is already in use.", "admin": "Nickname is reserved.", "F0yer": "Nickname is reserved.", "\u2800": "Nickname is empty.",
			} {
				if _, why := comes(r, amf.String(nick)); why != want {
					t.Errorf("%+q: %q, want %q", nick, why, want)
				}
			}
			if _, why := comes(r, amf.String("admin"), amf.String("a token of the admin")); why != "" {
				t.Errorf("with the token: %q", why)
			}
			if status := r.stop(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// wordsOf is what a server said of why not, "" for no error.
func wordsOf(err error) string {
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok {
		return s.Description
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
