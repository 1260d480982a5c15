package cassandra

import (
	"fmt"
	"math"
	"testing"
	"time"

	"sluice/event"
)

// TestShards pins the hash by its published vectors (xxHash64, seed 0: "" is
// ef46db3751d8e999, "a" d24ec4f1a98c6e5b, "abc" 44bc2cf5ad770999): another one
// would lose sight of everything that is stored.
func TestShards(t *testing.T) {
	for _, tc := range []struct {
		user   string
		shards int
		want   int
	}{
		{"", 16, 0x9}, {"a", 16, 0xb}, {"abc", 16, 0x9},
		{"", 256, 0x99}, {"a", 256, 0x5b}, {"abc", 1 << 16, 0x0999},
		{"abc", 1, 0}, {"abc", 10, 0x44bc2cf5ad770999 % 10},
	} {
		l := Config{Shards: tc.shards}.withDefaults().layout()
		if got := l.shardOf(tc.user); got != tc.want {
			t.Errorf("user %q of %d shards: %d, want %d", tc.user, tc.shards, got, tc.want)
		}
	}
}

func TestBuckets(t *testing.T) {
	ms := func(s string) int64 {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	for _, tc := range []struct {
		name, ts             string
		bucket               time.Duration
		wantBucket, wantTime string
	}{
		{"an hour begins a bucket of an hour", "2013-01-01T05:00:00Z", time.Hour, "2013-01-01T05:00:00Z", "2013-01-01T00:00:00Z"},
		{"its last millisecond is in it", "2013-01-01T05:59:59.999Z", time.Hour, "2013-01-01T05:00:00Z", "2013-01-01T00:00:00Z"},
		{"24 hours are a period", "2013-01-01T23:59:59.999Z", time.Hour, "2013-01-01T23:00:00Z", "2013-01-01T00:00:00Z"},
		{"a day is a day in UTC", "2013-12-31T23:30:00-05:00", 24 * time.Hour, "2014-01-01T00:00:00Z", "2013-12-17T00:00:00Z"},
		{"before 1970 time is cut down, not towards 1970", "1969-12-31T23:59:59.999Z", time.Hour, "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"},
		{"a bucket of the year 1", "0001-01-01T00:00:00Z", time.Hour, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"seven days, from the Thursday of 1970", "2013-01-01T00:00:00Z", 7 * 24 * time.Hour, "2012-12-27T00:00:00Z", "2012-10-11T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := Config{Bucket: tc.bucket}.withDefaults().layout()
			bucket := l.bucketOf(ms(tc.ts))
			if bucket != ms(tc.wantBucket) {
				t.Errorf("bucket %v, want %s", time.UnixMilli(bucket).UTC(), tc.wantBucket)
			}
			if period := l.periodOf(bucket); period != ms(tc.wantTime) {
				t.Errorf("period %v, want %s", time.UnixMilli(period).UTC(), tc.wantTime)
			}
		})
	}
}

func TestCutHoldsAtTheEndsOfTime(t *testing.T) {
	for _, width := range []int64{1, 7, 60_000, 3_600_000, maxBucket.Milliseconds() * periodBuckets} {
		for _, ts := range []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt64 + width, -width, -1, 0, 1, width, math.MaxInt64} {
			got := cut(ts, width)
			if got > ts || uint64(ts)-uint64(got) >= uint64(width) || got != math.MinInt64 && got%width != 0 {
				t.Errorf("cut(%d, %d) = %d", ts, width, got)
			}
		}
	}
}

func TestPartition(t *testing.T) {
	hour := time.Hour.Milliseconds()
	at := func(user string, ts int64) event.Event { return event.Event{User: user, TS: ts} }
	byShard, byUser := Config{}.withDefaults().layout(), Config{PartitionBy: ByUser}.withDefaults().layout()

	// Every pair of one user's bucket and another's: one key means one partition.
	keys, parts := map[uint64]string{}, map[string]bool{}
	userKeys := map[uint64]string{}
	for user := range 50 {
		for b := range 50 {
			e := at(fmt.Sprint("user-", user), int64(b-25)*hour+int64(user))
			p := byShard.partition(&e)
			if want := byShard.shardOf(e.User); p.Lane != uint32(want) {
				t.Fatalf("lane %d, want the shard %d", p.Lane, want)
			}
			part := fmt.Sprint(byShard.bucketOf(e.TS), "/", byShard.shardOf(e.User))
			if other, ok := keys[p.Key]; ok && other != part {
				t.Fatalf("partitions %s and %s have one key", part, other)
			}
			keys[p.Key], parts[part] = part, true

			p = byUser.partition(&e)
			part = fmt.Sprint(e.User, "/", b)
			if other, ok := userKeys[p.Key]; ok {
				t.Fatalf("partitions %s and %s have one key", part, other)
			}
			userKeys[p.Key] = part
			if p.Lane >= userLanes {
				t.Fatalf("lane %d of %d", p.Lane, userLanes)
			}
		}
	}
	if len(keys) != len(parts) {
		t.Errorf("%d partitions have %d keys", len(parts), len(keys))
	}
}

func TestWindow(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name        string
		bucket, ttl time.Duration
		size        int
		unit        string
	}{
		{"without a ttl, a week", time.Hour, 0, 7, "DAYS"},
		{"without a ttl, a bucket where that is longer", 30 * day, 0, 30, "DAYS"},
		{"a thirtieth of the ttl", time.Hour, 30 * day, 1, "DAYS"},
		{"a year", time.Hour, 365 * day, 13, "DAYS"},
		{"a week, in hours, rounded up", time.Hour, 7 * day, 6, "HOURS"},
		{"never shorter than a bucket", day, day, 1, "DAYS"},
		{"minutes", 5 * time.Minute, 3 * time.Hour, 6, "MINUTES"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			size, unit := Config{Bucket: tc.bucket, TTL: tc.ttl}.window()
			if size != tc.size || unit != tc.unit {
				t.Errorf("%d %s, want %d %s", size, unit, tc.size, tc.unit)
			}
		})
	}
}

func BenchmarkPartition(b *testing.B) {
	l := Config{}.withDefaults().layout()
	e := event.Event{User: "N14228", TS: 1357034400000}
	b.ReportAllocs()
	for b.Loop() {
		l.partition(&e)
	}
}
