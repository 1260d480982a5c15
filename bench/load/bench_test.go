package load

import (
	"context"
	"net"
	"testing"
	"time"
)

// BenchmarkClosed is the generator and a server that does nothing, in one process.
func BenchmarkClosed(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go ServeNull(ctx, l, 1)
	p := &Plan{
		Name: "bench", Target: Target{URL: "http://" + l.Addr().String(), Address: l.Addr().String(), Host: "x", Path: "/v1/events"},
		Tenants: []Tenant{{Name: "t", Key: "k", Weight: 1}}, Events: Events{Format: Single, Batch: 1, Sizes: []int{500}},
		Users: Users{Count: 10000}, Connections: 64, For: time.Hour, Count: uint64(b.N), Timeout: time.Minute, Run: "b",
	}
	b.ReportAllocs()
	b.ResetTimer()
	r, err := Run(ctx, p, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(r.Totals.EventsPerS, "events/s")
}

// BenchmarkOpen is the same at a fixed rate; what it uses of the machine is what
// is to be looked at.
func BenchmarkOpen(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go ServeNull(ctx, l, 1)
	p := &Plan{
		Name: "bench", Target: Target{URL: "http://" + l.Addr().String(), Address: l.Addr().String(), Host: "x", Path: "/v1/events"},
		Tenants: []Tenant{{Name: "t", Key: "k", Weight: 1}}, Events: Events{Format: Single, Batch: 1, Sizes: []int{500}},
		Users: Users{Count: 10000}, Connections: 64, For: time.Hour, Count: uint64(b.N), Timeout: time.Minute, Run: "b",
		Open: &Open{Segments: []Segment{{From: 10000, To: 10000, For: time.Hour}}, Phases: []string{""}},
	}
	b.ReportAllocs()
	b.ResetTimer()
	r, err := Run(ctx, p, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(r.Generator.CPUPerEvent, "cpu-µs/event")
}
