package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config says where a Store is and what it may use.
type Config struct {
	Dir string // made if it is not there; one process at a time

	// Bucket is the span of event time that expires as a whole. It is fixed when
	// the store is made. 0: 24 h. At least 1 ms, in whole ms.
	Bucket time.Duration

	// MinFree is the space on the disk, in bytes, below which nothing is written,
	// so that what is in memory can still be. 0: 64 MiB; negative: none.
	MinFree int64

	Cache    int64 // bytes of blocks kept in memory; 0: 32 MiB
	MemTable int   // bytes of one memtable, of which there are up to four; 0: 16 MiB

	// SweepEvery is how often expired buckets are looked for. 0: 5 min.
	SweepEvery time.Duration

	// For tests.
	FS  vfs.FS           // nil: the operating system's
	Now func() time.Time // nil: time.Now
}

const (
	defaultBucket     = 24 * time.Hour
	defaultMinFree    = 64 << 20
	defaultCache      = 32 << 20
	defaultMemTable   = 16 << 20
	defaultSweepEvery = 5 * time.Minute

	memTables = 4 // then writes wait for a flush

	// maxWrites bounds the batches that are being synced, those of callers who
	// have given up included.
	maxWrites = 256
)

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("local: no directory is given")
	}
	dir, err := filepath.Abs(c.Dir) // one name for one directory, or it could be locked twice
	if err != nil {
		return c, fmt.Errorf("local: %w", err)
	}
	c.Dir = dir
	if c.Bucket == 0 {
		c.Bucket = defaultBucket
	}
	if c.Bucket < time.Millisecond || c.Bucket%time.Millisecond != 0 {
		return c, fmt.Errorf("local: bucket is %v, want whole milliseconds, at least one", c.Bucket)
	}
	if c.MinFree == 0 {
		c.MinFree = defaultMinFree
	}
	if c.Cache <= 0 {
		c.Cache = defaultCache
	}
	if c.MemTable <= 0 {
		c.MemTable = defaultMemTable
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = defaultSweepEvery
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Store is the directory, open. It has two goroutines, the keeper and the
// sweeper, which end with Close.
//
// States: open -(its fence shuts)-> down -(the disk is back)-> open; any -Close-> closed.
type Store struct {
	cfg    Config
	width  int64 // of a bucket, ms
	log    *slog.Logger
	lock   io.Closer
	slots  chan struct{} // one per batch that is being synced
	known  *known
	expiry expiry

	stop      chan struct{} // closed by Close
	wg        sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
	closeDone chan struct{}

	mu     sync.RWMutex
	cur    *opening // nil while down or closed
	why    error    // why cur is nil
	closed bool
}

// ErrClosed is what a Store answers after Close.
var ErrClosed = errors.New("local: the store is closed")

// Open opens or makes the store in cfg.Dir. It fails when the directory cannot
// be used, is used by another process, or holds something else.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.FS.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("local: make the directory of the store: %w", err)
	}
	lock, err := lockDir(cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, width: cfg.Bucket.Milliseconds(), log: log.With("dir", cfg.Dir), lock: lock,
		slots: make(chan struct{}, maxWrites), known: newKnown(),
		stop: make(chan struct{}), closeDone: make(chan struct{}),
	}
	o, err := s.open()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.cur = o
	s.wg.Go(func() { s.keep(o) })
	s.wg.Go(s.sweeper)
	return s, nil
}

func lockDir(cfg Config) (io.Closer, error) {
	name := filepath.Join(cfg.Dir, "LOCK")
	lock, err := cfg.FS.Lock(name)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), err.Error() == "lock held by current process":
		return nil, fmt.Errorf("local: the store in %s is in use already, by another process or this one: %w", cfg.Dir, err)
	}
	return nil, fmt.Errorf("local: lock the store in %s: %w", cfg.Dir, err)
}

// enter returns the opening to work with; the caller calls its users.Done.
func (s *Store) enter() (*opening, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cur == nil {
		return nil, s.why
	}
	if err := s.cur.fence.failure(); err != nil {
		return nil, s.down(err)
	}
	s.cur.users.Add(1)
	return s.cur, nil
}

func (s *Store) down(cause error) error {
	return fmt.Errorf("local: the store in %s cannot write and is being reopened: %w", s.cfg.Dir, cause)
}

// swap puts an opening, or why there is none, in the place of another. It does
// nothing, and says so, when that is not there any more: the Store is closed.
func (s *Store) swap(from, to *opening, why error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.cur != from {
		return false
	}
	s.cur, s.why = to, why
	return true
}

// space refuses when less than MinFree would be left after need bytes.
func (s *Store) space(need int) error {
	if s.cfg.MinFree < 0 {
		return nil
	}
	usage, err := s.cfg.FS.GetDiskUsage(s.cfg.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("local: the free space of %s is not known: %w", s.cfg.Dir, err)
	}
	if want := uint64(s.cfg.MinFree) + uint64(need); usage.AvailBytes < want {
		return fmt.Errorf("local: the disk of %s is nearly full: %s are free, %s are needed",
			s.cfg.Dir, size(usage.AvailBytes), size(want))
	}
	return nil
}

func size(n uint64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// Close ends the Store: what is being written gets until ctx is over, and then
// fails. It may be called again.
func (s *Store) Close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		go func() {
			defer close(s.closeDone)
			s.closeErr = s.close(ctx)
		}()
	})
	select {
	case <-s.closeDone:
		return s.closeErr
	case <-ctx.Done():
	}
	// The fence is shut by now, and Pebble ends soon.
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-s.closeDone:
		return s.closeErr
	case <-t.C:
		return fmt.Errorf("local: the store in %s does not close: %w", s.cfg.Dir, ctx.Err())
	}
}

func (s *Store) close(ctx context.Context) error {
	s.mu.Lock()
	o := s.cur
	s.cur, s.why, s.closed = nil, ErrClosed, true
	s.mu.Unlock()
	close(s.stop)
	var err error
	if o != nil {
		// Should ctx end first, all that is being waited for fails.
		cut := context.AfterFunc(ctx, func() { o.fence.fail(context.Cause(ctx)) })
		o.users.Wait()
		err = wrap(closeDB(o.db))
		cut()
		if failure := o.fence.failure(); failure != nil {
			err = fmt.Errorf("local: the store in %s was cut off: %w", s.cfg.Dir, failure)
		}
	}
	s.wg.Wait()
	return errors.Join(err, s.lock.Close())
}
