// Package sinktest is the one test that every sink passes, the real Kafka and
// the real Cassandra included. A sink's own test fills in a Harness and calls
// Run; what the rows ask for is written on sinks.Sink and sinks.Reader.
//
// It also has Proxy, a TCP proxy that takes the other side away in the ways in
// which networks do.
package sinktest

import (
	"context"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks"
)

// Order says in which order a store gives the events of one user back.
type Order int

// The orders.
const (
	ByTime  Order = iota // sorted by (TS, ID): stores with a key
	ByWrite              // as they were written: logs
)

// Harness is how a sink shows itself to Run.
type Harness struct {
	// Open returns a fresh, empty place for one row: its own topic, table or
	// directory. It registers with t.Cleanup what has to be taken down again.
	// Rows run one after the other.
	Open func(t *testing.T) Place

	// Order is the order of what ReadBack returns, within each user.
	Order Order

	// MaxEvent is the largest Event.Data, in bytes, that the sink has to take, and
	// Oversize the smallest that it has to refuse for good; between the two it
	// may do either. MaxEvent 0: 256 KiB is tried. Oversize 0: the sink has no
	// limit of its own, the row is skipped.
	MaxEvent, Oversize int

	// Slow is how long a healthy sink may take for a Write, a Probe or a Read, and
	// to be well again after a fault. 0: 30 s.
	Slow time.Duration
}

// Place is a fresh store and the means to look into it and to break it.
type Place struct {
	// Sink makes the sink of one tenant. Sinks of several tenants, or several of
	// one tenant, may be open at once. Run closes each of them.
	Sink func(t *testing.T, tenant string) sinks.Sink

	// ReadBack returns every event that is stored for the tenant, with all its
	// fields, each user's in the store's order. It shares no code with the
	// sink's own way of reading where that can be had. An event stored twice is
	// returned twice, if the store can hold it twice.
	ReadBack func(t *testing.T, tenant string) []event.Event

	Faults
}

// Faults break the way to the other side, for every sink of the place. A row
// that needs a fault that is nil is skipped. Proxy.Faults has all but FailSome.
type Faults struct {
	// Gone makes the other side unreachable: writes fail from now on.
	Gone func(t *testing.T)
	// Mute lets requests reach the other side, and loses its answers.
	Mute func(t *testing.T)
	// CutAfter makes the other side unreachable once n more bytes are on their
	// way to it.
	CutAfter func(t *testing.T, n int)
	// Back ends every fault above.
	Back func(t *testing.T)
	// FailSome makes the next Write fail the events at these indices, in a way
	// that another attempt cures, and store the others.
	FailSome func(t *testing.T, indices ...int)
}

const (
	tenant = "acme"
	// promptly is how soon a Write has to return once its ctx is over: generous,
	// because tests share their cores.
	promptly = 3 * time.Second
)

// Run runs the contract against the sink of h, a subtest a rule.
func Run(t *testing.T, h Harness) {
	if h.Slow == 0 {
		h.Slow = 30 * time.Second
	}
	if h.MaxEvent == 0 {
		h.MaxEvent = 256 << 10
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.run(&bench{T: t, h: h, Place: h.Open(t)})
		})
	}
}

var rows = []struct {
	name string
	run  func(b *bench)
}{
	{"a batch is stored whole and unchanged", storedUnchanged},
	{"an event of any time that RFC 3339 can write is stored", storedOfAnyTime},
	{"a batch belongs to the caller again once Write has returned", batchIsNotKept},
	{"events of one user keep their order within a batch and across batches", orderHolds},
	{"lanes are written at the same time", lanesAtOnce},
	{"a batch whose key stands for several partitions is stored whole", keysCollide},
	{"the same batch written again is stored once", rewriteStoresOnce},
	{"two batches of one lane written again in their order are stored once", olderRewriteStoresOnce},
	{"a partial failure names what failed and a retry stores the rest once", partialFailure},
	{"the largest event is stored and an oversize one fails alone, for good", oversizeFailsAlone},
	{"a Write whose ctx is over returns promptly and its retry succeeds", ctxIsOver},
	{"where each event was stored is said when asked for", whereIsFilled},
	{"Partition is stable for a user and cheap", partitionIsStable},
	{"tenants are kept apart", tenantsAreApart},
	{"a healthy sink passes its probe", probePasses},
	{"Close can be called twice", closeTwice},

	{"a sink that is gone fails retryably and in time, and is well again when it is back", goneAndBack},
	{"a sink made while the other side is away takes the batch when it is back", madeWhileGone},
	{"a batch whose answer was lost is stored once by the retry", lostAnswer},
	{"a batch cut off anywhere is stored once and in order by the retry", cutAnywhere},
	{"Close ends in time while the other side is away", closeWhileGone},

	{"a range is from its start inclusively to its end exclusively", readRanges},
	{"pages of any size add up to the whole", readPages},
	{"events of one time are sorted by id", readTies},
	{"a query without bounds finds events of long ago", readLongAgo},
	{"a user who is unknown, or another's prefix, has no events", readUnknownUser},
	{"a reader keeps tenants apart", readTenants},
	{"a cursor that no page returned is refused", readBadCursor},
}

// bench is what a row works with.
type bench struct {
	*testing.T
	h Harness
	Place
}

// sink makes a tenant's sink, which is closed when the row is over.
func (b *bench) sink(tenant string) sinks.Sink {
	b.Helper()
	s := b.Sink(b.T, tenant)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), b.h.Slow)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			b.Errorf("Close: %v", err)
		}
	})
	return s
}

// need skips the row when the place does not have the fault.
func (b *bench) need(has bool, fault string) {
	b.Helper()
	if !has {
		b.Skipf("the sink's harness has no %s", fault)
	}
}

// within returns a context of d, which ends with the row at the latest.
func (b *bench) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	b.Cleanup(cancel)
	return ctx
}

// write writes a batch that has no reason to fail.
func (b *bench) write(s sinks.Sink, batches ...*sinks.Batch) {
	b.Helper()
	for i, batch := range batches {
		if err := s.Write(b.within(b.h.Slow), batch); err != nil {
			b.Fatalf("Write of batch %d of %d (%s): %v", i+1, len(batches), describe(batch), err)
		}
	}
}

// writeUntilStored retries the batch, as a writer would, until it is stored.
func (b *bench) writeUntilStored(s sinks.Sink, batch *sinks.Batch) {
	b.Helper()
	deadline := b.within(b.h.Slow)
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(deadline, b.h.Slow/3)
		err := s.Write(ctx, batch)
		cancel()
		if err == nil {
			return
		}
		for i, e := range outcomes(batch, err) {
			if sinks.IsPermanent(e) {
				b.Fatalf("attempt %d failed event %d for good, after a fault that was cured: %v", attempt, i, e)
			}
		}
		select {
		case <-deadline.Done():
			b.Fatalf("the batch (%s) is not stored %v after the fault was cured; attempt %d: %v",
				describe(batch), b.h.Slow, attempt, err)
		case <-time.After(50 * time.Millisecond): // a writer's backoff
		}
	}
}

// probeUntilWell waits until the probe passes.
func (b *bench) probeUntilWell(s sinks.Sink) {
	b.Helper()
	deadline := b.within(b.h.Slow)
	for {
		ctx, cancel := context.WithTimeout(deadline, b.h.Slow/3)
		err := s.Probe(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-deadline.Done():
			b.Fatalf("the probe still fails %v after the other side is back: %v", b.h.Slow, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
