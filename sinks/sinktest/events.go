package sinktest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/event"
	"sluice/sinks"
)

// start is the event time of the first event of a row: recent, so that no
// store's retention takes it away, and on a full hour, so that rows know where
// buckets begin.
var start = time.Now().Add(-2 * time.Hour).Truncate(time.Hour).UnixMilli()

// made returns the n-th event of a user: n ms after start.
func made(tenant, user string, n int) event.Event {
	return madeAt(tenant, user, fmt.Sprintf("e-%06d", n), start+int64(n))
}

// madeAt returns an event of a given id and time.
func madeAt(tenant, user, id string, ts int64) event.Event {
	return event.Event{
		Tenant: tenant, User: user, ID: id, Type: "click", TS: ts,
		Received: start*1000 + 7,
		Data:     fmt.Appendf(nil, `{"id":%q,"user":%q,"type":"click","ts":%d}`, id, user, ts),
	}
}

// series returns events from to to-1 of a user.
func series(tenant, user string, from, to int) []event.Event {
	var es []event.Event
	for n := from; n < to; n++ {
		es = append(es, made(tenant, user, n))
	}
	return es
}

// batches groups events by the sink's key, as batchers do, in order.
func batches(s sinks.Sink, events []event.Event) []*sinks.Batch {
	var all []*sinks.Batch
	byKey := map[sinks.Partition]*sinks.Batch{}
	for _, e := range events {
		p := s.Partition(&e)
		b := byKey[p]
		if b == nil {
			b = &sinks.Batch{Partition: p}
			byKey[p] = b
			all = append(all, b)
		}
		b.Events = append(b.Events, e)
	}
	return all
}

// only returns the one batch of events that must have one key.
func (b *bench) only(s sinks.Sink, events ...event.Event) *sinks.Batch {
	b.Helper()
	all := batches(s, events)
	if len(all) != 1 {
		b.Fatalf("Partition put %d events of one user, all within %d ms, under %d keys; want one",
			len(events), events[len(events)-1].TS-events[0].TS, len(all))
	}
	return all[0]
}

// outcomes spreads what Write returned over the events of the batch.
func outcomes(b *sinks.Batch, err error) []error {
	all := make([]error, len(b.Events))
	var partial *sinks.PartialError
	if errors.As(err, &partial) {
		for i, e := range partial.Failed {
			if i < 0 || i >= len(all) {
				return []error{fmt.Errorf("PartialError names event %d of a batch of %d", i, len(all))}
			}
			all[i] = e
		}
		return all
	}
	for i := range all {
		all[i] = err
	}
	return all
}

// holds fails the row unless the tenant's events are exactly want, each once,
// and each user's in the order of want (ByWrite) or of their time (ByTime).
func (b *bench) holds(tenant string, want []event.Event) {
	b.Helper()
	got := b.ReadBack(b.T, tenant)
	if !b.sameEvents(got, want) {
		return
	}
	gotOf, wantOf := idsByUser(got), idsByUser(want)
	if b.h.Order == ByTime {
		wantOf = idsByUser(sorted(want))
	}
	for user, ids := range wantOf {
		if i := firstDifference(gotOf[user], ids); i >= 0 {
			b.Errorf("user %s: event %d in the store's order is %s, want %s\n got %s\nwant %s",
				short(user), i, gotOf[user][i], ids[i], list(gotOf[user]), list(ids))
		}
	}
}

// sameEvents compares regardless of order and says what is missing, there
// twice, unknown or changed.
func (b *bench) sameEvents(got, want []event.Event) bool {
	b.Helper()
	type key struct {
		user, id string
		ts       int64
	}
	seen := map[key][]event.Event{}
	for _, e := range got {
		k := key{e.User, e.ID, e.TS}
		seen[k] = append(seen[k], e)
	}
	var faults []string
	for _, w := range want {
		k := key{w.User, w.ID, w.TS}
		found := seen[k]
		delete(seen, k)
		switch {
		case len(found) == 0:
			faults = append(faults, "missing: "+name(w))
		case len(found) > 1:
			faults = append(faults, fmt.Sprintf("stored %d times: %s", len(found), name(w)))
		default:
			if d := difference(found[0], w); d != "" {
				faults = append(faults, "changed: "+name(w)+": "+d)
			}
		}
	}
	for _, left := range seen {
		faults = append(faults, "never written: "+name(left[0]))
	}
	if len(faults) == 0 {
		return true
	}
	const most = 10
	more := ""
	if len(faults) > most {
		more = fmt.Sprintf("\n  … and %d more", len(faults)-most)
		faults = faults[:most]
	}
	b.Errorf("the store holds %d events, want %d:\n  %s%s", len(got), len(want), strings.Join(faults, "\n  "), more)
	return false
}

// difference says in which field got is not want, empty if in none.
func difference(got, want event.Event) string {
	switch {
	case got.Tenant != want.Tenant:
		return fmt.Sprintf("tenant %q, want %q", got.Tenant, want.Tenant)
	case got.User != want.User:
		return fmt.Sprintf("user %q, want %q", got.User, want.User)
	case got.ID != want.ID:
		return fmt.Sprintf("id %q, want %q", got.ID, want.ID)
	case got.Type != want.Type:
		return fmt.Sprintf("type %q, want %q", got.Type, want.Type)
	case got.TS != want.TS:
		return fmt.Sprintf("ts %d, want %d", got.TS, want.TS)
	case got.Received != want.Received:
		return fmt.Sprintf("received %d µs, want %d", got.Received, want.Received)
	case !bytes.Equal(got.Data, want.Data):
		i := 0
		for i < len(got.Data) && i < len(want.Data) && got.Data[i] == want.Data[i] {
			i++
		}
		return fmt.Sprintf("data of %d bytes, want %d, differ at byte %d: %q, want %q",
			len(got.Data), len(want.Data), i, window(got.Data, i), window(want.Data, i))
	}
	return ""
}

// sorted returns the events by (TS, ID).
func sorted(events []event.Event) []event.Event {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b event.Event) int {
		return cmp.Or(cmp.Compare(a.TS, b.TS), cmp.Compare(a.ID, b.ID))
	})
	return events
}

func idsByUser(events []event.Event) map[string][]string {
	m := map[string][]string{}
	for _, e := range events {
		m[e.User] = append(m[e.User], e.ID)
	}
	return m
}

func firstDifference(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func describe(b *sinks.Batch) string {
	if len(b.Events) == 0 {
		return "empty"
	}
	return fmt.Sprintf("%d events, lane %d, first %s", len(b.Events), b.Partition.Lane, name(b.Events[0]))
}

func name(e event.Event) string {
	return fmt.Sprintf("user %s id %s ts %d", short(e.User), short(e.ID), e.TS)
}

func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q… (%d bytes)", s[:40], len(s))
	}
	return fmt.Sprintf("%q", s)
}

func list(ids []string) string {
	if len(ids) > 30 {
		return fmt.Sprintf("%s … (%d)", strings.Join(ids[:30], " "), len(ids))
	}
	return strings.Join(ids, " ")
}

func window(b []byte, at int) []byte { return b[max(0, at-10):min(len(b), at+20)] }
