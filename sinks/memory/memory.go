// Package memory is a sink that keeps events in memory, or only counts them:
// for tests, whose faults it injects, and for benchmarks of everything before a
// sink.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"sluice/event"
	"sluice/sinks"
)

// Options say how a Sink behaves. The zero value counts and never fails.
type Options struct {
	// Keep stores a copy of each event; without it they are only counted.
	Keep bool
	// Max bounds what Keep keeps, in events: the oldest are forgotten. 0: 1 Mi.
	Max int
	// Lanes is the number of lanes users are spread over. 0: 16.
	Lanes uint32
	// Faults decides the outcome of each Write; nil: every Write succeeds.
	Faults Faults
	// Probe is what Probe returns; nil: the sink is always in order.
	Probe func(ctx context.Context) error
}

// Faults is asked once per Write, before anything of it is stored, and says
// what becomes of it. It may take its time: to be slow, or to stall until ctx
// is over. It must not keep or change the batch, and is called by many
// goroutines at once.
//
//	nil                   every event is stored
//	*sinks.PartialError   those it names fail, the others are stored
//	Lost(err)             every event is stored, and Write returns err all the same
//	another error         nothing is stored, and Write returns it
//
// Events that an earlier attempt of the same batch has stored stay stored,
// whatever it says. To keep the order of a user, it lets no event of a user
// succeed behind one that fails.
type Faults func(ctx context.Context, b *sinks.Batch) error

// lostError is the answer of a write that was done.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// Lost makes Faults store everything and Write return err: the answer of a
// sink that was lost on its way.
func Lost(err error) error { return &lostError{err} }

// Delay is Faults that take d, or until ctx is over, in which case nothing is
// stored.
func Delay(d time.Duration) Faults {
	return func(ctx context.Context, _ *sinks.Batch) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sink stores the events of any number of tenants. It implements sinks.Sink and
// sinks.Reader. It holds no goroutine and no file; Close only ends its Writes.
type Sink struct {
	o      Options
	events atomic.Uint64
	bytes  atomic.Uint64
	writes atomic.Uint64
	closed atomic.Bool

	mu   sync.Mutex
	kept []event.Event // in the order of their writes; up to twice Max
}

var (
	_ sinks.Sink   = (*Sink)(nil)
	_ sinks.Reader = (*Sink)(nil)
)

// New returns an empty sink.
func New(o Options) *Sink {
	if o.Max <= 0 {
		o.Max = 1 << 20
	}
	if o.Lanes == 0 {
		o.Lanes = 16
	}
	return &Sink{o: o}
}

// Partition implements sinks.Sink: a lane is its only key.
func (s *Sink) Partition(e *event.Event) sinks.Partition {
	lane := uint32(xxhash.Sum64String(e.User) % uint64(s.o.Lanes))
	return sinks.Partition{Lane: lane, Key: uint64(lane)}
}

// progress is a batch's Memo: which of its events are stored. It is the
// pointer to all, which no batch owns, once every one is.
type progress struct{ stored []bool }

var all = new(progress)

func (p *progress) has(i int) bool { return p == all || p != nil && p.stored[i] }

var errClosed = errors.New("memory: the sink is closed")

// Write implements sinks.Sink as Faults say.
func (s *Sink) Write(ctx context.Context, b *sinks.Batch) error {
	s.writes.Add(1)
	if s.closed.Load() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: nothing was written: %w", err)
	}
	var err error
	if s.o.Faults != nil {
		err = s.o.Faults(ctx, b)
	}
	before, _ := b.Memo.(*progress)
	var partial *sinks.PartialError
	switch {
	case before != all:
		err = s.settle(b, before, err)
	case errors.As(err, &partial) || sinks.IsPermanent(err):
		err = nil // every event is stored: none can fail on its own any more
	}
	if b.Where != nil {
		s.fillWhere(b)
	}
	return err
}

// settle stores what err, the decision of Faults, leaves to be stored.
func (s *Sink) settle(b *sinks.Batch, before *progress, err error) error {
	if err == nil {
		s.storeAll(b, before)
		return nil
	}
	var partial *sinks.PartialError
	var lost *lostError
	switch {
	case errors.As(err, &partial):
		return s.storeSome(b, before, partial.Failed)
	case errors.As(err, &lost):
		s.storeAll(b, before)
	case before != nil && sinks.IsPermanent(err):
		// A permanent error says that nothing is stored, but something is.
		failed := map[int]error{}
		for i := range b.Events {
			failed[i] = err
		}
		return s.storeSome(b, before, failed)
	}
	return err
}

func (s *Sink) storeAll(b *sinks.Batch, before *progress) {
	events := b.Events
	if before != nil {
		events = nil
		for i := range b.Events {
			if !before.has(i) {
				events = append(events, b.Events[i])
			}
		}
	}
	s.store(events)
	b.Memo = all
}

// storeSome stores what is neither stored nor in failed, and returns what is
// left of failed.
func (s *Sink) storeSome(b *sinks.Batch, before *progress, failed map[int]error) error {
	now := &progress{stored: make([]bool, len(b.Events))}
	left := map[int]error{}
	var events []event.Event
	for i := range b.Events {
		err := failed[i]
		switch {
		case before.has(i):
		case err != nil:
			left[i] = err
			continue
		default:
			events = append(events, b.Events[i])
		}
		now.stored[i] = true
	}
	s.store(events)
	if len(left) == 0 {
		b.Memo = all
		return nil
	}
	b.Memo = now
	return &sinks.PartialError{Failed: left}
}

func (s *Sink) store(events []event.Event) {
	n := 0
	for i := range events {
		n += len(events[i].Data)
	}
	s.events.Add(uint64(len(events)))
	s.bytes.Add(uint64(n))
	if !s.o.Keep || len(events) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		s.kept = append(s.kept, clone(&events[i]))
	}
	if len(s.kept) >= 2*s.o.Max {
		s.kept = slices.Clone(s.newest())
	}
}

// newest returns what is not forgotten. The caller holds mu.
func (s *Sink) newest() []event.Event { return s.kept[max(0, len(s.kept)-s.o.Max):] }

// clone copies what shares memory with the request's body.
func clone(e *event.Event) event.Event {
	return event.Event{
		Tenant: strings.Clone(e.Tenant), User: strings.Clone(e.User), ID: strings.Clone(e.ID),
		Type: strings.Clone(e.Type), TS: e.TS, Received: e.Received, Data: bytes.Clone(e.Data),
	}
}

func (s *Sink) fillWhere(b *sinks.Batch) {
	p, _ := b.Memo.(*progress)
	for i := range b.Events {
		if e := &b.Events[i]; p.has(i) {
			b.Where[i] = fmt.Sprintf("memory/%s/%s/%d/%s", e.Tenant, e.User, e.TS, e.ID)
		}
	}
}

// Events returns copies of the newest Max events of the tenant, in the order of
// their writes; one that was written as two batches is there twice. Only with
// Keep.
func (s *Sink) Events(tenant string) []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []event.Event
	for _, e := range s.newest() {
		if e.Tenant == tenant {
			e.Data = bytes.Clone(e.Data)
			events = append(events, e)
		}
	}
	return events
}

// Count is the number of events stored since New, Bytes that of their data, and
// Writes that of calls of Write, failed ones included.
func (s *Sink) Count() uint64 { return s.events.Load() }

// Bytes is described at Count.
func (s *Sink) Bytes() uint64 { return s.bytes.Load() }

// Writes is described at Count.
func (s *Sink) Writes() uint64 { return s.writes.Load() }

// Read implements sinks.Reader by looking at every event. Of events with the
// same time and id it shows the one written last. Only with Keep.
func (s *Sink) Read(ctx context.Context, q event.Query) (event.Page, error) {
	if err := ctx.Err(); err != nil {
		return event.Page{}, err
	}
	direction := 1
	if q.Desc {
		direction = -1
	}
	order := func(a, b event.Event) int {
		return direction * cmp.Or(cmp.Compare(a.TS, b.TS), cmp.Compare(a.ID, b.ID))
	}
	skip := func(event.Event) bool { return false }
	if q.Cursor != "" {
		ts, id, err := sinks.AfterCursor(&q)
		if err != nil {
			return event.Page{}, err
		}
		last := event.Event{TS: ts, ID: id}
		skip = func(e event.Event) bool { return order(e, last) <= 0 }
	}
	var found []event.Event
	for _, e := range slices.Backward(s.Events(q.Tenant)) {
		if e.User == q.User && (q.From == 0 || e.TS >= q.From) && (q.To == 0 || e.TS < q.To) &&
			(q.Type == "" || e.Type == q.Type) && !skip(e) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, order)
	found = slices.CompactFunc(found, func(a, b event.Event) bool { return order(a, b) == 0 })
	if len(found) <= q.Limit {
		return event.Page{Events: found}, nil
	}
	found = found[:q.Limit]
	return event.Page{Events: found, Next: sinks.NextCursor(&q, &found[q.Limit-1])}, nil
}

// Probe implements sinks.Sink.
func (s *Sink) Probe(ctx context.Context) error {
	switch {
	case s.closed.Load():
		return errClosed
	case s.o.Probe != nil:
		return s.o.Probe(ctx)
	}
	return ctx.Err()
}

// Close implements sinks.Sink. What is kept can still be looked at.
func (s *Sink) Close(context.Context) error {
	s.closed.Store(true)
	return nil
}
