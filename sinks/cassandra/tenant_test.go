package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"sluice/event"
	"sluice/sinks"
)

func testEvent(user, id string, ts int64) event.Event {
	return event.Event{Tenant: "acme", User: user, ID: id, Type: "click", TS: ts, Received: 1_700_000_000_000_001, Data: []byte(`{}`)}
}

func testEvents(user string, n int) []event.Event {
	var events []event.Event
	for i := range n {
		events = append(events, testEvent(user, fmt.Sprintf("e-%05d", i), 1_700_000_000_000+int64(i)))
	}
	return events
}

// realTenant returns a tenant on tables of its own.
func realTenant(t testing.TB, change func(*Config), ttl time.Duration) (*Tenant, Config) {
	t.Helper()
	cfg := freshConfig(t, realHost(t))
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg).Tenant("acme", ttl), cfg
}

func mustWrite(t testing.TB, s sinks.Sink, events []event.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Write(ctx, &sinks.Batch{Events: events}); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func TestARefusedRowFailsAlone(t *testing.T) {
	tenant, cfg := realTenant(t, nil, 0)
	events := testEvents("u", 50)
	events[7].Data = []byte("\xff\xfe") // is not text
	events[30].Data = bytes.Repeat([]byte("x"), maxRowBytes)
	events[41].ID = "\xff"
	err := tenant.Write(t.Context(), &sinks.Batch{Events: events})
	var partial *sinks.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 3 {
		t.Fatalf("Write: %v, want three events failed", err)
	}
	for _, i := range []int{7, 30, 41} {
		if !sinks.IsPermanent(partial.Failed[i]) {
			t.Errorf("event %d: %v, want a permanent error", i, partial.Failed[i])
		}
	}
	if got := len(readBack(t, cfg, "acme", "acme")); got != 47 {
		t.Errorf("%d events are stored, want 47", got)
	}
}

func TestAUserWhoIsNoTextFailsAlone(t *testing.T) {
	tenant, cfg := realTenant(t, nil, 0)
	events := append(testEvents("u", 3), testEvent("\xff", "e", 1), testEvent("v", "e", 1))
	err := tenant.Write(t.Context(), &sinks.Batch{Events: events})
	var partial *sinks.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || !sinks.IsPermanent(partial.Failed[3]) {
		t.Fatalf("Write: %v, want event 3 failed for good", err)
	}
	if got := len(readBack(t, cfg, "acme", "acme")); got != 4 {
		t.Errorf("%d events are stored, want 4", got)
	}
}

func TestAMissingTableIsNotTheEventsFault(t *testing.T) {
	tenant, cfg := realTenant(t, nil, 0)
	mustWrite(t, tenant, testEvents("u", 1))
	admin := plainSession(t, cfg)
	defer admin.Close()
	if err := admin.Query("DROP TABLE " + ident(cfg.Keyspace) + "." + ident(cfg.Table)).Exec(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 5} {
		err := tenant.Write(t.Context(), &sinks.Batch{Events: testEvents("u", n)})
		if err == nil || errors.As(err, new(*sinks.PartialError)) || sinks.IsPermanent(err) {
			t.Errorf("Write of %d: %v, want a retryable error", n, err)
		}
	}
	err := tenant.Probe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "there is no table "+cfg.Keyspace+"."+cfg.Table) || !strings.Contains(err.Error(), "run sluice schema apply") {
		t.Errorf("the probe says %v", err)
	}
	if err := tenant.cluster.ApplySchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, tenant, testEvents("u", 5))
	if err := tenant.Probe(t.Context()); err != nil {
		t.Errorf("the probe after the cure: %v", err)
	}
}

func TestASinkWithoutTablesWaitsForThem(t *testing.T) {
	tenant, cfg := realTenant(t, func(c *Config) { c.CreateSchema = false }, 0)
	if err := tenant.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "run sluice schema apply, or set create_schema: true") {
		t.Errorf("the probe says %v", err)
	}
	if err := tenant.Write(t.Context(), &sinks.Batch{Events: testEvents("u", 1)}); err == nil || sinks.IsPermanent(err) {
		t.Errorf("Write: %v, want a retryable error", err)
	}
	for range 2 { // idempotent
		if err := tenant.cluster.ApplySchema(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tenant.Probe(t.Context()); err != nil {
		t.Errorf("the probe after schema apply: %v", err)
	}
	mustWrite(t, tenant, testEvents("u", 1))
	_ = cfg
}

func TestATableOfAnotherLayoutIsRefused(t *testing.T) {
	_, cfg := realTenant(t, nil, 0)
	first := open(t, cfg)
	if err := first.ApplySchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Shards = 32
	other := open(t, cfg)
	for what, err := range map[string]error{
		"ApplySchema": other.ApplySchema(t.Context()),
		"Probe":       other.Probe(t.Context()),
		"Write":       other.Tenant("acme", 0).Write(t.Context(), &sinks.Batch{Events: testEvents("u", 1)}),
	} {
		if err == nil || !strings.Contains(err.Error(), "was made for another layout") || strings.Contains(err.Error(), "schema apply") || sinks.IsPermanent(err) {
			t.Errorf("%s says %v", what, err)
		}
	}
}

func TestTTLIsTheTenants(t *testing.T) {
	tenant, cfg := realTenant(t, nil, 0)
	brief := tenant.cluster.Tenant("brief", 90*time.Minute+time.Millisecond)
	mustWrite(t, tenant, testEvents("u", 1))
	mustWrite(t, brief, testEvents("u", 1))
	s := plainSession(t, cfg)
	defer s.Close()
	table := ident(cfg.Keyspace) + "." + ident(cfg.Table)
	for name, want := range map[string]int{"acme": 0, "brief": 90*60 + 1} {
		var ttl, received int
		var left *int
		iter := s.Query("SELECT ttl(data), received FROM "+table+" WHERE tenant = ? ALLOW FILTERING", name).Iter()
		if !iter.Scan(&left, &received) {
			t.Fatalf("tenant %s: %v", name, iter.Close())
		}
		if err := iter.Close(); err != nil {
			t.Fatal(err)
		}
		if left != nil {
			ttl = *left
		}
		if ttl > want || ttl < want-60 {
			t.Errorf("tenant %s: %d s to live, want %d", name, ttl, want)
		}
	}
	var left *int
	if err := s.Query("SELECT ttl(shard_ttl) FROM system.local").Scan(&left); err == nil {
		t.Error("a query of nonsense was answered")
	}
}

func TestManyBatchesOfOneWriteAreInOrder(t *testing.T) {
	tenant, cfg := realTenant(t, func(c *Config) { c.MaxBatchBytes = 2048 }, 0)
	var events []event.Event
	for i := range 300 {
		events = append(events, testEvent(fmt.Sprint("u", i%3), fmt.Sprintf("e-%05d", i), 1_700_000_000_000+int64(i)*60_000))
	}
	// While the batches are written, nobody may see an event of a user without
	// those before it.
	watcher := plainSession(t, cfg)
	defer watcher.Close()
	mustWrite(t, tenant, events[:1])
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			seen := map[string]int{}
			iter := watcher.Query("SELECT id FROM " + ident(cfg.Keyspace) + "." + ident(cfg.Table)).Consistency(gocql.One).Iter()
			var n int
			for id := ""; iter.Scan(&id); {
				fmt.Sscanf(id, "e-%05d", &n)
				user := fmt.Sprint("u", n%3)
				seen[user] = max(seen[user], n/3+1)
				seen[user+" rows"]++
			}
			if err := iter.Close(); err != nil {
				t.Errorf("watching: %v", err)
				return
			}
		}
	}()
	mustWrite(t, tenant, events)
	close(stop)
	<-done
	if got := len(readBack(t, cfg, "acme", "acme")); got != len(events) {
		t.Errorf("%d events are stored, want %d", got, len(events))
	}
}

func TestObservations(t *testing.T) {
	tenant, _ := realTenant(t, nil, 0)
	var mu sync.Mutex
	rows := map[Op]int{}
	tenant.cluster.Observe(func(o Observation) {
		mu.Lock()
		defer mu.Unlock()
		if o.Class != OK || o.Latency <= 0 {
			t.Errorf("%+v", o)
		}
		rows[o.Op] += o.Rows
	})
	mustWrite(t, tenant, testEvents("u", 25))
	if _, err := tenant.Read(t.Context(), event.Query{Tenant: "acme", User: "u", Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if err := tenant.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	tenant.cluster.Observe(nil)
	mu.Lock()
	defer mu.Unlock()
	if rows[OpWrite] != 25 || rows[OpIndex] != 2 {
		t.Errorf("observed rows %v, want 25 of events and 2 of the index", rows)
	}
	for _, op := range []Op{OpRead, OpProbe} {
		if _, ok := rows[op]; !ok {
			t.Errorf("no %s was observed", op)
		}
	}
}
