package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"sluice/event"
	"sluice/sinks"
)

// usersOn returns a user for each partition of n.
func usersOn(n int32) []string {
	users := make([]string, n)
	for i, found := 0, int32(0); found < n; i++ {
		u := fmt.Sprint("user-", i)
		if p := partitionOf(u, n); users[p] == "" {
			users[p] = u
			found++
		}
	}
	return users
}

// begun is a recent time: Kafka deletes what is older than its retention.
var begun = time.Now().UnixMilli()

func one(user string, n int) event.Event {
	return event.Event{
		Tenant: "acme", User: user, ID: fmt.Sprint("id-", n), Type: "t",
		TS: begun, Received: begun * 1000, Data: fmt.Appendf(nil, "%s/%d", user, n),
	}
}

func batchOf(s *Sink, events ...event.Event) *sinks.Batch {
	return &sinks.Batch{Partition: s.Partition(&events[0]), Events: events, Where: make([]string, len(events))}
}

func TestBatchesThatArriveMeanwhileLeaveTogether(t *testing.T) {
	const partitions = 8
	f := newFakeBroker(t, partitions)
	s := openFake(t, f)
	users := usersOn(partitions)
	mustWrite(t, s, batchOf(s, one(users[0], 0))) // the connection is there
	f.then(fault{kind: lateAnswer, late: 100 * time.Millisecond})
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() { mustWrite(t, s, batchOf(s, one(u, 1))) })
	}
	wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.perAnswer); n > 4 {
		t.Errorf("%d batches left in %d requests (%v), want the later ones together", partitions, n-1, f.perAnswer[1:])
	}
}

func TestRetryWaitsForTheRequestUnderWay(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	f.then(fault{kind: lateAnswer, late: 300 * time.Millisecond})
	b := numbered(s, 0, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	err := s.Write(ctx, b)
	if !errors.Is(err, context.DeadlineExceeded) || sinks.IsPermanent(err) {
		t.Fatalf("Write: %v, want the deadline", err)
	}
	mustWrite(t, s, b)
	if f.produced != 1 {
		t.Errorf("%d record batches arrived, want one", f.produced)
	}
	if got, want := b.Where, []string{"events/0/0", "events/0/1", "events/0/2"}; !slices.Equal(got, want) {
		t.Errorf("Where is %q, want %q", got, want)
	}
}

func TestAnswerThatComesLateSettlesABatchGivenUp(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	f.then(fault{kind: lateAnswer, late: 50 * time.Millisecond})
	given := numbered(s, 0, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := s.Write(ctx, given); err == nil {
		t.Fatal("Write returned before its answer")
	}
	eventually(t, 5*time.Second, func() error {
		for _, l := range s.producer.links {
			if !l.quiet() {
				return errors.New("the answer is not there")
			}
		}
		return nil
	})
	mustWrite(t, s, numbered(s, 3, 6))
	if st := s.producer.stream(0, 0); st.epoch != 0 || st.next != 6 {
		t.Errorf("epoch %d, next sequence %d; want the first epoch and 6: the answer was there to be read", st.epoch, st.next)
	}
	if got, want := f.log(0), numbers(0, 6); !slices.Equal(got, want) {
		t.Errorf("the log is %v, want %v", got, want)
	}
}

func TestASecondWriteOfALaneIsRefused(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	mustWrite(t, s, numbered(s, 0, 1))
	f.then(fault{kind: lateAnswer, late: 200 * time.Millisecond})
	first := make(chan error, 1)
	go func() { first <- s.Write(context.Background(), numbered(s, 1, 2)) }()
	eventually(t, 5*time.Second, func() error {
		m, err := s.lane(0)
		if err != nil || m.TryLock() {
			if err == nil {
				m.Unlock()
			}
			return fmt.Errorf("the first Write has not begun: %w", err)
		}
		return nil
	})
	if err := s.Write(context.Background(), numbered(s, 2, 3)); !errors.Is(err, errLaneBusy) {
		t.Errorf("Write: %v, want %v", err, errLaneBusy)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestMoreOrFewerPartitionsThanConfigured asks for lanes before the cluster has
// answered, so that they are not the partitions.
func TestMoreOrFewerPartitionsThanConfigured(t *testing.T) {
	for _, tc := range []struct{ configured, real int }{{3, 4}, {6, 2}, {1, 3}} {
		t.Run(fmt.Sprintf("%d configured, %d there", tc.configured, tc.real), func(t *testing.T) {
			f := newFakeBroker(t, tc.real)
			c := open(t, Config{Brokers: []string{f.addr()}, Topic: f.topic, Partitions: tc.configured, Timeout: 2 * time.Second})
			s := c.Tenant("acme").(*Sink)
			lanes := map[uint32][]event.Event{}
			want := map[int32][]string{}
			for n := range 10 {
				for u := range 20 {
					e := one(fmt.Sprint("user-", u), n)
					lane := s.Partition(&e).Lane
					if int(lane) >= tc.configured {
						t.Fatalf("lane %d of %d", lane, tc.configured)
					}
					lanes[lane] = append(lanes[lane], e)
					p := partitionOf(e.User, int32(tc.real))
					want[p] = append(want[p], string(e.Data))
				}
			}
			// Refused, cut off, and stored without an answer, on the way.
			f.then(fault{kind: before, code: sarama.ErrNotEnoughReplicas}, fault{}, fault{kind: cutAfter}, fault{kind: after, code: sarama.ErrRequestTimedOut})
			var wg sync.WaitGroup
			for _, events := range lanes {
				wg.Go(func() {
					for len(events) > 0 {
						n := min(len(events), 17)
						b := batchOf(s, events[:n]...)
						writeUntilStored(t, s, b)
						for i, where := range b.Where {
							at := fmt.Sprintf("events/%d/", partitionOf(b.Events[i].User, int32(tc.real)))
							if !strings.HasPrefix(where, at) {
								t.Errorf("event of %s is at %s, want %s…", b.Events[i].User, where, at)
							}
						}
						events = events[n:]
					}
				})
			}
			wg.Wait()
			for p := range tc.real {
				got, want := f.log(p), want[int32(p)]
				if a, b := perUser(got), perUser(want); !slices.Equal(a, b) {
					t.Errorf("partition %d, by user:\n got %v\nwant %v", p, a, b)
				}
			}
			e := one("late", 0)
			if lane := s.Partition(&e).Lane; int(lane) >= tc.configured {
				t.Errorf("lane %d after the cluster has answered: lanes must not change", lane)
			}
			if next := c.Tenant("acme").(*Sink); next.laneCount() != int32(tc.real) {
				t.Errorf("a new sink has %d lanes, want the topic's %d", next.laneCount(), tc.real)
			}
		})
	}
}

// perUser sorts values stably by their user.
func perUser(values []string) []string {
	values = slices.Clone(values)
	slices.SortStableFunc(values, func(a, b string) int {
		return strings.Compare(strings.Split(a, "/")[0], strings.Split(b, "/")[0])
	})
	return values
}

func TestAnEmptyBatchIsStored(t *testing.T) {
	f := newFakeBroker(t, 1)
	if err := openFake(t, f).Write(context.Background(), &sinks.Batch{}); err != nil {
		t.Error(err)
	}
}

func TestAClosedSinkSaysSo(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	b := numbered(s, 0, 1)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), b); !errors.Is(err, errClosed) {
		t.Errorf("Write: %v, want %v", err, errClosed)
	}
	if err := s.Probe(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("Probe: %v, want %v", err, errClosed)
	}
	if err := s.c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := s.c.Tenant("late").(*Sink)
	if err := late.Write(t.Context(), b); !errors.Is(err, errClosed) {
		t.Errorf("Write of a closed cluster's sink: %v, want %v", err, errClosed)
	}
}
