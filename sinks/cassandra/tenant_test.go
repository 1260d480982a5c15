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

func mustWrite(t testing.TB, s sinks.Sink, events []event.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Write(ctx, &sinks.Batch{Events: events}); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// TestTenant has a tenant of its own for each row, on the same tables.
func TestTenant(t *testing.T) {
	cfg := freshConfig(t, realHost(t))
	cluster := open(t, cfg)
	for i, tc := range []struct {
		name string
		run  func(*testing.T, *Tenant)
	}{
		{"rows that the server refuses fail alone, for good", refusedRows},
		{"a user who is no text fails alone, for good", refusedUser},
		{"a ttl is the tenant's, in seconds, rounded up", ttlOfTenant},
		{"batches of one Write become visible in the order of each user", batchesInOrder},
		{"requests are observed by what they are for", observations},
		{"a page that costs too much ends early and goes on", costlyPages},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, cluster.Tenant(fmt.Sprint("tenant-", i), 0)) })
	}
}

func (t *Tenant) stored(test *testing.T) []event.Event {
	return readBack(test, t.cluster.cfg, t.name, t.name)
}

func refusedRows(t *testing.T, tenant *Tenant) {
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
	if got := len(tenant.stored(t)); got != 47 {
		t.Errorf("%d events are stored, want 47", got)
	}
}

func refusedUser(t *testing.T, tenant *Tenant) {
	events := append(testEvents("u", 3), testEvent("\xff", "e", 1), testEvent("v", "e", 1))
	err := tenant.Write(t.Context(), &sinks.Batch{Events: events})
	var partial *sinks.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || !sinks.IsPermanent(partial.Failed[3]) {
		t.Fatalf("Write: %v, want event 3 failed for good", err)
	}
	if got := len(tenant.stored(t)); got != 4 {
		t.Errorf("%d events are stored, want 4", got)
	}
}

func ttlOfTenant(t *testing.T, tenant *Tenant) {
	brief := tenant.cluster.Tenant("brief", 90*time.Minute+time.Millisecond)
	mustWrite(t, tenant, testEvents("u", 1))
	mustWrite(t, brief, testEvents("u", 1))
	s := plainSession(t, tenant.cluster.cfg)
	defer s.Close()
	for name, want := range map[string]int{tenant.name: 0, "brief": 90*60 + 1} {
		var left *int
		err := s.Query("SELECT ttl(data) FROM "+tenant.table()+" WHERE tenant = ? ALLOW FILTERING", name).Scan(&left)
		if err != nil {
			t.Fatalf("tenant %s: %v", name, err)
		}
		var ttl int
		if left != nil {
			ttl = *left
		}
		if ttl > want || ttl < want-60 {
			t.Errorf("tenant %s: %d s to live, want %d", name, ttl, want)
		}
	}
}

func (t *Tenant) table() string {
	return ident(t.cluster.cfg.Keyspace) + "." + ident(t.cluster.cfg.Table)
}

func batchesInOrder(t *testing.T, tenant *Tenant) {
	cfg := tenant.cluster.cfg
	cfg.MaxBatchBytes = 1024 // a handful of rows
	small := open(t, cfg).Tenant(tenant.name, 0)
	const users, each = 3, 100
	var events []event.Event
	for i := range users * each { // all in one bucket
		events = append(events, testEvent(fmt.Sprint("u", i%users), fmt.Sprintf("%05d", i/users), 1_699_999_200_000+int64(i)))
	}
	mustWrite(t, small, events[:users]) // so that all is ready

	watcher := plainSession(t, cfg)
	defer watcher.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		partly := 0
		for i := 0; ; i++ {
			select {
			case <-stop:
				t.Logf("saw %d states between the first and the last", partly)
				return
			default:
			}
			user := fmt.Sprint("u", i%users)
			iter := watcher.Query("SELECT id FROM "+small.table()+" WHERE tenant = ? AND bucket = ? AND shard = ? AND user = ?",
				small.name, small.cluster.layout.bucketOf(events[0].TS), small.cluster.layout.shardOf(user), user).Consistency(gocql.One).Iter()
			n := 0
			for id := ""; iter.Scan(&id); n++ {
				if want := fmt.Sprintf("%05d", n); id != want {
					t.Errorf("event %s of %s was visible before %s", id, user, want)
				}
			}
			if err := iter.Close(); err != nil {
				t.Errorf("watching: %v", err)
			}
			if n > 1 && n < each {
				partly++
			}
		}
	}()
	mustWrite(t, small, events)
	close(stop)
	<-done
	if got := len(tenant.stored(t)); got != len(events) {
		t.Errorf("%d events are stored, want %d", got, len(events))
	}
}

func observations(t *testing.T, tenant *Tenant) {
	var mu sync.Mutex
	rows := map[Op]int{}
	tenant.cluster.Observe(func(o Observation) {
		mu.Lock()
		defer mu.Unlock()
		if o.Class != OK || o.Took <= 0 || o.Attempt != 0 {
			t.Errorf("%+v", o)
		}
		rows[o.Op] += o.Rows
	})
	defer tenant.cluster.Observe(nil)
	mustWrite(t, tenant, testEvents("u", 25))
	if _, err := tenant.Read(t.Context(), event.Query{Tenant: tenant.name, User: "u", Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if err := tenant.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
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

// costlyPages reads events that together are larger than a page may be.
func costlyPages(t *testing.T, tenant *Tenant) {
	events := testEvents("u", 40)
	for i := range events {
		events[i].Tenant = tenant.name
		events[i].TS += int64(i) * 20 * 60_000 // three a bucket
		events[i].Data = fmt.Appendf(nil, `{"pad":"%s"}`, strings.Repeat("x", 1<<20))
	}
	mustWrite(t, tenant, events)
	for _, desc := range []bool{false, true} {
		q := event.Query{Tenant: tenant.name, User: "u", Limit: 1000, Desc: desc}
		var got []event.Event
		pages := 0
		for {
			page, err := tenant.Read(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(page.Events); n == 0 && page.Next != "" || n > 12 {
				t.Fatalf("page %d has %d events of 1 MiB", pages, n)
			}
			got = append(got, page.Events...)
			pages++
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		if len(got) != len(events) || pages < 4 {
			t.Fatalf("%d events in %d pages, want %d", len(got), pages, len(events))
		}
		for i := range got {
			want := events[i]
			if desc {
				want = events[len(events)-1-i]
			}
			if got[i].ID != want.ID || len(got[i].Data) != len(want.Data) {
				t.Errorf("desc %v: event %d is %s, want %s", desc, i, got[i].ID, want.ID)
			}
		}
	}
}

func TestAMissingTableIsNotTheEventsFault(t *testing.T) {
	cfg := freshConfig(t, realHost(t))
	cfg.CreateSchema = false
	tenant := open(t, cfg).Tenant("acme", 0)

	fails := func(when string) {
		t.Helper()
		err := tenant.Probe(t.Context())
		if err == nil || !strings.Contains(err.Error(), "run sluice schema apply, or set create_schema: true") {
			t.Errorf("%s, the probe says %v", when, err)
		}
		for _, n := range []int{1, 5} {
			err := tenant.Write(t.Context(), &sinks.Batch{Events: testEvents("u", n)})
			if err == nil || errors.As(err, new(*sinks.PartialError)) || sinks.IsPermanent(err) {
				t.Errorf("%s, Write of %d: %v, want a retryable error", when, n, err)
			}
		}
	}
	cured := func(when string) {
		t.Helper()
		for range 2 { // idempotent
			if err := tenant.cluster.ApplySchema(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mustWrite(t, tenant, testEvents("u", 5))
		if err := tenant.Probe(t.Context()); err != nil {
			t.Errorf("%s, the probe says %v", when, err)
		}
		page, err := tenant.Read(t.Context(), event.Query{Tenant: "acme", User: "u", Limit: 10})
		if err != nil || len(page.Events) != 5 {
			t.Errorf("%s, %d events are found, %v", when, len(page.Events), err)
		}
	}

	fails("before the schema is applied")
	cured("after it was applied")
	admin := plainSession(t, cfg)
	defer admin.Close()
	for _, table := range cfg.withDefaults().tables() {
		if err := admin.Query("DROP TABLE " + ident(cfg.Keyspace) + "." + ident(table.name)).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	fails("after somebody dropped the tables")
	cured("after it was applied again")
}

// TestASessionWithoutConnectionsIsReplaced: gocql tells no observer of a request that
// found no connection, and a session can have none for good.
func TestASessionWithoutConnectionsIsReplaced(t *testing.T) {
	c := open(t, freshConfig(t, realHost(t)))
	tenant := c.Tenant("acme", 0)
	mustWrite(t, tenant, testEvents("u", 1))
	c.mu.Lock()
	lost := c.session
	c.mu.Unlock()
	lost.Close()
	b := &sinks.Batch{Events: testEvents("u", 2)}
	b.Partition = tenant.Partition(&b.Events[0])
	deadline, pace := time.Now().Add(time.Minute), time.NewTicker(100*time.Millisecond)
	defer pace.Stop()
	for err := tenant.Write(t.Context(), b); err != nil; err = tenant.Write(t.Context(), b) {
		if sinks.IsPermanent(err) || time.Now().After(deadline) {
			t.Fatalf("Write: %v", err)
		}
		<-pace.C
	}
}

func TestATableOfAnotherLayoutIsRefused(t *testing.T) {
	cfg := freshConfig(t, realHost(t))
	if err := open(t, cfg).ApplySchema(t.Context()); err != nil {
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
