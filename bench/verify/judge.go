package verify

import (
	"fmt"
	"strings"
	"sync"

	"sluice/bench/ledger"
	"sluice/bench/result"
)

// maxExamples is how many ids are named of each kind of fault.
const maxExamples = 5

// What is known of an event.
const (
	seen    = 1 << iota
	doubled // seen again
	passed  // a later one of the same user and connection was seen
)

// judge holds what is read against the ledger. It takes a byte an event, and four
// more where order is judged. It may be used by several goroutines.
type judge struct {
	ledger *ledger.Ledger

	mu       sync.Mutex
	state    [][]uint8 // by connection and number
	previous [][]int32 // the accepted event before it of the same user and connection, -1: none; nil: order is not judged
	found    result.Verified
	examples [4][]string // lost, doubled, out of order, unasked
}

// newJudge returns a judge of one run. ordered says whether see is called in the
// order in which each user's events were stored.
func newJudge(l *ledger.Ledger, sink string, ordered bool) *judge {
	j := &judge{ledger: l, state: make([][]uint8, len(l.Conns)), found: result.Verified{Sink: sink}}
	if ordered {
		j.previous = make([][]int32, len(l.Conns))
	}
	last := map[uint32]int32{}
	for c, entries := range l.Conns {
		j.state[c] = make([]uint8, len(entries))
		if !ordered {
			continue
		}
		clear(last)
		j.previous[c] = make([]int32, len(entries))
		for n, e := range entries {
			j.previous[c][n] = -1
			if e.Outcome != ledger.Accepted {
				continue
			}
			if p, ok := last[e.User]; ok {
				j.previous[c][n] = p
			}
			last[e.User] = int32(n)
		}
	}
	return j
}

// see takes the id of an event that is in the sink. Ids of others than this run
// are nothing to it.
func (j *judge) see(id string) {
	c, n, ok := j.ledger.Parse(id)
	if !ok && !strings.HasPrefix(id, j.ledger.Run+"-") {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !ok {
		j.found.Unasked++
		j.example(3, "%.80q is in the sink, and was never sent", id)
		return
	}
	e, state := j.ledger.Conns[c][n], &j.state[c][n]
	if *state&seen != 0 {
		if *state&doubled == 0 {
			*state |= doubled
			j.found.Duplicate++
			j.example(1, "%s of %s is in the sink more than once", id, ledger.UserName(e.User))
		}
		return
	}
	*state |= seen
	j.found.Found++
	switch {
	case !e.Outcome.Stored():
		j.found.Unasked++
		j.example(3, "%s of %s is in the sink, and its outcome was: %s", id, ledger.UserName(e.User), e.Outcome)
	case e.Outcome == ledger.Accepted && j.previous != nil:
		j.order(c, n)
	}
}

// order finds out whether the n-th event of a connection is behind a later one,
// and tells those before it that it was there. Invariant: what stands before a
// passed event in its chain is passed too; so each is passed once, and the walk
// ends at the first that is.
func (j *judge) order(c, n int) {
	state, previous := j.state[c], j.previous[c]
	if state[n]&passed != 0 {
		j.found.OutOfOrder++
		j.example(2, "%s of %s is behind a later one of its user", j.ledger.ID(c, n), ledger.UserName(j.ledger.Conns[c][n].User))
	}
	for p := previous[n]; p >= 0 && state[p]&passed == 0; p = previous[p] {
		state[p] |= passed
	}
}

func (j *judge) example(kind int, format string, args ...any) {
	if len(j.examples[kind]) < maxExamples {
		j.examples[kind] = append(j.examples[kind], fmt.Sprintf(format, args...))
	}
}

// verdict says what reading everything came to.
func (j *judge) verdict() *result.Verified {
	j.mu.Lock()
	defer j.mu.Unlock()
	for c, entries := range j.ledger.Conns {
		for n, e := range entries {
			if e.Outcome.Stored() && j.state[c][n]&seen == 0 {
				j.found.Lost++
				j.example(0, "%s of %s is lost: its outcome was %s", j.ledger.ID(c, n), ledger.UserName(e.User), e.Outcome)
			}
		}
	}
	v := j.found
	for _, some := range j.examples {
		v.Examples = append(v.Examples, some...)
	}
	return &v
}
