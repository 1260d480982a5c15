package sinktest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/event"
	"sluice/sinks"
)

const hour = int64(time.Hour / time.Millisecond)

// reader makes a sink that can be asked, or skips the row.
func (b *bench) reader(tenant string) (sinks.Sink, sinks.Reader) {
	b.Helper()
	s := b.sink(tenant)
	r, ok := s.(sinks.Reader)
	if !ok {
		b.Skip("the sink is not a sinks.Reader")
	}
	return s, r
}

// pages reads q to its end.
func (b *bench) pages(r sinks.Reader, q event.Query) []event.Event {
	b.Helper()
	var all []event.Event
	for pages := 1; ; pages++ {
		page, err := r.Read(b.within(b.h.Slow), q)
		if err != nil {
			b.Fatalf("Read of page %d of %+v: %v", pages, q, err)
		}
		if len(page.Events) > q.Limit {
			b.Fatalf("Read of %+v returned %d events, more than the limit", q, len(page.Events))
		}
		all = append(all, page.Events...)
		if page.Next == "" {
			return all
		}
		if pages > 10_000 {
			b.Fatalf("Read of %+v does not end", q)
		}
		q.Cursor = page.Next
	}
}

// answers fails the row unless q finds what a plain look through all events
// finds.
func (b *bench) answers(r sinks.Reader, q event.Query, all []event.Event) {
	b.Helper()
	var want []event.Event
	for _, e := range sorted(all) {
		if e.Tenant == q.Tenant && e.User == q.User && (q.From == 0 || e.TS >= q.From) &&
			(q.To == 0 || e.TS < q.To) && (q.Type == "" || e.Type == q.Type) {
			want = append(want, e)
		}
	}
	if q.Desc {
		slices.Reverse(want)
	}
	got := b.pages(r, q)
	for i := range min(len(got), len(want)) {
		if got[i].ID != want[i].ID || got[i].TS != want[i].TS {
			b.Errorf("Read of %+v: event %d is %s, want %s (%d events, want %d)",
				q, i, name(got[i]), name(want[i]), len(got), len(want))
			return
		}
		if d := difference(got[i], want[i]); d != "" {
			b.Errorf("Read of %+v: event %d (%s): %s", q, i, name(want[i]), d)
			return
		}
	}
	if len(got) != len(want) {
		b.Errorf("Read of %+v returned %d events, want %d", q, len(got), len(want))
	}
}

// spread writes events of two users over some days, two types, several a
// bucket, and returns them.
func (b *bench) spread(s sinks.Sink, tenant string) []event.Event {
	b.Helper()
	var all []event.Event
	for n := range 60 {
		for _, user := range []string{"u", "u2"} {
			ts := start - int64(60-n)*hour*2 + int64(n%7)
			if n%5 == 0 {
				ts = start - int64(60-n)*hour*2 // exactly where a bucket begins
			}
			e := madeAt(tenant, user, fmt.Sprintf("s-%03d", n), ts)
			e.Type = []string{"click", "view", "click.double"}[n%3]
			all = append(all, e)
		}
	}
	b.write(s, batches(s, all)...)
	return all
}

func readRanges(b *bench) {
	s, r := b.reader(tenant)
	all := b.spread(s, tenant)
	mine := slices.DeleteFunc(slices.Clone(all), func(e event.Event) bool { return e.User != "u" })
	first, middle, last := mine[0].TS, mine[30].TS, mine[len(mine)-1].TS
	for _, span := range [][2]int64{
		{0, 0}, {first, 0}, {0, last}, {first, last}, {first, last + 1}, {first + 1, last - 1},
		{middle, middle + 1}, {middle, middle}, {middle, middle - 1}, {middle + 1, middle + 2},
		{middle, middle + 5*hour}, {last + 1, 0}, {0, first}, {last, last + 1000*hour},
	} {
		for _, kind := range []string{"", "click", "none"} {
			for _, desc := range []bool{false, true} {
				b.answers(r, event.Query{
					Tenant: tenant, User: "u", From: span[0], To: span[1], Type: kind, Limit: 1000, Desc: desc,
				}, all)
			}
		}
	}
}

func readPages(b *bench) {
	s, r := b.reader(tenant)
	all := b.spread(s, tenant)
	for _, limit := range []int{1, 7, 59, 60, 61} {
		for _, kind := range []string{"", "view"} {
			for _, desc := range []bool{false, true} {
				q := event.Query{Tenant: tenant, User: "u", Type: kind, Limit: limit, Desc: desc}
				b.answers(r, q, all)
				q.From, q.To = all[10].TS, all[90].TS
				b.answers(r, q, all)
			}
		}
	}
	page, err := r.Read(b.within(b.h.Slow), event.Query{Tenant: tenant, User: "u", Limit: 60})
	if err != nil || len(page.Events) != 60 || page.Next != "" {
		b.Errorf("a page that holds the last event has %d events, next %q, error %v; want 60 and no next",
			len(page.Events), page.Next, err)
	}
}

func readTies(b *bench) {
	s, r := b.reader(tenant)
	var all []event.Event
	for _, id := range []string{"b", "a", "aa", "B", "a\x00", "a\x00b", "a\x01", "a\uffff", "ä", "0", "10", "9", "a b"} {
		all = append(all, madeAt(tenant, "u", id, start), madeAt(tenant, "u", id, start+1))
	}
	b.write(s, batches(s, all)...)
	for _, limit := range []int{1, 2, 100} {
		for _, desc := range []bool{false, true} {
			b.answers(r, event.Query{Tenant: tenant, User: "u", Limit: limit, Desc: desc}, all)
		}
	}
}

func readLongAgo(b *bench) {
	s, r := b.reader(tenant)
	all := series(tenant, "u", 0, 3)
	for _, year := range []int{1, 1953, 1970, 2001} {
		at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		all = append(all, madeAt(tenant, "u", fmt.Sprint("year-", year), at))
	}
	b.write(s, batches(s, all)...)
	for _, limit := range []int{1, 100} {
		for _, desc := range []bool{false, true} {
			b.answers(r, event.Query{Tenant: tenant, User: "u", Limit: limit, Desc: desc}, all)
			b.answers(r, event.Query{Tenant: tenant, User: "u", To: start, Limit: limit, Desc: desc}, all)
		}
	}
}

func readUnknownUser(b *bench) {
	s, r := b.reader(tenant)
	var all []event.Event
	for _, user := range []string{"ab", "ab\x00", "ab\x00c", "abc", "ab/", "ab%"} {
		all = append(all, series(tenant, user, 0, 3)...)
	}
	b.write(s, batches(s, all)...)
	for _, user := range []string{"a", "ab", "ab\x00", "ab\x00c", "abc", "abcd", "b", "\x00", "\U0010ffff", "ab/", "ab%"} {
		b.answers(r, event.Query{Tenant: tenant, User: user, Limit: 100}, all)
		b.answers(r, event.Query{Tenant: tenant, User: user, Limit: 1, Desc: true}, all)
	}
}

func readTenants(b *bench) {
	s1, r1 := b.reader("acme")
	s2, r2 := b.reader("acme-2")
	all := append(series("acme", "u", 0, 5), series("acme-2", "u", 3, 9)...)
	b.write(s1, batches(s1, all[:5])...)
	b.write(s2, batches(s2, all[5:])...)
	b.answers(r1, event.Query{Tenant: "acme", User: "u", Limit: 100}, all)
	b.answers(r2, event.Query{Tenant: "acme-2", User: "u", Limit: 100}, all)
}

func readBadCursor(b *bench) {
	s, r := b.reader(tenant)
	b.spread(s, tenant)
	q := event.Query{Tenant: tenant, User: "u", Limit: 5}
	page, err := r.Read(b.within(b.h.Slow), q)
	if err != nil || page.Next == "" {
		b.Fatalf("Read of %+v: next %q, error %v", q, page.Next, err)
	}
	desc, other, narrow := q, q, q
	desc.Desc, desc.Cursor = true, page.Next
	other.User, other.Cursor = "u2", page.Next
	narrow.From, narrow.Cursor = page.Events[4].TS+hour*20, page.Next
	for what, bad := range map[string]event.Query{
		"of the other order":         desc,
		"of another user":            other,
		"from before the range":      narrow,
		"of nothing":                 {Tenant: tenant, User: "u", Limit: 5, Cursor: "x"},
		"with something behind it":   {Tenant: tenant, User: "u", Limit: 5, Cursor: page.Next + "AAAA"},
		"cut short":                  {Tenant: tenant, User: "u", Limit: 5, Cursor: page.Next[:len(page.Next)/2]},
		"of bytes that are not text": {Tenant: tenant, User: "u", Limit: 5, Cursor: "\x00\uffff/../%"},
	} {
		if _, err := r.Read(b.within(b.h.Slow), bad); !errors.Is(err, event.ErrBadCursor) {
			b.Errorf("a cursor %s: %v, want event.ErrBadCursor", what, err)
		}
	}
}
