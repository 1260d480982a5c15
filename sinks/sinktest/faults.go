package sinktest

import (
	"context"
	"time"

	"sluice/event"
	"sluice/sinks"
)

// tryFor is how long a Write gets while the other side is away.
const tryFor = time.Second

// fails writes while a fault is on and fails the row unless Write says so, in
// time and retryably.
func (b *bench) fails(s sinks.Sink, batch *sinks.Batch) {
	b.Helper()
	begun := time.Now()
	err := s.Write(b.within(tryFor), batch)
	if took := time.Since(begun); took > tryFor+promptly {
		b.Errorf("Write returned after %v with a ctx of %v", took, tryFor)
	}
	if err == nil {
		b.Errorf("Write (%s) returned nil while the other side is away", describe(batch))
	}
	for i, e := range outcomes(batch, err) {
		if sinks.IsPermanent(e) {
			b.Fatalf("event %d: %v is permanent, but the other side is only away", i, e)
		}
	}
}

func (b *bench) probeFails(s sinks.Sink) {
	b.Helper()
	begun := time.Now()
	err := s.Probe(b.within(tryFor))
	if took := time.Since(begun); took > tryFor+promptly {
		b.Errorf("Probe returned after %v with a ctx of %v", took, tryFor)
	}
	if err == nil || err.Error() == "" {
		b.Errorf("Probe returned %v while the other side is away; want to be told why", err)
	} else {
		b.Logf("the probe says: %v", err)
	}
}

func goneAndBack(b *bench) {
	b.need(b.Gone != nil && b.Back != nil, "Gone and Back")
	s := b.sink(tenant)
	events := series(tenant, "u", 0, 40)
	b.write(s, b.only(s, events[:10]...))
	for round := range 2 {
		from := 10 + round*10
		batch := b.only(s, events[from:from+10]...)
		b.Gone(b.T)
		b.fails(s, batch)
		b.probeFails(s)
		b.fails(s, batch)
		b.Back(b.T)
		b.writeUntilStored(s, batch)
		b.probeUntilWell(s)
	}
	b.write(s, b.only(s, events[30:]...))
	b.holds(tenant, events)
}

func madeWhileGone(b *bench) {
	b.need(b.Gone != nil && b.Back != nil, "Gone and Back")
	b.Gone(b.T)
	s := b.sink(tenant)
	events := series(tenant, "u", 0, 10)
	batch := b.only(s, events...)
	b.probeFails(s)
	b.fails(s, batch)
	b.Back(b.T)
	b.writeUntilStored(s, batch)
	b.probeUntilWell(s)
	b.holds(tenant, events)
}

func lostAnswer(b *bench) {
	b.need(b.Mute != nil && b.Back != nil, "Mute and Back")
	s := b.sink(tenant)
	events := series(tenant, "u", 0, 50)
	b.write(s, b.only(s, events[:10]...))
	for from := 10; from < 40; from += 10 {
		batch := b.only(s, events[from:from+10]...)
		b.Mute(b.T)
		b.fails(s, batch)
		b.Back(b.T)
		b.writeUntilStored(s, batch)
	}
	b.write(s, b.only(s, events[40:]...))
	b.holds(tenant, events)
}

func cutAnywhere(b *bench) {
	b.need(b.CutAfter != nil && b.Back != nil, "CutAfter and Back")
	s := b.sink(tenant)
	var all []event.Event
	for i, n := range []int{0, 1, 3, 10, 40, 100, 300, 1000, 2000, 3000, 5000, 10_000} {
		events := series(tenant, "u", i*40, i*40+40)
		all = append(all, events...)
		batch := b.only(s, events...)
		b.CutAfter(b.T, n)
		ctx, cancel := context.WithTimeout(context.Background(), tryFor)
		err := s.Write(ctx, batch)
		cancel()
		for j, e := range outcomes(batch, err) {
			if sinks.IsPermanent(e) {
				b.Fatalf("cut after %d bytes: event %d: %v is permanent", n, j, e)
			}
		}
		b.Back(b.T)
		b.writeUntilStored(s, batch)
	}
	b.holds(tenant, all)
}

func closeWhileGone(b *bench) {
	b.need(b.Gone != nil && b.Back != nil, "Gone and Back")
	s := b.sink(tenant)
	b.write(s, b.only(s, made(tenant, "u", 0)))
	b.Gone(b.T)
	b.fails(s, b.only(s, made(tenant, "u", 1)))
	begun := time.Now()
	err := s.Close(b.within(tryFor)) // may fail: what matters is that it ends
	if took := time.Since(begun); took > tryFor+promptly {
		b.Errorf("Close returned after %v with a ctx of %v: %v", took, tryFor, err)
	}
	b.Back(b.T)
	next := b.sink(tenant)
	b.writeUntilStored(next, b.only(next, made(tenant, "after", 2)))
}
