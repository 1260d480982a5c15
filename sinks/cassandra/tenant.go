package cassandra

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"sluice/event"
	"sluice/sinks"
)

// Tenant stores and reads one tenant's events. It implements sinks.Sink and
// sinks.Reader.
type Tenant struct {
	cluster *Cluster
	name    string
	ttl     int // seconds; 0: for ever
	index   *index
}

var (
	_ sinks.Sink   = (*Tenant)(nil)
	_ sinks.Reader = (*Tenant)(nil)
)

// Tenant returns the sink of a tenant whose events expire ttl after they were
// written, to the second, rounded up; 0 keeps them for ever, more than 20 years
// is cut down to that. Closing it leaves the cluster open. There should be one
// for each tenant: it remembers which buckets the index has.
func (c *Cluster) Tenant(tenant string, ttl time.Duration) *Tenant {
	ttl = min(max(ttl, 0), maxTTL-2*indexAhead) // the index outlives the events
	return &Tenant{cluster: c, name: tenant, ttl: ttlSeconds(ttl), index: newIndex(tenant, ttl, c)}
}

// Partition implements sinks.Sink: the lane is the user's shard, the key stands
// for the partition key.
func (t *Tenant) Partition(e *event.Event) sinks.Partition { return t.cluster.layout.partition(e) }

// Write implements sinks.Sink. It waits for a connection only as long as the
// first attempt to connect takes.
func (t *Tenant) Write(ctx context.Context, b *sinks.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	session, generation, err := t.cluster.connected(ctx)
	if err != nil {
		return err
	}
	errs := t.index.write(ctx, t.cluster, session, generation, b.Events)
	if errs == nil {
		errs = make([]error, len(b.Events))
	}
	rows, these := t.rows(b.Events, errs)
	w := t.cluster.writer(withOp(ctx, OpWrite), session)
	for n, err := range w.write(rows) {
		errs[these[n]] = err
	}
	for i := range b.Where {
		if errs[i] == nil {
			b.Where[i] = t.where(&b.Events[i])
		}
	}
	return sum(errs)
}

// rows returns the events as inserts, and the index of each in events. It leaves
// out those whose index row failed, and, where that may come yet, all the later
// ones of the same user.
func (t *Tenant) rows(events []event.Event, errs []error) (rows []insert, these []int) {
	rows, these = make([]insert, 0, len(events)), make([]int, 0, len(events))
	var behind map[string]bool
	for i := range events {
		e := &events[i]
		if errs[i] == nil && behind[e.User] {
			errs[i] = errBehind
		}
		if errs[i] != nil {
			if !sinks.IsPermanent(errs[i]) {
				if behind == nil {
					behind = map[string]bool{}
				}
				behind[e.User] = true
			}
			continue
		}
		rows = append(rows, t.row(e))
		these = append(these, i)
	}
	return rows, these
}

func (t *Tenant) row(e *event.Event) insert {
	l := t.cluster.layout
	r := insert{cql: t.cluster.cql.insertEvent, user: e.User, in: placeOf{bucket: l.bucketOf(e.TS)}}
	if l.byUser {
		r.in.user = e.User
		r.args = []any{t.name, e.User, r.in.bucket, e.TS, e.ID, e.Type, e.Received, e.Data, e.Received, t.ttl}
	} else {
		r.in.shard = l.shardOf(e.User)
		r.args = []any{t.name, r.in.bucket, r.in.shard, e.User, e.TS, e.ID, e.Type, e.Received, e.Data, e.Received, t.ttl}
	}
	r.size = sizeOf(r.args)
	return r
}

// where is the table's key, for people: each part percent-encoded.
func (t *Tenant) where(e *event.Event) string {
	c := t.cluster
	in := c.cfg.Keyspace + "." + c.cfg.Table + "/" + url.PathEscape(t.name) + "/"
	bucket := time.UnixMilli(c.layout.bucketOf(e.TS)).UTC().Format(time.RFC3339)
	if c.layout.byUser {
		in += url.PathEscape(e.User) + "/" + bucket
	} else {
		in += bucket + "/" + strconv.Itoa(c.layout.shardOf(e.User)) + "/" + url.PathEscape(e.User)
	}
	return in + "/" + strconv.FormatInt(e.TS, 10) + "/" + url.PathEscape(e.ID)
}

// sum puts the outcomes of all events into what Write returns.
func sum(errs []error) error {
	failed := map[int]error{}
	retryable := 0
	for i, err := range errs {
		if err != nil {
			failed[i] = err
			if !sinks.IsPermanent(err) {
				retryable++
			}
		}
	}
	switch {
	case len(failed) == 0:
		return nil
	case len(errs) == 1:
		return errs[0]
	case retryable == len(errs):
		for _, err := range errs { // the cause, where there is one
			if !errors.Is(err, errBehind) {
				return err
			}
		}
	}
	return &sinks.PartialError{Failed: failed}
}

// Probe implements sinks.Sink: there is a session, the tables are as they should
// be, and a read at the configured consistency is answered, which takes as many
// replicas as a write does. It does not find out whether the user may write.
func (t *Tenant) Probe(ctx context.Context) error { return t.cluster.Probe(ctx) }

// Probe is Tenant's Probe, which is the same for all tenants.
func (c *Cluster) Probe(ctx context.Context) error {
	c.tryAgainUnlessConnected()
	session, _, err := c.connected(ctx)
	if err != nil {
		return err
	}
	ctx = withOp(ctx, OpProbe)
	if err := checkSchema(ctx, session, c.cfg); err != nil {
		c.stranded(err)
		c.outdated()
		return explain(ctx, c.cfg, err)
	}
	// No tenant is called "". A different partition each time, so that sooner or
	// later every replica set is asked.
	n := c.probes.Add(1)
	args := []any{"", int64(n % 64), int(n % c.layout.shards)}
	if c.layout.byUser {
		args = []any{"", strconv.FormatUint(n%1024, 10), int64(0)}
	}
	err = session.Query(c.cql.probe, args...).WithContext(ctx).Iter().Close()
	if err != nil {
		c.stranded(err)
		return explain(ctx, c.cfg, fmt.Errorf("a read at %s: %w", c.consistency, err))
	}
	return nil
}

// Close implements sinks.Sink. The connections are the cluster's, and stay.
func (t *Tenant) Close(context.Context) error { return nil }
