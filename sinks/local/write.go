package local

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"sluice/event"
	"sluice/sinks"
)

// lanes is how many batches of a tenant can be under way at once, and share a
// sync.
const lanes = 16

// Sink is one tenant's part of a Store. It implements sinks.Sink and
// sinks.Reader.
type Sink struct {
	s      *Store
	tenant string
	ttl    time.Duration
}

var (
	_ sinks.Sink   = (*Sink)(nil)
	_ sinks.Reader = (*Sink)(nil)
)

// Tenant returns the sink of a tenant, whose events expire ttl after the end of
// their bucket; 0: never. The ttl of the last call for a name holds.
func (s *Store) Tenant(name string, ttl time.Duration) *Sink {
	t := &Sink{s: s, tenant: name, ttl: ttl}
	s.expiry.set(t)
	return t
}

// Partition implements sinks.Sink: a lane is its only key, because a batch may
// span buckets.
func (t *Sink) Partition(e *event.Event) sinks.Partition {
	lane := uint32(xxhash.Sum64String(e.User) % lanes)
	return sinks.Partition{Lane: lane, Key: uint64(lane)}
}

// Write implements sinks.Sink. The batch is stored whole or not at all; writes
// that are under way at the same time share a sync. When ctx ends first, the
// batch may still become durable later, which the retry, having the same keys,
// does not mind.
func (t *Sink) Write(ctx context.Context, b *sinks.Batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("local: nothing was written: %w", err)
	}
	n := 0
	for i := range b.Events {
		n += len(b.Events[i].Data) + recordOverhead
	}
	err := t.s.commit(ctx, n, func(p *pebble.Batch) ([]bucketKey, error) { return t.fill(p, b.Events) })
	if err != nil {
		return err
	}
	for i := range b.Where {
		e := &b.Events[i]
		b.Where[i] = "local/" + url.PathEscape(e.Tenant) + "/" + url.PathEscape(e.User) + "/" +
			strconv.FormatInt(e.TS, 10) + "/" + url.PathEscape(e.ID)
	}
	return nil
}

// recordOverhead estimates what a record has besides its data.
const recordOverhead = 128

// fill puts the events into p, and a bucket record where one may be missing. It
// returns the buckets that are known once p is durable.
func (t *Sink) fill(p *pebble.Batch, events []event.Event) ([]bucketKey, error) {
	var scratch [512]byte
	var fresh []bucketKey
	cutoff := t.s.cutoff(t.ttl)
	for i := range events {
		e := &events[i]
		bucket := bucketOf(e.TS, t.s.width)
		key := appendEvent(scratch[:0], bucket, e)
		op := p.SetDeferred(len(key), valueSize(e))
		copy(op.Key, key)
		putValue(op.Value, key, e)
		if err := op.Finish(); err != nil {
			return nil, fmt.Errorf("local: %w", err)
		}
		// Of an expired bucket nothing is known: the sweeper may be deleting it.
		k := t.s.known.key(e.Tenant, e.User, bucket)
		if bucket >= cutoff && t.s.known.has(k) {
			continue
		}
		if err := p.Set(appendInt(appendBuckets(scratch[:0], e.Tenant, e.User), bucket), nil, nil); err != nil {
			return nil, fmt.Errorf("local: %w", err)
		}
		if bucket >= cutoff {
			fresh = append(fresh, k)
		}
	}
	return fresh, nil
}

// commit makes what fill puts into a batch of about n bytes durable, or returns
// when ctx is over.
func (s *Store) commit(ctx context.Context, n int, fill func(*pebble.Batch) ([]bucketKey, error)) error {
	if err := s.space(n); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("local: nothing was written, the disk is behind: %w", ctx.Err())
	}
	o, err := s.enter()
	if err != nil {
		<-s.slots
		return err
	}
	p := o.db.NewBatchWithSize(n)
	fresh, err := fill(p)
	if err != nil {
		p.Close()
		o.users.Done()
		<-s.slots
		return err
	}
	done := make(chan error, 1)
	// A sync cannot be interrupted: a goroutine waits for it, the caller for ctx.
	go func() {
		err := s.sync(o, p)
		if err == nil {
			s.known.add(fresh)
		}
		o.users.Done()
		<-s.slots
		done <- err
	}()
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("local: the disk did not confirm the batch in time: %w", ctx.Err())
	}
}

// sync commits p. The fence is asked afterwards because Pebble says that all is
// well behind it.
func (s *Store) sync(o *opening, p *pebble.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("local: pebble panicked: %v", r)
			o.fence.fail(err)
		}
	}()
	err = p.Commit(pebble.Sync)
	if failure := o.fence.failure(); failure != nil {
		return s.down(failure)
	}
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	return p.Close()
}

// Probe implements sinks.Sink with a small synced write.
func (t *Sink) Probe(ctx context.Context) error { return t.s.Probe(ctx) }

// Probe reports whether the store can write: the disk has space, a synced write
// succeeds, and tables can be written.
func (s *Store) Probe(ctx context.Context) error {
	err := s.commit(ctx, 0, func(p *pebble.Batch) ([]bucketKey, error) {
		return nil, p.Set(metaProbe, s.cfg.Now().UTC().AppendFormat(nil, time.RFC3339Nano), nil)
	})
	if err != nil {
		return err
	}
	o, err := s.enter()
	if err != nil {
		return err
	}
	defer o.users.Done()
	if err := o.backgroundError(); err != nil {
		return fmt.Errorf("local: the store in %s cannot write its tables: %w", s.cfg.Dir, err)
	}
	return nil
}

// Close implements sinks.Sink. The Store stays open.
func (t *Sink) Close(context.Context) error {
	t.s.expiry.remove(t)
	return nil
}
