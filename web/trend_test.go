package web_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/web"
)

// TestTrendInPage: the page that the server sends has the trends of the lobby.
func TestTrendInPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &server.Host{}
		host.Handle("lobby", func() server.Application {
			return lobby.New(lobby.Config{Secret: secret, StaleAfter: time.Hour})
		})
		defer host.Stop(context.Background())
		room, err := host.Connect(t.Context(), deaf{}, server.Request{Path: "lobby", Args: amf.Args{amf.String("blue"), amf.String(secret)}})
		if err != nil {
			t.Fatal(err)
		}
		pages := web.New(web.Config{Host: host})
		defer pages.Close()
		body := func() string {
			w := httptest.NewRecorder()
			pages.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			return w.Body.String()
		}
		if page := body(); strings.Contains(page, "data-trend") || !strings.Contains(page, `class="spark-line" d=""`) {
			t.Error("a line without anything known")
		}
		room.ServeCall(lobby.MethodReport, amf.Args{lobby.Status{Activity: 1}.Value()}, func(amf.Value, error) {})
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if page := body(); !strings.Contains(page, `data-trend="zz"`) || !strings.Contains(page, `class="spark-line" d="M117.0 2.0L119.0 2.0L120.0 2.0"`) {
			t.Errorf("got %s", page)
		}
	})
}
