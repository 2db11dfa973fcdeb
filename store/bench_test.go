package store

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkAppend measures messages of 50 rooms, each of which has some on
// their way, as a room has where many people talk: as many as go, or at a rate.
func BenchmarkAppend(b *testing.B) {
	const rooms = 50
	for _, bench := range []struct {
		sync  Sync
		onWay int // messages of one room
		rate  int // a second; 0: as many as go
	}{{Second, 1, 0}, {Second, 4, 0}, {Second, 100, 20_000}, {Always, 1, 0}, {Always, 4, 0}, {Always, 100, 2_000}} {
		b.Run(fmt.Sprintf("%v/%d/%d", bench.sync, bench.onWay, bench.rate), func(b *testing.B) {
			c, err := Open(b.Context(), Config{Dir: b.TempDir(), Node: "bench", Sync: bench.sync})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			var all []*Room
			for i := range rooms {
				r, err := c.OpenRoom(b.Context(), fmt.Sprint("room", i), func([]byte) {})
				if err != nil {
					b.Fatal(err)
				}
				all = append(all, r)
			}
			text := make([]byte, 200)
			took := make([]time.Duration, b.N)
			var wg sync.WaitGroup
			b.ResetTimer()
			start := time.Now()
			for i, r := range all {
				slots := make(chan bool, bench.onWay)
				wg.Go(func() {
					for n := i; n < b.N; n += rooms {
						if bench.rate > 0 {
							time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(bench.rate))))
						}
						slots <- true
						said := time.Now()
						r.Append(func(uint64) []byte { return text }, func(_ uint64, err error) {
							if err != nil {
								b.Error(err)
							}
							took[n] = time.Since(said)
							<-slots
						})
					}
					for range bench.onWay {
						slots <- true
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
