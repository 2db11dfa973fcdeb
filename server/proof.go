package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// How nodes recognize each other. The node that connects adds a member
// foyerProxy to the command object of connect: {to, kind, addr, protocol,
// proof}. The proof is an HMAC, with the secret of the nodes, of all of that,
// the path, and the nonces of the connection's handshake. The owner's answer,
// yes or no, has a proof of its own. The secret never travels, and a proof is
// worth nothing on another connection, at another node, for another path, in
// the other direction, or with another claim. No clock is needed.

// proxyField is the name of the member, in connect's command object and in its
// answer.
const proxyField = "foyerProxy"

// The two roles of a proof.
const (
	proofOfCaller = "caller"
	proofOfOwner  = "owner"
)

// errNoNode is for an owner whose answer has no proof.
var errNoNode = errors.New("server: the peer there has not proved to be a node")

// An introduction is what a node says when it connects to another one.
type introduction struct {
	to             string // the node that it connects to
	kind           string // a key of nodeKinds
	addr, protocol string // of the client, when the kind is "client"
}

// proof signs v for one connection.
func (v introduction) proof(secret, role, path string, n *rtmp.Nonces) string {
	m := hmac.New(sha256.New, []byte(secret))
	for _, s := range []string{"foyer node", role, string(n.Client[:]), string(n.Server[:]), path, v.to, v.kind, v.addr, v.protocol} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(s)))
		m.Write(size[:])
		m.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sign is the member of connect with v and its proof.
func (v introduction) sign(secret string, r *rtmp.ConnectRequest) amf.Field {
	o := amf.Object{{Name: "to", Value: amf.String(v.to)}, {Name: "kind", Value: amf.String(v.kind)}}
	if v.addr != "" || v.protocol != "" {
		o = append(o, amf.Field{Name: "addr", Value: amf.String(v.addr)}, amf.Field{Name: "protocol", Value: amf.String(v.protocol)})
	}
	proof := v.proof(secret, proofOfCaller, r.App, r.Nonces)
	return amf.Field{Name: proxyField, Value: append(o, amf.Field{Name: "proof", Value: amf.String(proof)})}
}

// dialOwner connects to the owner of a tunnel's instance. Each side proves to
// the other that it is a node. client is the client that the connection is for,
// if any. An answer without a proof, a refusal included, is errNoNode.
func (t *tunnel) dialOwner(ctx context.Context, kind string, client *Request, uri string, request rtmp.ConnectRequest, o rtmp.DialOptions) (*rtmp.Session, error) {
	h := t.in.host
	v := introduction{to: t.owner.Node, kind: kind}
	if client != nil {
		v.addr, v.protocol = addrText(client), client.Protocol
	}
	var want string
	request.Sign = func(r *rtmp.ConnectRequest) amf.Field {
		want = v.proof(h.NodeSecret, proofOfOwner, r.App, r.Nonces)
		return v.sign(h.NodeSecret, r)
	}
	o.Dial = h.Dial
	s, info, err := rtmp.Dial(ctx, uri, &request, o)
	if no, ok := errors.AsType[*rtmp.StatusError](err); ok {
		return nil, proved(no, want)
	}
	if err != nil {
		return nil, err
	}
	if given, _ := amf.AsString(amf.Lookup(info, proxyField)); !guard.Same(given, want) {
		s.Close(nil)
		t.in.Go(func(context.Context) { s.Run(context.Background()) })
		return nil, fmt.Errorf("%w: %s as node %s", errNoNode, uri, v.to)
	}
	return s, nil
}

// proved takes the owner's proof off its refusal.
func proved(no *rtmp.StatusError, want string) error {
	i := slices.IndexFunc(no.Extra, func(f amf.Field) bool { return f.Name == proxyField })
	if i < 0 {
		return errNoNode
	}
	if given, _ := amf.AsString(no.Extra[i].Value); !guard.Same(given, want) {
		return errNoNode
	}
	bare := *no
	bare.Extra = slices.Delete(slices.Clone(no.Extra), i, i+1)
	return &bare
}

// recognize reads into r what a node says about itself and its client. It
// returns the owner's proof, for the answer to connect. A peer that does not
// prove to be a node is a visitor like any other, but has shown a wrong
// credential: after many of those its answer waits, here, on the connection's
// own goroutine. A node that proves itself never waits: nobody can guess a
// proof, and no stranger at its address can keep it out.
func (h *Host) recognize(ctx context.Context, r *Request, req *rtmp.ConnectRequest) (answer []amf.Field, err error) {
	said := amf.Lookup(req.Object, proxyField)
	if _, ok := said.(amf.Undefined); ok {
		return nil, nil
	}
	return h.recognizeNode(ctx, r, req, said)
}

// recognizeNode is recognize for a peer that introduces itself.
func (h *Host) recognizeNode(ctx context.Context, r *Request, req *rtmp.ConnectRequest, said amf.Value) (answer []amf.Field, err error) {
	text := func(name string) string { s, _ := amf.AsString(amf.Lookup(said, name)); return s }
	v := introduction{text("to"), text("kind"), text("addr"), text("protocol")}
	if !h.believes(v, text("proof"), req) {
		wait := h.guard().Shown(r.Addr.Addr(), false, "for", "node")
		h.log().Warn("node not believed", "remote", r.Addr, "err", "no valid proof of the node secret")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		return nil, nil
	}
	answer = []amf.Field{{Name: proxyField, Value: amf.String(v.proof(h.NodeSecret, proofOfOwner, req.App, req.Nonces))}}
	r.node = nodeKinds[v.kind]
	if r.node != forClient {
		r.Protocol = "node"
		return answer, nil
	}
	addr, named, err := parseAddrText(v.addr)
	if err != nil || !protocolText(v.protocol) {
		h.log().Warn("node refused", "remote", r.Addr, "err", "bad address or protocol of its client")
		return answer, notHere()
	}
	r.Addr, r.Named, r.Protocol = addr, named, v.protocol
	return answer, nil
}

// believes reports whether a peer has proved to be a node that wants this one.
func (h *Host) believes(v introduction, proof string, req *rtmp.ConnectRequest) bool {
	return h.NodeSecret != "" && req.Nonces != nil && nodeKinds[v.kind] != fromVisitor && v.to == h.Node &&
		guard.Same(proof, v.proof(h.NodeSecret, proofOfCaller, req.App, req.Nonces))
}

// signed is a refusal with the owner's proof, if there is one.
func signed(err error, answer []amf.Field) error {
	if len(answer) == 0 {
		return err
	}
	with := *words(err, Reject("Connection rejected."))
	with.Extra = append(slices.Clone(with.Extra), answer...)
	return &with
}

// namedMark follows an address that a trusted proxy has named.
const namedMark = " named"

// addrText is a client's address as it travels, "" for this process itself.
func addrText(r *Request) string {
	switch {
	case !r.Addr.IsValid():
		return ""
	case r.Named:
		return r.Addr.String() + namedMark
	}
	return r.Addr.String()
}

func parseAddrText(s string) (addr netip.AddrPort, named bool, err error) {
	if s == "" {
		return addr, false, nil
	}
	s, named = strings.CutSuffix(s, namedMark)
	a, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()), named, err
}

// protocolText reports whether s can be the name of a protocol: a short word.
func protocolText(s string) bool {
	return len(s) <= 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}
