package amf_test

import (
	"bytes"
	"testing"

	"foyer/server/amf"

	amf0 "github.com/yutopp/go-amf0"
)

// report is a typical status that a room reports to its lobby.
var report = amf.Object{
	{Name: "epoch", Value: amf.Number(1763904946123)},
	{Name: "seq", Value: amf.Number(4217)},
	{Name: "title", Value: amf.String("The Blue Room")},
	{Name: "topic", Value: amf.String("ships in bottles, and how they get there")},
	{Name: "tags", Value: amf.StrictArray{amf.String("music"), amf.String("late")}},
	{Name: "users", Value: amf.Number(23)},
	{Name: "spectators", Value: amf.Number(4)},
	{Name: "viewers", Value: amf.Number(19)},
	{Name: "publishers", Value: amf.Number(1)},
	{Name: "messagesPerMinute", Value: amf.Number(12)},
	{Name: "activity", Value: amf.Number(0.734)},
	{Name: "lastActive", Value: amf.Number(1763904951456)},
	{Name: "live", Value: amf.Bool(true)},
	{Name: "streams", Value: amf.StrictArray{amf.String("live")}},
	{Name: "capacity", Value: amf.Number(1000)},
	{Name: "locked", Value: amf.Bool(false)},
	{Name: "unlisted", Value: amf.Bool(false)},
	{Name: "node", Value: amf.String("rooms-1")},
	{Name: "rtmp", Value: amf.String("rtmp://rooms-1.example.net:1935/room/blue")},
	{Name: "http", Value: amf.String("https://rooms-1.example.net/room/blue")},
}

func BenchmarkDecodeReport(b *testing.B) {
	data := amf.Append(nil, report)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := amf.NewDecoder(data).Next()
		if err != nil || len(v.(amf.Object)) != len(report) {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkDecodeReportGoAMF0(b *testing.B) {
	data := amf.Append(nil, report)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var v any
		err := amf0.NewDecoder(bytes.NewReader(data)).Decode(&v)
		if err != nil || len(v.(map[string]any)) != len(report) {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkEncodeReport(b *testing.B) {
	var v amf.Value = report
	buf := amf.Append(nil, v)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = amf.Append(buf[:0], v)
	}
}

func BenchmarkEncodeReportGoAMF0(b *testing.B) {
	var v any = toGoAMF0(report)
	var buf bytes.Buffer
	b.SetBytes(int64(len(amf.Append(nil, report))))
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := amf0.NewEncoder(&buf).Encode(v); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawReport is what relaying a status costs: it is checked and copied.
func BenchmarkRawReport(b *testing.B) {
	data := amf.Append(nil, report)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := amf.NewDecoder(data).NextRaw()
		if _, ok := v.(amf.Raw); !ok {
			b.Fatal(v, err)
		}
	}
}

// TestAllocations holds the decoder to one allocation a field, and the encoder
// to none.
func TestAllocations(t *testing.T) {
	data := amf.Append(nil, report)
	n := testing.AllocsPerRun(100, func() {
		if _, err := amf.NewDecoder(data).Next(); err != nil {
			t.Fatal(err)
		}
	})
	if most := float64(len(report)); n > most && !raceEnabled {
		t.Errorf("decoding a report allocates %v times, want at most %v", n, most)
	}
	var v amf.Value = report
	buf := make([]byte, 0, len(data))
	if n := testing.AllocsPerRun(100, func() { buf = amf.Append(buf[:0], v) }); n != 0 {
		t.Errorf("encoding a report allocates %v times, want none", n)
	}
}
