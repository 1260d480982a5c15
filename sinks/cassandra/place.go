package cassandra

import (
	"math"

	"sluice/event"
	"sluice/sinks"
)

// place is where an event of a user is in the order of (ts, id). No event has
// an empty id, so that {ts, ""} is right before all events of ts.
type place struct {
	ts int64
	id string
}

func (p place) before(q place) bool { return p.ts < q.ts || p.ts == q.ts && p.id < q.id }

// span is what is still to be read: the events between two places, both
// excluded.
type span struct{ low, high place }

// spanOf returns what q asks for, which begins behind the page before when q
// has a cursor. The error is event.ErrBadCursor.
func spanOf(q *event.Query) (span, error) {
	s := span{place{math.MinInt64, ""}, place{math.MaxInt64, ""}}
	if q.From != 0 {
		s.low.ts = q.From
	}
	if q.To != 0 {
		s.high.ts = q.To
	}
	if q.Cursor != "" {
		ts, id, err := sinks.AfterCursor(q)
		if err != nil {
			return span{}, err
		}
		s.from(place{ts, id}, q.Desc)
	}
	return s, nil
}

// from leaves out what comes before at, in the order of reading.
func (s *span) from(at place, desc bool) {
	if desc {
		s.high = at
	} else {
		s.low = at
	}
}

func (s span) empty() bool { return !s.low.before(s.high) }
