package local

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// opening is one opening of the Pebble store, from pebble.Open to Close.
type opening struct {
	db    *pebble.DB
	fence *fence
	users sync.WaitGroup // calls that are using db

	mu         sync.Mutex
	background error // why the last flush or compaction failed; nil when one has succeeded since
}

// open makes an opening and checks that it holds what it should.
func (s *Store) open() (_ *opening, err error) {
	o := &opening{fence: newFence(s.cfg.FS)}
	cache := pebble.NewCache(s.cfg.Cache)
	defer cache.Unref() // the DB has its own reference
	o.db, err = openDB(s.cfg.Dir, s.options(o, cache))
	if err == nil {
		err = s.checkFormat(o.db)
	}
	if shut := o.fence.failure(); shut != nil {
		err = shut // what came after it is its consequence
	}
	if err != nil {
		if o.db != nil {
			_ = closeDB(o.db)
		}
		return nil, fmt.Errorf("local: open the store in %s: %w", s.cfg.Dir, err)
	}
	return o, nil
}

// openDB is pebble.Open; a Pebble that finds itself in disorder panics.
func openDB(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble panicked: %v", r)
		}
	}()
	return pebble.Open(dir, opts)
}

func (s *Store) options(o *opening, cache *pebble.Cache) *pebble.Options {
	return &pebble.Options{
		FS:                          o.fence,
		Cache:                       cache,
		MemTableSize:                uint64(s.cfg.MemTable),
		MemTableStopWritesThreshold: memTables,
		// Sync chunks let recovery tell a torn tail of the log from damage.
		FormatMajorVersion: pebble.FormatWALSyncChunks,
		Logger:             pebbleLog{log: s.log, fence: o.fence},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { o.setBackground(err) },
			FlushEnd: func(i pebble.FlushInfo) {
				if i.Err == nil {
					o.setBackground(nil)
				}
			},
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				s.log.Error("the local store is damaged", "what", i.String())
			},
		},
	}
}

func (o *opening) setBackground(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.background = err
}

func (o *opening) backgroundError() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.background
}

// pebbleLog is Pebble's logger. Fatalf, which must not return a working store
// to Pebble and must not end the process, shuts the fence.
type pebbleLog struct {
	log   *slog.Logger
	fence *fence
}

func (pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn("local store: " + fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	if l.fence.failure() == nil {
		l.log.Error("local store: " + fmt.Sprintf(format, args...))
	}
	l.fence.fail(fmt.Errorf(format, args...))
}

// The records of kindMeta.
var (
	metaFormat = []byte("\x00format")
	metaBucket = []byte("\x00bucket")
	metaProbe  = []byte("\x00probe")
)

const format = "1"

// checkFormat refuses a store that this version would misread, and marks a new
// one.
func (s *Store) checkFormat(db *pebble.DB) error {
	got, err := get(db, metaFormat)
	switch {
	case err == nil && got != format:
		return fmt.Errorf("it has format %q, and this version of sluice reads format %s", got, format)
	case errors.Is(err, pebble.ErrNotFound):
		return s.markFormat(db)
	case err != nil:
		return err
	}
	got, err = get(db, metaBucket)
	if err != nil {
		return fmt.Errorf("read its bucket width: %w", err)
	}
	if ms, err := strconv.ParseInt(got, 10, 64); err != nil || ms != s.width {
		return fmt.Errorf("it was made with bucket: %v, not %v: keep that, or use another directory",
			time.Duration(ms)*time.Millisecond, s.cfg.Bucket)
	}
	return nil
}

func (s *Store) markFormat(db *pebble.DB) error {
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	empty := !it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if !empty {
		return errors.New("it holds a Pebble store that is not sluice's")
	}
	b := db.NewBatch()
	defer b.Close()
	width := strconv.AppendInt(nil, s.width, 10)
	return errors.Join(b.Set(metaFormat, []byte(format), nil), b.Set(metaBucket, width, nil), b.Commit(pebble.Sync))
}

func get(db *pebble.DB, key []byte) (string, error) {
	v, closer, err := db.Get(key)
	if err != nil {
		return "", err
	}
	defer closer.Close()
	return string(v), nil
}
