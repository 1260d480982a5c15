package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/term"
	"golang.org/x/time/rate"

	"sluice/event"
)

// maxHeld is how many bytes of events are in memory at once, besides what one
// reader and the requests' bodies take.
const maxHeld = 64 << 20

// errInterrupted is why sending stopped at the user's wish.
var errInterrupted = errors.New("interrupted")

// sendItem is one event on its way.
type sendItem struct {
	in     *sendInput
	n      uint64  // which event of the input, from 0
	start  startAt // where it begins
	data   []byte
	format event.Format
	id     string // empty: it has none that counts
	weight int64  // of maxHeld

	sent  bool // at least once
	doubt bool // sent without an id, and the answer is not known; under the track's mutex
}

// sender sends inputs. One goroutine reads; every lane sends one request at a
// time, and a user's events always go the same lane, so that they keep their
// order.
//
//	inputs ─▶ read ─▶ lane (by user) ─▶ batch ─▶ POST ─▶ results ─▶ track ─▶ state
//
// It ends when everything has its result, or by stop: no request begins after
// that, and those under way are waited for.
type sender struct {
	cmd    sendCmd
	std    stdio    // Err may be written to by many at once
	tty    *os.File // the error stream, if it is a terminal that a bar is wanted on
	target *url.URL
	key    string
	fields event.Fields
	parser *event.Parser // of the reading goroutine
	inputs []*sendInput
	stores []*sendStore
	flock  func(*os.File) error // locks one of their locks
	client *http.Client
	coding string // of requests
	limit  *rate.Limiter
	held   *semaphore.Weighted
	lanes  []chan *sendItem
	seed   maphash.Seed
	report *sendReport
	runID  [16]byte // names events of an input that has no identity

	stopping chan struct{} // closed by stop
	stopOnce sync.Once
	cause    error // why, once stopping is closed
}

func newSender(c sendCmd, std stdio, target *url.URL, key string, f event.Fields, p *event.Parser, inputs []*sendInput) *sender {
	s := &sender{
		cmd: c, std: std, target: target, key: key, fields: f, parser: p, inputs: inputs,
		coding: c.compression(target), limit: rate.NewLimiter(rate.Inf, 0), seed: maphash.MakeSeed(),
		held: semaphore.NewWeighted(maxHeld), flock: flock, stopping: make(chan struct{}),
	}
	rand.Read(s.runID[:]) // never fails
	if f, ok := std.Err.(*os.File); ok && !c.Quiet && term.IsTerminal(int(f.Fd())) {
		s.tty = f
	}
	s.std.Err = &lockedWriter{w: std.Err}
	if c.Rate > 0 {
		s.limit = rate.NewLimiter(rate.Limit(c.Rate), c.Batch)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Concurrency
	transport.DisableCompression = true
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for range c.Concurrency {
		s.lanes = append(s.lanes, make(chan *sendItem, c.Batch))
	}
	for _, in := range inputs {
		in.track = newSendTrack()
	}
	s.stores = s.statesOf(inputs)
	return s
}

// statesOf returns the state files there are to be: none for what cannot be
// read twice.
func (s *sender) statesOf(inputs []*sendInput) []*sendStore {
	var stores []*sendStore
	seen := map[string]bool{}
	for _, in := range inputs {
		if !in.regular || s.cmd.State == "off" || seen[in.path] {
			continue
		}
		seen[in.path] = true
		if s.cmd.State != "" && len(stores) > 0 {
			stores[0].inputs = append(stores[0].inputs, in)
			continue
		}
		path := s.cmd.State
		if path == "" {
			path = in.path + stateSuffix
		}
		stores = append(stores, &sendStore{
			path: path, destination: destination(s.target, s.key), inputs: []*sendInput{in},
			options: fmt.Sprintf("--format=%s --max-event=%d --id-pointer=%s --assign-ids=%t",
				s.cmd.Format, s.cmd.MaxEvent, s.cmd.IDPointer, s.cmd.AssignIDs),
		})
	}
	return stores
}

// stop makes the sender end early. The first call counts.
func (s *sender) stop(cause error) {
	s.stopOnce.Do(func() {
		s.cause = cause
		close(s.stopping)
	})
}

func (s *sender) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// run sends everything. When ctx is over, requests under way are cut.
func (s *sender) run(ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	defer giveBack(s.stores) // those that turn out to be of no use as well
	if err := s.beginStates(); err != nil {
		return err
	}
	var err error
	if s.report, err = newSendReport(s); err != nil {
		return err
	}
	background, over := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	helpers.Go(func() { s.report.progress(background) })
	helpers.Go(func() { s.keepStates(background) })

	var lanes sync.WaitGroup
	for _, ch := range s.lanes {
		lanes.Go(func() { newSendLane(s, ch).run(ctx) })
	}
	reading, stopReading := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.stopping:
		case <-reading.Done():
		}
		stopReading()
	}()
	s.readAll(reading)
	stopReading()
	for _, ch := range s.lanes {
		close(ch)
	}
	lanes.Wait()
	over()
	helpers.Wait()
	return s.finish()
}

// beginStates locks the state files, takes up what earlier runs have left in
// them, and writes them once, to see whether that works. That has to work only
// for one that was asked for, or that is there already: sending on without it
// would send twice what it goes on from.
func (s *sender) beginStates() error {
	broken := map[*sendStore]error{}
	for _, store := range s.stores {
		err := store.take(s.flock)
		var locked *lockedError
		switch {
		case errors.As(err, &locked):
			return err
		case errors.Is(err, errors.ErrUnsupported):
			fmt.Fprintf(s.std.Err, "%v: sending the same file from two processes at once would not be noticed\n", err)
		case err != nil:
			broken[store] = err
		}
		if err := store.load(); err != nil {
			return err
		}
	}
	var kept []*sendStore
	for _, store := range s.stores {
		err := broken[store]
		if err == nil {
			err = store.save()
		}
		switch {
		case err == nil:
			kept = append(kept, store)
			for _, in := range store.inputs {
				in.store = store
			}
		case s.cmd.State != "" || store.found:
			return err
		default:
			fmt.Fprintf(s.std.Err, "%v: sending can not be resumed. Use --state to put it elsewhere.\n", err)
		}
	}
	s.stores = kept
	return nil
}

// giveBack lets other processes have the state files.
func giveBack(stores []*sendStore) {
	for _, store := range stores {
		if store.lock != nil {
			store.lock.release()
		}
	}
}

// keepStates saves the states every second until ctx is over.
func (s *sender) keepStates(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.saveStates(); err != nil {
			s.stop(err)
			return
		}
	}
}

func (s *sender) saveStates() error {
	var errs []error
	for _, store := range s.stores {
		errs = append(errs, store.save())
	}
	return errors.Join(errs...)
}
