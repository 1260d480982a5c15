package cassandra

import (
	"fmt"
	"testing"
	"time"

	"sluice/event"
)

const hourMS = int64(time.Hour / time.Millisecond)

func testIndex(ttl time.Duration) *index {
	cfg := Config{}.withDefaults()
	return newIndex("acme", ttl, &Cluster{layout: cfg.layout(), cql: cfg.statements()})
}

func eventsOf(at ...int64) []event.Event {
	var events []event.Event
	for _, hour := range at {
		events = append(events, event.Event{User: "u", TS: hour * hourMS})
	}
	return events
}

// write marks as written what is missing, and returns how many rows that were.
func (x *index) pretend(generation uint64, events []event.Event) int {
	_, says := x.missing(events, generation)
	for _, row := range says {
		x.wrote(row, generation)
	}
	return len(says)
}

func TestIndexIsWrittenOnce(t *testing.T) {
	x := testIndex(0)
	for i, tc := range []struct {
		name       string
		generation uint64
		hours      []int64
		want       int
	}{
		{"a bucket and its period", 1, []int64{0, 0, 0}, 2},
		{"both are remembered", 1, []int64{0}, 0},
		{"another bucket of the period", 1, []int64{1, 0, 1}, 1},
		{"another period", 1, []int64{24, 25, 24}, 3},
		{"after the tables may have changed, all again", 2, []int64{0, 1, 24}, 5},
	} {
		if got := x.pretend(tc.generation, eventsOf(tc.hours...)); got != tc.want {
			t.Errorf("%d, %s: %d rows, want %d", i, tc.name, got, tc.want)
		}
	}
}

func TestIndexRowsOutliveTheEvents(t *testing.T) {
	const ttl = time.Hour
	x := testIndex(ttl)
	start := time.Unix(1_000_000, 0)
	now := start
	x.now = func() time.Time { return now }
	// An event a minute: each must expire before the index row that leads to it.
	var rowExpires time.Time
	for range 3 * 24 * 60 {
		if rows, _ := x.missing(eventsOf(0), 1); len(rows) > 0 {
			x.pretend(1, eventsOf(0))
			rowExpires = now.Add(time.Duration(x.ttl) * time.Second)
		}
		if eventExpires := now.Add(ttl); !rowExpires.After(eventExpires) {
			t.Fatalf("an event written %v after the start expires at %v, its index row at %v", now.Sub(start), eventExpires, rowExpires)
		}
		now = now.Add(time.Minute)
	}
}

func TestIndexMemoryIsBounded(t *testing.T) {
	x := testIndex(0)
	x.most = 1000
	hot := event.Event{User: "hot"}
	x.pretend(1, []event.Event{hot})
	for n := range 3 * x.most {
		x.wrote(indexed{fmt.Sprint(n), 0}, 1)
		if n%100 == 0 && x.pretend(1, []event.Event{hot}) != 0 {
			t.Fatalf("what is asked for again and again was forgotten after %d others", n)
		}
	}
	if got := len(x.young) + len(x.old); got > x.most {
		t.Errorf("remembers %d rows, want at most %d", got, x.most)
	}
	if x.known(indexed{"0", 0}, 1) {
		t.Error("remembers the oldest row of all")
	}
}
