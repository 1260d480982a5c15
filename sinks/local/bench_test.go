package local

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"sluice/event"
	"sluice/sinks"
)

// BenchmarkWrite writes synced batches of 500-byte events of 10,000 users, 16
// at once, as a tenant's lanes do.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1, 64, 512} {
		for _, writers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("events=%d/writers=%d", size, writers), func(b *testing.B) {
				s := openAt(b, Config{Dir: b.TempDir()})
				sink := s.Tenant("acme", 0)
				data := bytes.Repeat([]byte("x"), 500)
				var next atomic.Int64
				b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS
				b.ReportAllocs()
				b.SetBytes(int64(size * len(data)))
				b.RunParallel(func(pb *testing.PB) {
					batch := &sinks.Batch{Events: make([]event.Event, size)}
					for pb.Next() {
						for i := range batch.Events {
							n := next.Add(1)
							batch.Events[i] = event.Event{
								Tenant: "acme", User: fmt.Sprint("user-", n*7919%10_000), ID: fmt.Sprint("e-", n), Type: "t",
								TS: 1_700_000_000_000 + n, Data: data,
							}
						}
						if err := sink.Write(context.Background(), batch); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
