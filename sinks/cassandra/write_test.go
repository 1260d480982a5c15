package cassandra

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gocql/gocql"
	"pgregory.net/rapid"

	"sluice/event"
	"sluice/sinks"
)

// server is a fake of what is behind a writer.
type server struct {
	mu     sync.Mutex
	refuse map[int]bool // rows that are never good
	away   map[int]bool // rows whose request fails, for now
	stored []int        // in the order in which they became visible
	sent   int          // requests
	now    int          // requests under way, and the most there were
	most   int
}

var errAway = errors.New("away")

func (s *server) send(rows []insert, these []int) error {
	s.mu.Lock()
	s.sent++
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	for _, i := range these {
		if s.away[i] {
			return errAway
		}
	}
	for _, i := range these {
		if s.refuse[i] {
			return requestError{gocql.ErrCodeInvalid, "no"}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, these...)
	return nil
}

func (s *server) writer(limit int) *writer {
	return &writer{limit, s.send, func(err error) error { return err }, sinks.Permanent}
}

// outcome spells the outcomes: . stored, ! refused for good, ? failed, b behind
// one that failed.
func outcome(errs []error) string {
	var b strings.Builder
	for _, err := range errs {
		switch {
		case err == nil:
			b.WriteByte('.')
		case sinks.IsPermanent(err):
			b.WriteByte('!')
		case errors.Is(err, errBehind):
			b.WriteByte('b')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func these(rows ...int) map[int]bool {
	m := map[int]bool{}
	for _, i := range rows {
		m[i] = true
	}
	return m
}

func TestWriter(t *testing.T) {
	for _, tc := range []struct {
		name, rows   string // four rows fill a batch
		refuse, away map[int]bool
		want         string
		sent         int
	}{
		{"all is well", "a1 a1 b1 a1 c1 c2", nil, nil, "......", 3},
		{"a refused row is found, and alone", "a1 a1 a1 a1", these(2), nil, "..!.", 5},
		{"all rows may be refused", "a1 b1", these(0, 1), nil, "!!", 3},
		{"a row that is refused holds nobody up", "a1 a1 a1 a1 a1", these(3), nil, "...!.", 6},
		{"a batch that fails holds up its users' later ones", "a1 a1 a1 a1 a1 b2", nil, these(0), "????b.", 2},
		{"and those behind them", "a1 a1 a1 a1 a2 a3", nil, these(0), "????bb", 1},
		{"a failure while looking for a refused row holds up the rest", "a1 a1 a1 a1", these(0), these(), "!...", 5},
		{"too large a row is not even sent", fmt.Sprintf("a1 a1:%d a1", maxRowBytes+1), nil, nil, ".!.", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &server{refuse: tc.refuse, away: tc.away}
			got := outcome(s.writer(40).write(rowsOf(tc.rows)))
			if got != tc.want || s.sent != tc.sent {
				t.Errorf("%s with %d requests, want %s with %d", got, s.sent, tc.want, tc.sent)
			}
		})
	}
}

// TestAFailureInTheSearchHoldsUpTheRest: the batch is refused, then its first
// half fails.
func TestAFailureInTheSearchHoldsUpTheRest(t *testing.T) {
	s := &server{}
	w := s.writer(100)
	w.send = func(rows []insert, these []int) error {
		if len(these) == 4 {
			return requestError{gocql.ErrCodeInvalid, "no"}
		}
		return errAway
	}
	if got := outcome(w.write(rowsOf("a1 a1 a1 a1"))); got != "??bb" {
		t.Errorf("%s, want ??bb", got)
	}
}

// TestWriterHolds: whatever fails, nobody's row is stored while an earlier one of
// the same user is still to come, and each row has the outcome that is its due.
func TestWriterHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		rows := make([]insert, n)
		s := &server{refuse: map[int]bool{}, away: map[int]bool{}}
		for i := range rows {
			rows[i] = insert{
				user: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user"),
				in:   placeOf{bucket: rapid.Int64Range(0, 2).Draw(t, "bucket")},
				size: 10,
			}
			switch rapid.IntRange(0, 12).Draw(t, "fate") {
			case 0:
				s.refuse[i] = true
			case 1:
				s.away[i] = true
			}
		}
		errs := s.writer(rapid.IntRange(10, 100).Draw(t, "limit")).write(rows)

		if s.most > maxParallel {
			t.Fatalf("%d requests at once, want at most %d", s.most, maxParallel)
		}
		last := map[string]int{}
		for _, i := range s.stored {
			if before, ok := last[rows[i].user]; ok && before > i {
				t.Fatalf("row %d of %s became visible after row %d", i, rows[i].user, before)
			}
			last[rows[i].user] = i
		}
		toCome := map[string]int{}
		for i, err := range errs {
			stored := slices.Contains(s.stored, i)
			switch {
			case stored != (err == nil):
				t.Fatalf("row %d: %v, stored %v", i, err, stored)
			case sinks.IsPermanent(err) && !s.refuse[i]:
				t.Fatalf("row %d failed for good without a reason", i)
			}
			if before, ok := toCome[rows[i].user]; ok && stored {
				t.Fatalf("row %d of %s is stored, and row %d is not", i, rows[i].user, before)
			}
			if err != nil && !sinks.IsPermanent(err) {
				toCome[rows[i].user] = i
			}
		}
	})
}

func TestSum(t *testing.T) {
	bad, gone := sinks.Permanent(errors.New("bad")), errors.New("gone")
	for _, tc := range []struct {
		name string
		errs []error
		want string
	}{
		{"all stored is nil", []error{nil, nil}, "nil"},
		{"some failed is partial", []error{nil, gone}, "partial 1"},
		{"all failed for one cause is that", []error{errBehind, gone}, "gone"},
		{"all refused names each", []error{bad, bad}, "partial 2"},
		{"some refused, the others failed, names each", []error{bad, gone}, "partial 2"},
		{"a single refused event is refused", []error{bad}, "bad"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := "nil"
			err := sum(tc.errs)
			var partial *sinks.PartialError
			if errors.As(err, &partial) {
				got = fmt.Sprint("partial ", len(partial.Failed))
			} else if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// TestRowsBehindTheIndex: an event to which the index does not lead is not
// written, and neither are those behind it, if it may come yet.
func TestRowsBehindTheIndex(t *testing.T) {
	cfg := Config{}.withDefaults()
	tenant := &Tenant{cluster: &Cluster{cfg: cfg, layout: cfg.layout(), cql: cfg.statements()}, name: "acme"}
	events := []event.Event{{User: "a"}, {User: "b"}, {User: "a"}, {User: "b"}, {User: "c"}}
	errs := []error{errAway, sinks.Permanent(errAway), nil, nil, nil}
	rows, these := tenant.rows(events, errs)
	if got := outcome(errs); got != "?!b.." || !slices.Equal(these, []int{3, 4}) || len(rows) != 2 {
		t.Errorf("%s, rows %v", got, these)
	}
}

// FuzzSpan: whatever a cursor says, what is left to read is within the query.
func FuzzSpan(f *testing.F) {
	q := event.Query{Tenant: "acme", User: "u", Limit: 1}
	f.Add(int64(0), int64(0), false, "")
	f.Add(int64(5), int64(9), true, sinks.NextCursor(&q, &event.Event{TS: 7, ID: "e"}))
	f.Fuzz(func(t *testing.T, from, to int64, desc bool, cursor string) {
		q := event.Query{Tenant: "acme", User: "u", From: from, To: to, Desc: desc, Limit: 1}
		whole, err := spanOf(&q)
		if err != nil {
			t.Fatal(err)
		}
		q.Cursor = cursor
		rest, err := spanOf(&q)
		if err != nil {
			if !errors.Is(err, event.ErrBadCursor) {
				t.Fatalf("%v, want event.ErrBadCursor", err)
			}
			return
		}
		if rest.low.before(whole.low) || whole.high.before(rest.high) {
			t.Errorf("%+v is left of %+v", rest, whole)
		}
	})
}
