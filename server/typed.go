package server

import (
	"net/url"
	"strings"

	"foyer/server/rtmp"
)

// Encoders have two fields, for the server and for the stream key, and people
// type into one what belongs into the other. The functions below find out what was
// meant, as far as there is one answer.

// typedPath is the path that an RTMP peer asks for, with the query that its
// tcUrl may have instead. The name is taken as it is sent; only the question
// mark behind it may be encoded, with the query.
func typedPath(app, tcURL string) string {
	name, query, ok := strings.Cut(app, "?")
	if !ok {
		name, query, ok = cutEncoded(app)
	}
	if !ok {
		_, query, ok = strings.Cut(tcURL, "?")
	}
	if name = rtmp.TrimPasted(name); !ok {
		return name
	}
	return name + "?" + query
}

// cutEncoded cuts at a question mark that is percent-encoded.
func cutEncoded(app string) (name, query string, ok bool) {
	if name, query, ok = strings.Cut(app, "%3F"); !ok {
		name, query, ok = strings.Cut(app, "%3f")
	}
	if plain, err := url.QueryUnescape(query); err == nil {
		query = plain
	}
	return name, query, ok
}

// locate takes room/blue/live?key=KEY, the whole address in the field for the
// server, apart. Without a key or pass, a path below an instance is refused as
// ever.
func (h *Host) locate(r *Request) {
	path, query := clean(r.Path)
	if credential(query) == "" {
		return
	}
	h.mu.Lock()
	_, short := h.resolveLocked(path)
	h.mu.Unlock()
	instance, rest, deeper := strings.Cut(short, "/")
	stream, _ := rtmp.SplitName(rest)
	if deeper && ValidName(instance) && ValidName(stream) {
		r.Path, r.stream = strings.TrimSuffix(path, "/"+rest)+"?"+query, stream
	}
}

// played is the name of a stream to play, given what the peer calls it. Nodes
// say what they mean.
func (c *Client) played(typed string) string {
	if c.req.node != fromVisitor {
		return typed
	}
	public, query := c.stream(typed)
	return joined(public, query)
}

// published is played for a stream to publish, whose key or pass may be in the
// address of the server.
func (c *Client) published(typed string) string {
	if c.req.node != fromVisitor {
		return typed
	}
	public, query := c.stream(typed)
	if credential(query) == "" {
		query = strings.Trim(query+"&"+credential(c.Query()), "&")
	}
	return joined(public, query)
}

func (c *Client) stream(typed string) (public, query string) {
	if public, query = rtmp.SplitName(typed); public == "" {
		public = c.req.stream
	}
	return public, query
}

func joined(public, query string) string {
	if query == "" {
		return public
	}
	return public + "?" + query
}

// credential returns the last part of a query that has a key or a pass, or "".
func credential(query string) (part string) {
	for p := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == '?' }) {
		name, value, _ := strings.Cut(p, "=")
		if value = rtmp.TrimPasted(value); value != "" && (name == "key" || name == "pass") {
			part = name + "=" + value
		}
	}
	return part
}
