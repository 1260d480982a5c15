package memory_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/memory"
	"sluice/sinks/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// switches are faults that a row of the contract turns on and off.
type switches struct {
	mu         sync.Mutex
	gone, mute bool
	failNext   []int
}

func (s *switches) write(context.Context, *sinks.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return errors.New("gone")
	case s.mute:
		return memory.Lost(errors.New("no answer"))
	case s.failNext != nil:
		failed := map[int]error{}
		for _, i := range s.failNext {
			failed[i] = errors.New("not this one")
		}
		s.failNext = nil
		return &sinks.PartialError{Failed: failed}
	}
	return nil
}

func (s *switches) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// handle is one of several sinks on one store: closing it leaves the others.
type handle struct{ *memory.Sink }

func (handle) Close(context.Context) error { return nil }

func TestContract(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		Order: sinktest.ByWrite,
		Open: func(t *testing.T) sinktest.Place {
			f := &switches{}
			s := memory.New(memory.Options{Keep: true, Faults: f.write, Probe: func(ctx context.Context) error {
				return f.write(ctx, nil)
			}})
			return sinktest.Place{
				Sink:     func(*testing.T, string) sinks.Sink { return handle{s} },
				ReadBack: func(_ *testing.T, tenant string) []event.Event { return s.Events(tenant) },
				Faults: sinktest.Faults{
					Gone:     func(*testing.T) { f.set(func() { f.gone = true }) },
					Mute:     func(*testing.T) { f.set(func() { f.mute = true }) },
					Back:     func(*testing.T) { f.set(func() { f.gone, f.mute = false, false }) },
					FailSome: func(_ *testing.T, indices ...int) { f.set(func() { f.failNext = indices }) },
				},
			}
		},
	})
}

func batchOf(n int) *sinks.Batch {
	b := &sinks.Batch{}
	for i := range n {
		b.Events = append(b.Events, event.Event{
			Tenant: "acme", User: "u", ID: fmt.Sprint("e", i), Type: "t", TS: int64(i), Data: []byte(`{}`),
		})
	}
	return b
}

// TestFaults writes one batch of four, an attempt per element of faults.
func TestFaults(t *testing.T) {
	plain, forGood := errors.New("plain"), sinks.Permanent(errors.New("for good"))
	some := func(err error, indices ...int) error {
		failed := map[int]error{}
		for _, i := range indices {
			failed[i] = err
		}
		return &sinks.PartialError{Failed: failed}
	}
	for _, tc := range []struct {
		name   string
		faults []error
		want   []error // of each attempt; a *PartialError is compared by its map
		stored uint64
	}{
		{"no fault stores everything", []error{nil}, []error{nil}, 4},
		{"an error stores nothing", []error{plain}, []error{plain}, 0},
		{"a lost answer stores everything", []error{memory.Lost(plain)}, []error{plain}, 4},
		{"a lost answer is stored once", []error{memory.Lost(plain), nil}, []error{plain, nil}, 4},
		{"a partial failure stores the others", []error{some(plain, 1, 2)}, []error{some(plain, 1, 2)}, 2},
		{"a retry stores the rest", []error{some(plain, 1, 2), nil}, []error{some(plain, 1, 2), nil}, 4},
		{"what is stored does not fail later", []error{some(plain, 1), some(plain, 0, 1)}, []error{some(plain, 1), some(plain, 1)}, 3},
		{"a failure of what is stored is none", []error{some(plain, 1), some(plain, 0)}, []error{some(plain, 1), nil}, 4},
		{"a permanent error after a partial one is of the rest", []error{some(plain, 3), forGood}, []error{some(plain, 3), some(forGood, 3)}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			attempt := 0
			s := memory.New(memory.Options{Keep: true, Faults: func(context.Context, *sinks.Batch) error {
				return tc.faults[attempt]
			}})
			b := batchOf(4)
			for ; attempt < len(tc.faults); attempt++ {
				got := s.Write(t.Context(), b)
				var gotSome, wantSome *sinks.PartialError
				if errors.As(tc.want[attempt], &wantSome) && errors.As(got, &gotSome) {
					if !maps.Equal(gotSome.Failed, wantSome.Failed) {
						t.Errorf("attempt %d failed %v, want %v", attempt, gotSome.Failed, wantSome.Failed)
					}
				} else if !errors.Is(got, tc.want[attempt]) {
					t.Errorf("attempt %d: %v, want %v", attempt, got, tc.want[attempt])
				}
			}
			if got := uint64(len(s.Events("acme"))); s.Count() != tc.stored || got != tc.stored {
				t.Errorf("%d events counted, %d kept, want %d", s.Count(), got, tc.stored)
			}
		})
	}
}

func TestDelayTakesItsTimeOrEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{Faults: memory.Delay(time.Minute)})
		begun := time.Now()
		if err := s.Write(t.Context(), batchOf(1)); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("Write: %v after %v, want nil after a minute", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if err := s.Write(ctx, batchOf(1)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("Write: %v after %v, want the deadline after a second", err, time.Since(begun))
		}
		if s.Count() != 1 {
			t.Errorf("%d events counted, want 1", s.Count())
		}
	})
}

func TestKeepIsBounded(t *testing.T) {
	s := memory.New(memory.Options{Keep: true, Max: 10})
	for range 30 {
		if err := s.Write(t.Context(), batchOf(3)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.Events("acme")); got != 10 || s.Count() != 90 {
		t.Errorf("%d events kept of %d, want 10 of 90", got, s.Count())
	}
}

func BenchmarkWriteCounting(b *testing.B) {
	const size = 100
	s := memory.New(memory.Options{})
	batch := batchOf(size)
	b.ReportAllocs()
	for b.Loop() {
		batch.Memo = nil
		for i := range batch.Events {
			s.Partition(&batch.Events[i])
		}
		if err := s.Write(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "events/s")
}
