package rtmp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foyer/server/rtmp"
)

func bytesOf(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func audio(stream, time uint32, payload string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, StreamID: stream, Timestamp: time, Payload: []byte(payload)}
}

// chunkTable lists chunks and their meaning: it tests the reader, and seeds the
// fuzzer. The chunk size is 4.
var chunkTable = []struct {
	name, bytes string
	want        []rtmp.Message
}{
	{"type 0", "04 000010 000003 08 01000000 616263", []rtmp.Message{audio(1, 16, "abc")}},
	{"stream id is little-endian", "04 000010 000001 08 01020304 61", []rtmp.Message{audio(0x04030201, 16, "a")}},
	{"type 1 adds a delta", "04 000010 000001 08 01000000 61  44 000005 000002 08 6263",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 21, "bc")}},
	{"type 2 keeps length and type", "04 000010 000001 08 01000000 61  84 000005 62",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 21, "b")}},
	{"type 3 repeats the delta", "04 000010 000001 08 01000000 61  84 000005 62  c4 63  c4 64",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 21, "b"), audio(1, 26, "c"), audio(1, 31, "d")}},
	{"type 3 after type 0", "04 000010 000001 08 01000000 61  c4 62",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 32, "b")}},
	{"type 1 begins a chunk stream", "44 000010 000001 08 61", []rtmp.Message{audio(0, 16, "a")}},
	{"several chunks", "04 000010 000009 08 01000000 61626364 c4 65666768 c4 69",
		[]rtmp.Message{audio(1, 16, "abcdefghi")}},
	{"whole last chunk", "04 000010 000008 08 01000000 61626364 c4 65666768",
		[]rtmp.Message{audio(1, 16, "abcdefgh")}},
	{"interleaved", "04 000010 000005 08 01000000 61626364  05 000011 000005 08 01000000 41424344  c4 65 c5 45",
		[]rtmp.Message{audio(1, 16, "abcde"), audio(1, 17, "ABCDE")}},
	{"two-byte basic header", "00 ff 000010 000001 08 01000000 61  c0 ff 62",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 32, "b")}},
	{"three-byte basic header", "01 00ff 000010 000005 08 01000000 61626364  c1 00ff 65",
		[]rtmp.Message{audio(1, 16, "abcde")}},
	{"the same chunk stream in two and three bytes", "00 0a 000010 000005 08 01000000 61626364  c1 0a00 65",
		[]rtmp.Message{audio(1, 16, "abcde")}},
	{"chunk streams 64 and 320 differ", "00 00 000010 000005 08 01000000 61626364  01 0001 000011 000001 08 02000000 41  c0 00 65",
		[]rtmp.Message{audio(2, 17, "A"), audio(1, 16, "abcde")}},
	{"nothing in it", "04 000010 000000 08 01000000  84 000001  c4",
		[]rtmp.Message{audio(1, 16, ""), audio(1, 17, ""), audio(1, 18, "")}},
	{"extended timestamp", "04 ffffff 000001 08 01000000 01000000 61",
		[]rtmp.Message{audio(1, 0x1000000, "a")}},
	{"extended timestamp below the mark", "04 ffffff 000001 08 01000000 00000007 61",
		[]rtmp.Message{audio(1, 7, "a")}},
	{"extended timestamp, repeated", "04 ffffff 000005 08 01000000 01000000 61626364 c4 01000000 65",
		[]rtmp.Message{audio(1, 0x1000000, "abcde")}},
	{"extended timestamp, not repeated", "04 ffffff 000009 08 01000000 01000000 61626364 c4 65666768 c4 69",
		[]rtmp.Message{audio(1, 0x1000000, "abcdefghi")}},
	{"extended timestamp, not repeated, beginning alike", "04 ffffff 000009 08 01000000 01000000 61626364 c4 01000068 c4 69",
		[]rtmp.Message{audio(1, 0x1000000, "abcd\x01\x00\x00hi")}},
	{"extended delta, repeated", "04 000010 000001 08 01000000 61  44 ffffff 000005 08 01000000 61626364 c4 01000000 65",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 0x1000010, "abcde")}},
	{"extended delta, time repeated instead", "04 000010 000001 08 01000000 61  44 ffffff 000005 08 01000000 61626364 c4 01000010 65",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 0x1000010, "abcde")}},
	{"extended timestamp on a new type 3 message", "04 000010 000001 08 01000000 61  84 ffffff 01000000 62  c4 01000000 63",
		[]rtmp.Message{audio(1, 16, "a"), audio(1, 0x1000010, "b"), audio(1, 0x2000010, "c")}},
	{"time wraps", "04 ffffff 000001 08 01000000 fffffff0 61  84 000020 62",
		[]rtmp.Message{audio(1, 0xFFFFFFF0, "a"), audio(1, 0x10, "b")}},
	{"set chunk size between chunks", "04 000010 000009 08 01000000 61626364  02 000000 000004 01 00000000 00000010  c4 6566676869",
		[]rtmp.Message{{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 0, 0, 16}}, audio(1, 16, "abcdefghi")}},
}

func TestChunkReader(t *testing.T) {
	for _, test := range chunkTable {
		t.Run(test.name, func(t *testing.T) {
			b := bytesOf(t, test.bytes)
			for _, step := range []int{len(b), 1, 2, 3, 5} {
				r := rtmp.NewChunkReader(4, rtmp.Publisher)
				got, err := feed(r, b, func() int { return step })
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				if d := cmp.Diff(test.want, got, sameBytes); d != "" {
					t.Errorf("step %d: (-want +got)\n%s", step, d)
				}
				if r.Taken() != 0 || len(r.Rest()) != 0 {
					t.Errorf("step %d: %d bytes taken, %x left", step, r.Taken(), r.Rest())
				}
			}
		})
	}
}

var sameBytes = cmp.Comparer(bytes.Equal)

// feed feeds b in pieces.
func feed(r *rtmp.ChunkReader, b []byte, step func() int) (all []rtmp.Message, err error) {
	for len(b) > 0 {
		k := min(max(1, step()), len(b))
		ms, err := r.Feed(b[:k])
		all = append(all, ms...)
		if err != nil {
			return all, err
		}
		b = b[k:]
	}
	return all, nil
}

func TestChunkErrors(t *testing.T) {
	for _, test := range []struct{ name, bytes, want string }{
		{"type 2 begins a chunk stream", "84 000010 61", "byte 0: chunk stream begins with a header that refers to an earlier one"},
		{"type 3 begins a chunk stream", "c4", "byte 0: chunk stream begins with a header that refers to an earlier one"},
		{"new message inside one", "04 000010 000005 08 01000000 61626364 04 000010 000001 08 01000000", "byte 16: new message before the end of the last one on its chunk stream"},
		{"chunk size 0", "02 000000 000004 01 00000000 00000000", "byte 16: chunk size 0x0"},
		{"chunk size with the high bit", "02 000000 000004 01 00000000 80000000", "byte 16: chunk size 0x80000000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := rtmp.NewChunkReader(4, rtmp.Publisher).Feed(bytesOf(t, test.bytes))
			wantProtocolError(t, err, test.want)
		})
	}
}

func wantProtocolError(t *testing.T, err error, want string) {
	t.Helper()
	if _, ok := errors.AsType[*rtmp.ProtocolError](err); !ok || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a protocol error: %s", err, want)
	}
}

func TestChunkSizeGreaterThanAnyMessage(t *testing.T) {
	r := rtmp.NewChunkReader(128, rtmp.Publisher)
	ms, err := r.Feed(bytesOf(t, "02 000000 000004 01 00000000 7fffffff 04 000010 000003 08 01000000 616263"))
	if err != nil || len(ms) != 2 {
		t.Errorf("%d messages, %v", len(ms), err)
	}
}

// header returns a type 0 header, on a chunk stream, of a message of n bytes.
func header(csid int, typ rtmp.MessageType, n int) []byte {
	b := []byte{1, byte(csid - 64), byte((csid - 64) >> 8)}
	if csid < 64 {
		b = []byte{byte(csid)}
	}
	return append(b, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n), byte(typ), 1, 0, 0, 0)
}

func TestMessageLimits(t *testing.T) {
	for _, test := range []struct {
		typ rtmp.MessageType
		max [3]int // of a stranger, a spectator, a publisher
	}{
		{rtmp.TypeUserControl, [3]int{rtmp.MaxControl, rtmp.MaxControl, rtmp.MaxControl}},
		{rtmp.TypeSetChunkSize, [3]int{rtmp.MaxControl, rtmp.MaxControl, rtmp.MaxControl}},
		{rtmp.TypeVideo, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxMessageOfSpectator, rtmp.MaxMessage}},
		{rtmp.TypeAudio, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxMessageOfSpectator, rtmp.MaxMessage}},
		{rtmp.TypeDataAMF0, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxMessageOfSpectator, rtmp.MaxMessage}},
		{rtmp.TypeAggregate, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxMessageOfSpectator, rtmp.MaxMessage}},
		{rtmp.TypeCommandAMF0, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxCommand, rtmp.MaxCommand}},
		{rtmp.TypeCommandAMF3, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxCommand, rtmp.MaxCommand}},
		{rtmp.TypeSharedObjectAMF0, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxCommand, rtmp.MaxCommand}},
		{rtmp.TypeSharedObjectAMF3, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxCommand, rtmp.MaxCommand}},
		{99, [3]int{rtmp.MaxMessageBeforeConnect, rtmp.MaxCommand, rtmp.MaxCommand}},
	} {
		for i, most := range test.max {
			of := rtmp.Stranger
			of += rtmp.Trust(i)
			if _, err := rtmp.NewChunkReader(128, of).Feed(header(4, test.typ, most)); err != nil {
				t.Errorf("%v of %d bytes: %v", test.typ, most, err)
			}
			_, err := rtmp.NewChunkReader(128, of).Feed(header(4, test.typ, most+1))
			wantProtocolError(t, err, fmt.Sprintf("message too long: %v message of %d bytes exceeds %d", test.typ, most+1, most))
			if !errors.Is(err, rtmp.ErrMessageSize) {
				t.Errorf("%v of %d bytes: %v", test.typ, most+1, err)
			}
		}
	}
}

func TestAbort(t *testing.T) {
	r := rtmp.NewChunkReader(128, rtmp.Publisher)
	r.Feed(append(header(4, rtmp.TypeVideo, 500), make([]byte, 128)...))
	if r.Taken() == 0 {
		t.Fatal("nothing to abort")
	}
	r.Abort(4)
	r.Abort(5) // nothing there
	if r.Taken() != 0 {
		t.Errorf("%d bytes still taken", r.Taken())
	}
	ms, err := r.Feed(append(header(4, rtmp.TypeVideo, 1), 'x'))
	if err != nil || len(ms) != 1 || string(ms[0].Payload) != "x" {
		t.Errorf("after abort: %v, %v", ms, err)
	}
}

// Every possible chunk stream, begun and left.
func TestBombChunkStreams(t *testing.T) {
	r := rtmp.NewChunkReader(1, rtmp.Publisher)
	var err error
	opened := 0
	for csid := 2; csid <= 65599 && err == nil; csid++ {
		_, err = r.Feed(append(header(csid, rtmp.TypeVideo, 2), 'x'))
		opened++
	}
	wantProtocolError(t, err, "more than 64 unfinished messages")
	if opened != rtmp.MaxChunkStreams+1 {
		t.Errorf("%d were opened", opened)
	}
}

// Chunk streams without an unfinished message are replaced; the others stay.
func TestManyChunkStreams(t *testing.T) {
	r := rtmp.NewChunkReader(1, rtmp.Publisher)
	if _, err := r.Feed(append(header(3, rtmp.TypeVideo, 2), 'x')); err != nil {
		t.Fatal(err)
	}
	for csid := 4; csid <= 65599; csid++ {
		ms, err := r.Feed(append(header(csid, rtmp.TypeVideo, 1), 'x'))
		if err != nil || len(ms) != 1 {
			t.Fatalf("chunk stream %d: %v, %v", csid, ms, err)
		}
	}
	ms, err := r.Feed([]byte{0xC3, 'y'})
	if err != nil || len(ms) != 1 || string(ms[0].Payload) != "xy" {
		t.Errorf("the unfinished message: %v, %v", ms, err)
	}
}

// A lying length costs only the bytes that arrived.
func TestBombLyingLength(t *testing.T) {
	r := rtmp.NewChunkReader(rtmp.MaxChunkSize, rtmp.Publisher)
	if _, err := r.Feed(append(header(4, rtmp.TypeVideo, rtmp.MaxMessage), 'x')); err != nil {
		t.Fatal(err)
	}
	if r.Taken() > 1024 {
		t.Errorf("%d bytes taken for one that came", r.Taken())
	}
}

// Long messages on many chunk streams, none of them finished.
func TestBombPartialMessages(t *testing.T) {
	for _, test := range []struct {
		of          rtmp.Trust
		typ         rtmp.MessageType
		length, max int
	}{
		{rtmp.Publisher, rtmp.TypeVideo, rtmp.MaxMessage, rtmp.MaxPartial},
		{rtmp.Spectator, rtmp.TypeVideo, rtmp.MaxMessageOfSpectator, rtmp.MaxPartialOfSpectator},
		{rtmp.Spectator, rtmp.TypeCommandAMF0, rtmp.MaxCommand, rtmp.MaxPartialOfSpectator},
		{rtmp.Stranger, rtmp.TypeVideo, rtmp.MaxMessageBeforeConnect, rtmp.MaxPartialBeforeConnect},
	} {
		r := rtmp.NewChunkReader(test.length/4, test.of)
		var err error
		for csid := 3; csid < 67 && err == nil; csid++ {
			_, err = r.Feed(append(header(csid, test.typ, test.length), make([]byte, test.length/4)...))
			if r.Taken() > test.max {
				t.Fatalf("%d bytes taken", r.Taken())
			}
		}
		wantProtocolError(t, err, fmt.Sprintf("message too long: unfinished ones exceed %d bytes together", test.max))
	}
}

func TestPackReadsTheSame(t *testing.T) {
	big := make([]byte, 200000)
	for i := range big {
		big[i] = byte(i * 7)
	}
	want := []rtmp.Message{
		audio(1, 0, "a"), audio(7, 0xFFFFFE, "b"), audio(7, 0xFFFFFF, "c"), audio(7, 0xFFFFFFFF, ""),
		{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: 0x1234567, Payload: big},
		{Type: rtmp.TypeCommandAMF0, Payload: big[:rtmp.ChunkSize]},
		{Type: rtmp.TypeDataAMF0, Payload: big[:rtmp.ChunkSize+1]},
		{Type: rtmp.TypeAcknowledgement, Payload: big[:4]},
	}
	got, err := rtmp.NewChunkReader(rtmp.ChunkSize, rtmp.Publisher).Feed(rtmp.Pack(want...))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, sameBytes); d != "" {
		t.Errorf("(-want +got)\n%.2000s", d)
	}
	if b := rtmp.Pack(want...); cap(b) < len(b) || cap(b) > len(b)+100*len(want) {
		t.Errorf("capacity %d for %d bytes", cap(b), len(b))
	}
}

// FuzzChunk: bytes mean the same however they are split, and the messages read
// from them read the same when packed again.
func FuzzChunk(f *testing.F) {
	for _, test := range chunkTable {
		f.Add(bytesOf(f, test.bytes), uint16(4-1), uint64(1))
	}
	for _, c := range conversations {
		for _, flow := range readFlows(f, "testdata/"+c.file+".flow") {
			f.Add(flow.Bytes, uint16(rtmp.InitialChunkSize-1), uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16, seed uint64) {
		chunk := int(size) + 1
		whole, err := rtmp.NewChunkReader(chunk, rtmp.Publisher).Feed(b)
		rnd := rand.New(rand.NewPCG(seed, 0))
		split, err2 := feed(rtmp.NewChunkReader(chunk, rtmp.Publisher), b, func() int { return rnd.IntN(20) })
		if d := cmp.Diff(whole, split, sameBytes); d != "" {
			t.Fatalf("split differently: (-whole +split)\n%s", d)
		}
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("split differently: %v, then %v", err, err2)
		}
		var packed []byte
		var want []rtmp.Message
		for _, m := range whole {
			if m.Type == rtmp.TypeSetChunkSize {
				continue
			}
			packed = rtmp.AppendChunks(packed, &m, chunk)
			want = append(want, m)
		}
		got, err := rtmp.NewChunkReader(chunk, rtmp.Publisher).Feed(packed)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, sameBytes); d != "" {
			t.Fatalf("packed: (-want +got)\n%s", d)
		}
	})
}

const benchMessage = 16 << 10

func BenchmarkChunkReader(b *testing.B) {
	m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: 12345, Payload: make([]byte, benchMessage)}
	var in []byte
	for range 4 { // as much as a Conn's buffer holds
		in = rtmp.AppendChunks(in, &m, 4096)
	}
	r := rtmp.NewChunkReader(4096, rtmp.Publisher)
	b.SetBytes(benchMessage)
	b.ReportAllocs()
	rest := in
	for b.Loop() {
		n, _, ok, err := r.Next(rest)
		if !ok || err != nil {
			b.Fatal(ok, err)
		}
		if rest = rest[n:]; len(rest) == 0 {
			rest = in
		}
	}
}

func BenchmarkChunkWriter(b *testing.B) {
	m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: 12345, Payload: make([]byte, benchMessage)}
	out := make([]byte, 0, 2*benchMessage)
	b.SetBytes(benchMessage)
	b.ReportAllocs()
	for b.Loop() {
		out = rtmp.AppendChunks(out[:0], &m, 4096)
	}
}

func BenchmarkPack(b *testing.B) {
	m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: 12345, Payload: make([]byte, benchMessage)}
	b.SetBytes(benchMessage)
	b.ReportAllocs()
	for b.Loop() {
		rtmp.Pack(m)
	}
}

func TestNoAllocationPerChunk(t *testing.T) {
	m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: make([]byte, benchMessage)}
	in := rtmp.AppendChunks(nil, &m, 64)
	r := rtmp.NewChunkReader(64, rtmp.Publisher)
	if n := testing.AllocsPerRun(100, func() { r.Next(in) }); n > 1 {
		t.Errorf("%v allocations for a message of %d chunks, want 1", n, benchMessage/64)
	}
	out := make([]byte, 0, 2*benchMessage)
	if n := testing.AllocsPerRun(100, func() { rtmp.AppendChunks(out, &m, 64) }); n > 0 {
		t.Errorf("%v allocations to write into a buffer", n)
	}
}
