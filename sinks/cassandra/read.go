package cassandra

import (
	"context"
	"math"
	"unicode/utf8"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"sluice/event"
	"sluice/sinks"
)

// What one Read may cost. When it is used up the page ends early, perhaps empty,
// with a cursor to go on from.
const (
	maxPartitions = 4096    // asked, of the index and of events
	maxScanned    = 20_000  // events looked at, for a type that is seldom there
	maxPageBytes  = 8 << 20 // of Data; one event at least
	fetchRows     = 64      // events a server sends at a time

	// Partitions are asked in rounds, each twice as wide as the one before while
	// there is little in them: long ranges with few events are what takes time.
	maxWidth = 8
	littleIs = 64 << 10 // bytes of Data in a round
)

// Read implements sinks.Reader. A page may be shorter than q.Limit, or empty,
// and have a Next, when finding more would have taken too long.
func (t *Tenant) Read(ctx context.Context, q event.Query) (event.Page, error) {
	s, err := spanOf(&q)
	if err != nil {
		return event.Page{}, err
	}
	// What is not text is in no text column, and the server would be asked in vain.
	if s.empty() || !utf8.ValidString(q.User) {
		return event.Page{}, nil
	}
	session, _, err := t.cluster.connected(ctx)
	if err != nil {
		return event.Page{}, err
	}
	r := reading{Tenant: t, session: session, q: q, span: s, partitions: maxPartitions, scanned: maxScanned, bytes: maxPageBytes}
	r.direction = 0
	if q.Desc {
		r.direction = 1
	}
	page, err := r.run(withOp(ctx, OpRead))
	t.cluster.stranded(err)
	return page, explain(ctx, t.cluster.cfg, err)
}

// reading is one Read under way. It walks the tenant's periods, in each of them
// the user's buckets, and in each of those the events.
type reading struct {
	*Tenant
	session   *gocql.Session
	q         event.Query
	span      span
	direction int // index of the statements

	partitions, scanned, bytes int // what may still be used
	found                      []event.Event
	full                       bool
	next                       place // where to go on, once full
}

func (r *reading) run(ctx context.Context) (event.Page, error) {
	periods := r.session.Query(r.cluster.cql.selectPeriods[r.direction], r.name,
		r.cluster.layout.periodOf(r.cluster.layout.bucketOf(r.span.low.ts)), r.span.high.ts).
		WithContext(ctx).PageSize(1000).Prefetch(0).Iter()
	width := 1
	for more := true; more && !r.full; {
		var round []int64
		for period := int64(0); len(round) < width && more; {
			if more = periods.Scan(&period); more {
				round = append(round, period)
			}
		}
		before := len(r.found)
		if err := r.periods(ctx, round); err != nil {
			periods.Close()
			return event.Page{}, err
		}
		if width = min(2*width, maxWidth); len(r.found) > before+r.q.Limit/2 {
			width = 1
		}
	}
	if err := periods.Close(); err != nil {
		return event.Page{}, err
	}
	page := event.Page{Events: r.found}
	if r.full {
		page.Next = sinks.NextCursor(&r.q, &event.Event{TS: r.next.ts, ID: r.next.id})
	}
	return page, nil
}

// periods reads the user's events in some periods, which are in order.
func (r *reading) periods(ctx context.Context, periods []int64) error {
	lists := make([][]int64, len(periods))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, period := range periods {
		group.Go(func() (err error) {
			lists[i], err = r.buckets(groupCtx, period)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, buckets := range lists {
		if err := r.eventsIn(ctx, buckets); err != nil || r.full {
			return err
		}
		if r.partitions--; r.partitions <= 0 {
			r.pause(r.edge(periods[i], r.cluster.layout.bucket*periodBuckets))
			return nil
		}
	}
	return nil
}

// edge is the place behind a bucket or period, in the order of the query.
func (r *reading) edge(begins, width int64) place {
	if r.q.Desc {
		return place{begins, ""}
	}
	if begins > math.MaxInt64-width {
		return r.span.high
	}
	return place{begins + width, ""}
}

// pause ends the page early: it goes on from at, unless that is the end anyway.
func (r *reading) pause(at place) {
	rest := r.span
	rest.from(at, r.q.Desc)
	if !rest.empty() {
		r.full, r.next = true, at
	}
}

// buckets returns the user's buckets in a period, at most periodBuckets.
func (r *reading) buckets(ctx context.Context, period int64) ([]int64, error) {
	l := r.cluster.layout
	iter := r.session.Query(r.cluster.cql.selectBuckets[r.direction], r.name, period, l.shardOf(r.q.User), r.q.User,
		l.bucketOf(r.span.low.ts), r.span.high.ts).WithContext(ctx).Iter()
	var all []int64
	for bucket := int64(0); iter.Scan(&bucket); {
		all = append(all, bucket)
	}
	return all, iter.Close()
}

// eventsIn reads the user's events in some buckets, which are in order.
func (r *reading) eventsIn(ctx context.Context, buckets []int64) error {
	for width := 1; len(buckets) > 0 && !r.full; {
		round := buckets[:min(width, len(buckets))]
		buckets = buckets[len(round):]
		parts := make([]part, len(round))
		group, groupCtx := errgroup.WithContext(ctx)
		for i, bucket := range round {
			group.Go(func() (err error) {
				parts[i], err = r.bucket(groupCtx, bucket)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		bytes := 0
		for i, part := range parts {
			bytes += part.bytes
			r.take(round[i], part)
			if r.full {
				return nil
			}
		}
		if width = min(2*width, maxWidth); bytes > littleIs {
			width = 1
		}
	}
	return nil
}

// part is what was read of one bucket.
type part struct {
	events         []event.Event // those of the type asked for
	bytes, scanned int
	more           bool  // not read to its end
	last           place // of what was looked at
}

// take adds what was found in a bucket to the page. It fills the page when an
// event more than its limit shows that there is a next one.
func (r *reading) take(bucket int64, p part) {
	for _, e := range p.events {
		if len(r.found) == r.q.Limit {
			last := r.found[len(r.found)-1]
			r.full, r.next = true, place{last.TS, last.ID}
			return
		}
		r.found = append(r.found, e)
	}
	r.bytes -= p.bytes
	r.scanned -= p.scanned
	r.partitions--
	switch used := r.bytes <= 0 || r.scanned <= 0 || r.partitions <= 0; {
	case p.more:
		r.pause(p.last)
	case used:
		r.pause(r.edge(bucket, r.cluster.layout.bucket))
	}
}

// bucket reads the user's events in one bucket, as far as they can be wanted.
func (r *reading) bucket(ctx context.Context, bucket int64) (part, error) {
	t := r.cluster.layout
	args := []any{r.name, bucket, t.shardOf(r.q.User), r.q.User}
	if t.byUser {
		args = []any{r.name, r.q.User, bucket}
	}
	want := r.q.Limit - len(r.found) + 1
	rows := want
	if r.q.Type != "" {
		rows = r.scanned + 1
	}
	args = append(args, r.span.low.ts, r.span.low.id, r.span.high.ts, r.span.high.id, rows)
	iter := r.session.Query(r.cluster.cql.selectEvents[r.direction], args...).
		WithContext(ctx).PageSize(min(rows, fetchRows)).Prefetch(0).Iter()
	var p part
	for {
		e := event.Event{Tenant: r.q.Tenant, User: r.q.User}
		if !iter.Scan(&e.TS, &e.ID, &e.Type, &e.Received, &e.Data) {
			break
		}
		p.scanned++
		p.last = place{e.TS, e.ID}
		p.bytes += len(e.Data)
		if r.q.Type == "" || e.Type == r.q.Type {
			p.events = append(p.events, e)
		}
		if len(p.events) == want || p.scanned >= r.scanned || p.bytes >= r.bytes {
			p.more = true
			break
		}
	}
	return p, iter.Close()
}
