package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/sinktest"
)

// soak writes to every lane at once, as writers do, and retries until stored.
type soak struct {
	s      *Sink
	users  []string
	stored atomic.Int64
	failed atomic.Int64 // Writes that had to be tried again
	last   atomic.Pointer[error]
	stop   chan struct{}
	wg     sync.WaitGroup
	counts []int // events of each user, once stopped
}

// begin starts a writer for each of the lanes, one user each.
func begin(t *testing.T, s *Sink, lanes int32, patience time.Duration) *soak {
	k := &soak{s: s, users: usersOn(lanes), stop: make(chan struct{}), counts: make([]int, lanes)}
	for lane := range lanes {
		k.wg.Go(func() { k.counts[lane] = k.write(t, k.users[lane], patience) })
	}
	return k
}

// write writes the user's events 0, 1, 2, … in batches of any size, and returns
// their number.
func (k *soak) write(t *testing.T, user string, patience time.Duration) int {
	const giveUp = 3 * time.Minute
	dice := rand.New(rand.NewPCG(1, uint64(len(user))))
	next := 0
	for {
		select {
		case <-k.stop:
			return next
		default:
		}
		var events []event.Event
		for range 1 + dice.IntN(20) {
			events = append(events, one(user, next))
			next++
		}
		b := batchOf(k.s, events...)
		for begun := time.Now(); ; {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			err := k.s.Write(ctx, b)
			cancel()
			if err == nil {
				break
			}
			k.failed.Add(1)
			k.last.Store(&err)
			if sinks.IsPermanent(err) || time.Since(begun) > giveUp {
				t.Errorf("Write of %d events of %s: %v", len(events), user, err)
				return next
			}
			time.Sleep(20 * time.Millisecond) // a writer's backoff
		}
		k.stored.Add(int64(len(events)))
	}
}

// progress waits until n more events are stored.
func (k *soak) progress(t *testing.T, n int64) {
	t.Helper()
	from := k.stored.Load()
	eventually(t, 2*time.Minute, func() error {
		if more := k.stored.Load() - from; more < n {
			err := fmt.Errorf("%d more events are stored, want %d", more, n)
			if last := k.last.Load(); last != nil {
				err = fmt.Errorf("%w; the last failure was: %w", err, *last)
			}
			return err
		}
		return nil
	})
}

// end stops the writers and fails the test unless kcat finds every user's events
// once and in order.
func (k *soak) end(t *testing.T, brokers, topic string) {
	t.Helper()
	close(k.stop)
	k.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kcat", "-b", brokers, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%s\n").Output()
	if err != nil {
		t.Fatalf("kcat (Debian: apt install kcat): %v", err)
	}
	next := map[string]int{}
	for line := range strings.Lines(string(out)) {
		user, number, _ := strings.Cut(strings.TrimSpace(line), "/")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("kcat read %q", line)
		}
		if n != next[user] {
			t.Errorf("event %d of %s stands where %d should", n, user, next[user])
		}
		next[user] = n + 1
	}
	total := 0
	for i, user := range k.users {
		if next[user] != k.counts[i] {
			t.Errorf("%d events of %s are there, %d were stored", next[user], user, k.counts[i])
		}
		total += k.counts[i]
	}
	t.Logf("%d events stored once and in order, over %d failed Writes", total, k.failed.Load())
}

// TestCutConnectionsLoseAndDoubleNothing cuts, mutes and stalls the connections
// under load, again and again.
func TestCutConnectionsLoseAndDoubleNothing(t *testing.T) {
	broker := realKafka(t)
	const lanes = 6
	topic := newTopicName(t)
	proxy := sinktest.NewProxy(t, broker)
	s := open(t, Config{
		Brokers: []string{broker}, Topic: topic, CreateTopics: true, Partitions: lanes, Replication: 1,
		Timeout: time.Second, Compression: "lz4", dial: proxy.DialContext,
	}).Tenant("acme").(*Sink)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := begin(t, s, lanes, 150*time.Millisecond)
	dice := rand.New(rand.NewPCG(7, 7))
	for round := range 20 {
		k.progress(t, 200)
		switch round % 4 {
		case 0:
			proxy.Cut()
		case 1:
			proxy.CutAfter(dice.IntN(30_000))
		case 2:
			proxy.Mute()
		case 3:
			proxy.Stall()
		}
		failed := k.failed.Load()
		eventually(t, 20*time.Second, func() error {
			if k.failed.Load() < failed+2 {
				return fmt.Errorf("no Write has failed in round %d", round)
			}
			return nil
		})
		proxy.Restore()
	}
	k.progress(t, 200)
	k.end(t, broker, topic)
}
