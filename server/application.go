package server

import (
	"errors"
	"fmt"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// An Application is the behaviour of one instance. Its methods run on the
// instance's goroutine, one at a time. They need no locks, and must not block.
type Application interface {
	// OnAppStart runs before the first OnConnect. It alone may block, for up to
	// 10 s, since nobody is in yet. Its error refuses the client that started
	// the instance, and ends the instance; OnAppStop does not run then.
	OnAppStart(*Instance) error
	// OnConnect decides about a client. nil accepts it, ErrPending leaves it to
	// a later Instance.Accept or Instance.Reject, and any other error rejects
	// it. Whatever OnConnect pushes to the client arrives after the answer to
	// connect.
	OnConnect(*Client, amf.Args) error
	// OnDisconnect runs once for every client that was accepted or pending. The
	// error is rtmp.ErrGoodbye when the peer has sent the command close.
	OnDisconnect(*Client, error)
	// OnAppStop runs last, when no client is left.
	OnAppStop()
}

// Optional parts of an Application.
type (
	// Caller serves remote methods. Methods is called once, after OnAppStart.
	Caller interface{ Methods() map[string]Method }

	// Sharer decides about the use of shared objects. Without it clients may
	// read everything that the application made, and write nothing.
	Sharer interface {
		// CanRead decides about a use. If it allows one, the client may create
		// the object.
		CanRead(c *Client, object string, persistent bool) bool
		// CanWrite decides about a change of a slot; slot is "" for send and
		// clear.
		CanWrite(c *Client, object, slot string) bool
	}

	// Publisher decides who may publish. Without it nobody may.
	Publisher interface {
		// OnPublish returns the public name of the stream. takeover means that
		// an older publisher has to go. Without it the newcomer is refused as
		// long as the older one gave a sign of life in the last 5 seconds.
		OnPublish(c *Client, name, kind string) (public string, takeover bool, err error)
		// OnUnpublish runs once for every publication that has begun, which one
		// that was refused because of another publisher has not. After a
		// takeover it runs for the older client, after OnPublish for the newer
		// one.
		OnUnpublish(c *Client, public string)
	}

	// Drainer hears, once, that the host is about to stop: nobody new is let
	// in, and clients that understand it are asked to reconnect after that
	// time. Whatever OnDrain tells the other clients reaches them before their
	// connection ends.
	Drainer interface {
		OnDrain(retryAfter time.Duration)
	}

	// Player decides who may play. Without it everybody may.
	Player interface {
		// OnPlay returns the public name of the stream.
		OnPlay(c *Client, name string) (public string, err error)
		// OnStop runs once for every play that began.
		OnStop(c *Client, public string)
	}

	// Keeper decides about the players of a stream whose publisher was lost:
	// its connection ended without a word. Without a Keeper they are told
	// NetStream.Play.UnpublishNotify at once.
	Keeper interface {
		// OnLost runs before OnUnpublish. If it returns true, the players wait
		// and are told nothing until Instance.EndStream. A publisher that comes
		// before that continues the stream for them.
		OnLost(c *Client, public string) bool
	}

	// Watcher looks at everything that publishers send.
	Watcher interface {
		// OnPublished runs when a publication has begun. The function it
		// returns gets every message on the publisher's goroutine, before the
		// players do: it must be quick, and must not change the message. nil:
		// nobody looks.
		OnPublished(c *Client, public string) func(rtmp.Message)
	}
)

// A Method serves one remote method, on the instance's goroutine. A
// *rtmp.StatusError goes to the caller as it is, any other error as
// NetConnection.Call.Failed without its text. ErrPending means that the
// function from Instance.Later will answer.
type Method func(from *Client, args amf.Args) (amf.Value, error)

var (
	// ErrPending is returned by an OnConnect and by a Method that decide later.
	ErrPending = errors.New("server: decided later")
	// ErrNotRunning is returned by Host.Call for an instance that does not run.
	ErrNotRunning = errors.New("server: instance is not running")

	// errStopped settles a client whose instance stopped before it could decide.
	errStopped = errors.New("server: instance has stopped")
)

// Reject is an error of OnAppStart or OnConnect in words that the client may
// read: NetConnection.Connect.Rejected.
func Reject(description string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: rtmp.CodeConnectRejected, Description: description}
}

// Fail is an error of a Method in words that the caller may read:
// NetConnection.Call.Failed.
func Fail(description string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: rtmp.CodeCallFailed, Description: description}
}

// words returns the part of err that a peer may read: a *rtmp.StatusError, or
// otherwise when there is none.
func words(err error, otherwise *rtmp.StatusError) *rtmp.StatusError {
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok {
		return s
	}
	return otherwise
}

// Because is the Application of a refusal: the reason, for people, and the time
// before another try, for programs. 0: another try will not help.
func Because(reason string, retryAfter time.Duration) amf.Object {
	return amf.Object{
		{Name: "reason", Value: amf.String(reason)},
		{Name: "retryAfter", Value: amf.Number((retryAfter + time.Millisecond - 1).Milliseconds())},
	}
}

// codeMoved is the code of a redirection, as in HTTP.
const codeMoved = 302

// Moved refuses a client that belongs at another address: a client that follows
// redirections connects there (ex.code 302). The query is what the client added
// to the address of this server; "": nothing.
func Moved(description, uri, query string) *rtmp.StatusError {
	if query != "" {
		uri += "?" + query
	}
	e := Reject(description)
	e.Extra = []amf.Field{{Name: "ex", Value: amf.Object{
		{Name: "code", Value: amf.Number(codeMoved)}, {Name: "redirect", Value: amf.String(uri)},
	}}}
	return e
}

// appShutdown is the status for clients of an instance that stops.
func appShutdown() *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: rtmp.CodeConnectShutdown, Description: "The application instance is shutting down."}
}

// NotDefined refuses an unknown application, in the words of FlashCom. path is
// the one that was asked for.
func NotDefined(path string) *rtmp.StatusError {
	name, _ := clean(path)
	name = brief(name, maxShown)
	return Reject(fmt.Sprintf("[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (%s) is not defined.", name))
}

// reserved are the commands that never reach an application's methods: those
// of NetConnection and NetStream, and FlashCom's Client built-ins
// ("Avoiding reserved commands", server-side ActionScript dictionary).
var reserved = map[string]bool{
	"closeStream": true, "connect": true, "createStream": true, "deleteStream": true,
	"onStatus": true, "pause": true, "play": true, "publish": true,
	"receiveAudio": true, "receiveVideo": true, "seek": true,
	"getBandwidthLimit": true, "setBandwidthLimit": true, "getStats": true, "ping": true,
}
