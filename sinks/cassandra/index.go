package cassandra

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"sluice/event"
)

const (
	// writtenMost bounds what a tenant's index remembers to have written. It
	// forgets at half of it, the least recently used half.
	writtenMost = 1 << 17

	// indexAhead is how much longer than events index rows live, and how long they
	// are remembered: an event that comes in half of it after its index row still
	// is outlived by that. Irrelevant without a ttl.
	indexAhead = 24 * time.Hour
)

// indexed is what one index row says: a user has events in a bucket, or, with
// no user, the tenant has events in a period.
type indexed struct {
	user string
	at   int64
}

// index writes a tenant's rows in events_buckets and events_periods.
type index struct {
	tenant string
	ttl    int // seconds; 0: for ever
	layout layout
	cql    statements
	now    func() time.Time
	most   int // rows remembered

	mu sync.Mutex
	// Two generations, the younger filled first: what is asked for moves there.
	// The values are the Unix times at which the row has to be written again.
	young, old map[indexed]int64
	generation uint64 // of the cluster, for which young and old hold
}

func newIndex(tenant string, ttl time.Duration, c *Cluster) *index {
	x := &index{tenant: tenant, layout: c.layout, cql: c.cql, now: time.Now, most: writtenMost, young: map[indexed]int64{}}
	if ttl > 0 {
		x.ttl = ttlSeconds(ttl + indexAhead)
	}
	return x
}

// known reports whether the row is known to be there.
func (x *index) known(row indexed, generation uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.catchUp(generation)
	until, ok := x.young[row]
	if !ok {
		if until, ok = x.old[row]; ok {
			x.remember(row, until)
		}
	}
	return ok && x.now().Unix() < until
}

// wrote remembers that the row is there. row.user is cloned: it may share the
// memory of a whole request.
func (x *index) wrote(row indexed, generation uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.catchUp(generation)
	row.user = strings.Clone(row.user)
	x.remember(row, x.now().Add(indexAhead/2).Unix())
}

func (x *index) remember(row indexed, until int64) {
	if len(x.young) >= x.most/2 {
		x.young, x.old = make(map[indexed]int64), x.young
	}
	x.young[row] = until
}

// catchUp forgets everything when the tables may be other ones.
func (x *index) catchUp(generation uint64) {
	if generation != x.generation {
		x.young, x.old, x.generation = map[indexed]int64{}, nil, generation
	}
}

// missing returns the index rows that the events need and are not known to be
// there, as inserts, and what each says.
func (x *index) missing(events []event.Event, generation uint64) ([]insert, []indexed) {
	var rows []insert
	var says []indexed
	needed := func(row indexed) bool { return !x.known(row, generation) && !slices.Contains(says, row) }
	add := func(row indexed, in placeOf, cql string, args ...any) {
		rows = append(rows, insert{cql: cql, args: args, size: sizeOf(args), in: in, user: row.user})
		says = append(says, row)
	}
	var last indexed // most events follow one of the same user and bucket
	for i := range events {
		row := indexed{events[i].User, x.layout.bucketOf(events[i].TS)}
		if row == last {
			continue
		}
		last = row
		period, shard := x.layout.periodOf(row.at), x.layout.shardOf(row.user)
		if p := (indexed{"", period}); needed(p) {
			// No two tables share a chunk: shard -1 is none of events_buckets.
			add(p, placeOf{bucket: period, shard: -1}, x.cql.insertPeriod, x.tenant, period, x.ttl)
		}
		if needed(row) {
			add(row, placeOf{bucket: period, shard: shard}, x.cql.insertBucket, x.tenant, period, shard, row.user, row.at, x.ttl)
		}
	}
	return rows, says
}

// write makes sure that the index leads to the events. It returns nil, or the
// error of each event to which it does not.
func (x *index) write(ctx context.Context, c *Cluster, session *gocql.Session, generation uint64, events []event.Event) []error {
	rows, says := x.missing(events, generation)
	if len(rows) == 0 {
		return nil
	}
	w := c.writer(withOp(ctx, OpIndex), session)
	failed := map[indexed]error{}
	for i, err := range w.write(rows) {
		if err != nil {
			failed[says[i]] = err
		} else {
			x.wrote(says[i], generation)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	errs := make([]error, len(events))
	for i := range events {
		bucket := x.layout.bucketOf(events[i].TS)
		errs[i] = failed[indexed{events[i].User, bucket}]
		if err := failed[indexed{"", x.layout.periodOf(bucket)}]; err != nil {
			errs[i] = err
		}
	}
	return errs
}
