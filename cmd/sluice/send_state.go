package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	stateSuffix  = ".sluice-state"
	stateVersion = 1
)

// sendTrack knows which events of one input have their final result. Events are
// counted from 0 in the order they are read.
//
//	0 ──── final ────┬── final but for open ──┬── not read yet ──
//	                from                   at.Event
type sendTrack struct {
	mu       sync.Mutex
	at       startAt              // where the event begins that is read next
	open     map[uint64]*sendItem // read, and without a final result
	done     bool                 // all has been read
	seekable bool                 // reading can start in the middle

	notAccepted int64 // events whose final result is not accepted, of earlier runs too
	earlier     int64 // those of earlier runs

	// From the state of an earlier run; zero if there was none.
	wasRead   uint64 // events before this are final,
	wasOpen   ranges // but for these,
	wasDoubts ranges // of which these may have been stored
}

func newSendTrack() *sendTrack {
	return &sendTrack{open: map[uint64]*sendItem{}, at: startAt{Line: 1}}
}

// ranges are half-open intervals of events, ascending.
type ranges [][2]uint64

func (r ranges) has(n uint64) bool {
	i, found := slices.BinarySearchFunc(r, n, func(x [2]uint64, n uint64) int {
		switch {
		case n < x[0]:
			return 1
		case n >= x[1]:
			return -1
		}
		return 0
	})
	return found && i < len(r)
}

// rangesOf makes ranges of events, which it sorts.
func rangesOf(events []uint64) ranges {
	slices.Sort(events)
	r := ranges{}
	for _, n := range events {
		if len(r) > 0 && r[len(r)-1][1] == n {
			r[len(r)-1][1]++
		} else {
			r = append(r, [2]uint64{n, n + 1})
		}
	}
	return r
}

// final reports whether an earlier run had the final result of event n.
func (t *sendTrack) final(n uint64) bool { return n < t.wasRead && !t.wasOpen.has(n) }

// read says that the item was read, and where the next one begins; the item is
// open from now on.
func (t *sendTrack) read(item *sendItem, next startAt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[item.n] = item
	t.at = next
}

// opened says whether reading could start in the middle.
func (t *sendTrack) opened(seekable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seekable = seekable
}

// passed says that an event was read that is final already.
func (t *sendTrack) passed(next startAt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = next
}

// settle says that the item has its final result.
func (t *sendTrack) settle(item *sendItem, accepted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, item.n)
	if !accepted {
		t.notAccepted++
	}
}

// finish says that the input was read to its end.
func (t *sendTrack) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
}

// complete reports whether every event of the input has its final result.
func (t *sendTrack) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done && len(t.open) == 0
}

// savedFile is one input in a state file.
type savedFile struct {
	Path  string    `json:"path"`
	Size  int64     `json:"size"`
	MTime time.Time `json:"mtime"`
	Head  string    `json:"head"`

	Read        uint64  `json:"read"`         // events read
	Complete    bool    `json:"complete"`     // and there are no more
	From        startAt `json:"from"`         // the first that is not final
	Open        ranges  `json:"open"`         // of those read, not final
	InDoubt     ranges  `json:"in_doubt"`     // of those, sent without an id and without an answer
	NotAccepted int64   `json:"not_accepted"` // of those that are final
}

// savedState is a state file. docs/send.md describes it.
type savedState struct {
	Version     int         `json:"version"`
	Destination string      `json:"destination"`
	Options     string      `json:"options"` // what changes how events are counted or named
	Files       []savedFile `json:"files"`
}

// snapshot returns what there is to save of in.
func (in *sendInput) snapshot() savedFile {
	t := in.track
	t.mu.Lock()
	defer t.mu.Unlock()
	open := make([]uint64, 0, len(t.open))
	var doubts []uint64
	from := t.at
	for n, item := range t.open {
		open = append(open, n)
		if item.doubt {
			doubts = append(doubts, n)
		}
		if n < from.Event {
			from = item.start
		}
	}
	// What an earlier run left open and this one has not come to is open still.
	for _, r := range t.wasOpen {
		for n := max(r[0], t.at.Event); n < r[1]; n++ {
			open = append(open, n)
			if t.wasDoubts.has(n) {
				doubts = append(doubts, n)
			}
		}
	}
	if !t.seekable {
		from = startAt{Line: 1}
	}
	return savedFile{
		Path: in.path, Size: in.size, MTime: in.mtime, Head: in.head,
		Read: max(t.at.Event, t.wasRead), Complete: t.done && len(open) == 0, From: from,
		Open: rangesOf(open), InDoubt: rangesOf(doubts), NotAccepted: t.notAccepted,
	}
}

// sendStore is one state file, of one or more inputs.
type sendStore struct {
	path        string
	destination string
	options     string
	inputs      []*sendInput
	others      []savedFile // of inputs that are not sent now
	lock        *sendLock   // nil: it cannot be locked
	found       bool        // an earlier run has left it

	mu    sync.Mutex
	asked uint64 // changes that have to be saved
	saved uint64 // of those, saved
	saves sync.Mutex
}

// take locks the state file for this process; see takeLock for the errors.
func (s *sendStore) take(flock func(*os.File) error) (err error) {
	s.lock, err = takeLock(s.path+lockSuffix, flock)
	return err
}

// load takes what the state file knows, if there is one, into the inputs.
func (s *sendStore) load() error {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.found = true
	var state savedState
	if err := json.Unmarshal(b, &state); err != nil || state.Version != stateVersion {
		return fmt.Errorf("%s is not a state file of this version: remove it to send everything from the start", s.path)
	}
	if state.Destination != s.destination || state.Options != s.options {
		return fmt.Errorf("%s is of sending to %s with %s, and this is %s with %s: send with those, or remove it to send everything from the start",
			s.path, state.Destination, state.Options, s.destination, s.options)
	}
	for _, f := range state.Files {
		i := slices.IndexFunc(s.inputs, func(in *sendInput) bool { return in.path == f.Path })
		if i < 0 {
			s.others = append(s.others, f)
			continue
		}
		in := s.inputs[i]
		if in.size != f.Size || !in.mtime.Equal(f.MTime) || in.head != f.Head {
			return fmt.Errorf("%s was changed after a part of it was sent: remove %s to send everything from the start", in.name, s.path)
		}
		in.track.resume(f)
	}
	return nil
}

func (t *sendTrack) resume(f savedFile) {
	t.at = f.From
	t.wasRead, t.wasOpen, t.wasDoubts = f.Read, f.Open, f.InDoubt
	t.done = f.Complete
	t.notAccepted, t.earlier = f.NotAccepted, f.NotAccepted
}

// save writes the state as it is now: when it returns nil, it survives a crash
// of the machine. Of several calls at once, one does the work for all.
func (s *sendStore) save() error {
	s.mu.Lock()
	s.asked++
	mine := s.asked
	s.mu.Unlock()
	s.saves.Lock()
	defer s.saves.Unlock()
	s.mu.Lock()
	now, enough := s.asked, s.saved >= mine
	s.mu.Unlock()
	if enough {
		return nil
	}
	state := savedState{Version: stateVersion, Destination: s.destination, Options: s.options}
	state.Files = append(state.Files, s.others...)
	for _, in := range s.inputs {
		state.Files = append(state.Files, in.snapshot())
	}
	b, err := json.Marshal(state)
	if err == nil {
		err = replaceFile(s.path, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("the state cannot be saved: %w", err)
	}
	s.mu.Lock()
	s.saved = max(s.saved, now)
	s.mu.Unlock()
	return nil
}

// replaceFile writes a file so that after a crash it holds either what it held
// before or b.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// untouched reports whether not one event has a result or may be stored: then
// there is nothing to remember, and a state would only tie the inputs to a
// destination that may have been a mistake.
func (s *sendStore) untouched() bool {
	for _, in := range s.inputs {
		f := in.snapshot()
		open := uint64(0)
		for _, r := range f.Open {
			open += r[1] - r[0]
		}
		if f.Complete || open < f.Read || len(f.InDoubt) > 0 {
			return false
		}
	}
	return true
}

// remove takes the state away: there is nothing left to go on with. What it
// knows of inputs that were not sent this time stays.
func (s *sendStore) remove() error {
	if len(s.others) > 0 {
		return s.save()
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
