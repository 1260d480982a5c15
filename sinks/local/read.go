package local

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"sluice/event"
	"sluice/sinks"
)

// pageBytes bounds the events of one page: a page may hold fewer than
// Query.Limit events and still have a next one.
const pageBytes = 8 << 20

// Read implements sinks.Reader. A range within a bucket is one seek, a longer
// one a seek for each bucket the user has in it.
func (t *Sink) Read(ctx context.Context, q event.Query) (event.Page, error) {
	o, err := t.s.enter()
	if err != nil {
		return event.Page{}, err
	}
	defer o.users.Done()
	r := &scan{ctx: ctx, q: &q, o: o, width: t.s.width, first: math.MinInt64, last: math.MaxInt64}
	if q.From != 0 {
		r.first = q.From
	}
	if q.To != 0 {
		if q.To <= r.first {
			return event.Page{}, nil
		}
		r.last = q.To - 1
	}
	if q.Cursor != "" {
		ts, id, err := sinks.AfterCursor(&q)
		if err != nil {
			return event.Page{}, err
		}
		r.after = &event.Event{Tenant: q.Tenant, User: q.User, TS: ts, ID: id}
		if q.Desc {
			r.last = ts
		} else {
			r.first = ts
		}
	}
	if err := r.run(); err != nil {
		return event.Page{}, err
	}
	if failure := o.fence.failure(); failure != nil {
		return event.Page{}, t.s.down(failure) // what was read may be incomplete
	}
	return r.page, nil
}

// scan is one Read on its way.
type scan struct {
	ctx         context.Context
	q           *event.Query
	o           *opening
	width       int64
	first, last int64        // ms, both inclusive
	after       *event.Event // the last of the page before, of which TS and ID count
	page        event.Page
	bytes       int
	full        bool

	seeks, rows int // what it took
}

func (r *scan) run() error {
	from, to := bucketOf(r.first, r.width), bucketOf(r.last, r.width)
	if from == to {
		return r.bucket(from)
	}
	prefix := appendBuckets(nil, r.q.Tenant, r.q.User)
	it, err := r.o.db.NewIterWithContext(r.ctx, &pebble.IterOptions{
		LowerBound: appendInt(append([]byte(nil), prefix...), from),
		UpperBound: after(appendInt(append([]byte(nil), prefix...), to)),
	})
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	for ok := r.start(it); ok && !r.full && err == nil; ok = r.step(it) {
		bucket, _, valid := cutInt(it.Key()[len(prefix):])
		if !valid {
			err = fmt.Errorf("local: record %x: the key is not one of a bucket", it.Key())
			break
		}
		err = r.bucket(bucket)
	}
	return errors.Join(err, wrap(it.Error()), wrap(it.Close()))
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	return nil
}

func (r *scan) start(it *pebble.Iterator) bool {
	if r.q.Desc {
		return it.Last()
	}
	return it.First()
}

func (r *scan) step(it *pebble.Iterator) bool {
	if r.q.Desc {
		return it.Prev()
	}
	return it.Next()
}

// bucket reads the user's events of one bucket.
func (r *scan) bucket(bucket int64) error {
	prefix := appendUser(nil, r.q.Tenant, bucket, r.q.User)
	bounds := &pebble.IterOptions{
		LowerBound: appendInt(append([]byte(nil), prefix...), r.first),
		UpperBound: after(appendInt(append([]byte(nil), prefix...), r.last)),
	}
	if r.after != nil && bucketOf(r.after.TS, r.width) == bucket {
		if key := appendEvent(nil, bucket, r.after); r.q.Desc {
			bounds.UpperBound = key
		} else {
			bounds.LowerBound = append(key, 0) // the first key behind it
		}
	}
	r.seeks++
	it, err := r.o.db.NewIterWithContext(r.ctx, bounds)
	if err != nil {
		return wrap(err)
	}
	for ok := r.start(it); ok && !r.full && err == nil; ok = r.step(it) {
		err = r.take(it)
	}
	return errors.Join(err, wrap(it.Error()), wrap(it.Close()))
}

// take adds the event at it to the page, or ends the page before it.
func (r *scan) take(it *pebble.Iterator) error {
	if r.rows++; r.rows%256 == 0 && r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return wrap(err)
	}
	e, err := readEvent(it.Key(), value)
	if err != nil {
		return err
	}
	if r.q.Type != "" && e.Type != r.q.Type {
		return nil
	}
	n := len(r.page.Events)
	if n >= r.q.Limit || n > 0 && r.bytes+len(e.Data) > pageBytes {
		r.page.Next = sinks.NextCursor(r.q, &r.page.Events[n-1])
		r.full = true
		return nil
	}
	r.page.Events = append(r.page.Events, e)
	r.bytes += len(e.Data)
	return nil
}
