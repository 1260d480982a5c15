package cassandra

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/event"
	"sluice/sinks"
)

// BenchmarkWrite writes 500 B events of one partition at a time, as batches of
// several sizes and one by one, 64 Writes under way. It asserts nothing.
func BenchmarkWrite(b *testing.B) {
	cfg := freshConfig(b, realHost(b))
	for _, bc := range []struct {
		name   string
		events int // of a Write
		limit  int // MaxBatchBytes
	}{
		{"single inserts", 1, 0},
		{"batches of 10", 10, 0},
		{"batches of 50", 50, 0},
		{"batches of 200, at most 48 KiB each", 200, 0},
		{"batches of 200, at most 256 KiB each", 200, 256 << 10},
	} {
		b.Run(bc.name, func(b *testing.B) {
			cfg := cfg
			cfg.MaxBatchBytes = bc.limit
			tenant := open(b, cfg).Tenant(bc.name, 0)
			if err := tenant.Probe(b.Context()); err != nil {
				b.Fatal(err)
			}
			data := []byte(`{"pad":"` + strings.Repeat("x", 500-10) + `"}`)
			var n atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					batch := sinks.Batch{Events: make([]event.Event, bc.events)}
					for k := range batch.Events {
						batch.Events[k] = event.Event{
							User: fmt.Sprint("user-", i%16), ID: fmt.Sprintf("%d-%d", i, k), Type: "click",
							TS: 1_700_000_000_000 + i%3_000_000, Received: 1_700_000_000_000_000 + i, Data: data,
						}
					}
					if err := tenant.Write(context.Background(), &batch); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*bc.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
