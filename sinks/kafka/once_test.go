package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"pgregory.net/rapid"

	"sluice/event"
	"sluice/sinks"
)

// openFake returns a sink on a fake broker.
func openFake(t testing.TB, f *fakeBroker) *Sink {
	c := open(t, Config{Brokers: []string{f.addr()}, Topic: f.topic, Partitions: f.partitions, Timeout: 2 * time.Second})
	return c.Tenant("acme").(*Sink)
}

// numbered returns a batch of the events from to to-1; an event's value is its
// number.
func numbered(s *Sink, from, to int) *sinks.Batch {
	b := &sinks.Batch{}
	for n := from; n < to; n++ {
		b.Events = append(b.Events, event.Event{
			Tenant: "acme", User: "u", ID: fmt.Sprint("id-", n), Type: "t",
			TS: begun + int64(n), Received: begun * 1000, Data: fmt.Append(nil, n),
		})
	}
	b.Partition = s.Partition(&b.Events[0])
	b.Where = make([]string, len(b.Events))
	return b
}

func numbers(from, to int) []string {
	var all []string
	for n := from; n < to; n++ {
		all = append(all, fmt.Sprint(n))
	}
	return all
}

// TestFaults plays one fault at the second of three batches and retries it, as a
// writer would, until it is stored.
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name     string
		faults   []fault
		attempts int // Writes of the second batch
		arrived  int // record batches that reached the broker in the end
	}{
		{"nothing wrong", nil, 1, 3},
		{"refused before it was stored", []fault{{kind: before, code: sarama.ErrNotEnoughReplicas}}, 2, 4},
		{"stored, but not by enough replicas", []fault{{kind: after, code: sarama.ErrNotEnoughReplicasAfterAppend}}, 2, 4},
		{"stored, but not replicated in time", []fault{{kind: after, code: sarama.ErrRequestTimedOut}}, 2, 4},
		{"a duplicate that the broker has, but not in its log, and then a gap", []fault{{kind: before, code: sarama.ErrDuplicateSequenceNumber}}, 1, 4},
		{"stored, and the leader moved before it said so: seen to at once", []fault{{kind: after, code: sarama.ErrNotLeaderForPartition}}, 1, 4},
		{"a leader of another epoch: seen to at once", []fault{{kind: before, code: sarama.ErrFencedLeaderEpoch}}, 1, 4},
		{"an error of the broker's own", []fault{{kind: after, code: sarama.ErrUnknown}}, 2, 4},
		{"an idle connection that was closed: seen to at once", []fault{{kind: cutBefore}}, 1, 4},
		{"cut off after it was stored: seen to at once", []fault{{kind: cutAfter}}, 1, 4},
		{"cut off twice, stored both times", []fault{{kind: cutAfter}, {kind: cutAfter}}, 2, 5},
		{"an attempt that arrives after its own retry", []fault{{kind: zombie}}, 1, 4},
		{"unsure, then refused, then resent", []fault{
			{kind: after, code: sarama.ErrRequestTimedOut}, {kind: before, code: sarama.ErrNotEnoughReplicas}}, 3, 5},
		{"a producer the broker forgot", []fault{{kind: forget}}, 1, 3},
		{"a producer an old broker forgot", []fault{{kind: refuse59}}, 1, 4},
		{"an epoch that is over, nothing undecided", []fault{{kind: before, code: sarama.ErrInvalidProducerEpoch}}, 1, 4},
		{"a producer id that is somebody else's, nothing undecided", []fault{{kind: before, code: sarama.ErrProducerFenced}}, 1, 4},
		{"a sequence out of order after all", []fault{{kind: before, code: sarama.ErrOutOfOrderSequenceNumber}}, 1, 4},
		{"no permission, until it is granted", []fault{{kind: before, code: sarama.ErrTopicAuthorizationFailed}}, 2, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeBroker(t, 1)
			s := openFake(t, f)
			mustWrite(t, s, numbered(s, 0, 3))
			f.then(tc.faults...)
			second := numbered(s, 3, 6)
			if got := writeUntilStored(t, s, second); got != tc.attempts {
				t.Errorf("the second batch took %d Writes, want %d", got, tc.attempts)
			}
			mustWrite(t, s, numbered(s, 6, 9))
			if slices.Contains(second.Where, "") {
				t.Errorf("Where is %q", second.Where)
			}
			if f.produced != tc.arrived {
				t.Errorf("%d record batches arrived, want %d", f.produced, tc.arrived)
			}
			// A fault that answers 46 to what it never stored is the broker's lie.
			want := numbers(0, 9)
			if len(tc.faults) == 1 && tc.faults[0].code == sarama.ErrDuplicateSequenceNumber {
				return
			}
			if got := f.log(0); !slices.Equal(got, want) {
				t.Errorf("the log is %v, want %v", got, want)
			}
		})
	}
}

func mustWrite(t testing.TB, s *Sink, b *sinks.Batch) {
	t.Helper()
	if err := s.Write(context.Background(), b); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// writeUntilStored returns the number of Writes that it took.
func writeUntilStored(t testing.TB, s *Sink, b *sinks.Batch) int {
	t.Helper()
	for n := 1; ; n++ {
		err := s.Write(context.Background(), b)
		switch {
		case err == nil:
			return n
		case sinks.IsPermanent(err):
			t.Fatalf("attempt %d: %v is permanent", n, err)
		case n == 10:
			t.Fatalf("attempt %d: %v", n, err)
		}
	}
}

func TestResendIsTheSameBytes(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	f.then(fault{kind: after, code: sarama.ErrRequestTimedOut}, fault{kind: before, code: sarama.ErrNotEnoughReplicas})
	b := numbered(s, 0, 5)
	if n := writeUntilStored(t, s, b); n != 3 {
		t.Fatalf("%d attempts, want 3", n)
	}
	for i, sent := range f.bytes {
		if !bytes.Equal(sent, f.bytes[0]) {
			t.Errorf("attempt %d sent other bytes than the first:\n%x\n%x", i, sent, f.bytes[0])
		}
	}
}

func TestFencedWhileUndecidedIsNeverWrittenAgain(t *testing.T) {
	f := newFakeBroker(t, 1)
	s := openFake(t, f)
	mustWrite(t, s, numbered(s, 0, 1))
	f.then(fault{kind: after, code: sarama.ErrRequestTimedOut}, fault{kind: before, code: sarama.ErrInvalidProducerEpoch})
	b := numbered(s, 1, 2)
	for range 4 {
		f.then()
		if err := s.Write(context.Background(), b); err == nil {
			break // the broker found it again: it is stored, once
		}
	}
	mustWrite(t, s, numbered(s, 2, 3))
	if got, want := f.log(0), numbers(0, 3); !slices.Equal(got, want) {
		t.Errorf("the log is %v, want %v", got, want)
	}
}

func TestBatchGivenUpDoesNotConfuseTheNext(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault []fault
		want  []string
	}{
		{"it was stored", []fault{{kind: after, code: sarama.ErrRequestTimedOut}}, numbers(0, 9)},
		{"it was not", []fault{{kind: before, code: sarama.ErrRequestTimedOut}}, append(numbers(0, 3), numbers(6, 9)...)},
		// The connection is cut, tries within the Write included.
		{"it arrives after the next", []fault{{kind: zombie}, {kind: cutBefore}}, append(numbers(0, 3), numbers(6, 9)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeBroker(t, 1)
			s := openFake(t, f)
			mustWrite(t, s, numbered(s, 0, 3))
			f.then(tc.fault...)
			given := numbered(s, 3, 6)
			if err := s.Write(context.Background(), given); err == nil || sinks.IsPermanent(err) {
				t.Fatalf("Write: %v, want a retryable error", err)
			}
			mustWrite(t, s, numbered(s, 6, 9))
			if tc.fault[0].kind == zombie {
				// Stored with the answer to the resend: before the next batch.
				tc.want = numbers(0, 9)
			}
			if got := f.log(0); !slices.Equal(got, tc.want) {
				t.Errorf("the log is %v, want %v", got, tc.want)
			}
			if err := s.Write(context.Background(), given); !errors.Is(err, errGivenUp) {
				t.Errorf("Write of the batch that was given up: %v, want %v", err, errGivenUp)
			}
		})
	}
}

func TestTooLargeForTheBrokerFailsAlone(t *testing.T) {
	f := newFakeBroker(t, 1)
	f.maxBatch = 600
	s := openFake(t, f)
	b := numbered(s, 0, 20)
	b.Events[13].Data = bytes.Repeat([]byte("x"), 1000)
	var partial *sinks.PartialError
	if err := s.Write(context.Background(), b); !errors.As(err, &partial) {
		t.Fatalf("Write: %v, want a PartialError", err)
	}
	if len(partial.Failed) != 1 || !sinks.IsPermanent(partial.Failed[13]) {
		t.Errorf("failed: %v, want event 13, for good", partial.Failed)
	}
	want := append(numbers(0, 13), numbers(14, 20)...)
	if got := f.log(0); !slices.Equal(got, want) {
		t.Errorf("the log is %v, want %v", got, want)
	}
	before := f.produced
	if err := s.Write(context.Background(), b); !errors.As(err, &partial) || len(partial.Failed) != 1 {
		t.Errorf("the same batch again: %v, want the same outcome", err)
	}
	if f.produced != before {
		t.Errorf("the same batch again was sent again")
	}
}

func TestInvalidRecordsFailAlone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults []fault
		failed []int
	}{
		{"those the broker names", []fault{{kind: before, code: sarama.ErrInvalidRecord, bad: []int32{1, 3}}}, []int{1, 3}},
		{"a name that is none", []fault{
			{kind: before, code: sarama.ErrInvalidTimestamp, bad: []int32{-1, 99}}, // of all: halves are tried
			{kind: before, code: sarama.ErrInvalidTimestamp},                       // 0 1
			{kind: before, code: sarama.ErrInvalidTimestamp},                       // 0
		}, []int{0}},
		{"all", []fault{{kind: before, code: sarama.ErrInvalidRecord, bad: []int32{0, 1, 2, 3}}}, []int{0, 1, 2, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeBroker(t, 1)
			s := openFake(t, f)
			f.then(tc.faults...)
			b := numbered(s, 0, 4)
			var partial *sinks.PartialError
			if err := s.Write(context.Background(), b); !errors.As(err, &partial) {
				t.Fatalf("Write: %v, want a PartialError", err)
			}
			var want []string
			for i := range 4 {
				if slices.Contains(tc.failed, i) != sinks.IsPermanent(partial.Failed[i]) {
					t.Errorf("event %d: %v", i, partial.Failed[i])
				}
				if !slices.Contains(tc.failed, i) {
					want = append(want, fmt.Sprint(i))
				}
			}
			if got := f.log(0); !slices.Equal(got, want) {
				t.Errorf("the log is %v, want %v", got, want)
			}
		})
	}
}

// TestAnyFaultsStoreOnceAndInOrder lets a writer that gives up now and then meet
// any sequence of faults. What was confirmed is in the log once, what was given
// up at most once, and everything in order.
func TestAnyFaultsStoreOnceAndInOrder(t *testing.T) {
	codes := []sarama.KError{
		sarama.ErrNotEnoughReplicas, sarama.ErrRequestTimedOut, sarama.ErrNotLeaderForPartition,
		sarama.ErrUnknown, sarama.ErrTopicAuthorizationFailed,
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := newFakeBroker(t, 1)
		s := openFake(t, f)
		scripts := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) fault {
			return fault{
				kind: faultKind(rapid.IntRange(int(none), int(lateAnswer)).Draw(rt, "kind")),
				code: rapid.SampledFrom(codes).Draw(rt, "code"),
				late: 8 * time.Millisecond,
			}
		}), 0, 5), 1, 6).Draw(rt, "faults of each batch")
		var confirmed []string
		next := 0
		for _, script := range scripts {
			n := rapid.IntRange(1, 4).Draw(rt, "events")
			b := numbered(s, next, next+n)
			f.then(script...)
			for range rapid.IntRange(1, 6).Draw(rt, "attempts") {
				ctx, cancel := context.WithTimeout(context.Background(), 4*time.Millisecond<<rapid.IntRange(0, 5).Draw(rt, "patience"))
				err := s.Write(ctx, b)
				cancel()
				if err == nil {
					confirmed = append(confirmed, numbers(next, next+n)...)
					break
				}
				if sinks.IsPermanent(err) {
					rt.Fatalf("batch from %d: %v is permanent", next, err)
				}
			}
			next += n
		}
		f.mu.Lock()
		f.faults = nil
		f.mu.Unlock()
		if last := numbered(s, next, next+1); writeUntilStored(t, s, last) > 0 {
			confirmed = append(confirmed, fmt.Sprint(next))
		}
		got := f.log(0)
		for i, v := range got {
			if i > 0 && len(got[i-1]) >= len(v) && got[i-1] >= v {
				rt.Fatalf("the log is not in order: %v", got)
			}
		}
		for _, v := range confirmed {
			if !slices.Contains(got, v) {
				rt.Fatalf("%s was confirmed and is not in the log: %v", v, got)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.c.Close(ctx); err != nil {
			rt.Fatal(err)
		}
	})
}
