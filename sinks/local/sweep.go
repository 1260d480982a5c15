package local

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// expiry is which tenants' events expire.
type expiry struct {
	mu      sync.Mutex
	tenants map[string]*Sink // the last sink made for each name
}

func (x *expiry) set(t *Sink) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tenants == nil {
		x.tenants = map[string]*Sink{}
	}
	x.tenants[t.tenant] = t
}

func (x *expiry) remove(t *Sink) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tenants[t.tenant] == t {
		delete(x.tenants, t.tenant)
	}
}

func (x *expiry) all() []*Sink {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*Sink
	for _, t := range x.tenants {
		all = append(all, t)
	}
	return all
}

// cutoff is the first bucket that is not expired: the one before it ended ttl
// ago or earlier.
func (s *Store) cutoff(ttl time.Duration) int64 {
	if ttl <= 0 {
		return math.MinInt64
	}
	return bucketOf(s.cfg.Now().Add(-ttl).UnixMilli(), s.width)
}

// sweeper looks for expired buckets until the Store is closed.
func (s *Store) sweeper() {
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for _, t := range s.expiry.all() {
			dropped, err := s.sweep(t)
			if err != nil && !errors.Is(err, ErrClosed) {
				s.log.Warn("local store: expiry failed, it is tried again", "tenant", t.tenant, "error", err)
			}
			if dropped > 0 {
				s.log.Info("local store: expired", "tenant", t.tenant, "buckets", dropped)
			}
		}
	}
}

// sweep deletes the expired buckets of a tenant, oldest first, and returns how
// many.
func (s *Store) sweep(t *Sink) (dropped int, err error) {
	cutoff := s.cutoff(t.ttl)
	if cutoff == math.MinInt64 {
		return 0, nil
	}
	o, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer o.users.Done()
	defer s.known.clear()
	for {
		select {
		case <-s.stop:
			return dropped, ErrClosed
		default:
		}
		bucket, found, err := oldest(o.db, t.tenant)
		if err != nil || !found || bucket >= cutoff {
			return dropped, wrap(err)
		}
		if err := s.drop(o, t.tenant, bucket); err != nil {
			return dropped, err
		}
		dropped++
	}
}

// oldest returns the first bucket in which the tenant has an event.
func oldest(db *pebble.DB, tenant string) (bucket int64, found bool, err error) {
	prefix := appendTenant(nil, tenant)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, false, err
	}
	if it.First() {
		bucket, _, found = cutInt(it.Key()[len(prefix):])
		if !found {
			err = fmt.Errorf("record %x: the key is not one of an event", it.Key())
		}
	}
	return bucket, found, errors.Join(err, it.Error(), it.Close())
}

// dropChunk is how many bucket records are deleted at once.
const dropChunk = 1000

// drop deletes a bucket: first the bucket records of its users, then all its
// events. In this order a failure in between leaves something for the next
// sweep to find, and an event that is written meanwhile is deleted, or has its
// bucket record, but never the one without the other.
func (s *Store) drop(o *opening, tenant string, bucket int64) error {
	prefix := appendInt(appendTenant(nil, tenant), bucket)
	it, err := o.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return wrap(err)
	}
	p := o.db.NewBatch()
	for ok := it.First(); ok && err == nil; {
		user, _, valid := cutText(it.Key()[len(prefix):])
		if !valid {
			err = fmt.Errorf("local: record %x: the key is not one of an event", it.Key())
			break
		}
		err = p.Delete(appendInt(appendBuckets(nil, tenant, user), bucket), nil)
		if err == nil && p.Count() >= dropChunk {
			err = s.sync(o, p)
			p = o.db.NewBatch()
		}
		ok = it.SeekGE(after(appendText(bytes.Clone(prefix), user))) // the next user
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		p.Close()
		return wrap(err)
	}
	if err := p.DeleteRange(prefix, after(prefix), nil); err != nil {
		p.Close()
		return wrap(err)
	}
	return s.sync(o, p)
}
