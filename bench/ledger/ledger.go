// Package ledger is what the load generator remembers of the events that it sent:
// whose each was and what became of it. Reading back from a sink is checked
// against it.
package ledger

import (
	"strconv"
	"strings"
)

// Outcome is what the sender of an event was told of it.
type Outcome uint8

// The outcomes of an event.
const (
	Unsent    Outcome = iota // it never left
	Accepted                 // answered as accepted: it has to be in the sink
	Duplicate                // answered as stored before, after it was sent again: it has to be in the sink
	Rejected                 // answered as invalid: it must not be in the sink
	Failed                   // answered as failed, one by one: it may be in the sink
	Refused                  // its whole request was refused: it must not be in the sink
	Unknown                  // there was no answer: it may be in the sink
)

var names = [...]string{"unsent", "accepted", "duplicate", "rejected", "failed", "refused", "unknown"}

// String returns the outcome in one word.
func (o Outcome) String() string {
	if int(o) < len(names) {
		return names[o]
	}
	return "outcome " + strconv.Itoa(int(o))
}

// Stored reports whether the sender may rely on the event being in the sink.
func (o Outcome) Stored() bool { return o == Accepted || o == Duplicate }

// Entry is one event. It takes eight bytes.
type Entry struct {
	User    uint32
	Outcome Outcome
}

// Ledger is every event of one run. Conns[c][n] is the n-th event of connection c,
// in the order of sending; its id is ID(c, n) and its user UserName(User). An event
// that was sent again under the id of an earlier one, on purpose, has no entry of
// its own.
//
// While a run goes on, Conns[c] belongs to connection c.
type Ledger struct {
	Run   string // a short name of the run, without a dash
	Conns [][]Entry
}

// ID returns the id of the n-th event of a connection: run-connection-n, both
// numbers decimal.
func (l *Ledger) ID(conn, n int) string {
	return string(AppendID(nil, l.Run, conn, n))
}

// AppendID appends the id of the n-th event of a connection.
func AppendID(dst []byte, run string, conn, n int) []byte {
	dst = append(dst, run...)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, int64(conn), 10)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, int64(n), 10)
}

// Parse takes an id apart. It reports false for an id that is not of this run, or
// of no event that this run has sent.
func (l *Ledger) Parse(id string) (conn, n int, ok bool) {
	run, rest, ok := strings.Cut(id, "-")
	if !ok || run != l.Run {
		return 0, 0, false
	}
	first, second, ok := strings.Cut(rest, "-")
	if !ok {
		return 0, 0, false
	}
	if conn, ok = number(first); !ok || conn >= len(l.Conns) {
		return 0, 0, false
	}
	if n, ok = number(second); !ok || n >= len(l.Conns[conn]) {
		return 0, 0, false
	}
	return conn, n, true
}

// number reads a decimal number as AppendID writes it.
func number(s string) (int, bool) {
	if s == "" || len(s) > 1 && s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// UserName returns the name of a user in events: u and its number.
func UserName(user uint32) string { return "u" + strconv.FormatUint(uint64(user), 10) }

// Count returns how many events had each outcome.
func (l *Ledger) Count() map[Outcome]uint64 {
	counts := map[Outcome]uint64{}
	for _, entries := range l.Conns {
		for _, e := range entries {
			counts[e.Outcome]++
		}
	}
	return counts
}
