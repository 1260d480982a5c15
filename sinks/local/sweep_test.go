package local

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sluice/event"
)

func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	today := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	s := openAt(t, Config{Dir: t.TempDir(), Now: func() time.Time { return today }})
	short, long, never := s.Tenant("short", 2*day), s.Tenant("long", 5*day), s.Tenant("never", 0)
	for _, sink := range []*Sink{short, long, never} {
		for ago := range 10 {
			for user := range 3 {
				write(t, sink, event.Event{
					Tenant: sink.tenant, User: fmt.Sprint("u", user), ID: "e", Type: "t", Data: []byte(`{}`),
					TS: today.Add(-time.Duration(ago) * day).UnixMilli(),
				})
			}
		}
	}
	for _, tc := range []struct {
		sink    *Sink
		dropped int
	}{{short, 7}, {long, 4}, {never, 0}} {
		t.Run(tc.sink.tenant, func(t *testing.T) {
			// The bucket of two days ago ended at midnight, a day and a half ago.
			dropped, err := s.sweep(tc.sink)
			if err != nil || dropped != tc.dropped {
				t.Fatalf("%d buckets dropped, %v; want %d", dropped, err, tc.dropped)
			}
			if dropped, err := s.sweep(tc.sink); err != nil || dropped != 0 {
				t.Errorf("a second sweep dropped %d, %v; want none", dropped, err)
			}
			want := 10 - tc.dropped
			for user := range 3 {
				q := event.Query{Tenant: tc.sink.tenant, User: fmt.Sprint("u", user), Limit: 100}
				if got := read(t, tc.sink, q); len(got.Events) != want {
					t.Errorf("%s has %d events, want %d", q.User, len(got.Events), want)
				}
				if got := buckets(t, s, q.Tenant, q.User); got != want {
					t.Errorf("%s has %d bucket records, want %d", q.User, got, want)
				}
			}
		})
	}
	t.Run("an event of an expired bucket is stored, found, and expires", func(t *testing.T) {
		late := event.Event{Tenant: "short", User: "u0", ID: "late", Type: "t", TS: today.Add(-8 * day).UnixMilli(), Data: []byte(`{}`)}
		for range 2 {
			write(t, short, late)
			q := event.Query{Tenant: "short", User: "u0", Limit: 100}
			if got := read(t, short, q); len(got.Events) != 4 {
				t.Errorf("%d events, want 4", len(got.Events))
			}
			if dropped, err := s.sweep(short); err != nil || dropped != 1 {
				t.Errorf("%d buckets dropped, %v; want the late one's", dropped, err)
			}
			if got := read(t, short, q); len(got.Events) != 3 {
				t.Errorf("%d events, want 3", len(got.Events))
			}
		}
	})
}

// buckets counts the bucket records of a user.
func buckets(t *testing.T, s *Store, tenant, user string) int {
	t.Helper()
	it, err := s.cur.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	prefix, n := appendBuckets(nil, tenant, user), 0
	for ok := it.SeekGE(prefix); ok && len(it.Key()) == len(prefix)+8 && string(it.Key()[:len(prefix)]) == string(prefix); ok = it.Next() {
		n++
	}
	return n
}

func TestTheSweeperSweepsByItself(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC).UnixMilli())
	s := openAt(t, Config{
		Dir: t.TempDir(), Bucket: time.Hour, SweepEvery: time.Millisecond,
		Now: func() time.Time { return time.UnixMilli(now.Load()) },
	})
	sink := s.Tenant("acme", time.Hour)
	e := numbered(1)
	e.TS = now.Load()
	write(t, sink, e)
	if got := len(stored(t, s, "acme")); got != 1 {
		t.Fatalf("%d events, want 1", got)
	}
	now.Add(3 * time.Hour.Milliseconds())
	eventually(t, "expiry", func() bool { return len(stored(t, s, "acme")) == 0 })
}
