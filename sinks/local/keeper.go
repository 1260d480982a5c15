package local

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// keep waits for the fence of the opening to shut, and then for the disk.
func (s *Store) keep(o *opening) {
	for {
		select {
		case <-s.stop:
			return
		case <-o.fence.shut:
		}
		cause := s.down(o.fence.failure())
		if !s.swap(o, nil, cause) {
			return
		}
		s.log.Error("local store: writing failed; it takes no events until it is open again", "error", cause)
		s.retire(o)
		if o = s.reopen(); o == nil {
			return
		}
		if !s.swap(nil, o, nil) {
			s.retire(o)
			return
		}
		s.log.Info("local store: open again")
	}
}

// retirePatience is how long an opening whose fence is shut gets to end. If
// Pebble holds a lock for ever it is left behind: it can change nothing.
const retirePatience = 10 * time.Second

func (s *Store) retire(o *opening) {
	o.fence.fail(ErrClosed)
	o.fence.settle()
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.users.Wait()
		if err := closeDB(o.db); err != nil {
			s.log.Debug("local store: closing after a failure", "error", err)
		}
	}()
	t := time.NewTimer(retirePatience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		s.log.Warn("local store: what failed does not end and is left behind")
	}
}

// closeDB closes the DB; a Pebble that finds itself in disorder panics.
func closeDB(db *pebble.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("local: close panicked: %v", r)
		}
	}()
	return db.Close()
}

// reopen tries until it succeeds or the Store is closed (nil).
func (s *Store) reopen() *opening {
	const first, last = 50 * time.Millisecond, 2 * time.Second
	for wait := first; ; wait = min(2*wait, last) {
		t := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-s.stop:
			t.Stop()
			return nil
		case <-t.C:
		}
		err := s.space(0)
		if err == nil {
			var o *opening
			if o, err = s.open(); err == nil {
				return o
			}
		}
		s.swap(nil, nil, s.down(err))
	}
}
