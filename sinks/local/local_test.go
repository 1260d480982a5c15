package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/sinktest"
)

func TestMain(m *testing.M) {
	if dir := getenvChild(); dir != "" {
		childWrites(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// disk is a file system that fails on demand. The zero value does not.
type disk struct {
	mu    sync.Mutex
	fault func(op errorfs.Op) error
}

func (d *disk) set(fault func(op errorfs.Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

func (d *disk) MaybeError(op errorfs.Op) error {
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(op)
}

func (d *disk) String() string { return "disk" }

func (d *disk) fs() vfs.FS { return errorfs.Wrap(vfs.Default, d) }

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// changes tells what a disk that fails refuses. Preallocation does not count,
// nor do closing and removing, which need no space.
func changes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpFileWrite, errorfs.OpFileWriteAt:
		return true
	}
	return isSync(op)
}

func openAt(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg, slog.New(slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// stored looks at every event of the tenant past the sink's own way of reading.
func stored(t *testing.T, s *Store, tenant string) []event.Event {
	t.Helper()
	o, err := s.enter()
	if err != nil {
		t.Fatal(err)
	}
	defer o.users.Done()
	it, err := o.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var events []event.Event
	for ok := it.First(); ok; ok = it.Next() {
		if it.Key()[0] != kindEvent {
			continue
		}
		e, err := readEvent(it.Key(), it.Value())
		if err != nil {
			t.Fatal(err)
		}
		if e.Tenant == tenant {
			events = append(events, e)
		}
	}
	if err := it.Error(); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestContract(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		Order: sinktest.ByTime,
		Open: func(t *testing.T) sinktest.Place {
			d := &disk{}
			s := openAt(t, Config{Dir: t.TempDir(), FS: d.fs(), Bucket: time.Hour, MemTable: 1 << 20})
			after := func(n int, broken func(errorfs.Op) bool) func(errorfs.Op) error {
				var left atomic.Int64
				left.Store(int64(n))
				return func(op errorfs.Op) error {
					if broken(op) && left.Add(-1) < 0 {
						return syscall.EIO
					}
					return nil
				}
			}
			return sinktest.Place{
				Sink:     func(_ *testing.T, tenant string) sinks.Sink { return s.Tenant(tenant, 0) },
				ReadBack: func(t *testing.T, tenant string) []event.Event { return stored(t, s, tenant) },
				Faults: sinktest.Faults{
					Gone: func(*testing.T) { d.set(after(0, changes)) },
					// What was written is there, but nobody says so.
					Mute:     func(*testing.T) { d.set(after(0, isSync)) },
					CutAfter: func(_ *testing.T, n int) { d.set(after(n/300, changes)) },
					Back:     func(*testing.T) { d.set(nil) },
				},
			}
		},
	})
}

func numbered(n int) event.Event {
	return event.Event{
		Tenant: "acme", User: fmt.Sprint("user-", n%7), ID: fmt.Sprint("e-", n), Type: "t",
		TS: 1_700_000_000_000 + int64(n), Received: 42, Data: fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func batchOf(events ...event.Event) *sinks.Batch { return &sinks.Batch{Events: events} }

func write(t testing.TB, s sinks.Sink, events ...event.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Write(ctx, batchOf(events...)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s sinks.Reader, q event.Query) event.Page {
	t.Helper()
	page, err := s.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestEventsAreThereAfterARestart(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openAt(t, cfg)
	for n := range 20 {
		write(t, s.Tenant("acme", 0), numbered(n))
	}
	closeStore(t, s)
	if got := len(stored(t, openAt(t, cfg), "acme")); got != 20 {
		t.Errorf("%d events after a restart, want 20", got)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := openAt(t, Config{Dir: t.TempDir()})
	sink := s.Tenant("acme", 0)
	closeStore(t, s)
	if err := sink.Write(t.Context(), batchOf(numbered(1))); !errors.Is(err, ErrClosed) || sinks.IsPermanent(err) {
		t.Errorf("Write: %v, want ErrClosed, retryable", err)
	}
	if _, err := sink.Read(t.Context(), event.Query{Tenant: "acme", User: "u", Limit: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: %v, want ErrClosed", err)
	}
	if err := sink.Probe(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Probe: %v, want ErrClosed", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir string) Config
		want string
	}{
		{"no directory", func(t *testing.T, dir string) Config { return Config{} }, "no directory"},
		{"a bucket that is no whole number of milliseconds", func(t *testing.T, dir string) Config {
			return Config{Dir: dir, Bucket: time.Microsecond}
		}, "whole milliseconds"},
		{"a directory that is a file", func(t *testing.T, dir string) Config {
			name := filepath.Join(dir, "file")
			f, err := vfs.Default.Create(name, "test")
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			return Config{Dir: filepath.Join(name, "store")}
		}, "not a directory"},
		{"a directory that is in use", func(t *testing.T, dir string) Config {
			openAt(t, Config{Dir: dir})
			return Config{Dir: dir + "/../" + filepath.Base(dir)}
		}, "in use already"},
		{"another width of buckets than it was made with", func(t *testing.T, dir string) Config {
			closeStore(t, openAt(t, Config{Dir: dir, Bucket: time.Hour}))
			return Config{Dir: dir, Bucket: 2 * time.Hour}
		}, "made with bucket: 1h0m0s, not 2h0m0s"},
		{"a format of the future", func(t *testing.T, dir string) Config {
			s := openAt(t, Config{Dir: dir})
			if err := s.cur.db.Set(metaFormat, []byte("2"), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			return Config{Dir: dir}
		}, `format "2"`},
		{"somebody else's Pebble store", func(t *testing.T, dir string) Config {
			db, err := pebble.Open(dir, &pebble.Options{Logger: pebbleLog{log: slog.New(slog.DiscardHandler)}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set([]byte("k"), []byte("v"), pebble.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
			return Config{Dir: dir}
		}, "not sluice's"},
		{"a disk that fails from the beginning", func(t *testing.T, dir string) Config {
			d := &disk{}
			d.set(func(op errorfs.Op) error {
				if changes(op) {
					return syscall.ENOSPC
				}
				return nil
			})
			return Config{Dir: dir, FS: d.fs()}
		}, "no space left"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := tc.make(t, t.TempDir())
			s, err := Open(cfg, nil)
			if err == nil {
				closeStore(t, s)
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("it says %q, want something with %q", err, tc.want)
			}
		})
	}
}

func TestDamagedRecordsFailTheReadThatMeetsThem(t *testing.T) {
	for _, tc := range []struct {
		name string
		harm func(v []byte) []byte
	}{
		{"a flipped bit of the data", func(v []byte) []byte { v[len(v)-2] ^= 1; return v }},
		{"a flipped bit of the header", func(v []byte) []byte { v[7] ^= 1; return v }},
		{"a flipped bit of the CRC", func(v []byte) []byte { v[2] ^= 1; return v }},
		{"a shorter value", func(v []byte) []byte { return v[:len(v)-1] }},
		{"a value without a header", func(v []byte) []byte { return v[:3] }},
		{"an empty value", func(v []byte) []byte { return nil }},
		{"another version", func(v []byte) []byte { v[0] = 9; return v }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openAt(t, Config{Dir: t.TempDir()})
			sink, e := s.Tenant("acme", 0), numbered(7)
			write(t, sink, e, numbered(14))
			key := appendEvent(nil, bucketOf(e.TS, s.width), &e)
			value, err := get(s.cur.db, key)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.cur.db.Set(key, tc.harm([]byte(value)), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			_, err = sink.Read(t.Context(), event.Query{Tenant: "acme", User: e.User, Limit: 10})
			if !IsDamage(err) || !strings.Contains(err.Error(), e.ID) || !strings.Contains(err.Error(), e.User) {
				t.Errorf("Read: %v; want a damaged record, named", err)
			}
		})
	}
	t.Run("a record under another's key", func(t *testing.T) {
		s := openAt(t, Config{Dir: t.TempDir()})
		sink, e := s.Tenant("acme", 0), numbered(7)
		write(t, sink, e)
		key := appendEvent(nil, bucketOf(e.TS, s.width), &e)
		value, err := get(s.cur.db, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.cur.db.Set(append(key, 'x'), []byte(value), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Read(t.Context(), event.Query{Tenant: "acme", User: e.User, Limit: 10}); !IsDamage(err) {
			t.Errorf("Read: %v; want a damaged record", err)
		}
	})
}

func TestAPageIsBoundedInBytes(t *testing.T) {
	s := openAt(t, Config{Dir: t.TempDir()})
	sink := s.Tenant("acme", 0)
	big := make([]byte, pageBytes/4)
	for n := range 10 {
		e := numbered(n)
		e.User, e.Data = "u", big
		write(t, sink, e)
	}
	q := event.Query{Tenant: "acme", User: "u", Limit: 1000}
	var got int
	for pages := 0; pages == 0 || q.Cursor != ""; pages++ {
		page := read(t, sink, q)
		if n := len(page.Events) * len(big); n > pageBytes {
			t.Errorf("a page has %d bytes, want at most %d", n, pageBytes)
		}
		got += len(page.Events)
		q.Cursor = page.Next
	}
	if got != 10 {
		t.Errorf("%d events in all pages, want 10", got)
	}
}

// TestARangeVisitsOnlyItsUser: what a Read looks at depends on what it returns,
// not on what others have stored.
func TestARangeVisitsOnlyItsUser(t *testing.T) {
	s := openAt(t, Config{Dir: t.TempDir(), Bucket: time.Hour})
	sink := s.Tenant("acme", 0)
	var others []event.Event
	for n := range 2000 {
		e := numbered(n)
		e.TS += int64(n) * 3_600_000 // a bucket each
		others = append(others, e)
	}
	write(t, sink, others...)
	mine := numbered(0)
	mine.User, mine.TS = "me", others[1500].TS
	write(t, sink, mine)
	o, err := s.enter()
	if err != nil {
		t.Fatal(err)
	}
	defer o.users.Done()
	for _, desc := range []bool{false, true} {
		q := event.Query{Tenant: "acme", User: "me", Limit: 10, Desc: desc}
		r := &scan{ctx: t.Context(), q: &q, o: o, width: s.width, first: others[0].TS, last: others[1999].TS}
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
		if r.rows != 1 || r.seeks != 1 || len(r.page.Events) != 1 {
			t.Errorf("the read took %d seeks and %d rows for %d events, want one each", r.seeks, r.rows, len(r.page.Events))
		}
	}
}

func TestBucketsForgottenAreWrittenAgain(t *testing.T) {
	s := openAt(t, Config{Dir: t.TempDir(), Bucket: time.Millisecond})
	sink := s.Tenant("acme", 0)
	write(t, sink, numbered(1), numbered(8))
	s.known.clear()
	write(t, sink, numbered(15))
	if got := read(t, sink, event.Query{Tenant: "acme", User: "user-1", Limit: 10}); len(got.Events) != 3 {
		t.Errorf("%d events, want 3", len(got.Events))
	}
	k := newKnown()
	for n := range 3 * knownSize {
		k.add([]bucketKey{{uint64(n), 0}})
	}
	if n := len(k.young) + len(k.old); n > 2*knownSize {
		t.Errorf("%d buckets are remembered, want at most %d", n, 2*knownSize)
	}
	if k.has(bucketKey{0, 0}) || !k.has(bucketKey{3*knownSize - 1, 0}) {
		t.Error("the oldest should be forgotten and the newest known")
	}
}

var _ io.Writer = testLog{}
