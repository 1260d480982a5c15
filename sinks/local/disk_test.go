package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sluice/event"
	"sluice/sinks"
)

// eventually polls until done, or fails with what.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 20 s", what)
		}
	}
}

func tryWrite(s sinks.Sink, d time.Duration, events ...event.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.Write(ctx, batchOf(events...))
}

// heavy returns an event of some size, to fill memtables with.
func heavy(n int) event.Event {
	e := numbered(n)
	noise := make([]byte, 20<<10) // does not compress
	r := rand.New(rand.NewPCG(uint64(n), 0))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	e.Data = noise
	return e
}

// TestNothingAcknowledgedIsLostWhateverFails lets one operation fail, the n-th
// of those that a rule selects, in the middle of writes from several
// goroutines that also cause flushes, compactions and new logs; then the disk
// is well again. Every acknowledged event is there, and the process too.
func TestNothingAcknowledgedIsLostWhateverFails(t *testing.T) {
	in := func(part string) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool { return changes(op) && strings.Contains(filepath.Base(op.Path), part) }
	}
	kind := func(k errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool { return op.Kind == k }
	}
	for _, tc := range []struct {
		name  string
		fails func(errorfs.Op) bool
		nth   []int64
		err   error
	}{
		{"the log", in(".log"), []int64{0, 3, 40}, syscall.ENOSPC},
		{"a sync of the log", func(op errorfs.Op) bool { return isSync(op) && in(".log")(op) }, []int64{0, 5, 15}, syscall.EIO},
		// Pebble makes a log of an old one where it can: how many it creates is chance.
		{"a new log", func(op errorfs.Op) bool {
			return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) && in(".log")(op)
		}, []int64{0, 1}, syscall.ENOSPC},
		{"the reuse of a log", kind(errorfs.OpReuseForWrite), []int64{0, 1}, syscall.EIO},
		{"the manifest", in("MANIFEST"), []int64{0, 1, 2}, syscall.ENOSPC},
		{"a table", in(".sst"), []int64{0, 1, 5}, syscall.ENOSPC},
		{"a sync of the directory", func(op errorfs.Op) bool { return isSync(op) && filepath.Base(op.Path) == "store" }, []int64{0, 1}, syscall.EIO},
		{"a removal", kind(errorfs.OpRemove), []int64{0, 1}, syscall.EIO},
	} {
		for _, nth := range tc.nth {
			t.Run(fmt.Sprintf("%s fails, operation %d", tc.name, nth), func(t *testing.T) {
				t.Parallel()
				failOnce(t, tc.fails, nth, tc.err)
			})
		}
	}
}

func failOnce(t *testing.T, fails func(errorfs.Op) bool, nth int64, with error) {
	d := &disk{}
	cfg := Config{Dir: filepath.Join(t.TempDir(), "store"), FS: d.fs(), MemTable: 256 << 10, MinFree: -1}
	s := openAt(t, cfg)
	sink := s.Tenant("acme", 0)
	var seen, hit atomic.Int64
	d.set(func(op errorfs.Op) error {
		// The disk is unwell for a few operations in a row.
		if fails(op) {
			if n := seen.Add(1) - 1; n >= nth && n < nth+3 {
				hit.Add(1)
				return with
			}
		}
		return nil
	})
	// Each writes some, and goes on until the disk has failed: when Pebble does
	// what is to fail depends on how its goroutines come along.
	const writers, each, most = 4, 25, 500
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 0; n < each || (hit.Load() == 0 && n < most); n++ {
				e := heavy(w*most + n)
				eventually(t, "a write", func() bool {
					err := tryWrite(sink, 5*time.Second, e)
					if sinks.IsPermanent(err) {
						t.Errorf("%v is permanent", err)
					}
					return err == nil
				})
				acknowledged.Add(1)
			}
		})
	}
	wg.Wait()
	eventually(t, "a passing probe", func() bool { return sink.Probe(t.Context()) == nil })
	check := func(s *Store) {
		t.Helper()
		if got := int64(len(stored(t, s, "acme"))); got != acknowledged.Load() {
			t.Errorf("%d events are stored of %d acknowledged ones", got, acknowledged.Load())
		}
	}
	check(s)
	d.set(nil)
	closeStore(t, s)
	check(openAt(t, cfg))
	if hit.Load() == 0 {
		t.Errorf("none of %d operations failed: the row tests nothing", seen.Load())
	}
}

func TestADiskThatIsNearlyFullIsSaid(t *testing.T) {
	s := openAt(t, Config{Dir: t.TempDir(), MinFree: 1 << 60})
	err := tryWrite(s.Tenant("acme", 0), time.Second, numbered(1))
	if err == nil || sinks.IsPermanent(err) || !strings.Contains(err.Error(), "are free") || !strings.Contains(err.Error(), "1099511627776 MiB are needed") {
		t.Errorf("Write: %v; want what is free and what is needed", err)
	}
	if err := s.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "nearly full") {
		t.Errorf("Probe: %v; want it to say that the disk is nearly full", err)
	}
}

func TestAHangingDiskHoldsNobodyUp(t *testing.T) {
	d := &disk{}
	s, err := Open(Config{Dir: t.TempDir(), FS: d.fs()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sink := s.Tenant("acme", 0)
	write(t, sink, numbered(0))
	release := make(chan struct{})
	d.set(func(op errorfs.Op) error {
		if isSync(op) {
			<-release
		}
		return nil
	})
	begun := time.Now()
	for n := range 3 {
		if err := tryWrite(sink, 50*time.Millisecond, numbered(1+n)); err == nil || sinks.IsPermanent(err) {
			t.Errorf("Write: %v; want a retryable error", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err == nil {
		t.Error("Close claims to have closed a store whose disk hangs")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	close(release)
	eventually(t, "the end of the store", func() bool {
		select {
		case <-s.closeDone:
			return true
		default:
			return false
		}
	})
}
