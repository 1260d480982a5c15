package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks"
)

func storedUnchanged(b *bench) {
	s := b.sink(tenant)
	longest := madeAt(tenant, strings.Repeat("u", 256), strings.Repeat("i", 128), start)
	longest.Type = strings.Repeat("t", 128)
	unicode := madeAt(tenant, "Zoë-\u202e用户🛰", "идентификатор-🧭", start+1)
	unicode.Type = "størrelse.målt"
	odd := madeAt(tenant, "nul\x00slash/percent%00\U0010ffff", "a\x00\x00b\x01\uffff", start+2)
	odd.Type = "\x00"
	shapes := []event.Event{longest, unicode, odd}
	for i, data := range []string{
		`{"n":` + strings.Repeat("9", 400) + `,"f":-0.` + strings.Repeat("0", 399) + `1e-400}`,
		"{ \"spaces\" :\t[ 1,\r\n2 ] , \"escaped\":\"\\u0041\\/\\u2028\", \"dup\":1 }\n",
		`{"emoji":"🛰️","rtl":"שלום","nul":"\u0000","pair":"\ud83d\ude80"}`,
		`{}`,
	} {
		e := made(tenant, "shapes", 10+i)
		e.Data = []byte(data)
		shapes = append(shapes, e)
	}
	b.write(s, batches(s, shapes)...)
	b.holds(tenant, shapes)
}

func storedOfAnyTime(b *bench) {
	s := b.sink(tenant)
	var events []event.Event
	for i, at := range []string{
		"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z",
		"1970-01-01T00:00:00.001Z", "2000-02-29T12:00:00Z", "9999-12-31T23:59:59.999Z",
	} {
		ts, err := time.Parse(time.RFC3339, at)
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, madeAt(tenant, "historian", fmt.Sprintf("t%d", i), ts.UnixMilli()))
	}
	b.write(s, batches(s, events)...)
	b.holds(tenant, events)
}

func batchIsNotKept(b *bench) {
	s := b.sink(tenant)
	want := series(tenant, "u", 0, 50)
	for i := range want {
		written := want[i]
		written.Data = bytes.Clone(want[i].Data)
		batch := &sinks.Batch{Partition: s.Partition(&written), Events: []event.Event{written}}
		b.write(s, batch)
		for j := range written.Data {
			written.Data[j] = 'X'
		}
		batch.Events[0] = made(tenant, "somebody else", 999)
	}
	b.holds(tenant, want)
}

func orderHolds(b *bench) {
	s := b.sink(tenant)
	var all []event.Event
	for round := range 10 {
		var events []event.Event
		for n := range 20 {
			for user := range 5 {
				// Event times go up and down: the order of acceptance is not theirs.
				ts := start + int64((n*7+round*3)%20)
				events = append(events, madeAt(tenant, fmt.Sprint("user-", user), fmt.Sprintf("r%02d-n%02d", round, n), ts))
			}
		}
		b.write(s, batches(s, events)...)
		all = append(all, events...)
	}
	b.holds(tenant, all)
}

// byLane returns the batches of each lane in order.
func byLane(all []*sinks.Batch) map[uint32][]*sinks.Batch {
	lanes := map[uint32][]*sinks.Batch{}
	for _, batch := range all {
		lanes[batch.Partition.Lane] = append(lanes[batch.Partition.Lane], batch)
	}
	return lanes
}

func lanesAtOnce(b *bench) {
	s := b.sink(tenant)
	var all []event.Event
	var todo []*sinks.Batch
	for round := range 10 {
		var events []event.Event
		for user := range 40 {
			events = append(events, series(tenant, fmt.Sprint("user-", user), round*5, round*5+5)...)
		}
		all = append(all, events...)
		todo = append(todo, batches(s, events)...)
	}
	var wg sync.WaitGroup
	for _, lane := range byLane(todo) {
		wg.Go(func() {
			for _, batch := range lane {
				if err := s.Write(b.within(b.h.Slow), batch); err != nil {
					b.Errorf("Write (%s): %v", describe(batch), err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.holds(tenant, all)
}

// keysCollide writes, as one batch, events of one lane and as many different
// keys as can be found: what a batcher does when keys have the same hash.
func keysCollide(b *bench) {
	s := b.sink(tenant)
	lanes := map[uint32][]event.Event{}
	var most []event.Event
	for user := range 64 {
		for hour := range 3 {
			e := madeAt(tenant, fmt.Sprint("user-", user), fmt.Sprintf("h%d", hour), start-int64(hour)*int64(time.Hour/time.Millisecond))
			lane := s.Partition(&e).Lane
			lanes[lane] = append(lanes[lane], e)
			if len(lanes[lane]) > len(most) {
				most = lanes[lane]
			}
		}
	}
	b.write(s, &sinks.Batch{Partition: s.Partition(&most[0]), Events: most})
	b.holds(tenant, most)
}

func rewriteStoresOnce(b *bench) {
	s := b.sink(tenant)
	var events []event.Event
	for user := range 5 {
		events = append(events, series(tenant, fmt.Sprint("user-", user), 0, 20)...)
	}
	all := batches(s, events)
	for range 3 {
		b.write(s, all...)
	}
	b.holds(tenant, events)
}

func olderRewriteStoresOnce(b *bench) {
	s := b.sink(tenant)
	first := b.only(s, series(tenant, "u", 0, 20)...)
	second := b.only(s, series(tenant, "u", 20, 40)...)
	b.write(s, first, second, first, second)
	b.holds(tenant, series(tenant, "u", 0, 40))
}

func partialFailure(b *bench) {
	b.need(b.FailSome != nil, "FailSome")
	s := b.sink(tenant)
	// An event for each of ten users, so that no order is at stake.
	var events []event.Event
	for user := 0; len(events) < 10; user++ {
		e := made(tenant, fmt.Sprint("user-", user), 0)
		if len(events) == 0 || s.Partition(&e) == s.Partition(&events[0]) {
			events = append(events, e)
		}
		if user > 100_000 {
			b.Skip("the sink gives each user a key of its own")
		}
	}
	batch := b.only(s, events...)
	b.FailSome(b.T, 2, 7)
	err := s.Write(b.within(b.h.Slow), batch)
	var partial *sinks.PartialError
	if !errors.As(err, &partial) {
		b.Fatalf("Write returned %v, want a *sinks.PartialError", err)
	}
	for i, e := range outcomes(batch, err) {
		if failed := i == 2 || i == 7; failed != (e != nil) || sinks.IsPermanent(e) {
			b.Errorf("event %d: %v; want failed retryably: %v", i, e, failed)
		}
	}
	b.writeUntilStored(s, batch)
	b.holds(tenant, events)
}

func oversizeFailsAlone(b *bench) {
	s := b.sink(tenant)
	events := series(tenant, "u", 0, 5)
	pad := func(e *event.Event, size int) {
		const frame = len(`{"pad":""}`)
		noise := make([]byte, size-frame)
		r := rand.New(rand.NewPCG(1, 2)) // what does not compress is the hard case
		for i := range noise {
			noise[i] = ' ' + 1 + byte(r.UintN(90))
			if noise[i] == '"' || noise[i] == '\\' {
				noise[i] = '_'
			}
		}
		e.Data = []byte(`{"pad":"` + string(noise) + `"}`)
	}
	pad(&events[1], b.h.MaxEvent)
	if b.h.Oversize == 0 {
		b.write(s, b.only(s, events...))
		b.holds(tenant, events)
		return
	}
	pad(&events[3], b.h.Oversize)
	batch := b.only(s, events...)
	for i, err := range outcomes(batch, s.Write(b.within(b.h.Slow), batch)) {
		switch {
		case i == 3 && !sinks.IsPermanent(err):
			b.Errorf("event %d of %d bytes: %v; want a permanent error", i, b.h.Oversize, err)
		case i != 3 && err != nil:
			b.Errorf("event %d beside the oversize one: %v; want it stored", i, err)
		}
	}
	b.holds(tenant, append(events[:3:3], events[4]))

	alone := b.only(s, events[3])
	if err := outcomes(alone, s.Write(b.within(b.h.Slow), alone))[0]; !sinks.IsPermanent(err) {
		b.Errorf("an oversize event in a batch of its own: %v; want a permanent error", err)
	}
	after := made(tenant, "u", 100)
	b.write(s, b.only(s, after))
	b.holds(tenant, []event.Event{events[0], events[1], events[2], events[4], after})
}

func ctxIsOver(b *bench) {
	s := b.sink(tenant)
	events := series(tenant, "u", 0, 30)
	before := b.only(s, events[:10]...)
	b.write(s, before)
	over := func(batch *sinks.Batch, ctx context.Context) {
		b.Helper()
		begun := time.Now()
		err := s.Write(ctx, batch)
		if took := time.Since(begun); took > promptly {
			b.Errorf("Write returned %v after its ctx was over, want at most %v", took, promptly)
		}
		for i, e := range outcomes(batch, err) {
			if sinks.IsPermanent(e) {
				b.Errorf("event %d: %v is permanent, but only the ctx was over", i, e)
			}
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	second, third := b.only(s, events[10:20]...), b.only(s, events[20:]...)
	over(second, cancelled)
	b.writeUntilStored(s, second)
	over(third, b.within(time.Microsecond))
	b.writeUntilStored(s, third)
	b.holds(tenant, events)
}

func whereIsFilled(b *bench) {
	s := b.sink(tenant)
	seen := map[string]string{}
	for _, batch := range batches(s, append(series(tenant, "u", 0, 10), series(tenant, "v", 0, 10)...)) {
		batch.Where = make([]string, len(batch.Events))
		b.write(s, batch)
		for i, where := range batch.Where {
			e := name(batch.Events[i])
			if where == "" {
				b.Errorf("Where of %s is empty", e)
			} else if other, dup := seen[where]; dup {
				b.Errorf("Where of %s and of %s is the same: %s", e, other, where)
			}
			seen[where] = e
		}
	}
}

func partitionIsStable(b *bench) {
	s := b.sink(tenant)
	for user := range 100 {
		first := made(tenant, fmt.Sprint("user-", user), 0)
		want := s.Partition(&first)
		for n := range 50 {
			// A user's events of other times, types and ids may have another key,
			// but never another lane.
			e := madeAt(tenant, first.User, fmt.Sprint("id-", n), start+int64(n)*int64(time.Hour/time.Millisecond))
			e.Type = fmt.Sprint("type-", n)
			if got := s.Partition(&e); got.Lane != want.Lane {
				b.Fatalf("user %s has lane %d and lane %d", first.User, want.Lane, got.Lane)
			}
		}
		if got := s.Partition(&first); got != want {
			b.Fatalf("the same event has partition %+v and %+v", want, got)
		}
	}
	e := made(tenant, "user", 0)
	if n := testing.AllocsPerRun(1000, func() { s.Partition(&e) }); n > 1 {
		b.Errorf("Partition allocates %v times an event, want at most once", n)
	}
	const most, calls = 20 * time.Microsecond, 10_000
	begun := time.Now()
	for range calls {
		s.Partition(&e)
	}
	if each := time.Since(begun) / calls; each > most {
		b.Errorf("Partition takes %v an event, want at most %v: it must do no I/O", each, most)
	}
}

func tenantsAreApart(b *bench) {
	names := []string{"acme", "acme-2", "globex"}
	want := map[string][]event.Event{}
	for i, name := range names {
		s := b.sink(name)
		// The same users, ids and times: only the tenant tells them apart.
		want[name] = series(name, "u", 0, 10+i)
		b.write(s, batches(s, want[name])...)
	}
	for _, name := range names {
		b.holds(name, want[name])
	}
	b.holds("nobody", nil)
}

func probePasses(b *bench) {
	s := b.sink(tenant)
	b.probeUntilWell(s)
	b.write(s, b.only(s, made(tenant, "u", 0)))
	if err := s.Probe(b.within(b.h.Slow)); err != nil {
		b.Errorf("the probe of a sink that has just stored an event: %v", err)
	}
}

func closeTwice(b *bench) {
	s := b.sink(tenant) // closes it once more
	b.write(s, b.only(s, made(tenant, "u", 0)))
	if err := s.Close(b.within(b.h.Slow)); err != nil {
		b.Errorf("first Close: %v", err)
	}
	if err := s.Close(b.within(b.h.Slow)); err != nil {
		b.Errorf("second Close: %v", err)
	}
}
