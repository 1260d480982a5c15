// Command nosink is sluice's data port and actors in front of a sink that only
// counts: for measuring what they take by themselves. It has one tenant, and takes
// its key from SLUICE_KEY.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/actors"
	"sluice/event"
	"sluice/gateway"
	"sluice/metrics"
	"sluice/sinks/memory"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	if err := serve(*addr, os.Getenv("SLUICE_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "nosink:", err)
		os.Exit(1)
	}
}

func serve(addr, key string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	limits := event.Limits{MaxEvent: 256 << 10, MaxEvents: 10_000, MaxDepth: 64, MaxSkew: time.Hour}
	m := metrics.New(prometheus.NewRegistry())
	pipeline, err := actors.Start(actors.Options{Metrics: m, Log: slog.Default(), Tenants: []actors.TenantConfig{{
		Name: "bench", Fields: event.DefaultFields(), Limits: limits,
		Pools:       actors.Pools{Parsers: 2, Validators: 2, Batchers: 4, Writers: 8},
		Budget:      actors.Budget{Bytes: 64 << 20, Events: 65536},
		Batch:       actors.BatchPolicy{MaxEvents: 500, MaxBytes: 512 << 10, Linger: -1},
		Users:       actors.UserPolicy{PerUser: 256, Idle: 5 * time.Minute, Window: 24 * time.Hour, MaxIDs: 4096, Memory: 128 << 20},
		Supervision: actors.SupervisionPolicy{MaxAttempts: 3, MaxRestarts: 100, Within: time.Minute, MinBackoff: 10 * time.Millisecond, MaxBackoff: 5 * time.Second},
		Sinks: []actors.SinkBinding{{Name: "none", Sink: memory.New(memory.Options{}),
			Retry:   actors.RetryPolicy{Min: time.Second, Max: time.Second, GiveUp: time.Second, Timeout: time.Second},
			Circuit: actors.CircuitPolicy{Failures: 5, MinProbe: time.Second, MaxProbe: time.Second, Timeout: time.Second}}},
	}}})
	if err != nil {
		return err
	}
	in := pipeline.Tenant("bench")
	port, err := gateway.New(gateway.Options{
		Limits: gateway.Limits{MaxBody: 8 << 20, MaxEvent: limits.MaxEvent, MaxEvents: limits.MaxEvents, MaxDepth: limits.MaxDepth},
		Observe: func(tenant string, status, bytes int, took time.Duration) {
			m.Request(tenant, status, bytes, took.Seconds())
		},
	}, []gateway.Tenant{{Name: "bench", Keys: [][32]byte{sha256.Sum256([]byte(key))}, WeakestAck: event.AckReceived, Intake: in, Users: in}})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- port.Serve(ln) }()
	stop, done := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer done()
	select {
	case err = <-served:
	case <-stop.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	port.StartDraining()
	if e := pipeline.Drain(within); e != nil {
		return e
	}
	if e := port.Shutdown(within); e != nil {
		return e
	}
	return err
}
