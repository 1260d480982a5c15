package cassandra

import (
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"sluice/event"
	"sluice/sinks"
)

const (
	// periodBuckets is the length of a period of the index, in buckets. An index
	// partition then is at most about twice as large as a partition of events, and
	// a year of hourly buckets is 365 periods. Part of the disk format.
	periodBuckets = 24

	// userLanes is the number of lanes with partition_by: user, where a batch is
	// small and many have to be under way at once. Not part of the disk format.
	userLanes = 256
)

// layout says where an event goes. All of it is part of the disk format.
type layout struct {
	byUser bool
	bucket int64 // ms
	shards uint64
}

func (c Config) layout() layout {
	return layout{byUser: c.PartitionBy == ByUser, bucket: c.Bucket.Milliseconds(), shards: uint64(c.Shards)}
}

// comment is what the events table says of its layout. A table that says
// anything else is not this one.
func (l layout) comment() string {
	by := ByShard
	if l.byUser {
		by = ByUser
	}
	return fmt.Sprintf("sluice events, layout 1: partition_by=%s bucket=%ds shards=%d periods=%d",
		by, l.bucket/1000, l.shards, periodBuckets)
}

// cut returns the largest multiple of width that is not above ts, both in ms.
// The few first ms that int64 can hold belong to a bucket that begins with it.
func cut(ts, width int64) int64 {
	rest := ts % width
	if rest < 0 {
		rest += width
	}
	if ts < math.MinInt64+rest {
		return math.MinInt64
	}
	return ts - rest
}

// bucketOf returns where the bucket of event time ts begins, in ms.
func (l layout) bucketOf(ts int64) int64 { return cut(ts, l.bucket) }

// periodOf returns where the period of a bucket begins, in ms.
func (l layout) periodOf(bucket int64) int64 { return cut(bucket, l.bucket*periodBuckets) }

// shardOf returns a user's shard.
func (l layout) shardOf(user string) int { return int(xxhash.Sum64String(user) % l.shards) }

// partition implements sinks.Sink's Partition. Keys of distinct partitions are
// distinct by shard, and collide by user as seldom as 64-bit hashes do.
func (l layout) partition(e *event.Event) sinks.Partition {
	hash := xxhash.Sum64String(e.User)
	number := uint64(l.bucketOf(e.TS) / l.bucket)
	if l.byUser {
		return sinks.Partition{Lane: uint32(hash % userLanes), Key: mix(hash ^ mix(number))}
	}
	shard := hash % l.shards
	return sinks.Partition{Lane: uint32(shard), Key: mix(number*l.shards + shard)}
}

// mix is the finalizer of MurmurHash3: a bijection that spreads neighbours.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// window returns the compaction window, as TimeWindowCompactionStrategy counts
// it. Windows are of the time of receipt. One should cover a bucket, so that a
// partition is in few files; 30 within the ttl are what Cassandra's authors
// advise; and without a ttl every window leaves a file for good, so they are
// weeks.
func (c Config) window() (size int, unit string) {
	w := max(c.Bucket, c.TTL/30)
	if c.TTL == 0 {
		w = max(c.Bucket, 7*24*time.Hour)
	}
	switch {
	case w < time.Hour:
		return ceil(w, time.Minute), "MINUTES"
	case w < 24*time.Hour:
		return ceil(w, time.Hour), "HOURS"
	}
	return ceil(w, 24*time.Hour), "DAYS"
}

func ceil(d, unit time.Duration) int { return int((d + unit - 1) / unit) }

// ttlSeconds rounds up: an event is kept at least as long as was asked.
func ttlSeconds(d time.Duration) int { return ceil(d, time.Second) }
