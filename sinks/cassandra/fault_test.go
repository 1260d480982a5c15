//go:build fault

package cassandra

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"sluice/event"
	"sluice/sinks"
)

// These tests kill nodes of dev/stack's cassandra3, and start them again:
//
//	dev/stack up cassandra3
//	go test -tags fault -run Fault -timeout 15m ./sinks/cassandra

var threeNodes = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}

func stack(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(filepath.Join("..", "..", "dev", "stack"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dev/stack %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// pump writes batches, one after the other and each until it is stored, as the
// writers of a gateway do.
type pump struct {
	tenant   *Tenant
	users    int
	stored   []event.Event // acknowledged
	count    atomic.Int64
	failures atomic.Int64
	longest  atomic.Int64 // ns that a batch took
	stop     chan struct{}
	done     sync.WaitGroup
	mu       sync.Mutex
}

func (p *pump) start(t *testing.T) {
	for lane := range 4 {
		p.done.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-p.stop:
					return
				default:
				}
				p.one(t, lane, n)
			}
		})
	}
}

func (p *pump) one(t *testing.T, lane, n int) {
	var events []event.Event
	for i := range 20 {
		e := testEvent(fmt.Sprint("lane-", lane), fmt.Sprintf("%06d-%02d", n, i), 1_700_000_000_000+int64(n*20+i))
		events = append(events, e)
	}
	begun := time.Now()
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := p.tenant.Write(ctx, &sinks.Batch{Events: events})
		cancel()
		if err == nil {
			break
		}
		p.failures.Add(1)
		if sinks.IsPermanent(err) || errors.As(err, new(*sinks.PartialError)) {
			t.Errorf("attempt %d: %v; only retryable errors are right", attempt, err)
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // a writer's backoff
		case <-p.stop:
			return
		}
	}
	p.mu.Lock()
	p.stored = append(p.stored, events...)
	p.mu.Unlock()
	p.count.Add(int64(len(events)))
	p.longest.Store(max(p.longest.Load(), int64(time.Since(begun))))
}

// goesOn waits until some more batches are stored, and says how it went.
func (p *pump) goesOn(t *testing.T, when string, within time.Duration) {
	t.Helper()
	from, failed, begun := p.count.Load(), p.failures.Load(), time.Now()
	p.longest.Store(0)
	for p.count.Load() < from+2000 {
		if time.Since(begun) > within {
			t.Fatalf("%s: %d events stored in %v", when, p.count.Load()-from, within)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("%s: 2000 events in %v, %d attempts failed, the longest batch took %v",
		when, time.Since(begun).Round(time.Millisecond), p.failures.Load()-failed, time.Duration(p.longest.Load()).Round(time.Millisecond))
}

func TestFaultNodesLost(t *testing.T) {
	for _, host := range threeNodes {
		requireNode(t, host)
	}
	cfg := freshConfig(t, threeNodes[0])
	cfg.Hosts, cfg.Keyspace, cfg.Replication.Factor = threeNodes, "sluice_fault", 3
	cluster := open(t, cfg)
	if err := cluster.ApplySchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dropTables(t, cfg) })
	t.Cleanup(func() { stack(t, "up", "--keep", "cassandra3") })
	p := &pump{tenant: cluster.Tenant("acme", 0), stop: make(chan struct{})}
	p.start(t)
	stopped := sync.OnceFunc(func() { close(p.stop); p.done.Wait() })
	defer stopped()
	p.goesOn(t, "three nodes", time.Minute)

	stack(t, "kill", "cassandra3-2")
	p.goesOn(t, "one of three killed", time.Minute)
	p.goesOn(t, "a while later", time.Minute)
	if err := probeWithin(cluster, 10*time.Second); err != nil {
		t.Errorf("with one node of three lost the probe says %v", err)
	}

	stack(t, "kill", "cassandra3-3")
	deadline := 3 * time.Second
	for attempt := range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		begun := time.Now()
		err := p.tenant.Write(ctx, &sinks.Batch{Events: testEvents("lost", 10)})
		took := time.Since(begun)
		cancel()
		if err == nil || sinks.IsPermanent(err) || errors.As(err, new(*sinks.PartialError)) {
			t.Errorf("attempt %d with two of three killed: %v, want a retryable error", attempt, err)
		}
		if took > deadline+time.Second {
			t.Errorf("attempt %d took %v with a deadline of %v", attempt, took, deadline)
		}
		t.Logf("two of three killed, attempt %d after %v: %v", attempt, took.Round(time.Millisecond), err)
	}
	err := probeWithin(cluster, 10*time.Second)
	if err == nil {
		t.Error("the probe passes without a quorum")
	}
	t.Logf("the probe says: %v", err)

	stack(t, "start", "cassandra3-3")
	begun := time.Now()
	p.goesOn(t, "one of the two is back", time.Minute)
	for err := probeWithin(cluster, 5*time.Second); err != nil; err = probeWithin(cluster, 5*time.Second) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("the probe still says %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	stack(t, "start", "cassandra3-2")
	p.goesOn(t, "both are back", time.Minute)
	stopped()

	if got := countStored(t, cfg, p.stored); got != len(p.stored) {
		t.Errorf("%d of %d acknowledged events are there", got, len(p.stored))
	}
	t.Logf("%d events were acknowledged", len(p.stored))
}

func probeWithin(c *Cluster, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return c.Probe(ctx)
}

// countStored returns how many of the events a plain session finds at QUORUM.
func countStored(t *testing.T, cfg Config, events []event.Event) int {
	t.Helper()
	s := plainSession(t, cfg)
	defer s.Close()
	there := map[string]bool{}
	iter := s.Query("SELECT user, id FROM " + ident(cfg.Keyspace) + "." + ident(cfg.Table)).Consistency(gocql.Quorum).PageSize(1000).Iter()
	for user, id := "", ""; iter.Scan(&user, &id); {
		there[user+"/"+id] = true
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if there[e.User+"/"+e.ID] {
			n++
		}
	}
	return n
}
