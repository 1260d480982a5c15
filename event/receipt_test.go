package event

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// ledger counts what a receipt gives back.
type ledger struct{ events, lasts atomic.Int64 }

func (l *ledger) ReleaseEvents(n int) { l.events.Add(int64(n)) }

func (l *ledger) ReleaseBytes(n int) {
	if n == reserved {
		l.lasts.Add(1)
	}
}

const reserved = 4711

func isDone(r *Receipt) bool {
	select {
	case <-r.Done():
		return true
	default:
		return false
	}
}

func TestReceipt(t *testing.T) {
	for _, tc := range []struct {
		name string
		play func(r *Receipt)
		want string // done, credits back, body released, fates
	}{
		{"nothing is known at first", func(r *Receipt) {}, "false 0 0"},
		{"a refusal answers the request", func(r *Receipt) { r.Refuse(&Refusal{}) }, "true 0 1"},
		{"events that are expected have no answer yet", func(r *Receipt) { r.Expect(2) }, "false 0 0 [unknown unknown]"},
		{"some answers are not all", func(r *Receipt) {
			r.Expect(2)
			r.Settle(1, Outcome{Fate: Stored})
		}, "false 1 0 [unknown stored]"},
		{"the last answer is the reply", func(r *Receipt) {
			r.Expect(2)
			r.Settle(1, Outcome{Fate: Stored})
			r.Settle(0, Outcome{Fate: Failed})
		}, "true 2 1 [failed stored]"},
		{"one event needs no second", func(r *Receipt) {
			r.Expect(1)
			r.Settle(0, Outcome{Fate: Duplicate})
		}, "true 1 1 [duplicate]"},
		{"an acknowledged event is answered and keeps its credit", func(r *Receipt) {
			r.Expect(1)
			r.Acknowledge(0, Outcome{Fate: Received})
		}, "true 0 0 [received]"},
		{"the fate of an acknowledged event gives its credit back and changes no answer", func(r *Receipt) {
			r.Expect(1)
			r.Acknowledge(0, Outcome{Fate: Received})
			r.Settle(0, Outcome{Fate: Failed})
		}, "true 1 1 [received]"},
		{"an acknowledgement after the fate does nothing", func(r *Receipt) {
			r.Expect(2)
			r.Settle(0, Outcome{Fate: Failed})
			r.Acknowledge(0, Outcome{Fate: Received})
		}, "false 1 0 [failed unknown]"},
		{"the first fate counts", func(r *Receipt) {
			r.Expect(2)
			r.Settle(0, Outcome{Fate: Stored})
			r.Settle(0, Outcome{Fate: Failed})
		}, "false 1 0 [stored unknown]"},
		{"a replayed parser does not start the count again", func(r *Receipt) {
			r.Expect(2)
			r.Settle(0, Outcome{Fate: Stored})
			r.Expect(3)
		}, "false 1 0 [stored unknown]"},
		{"what is expected cannot be refused any more", func(r *Receipt) {
			r.Expect(1)
			r.Refuse(&Refusal{})
		}, "false 0 0 [unknown]"},
		{"what is refused can expect nothing any more", func(r *Receipt) {
			r.Refuse(&Refusal{})
			r.Refuse(&Refusal{})
			r.Expect(1)
		}, "true 0 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l ledger
			r := NewReceipt(AckReceived, &l, reserved)
			tc.play(r)
			got := fmt.Sprintf("%v %d %d", isDone(r), l.events.Load(), l.lasts.Load())
			if r.Outcomes() != nil {
				var fates []Fate
				for _, o := range r.Outcomes() {
					fates = append(fates, o.Fate)
				}
				got += fmt.Sprint(" ", fates)
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestReceiptSaysWhatItDid(t *testing.T) {
	r := NewReceipt(AckStored, nil, 0)
	refusal := &Refusal{Kind: Busy}
	if r.Ack() != AckStored || !r.Expect(2) || r.Expect(2) || r.Refuse(refusal) || r.Refusal() != nil {
		t.Error("a receipt expects once, and is not refused after that")
	}
	if r.Settled(0) || !r.Acknowledge(0, Outcome{}) || r.Settled(0) || r.Acknowledge(0, Outcome{}) {
		t.Error("an acknowledgement is no fate, and counts once")
	}
	for _, tc := range []struct {
		name              string
		index             int
		answered, settled bool
	}{
		{"the fate after an acknowledgement answers nothing", 0, false, true},
		{"a second fate does nothing", 0, false, false},
		{"a fate without an acknowledgement is the answer", 1, true, true},
		{"a second fate without one does nothing", 1, false, false},
	} {
		if answered, settled := r.Settle(tc.index, Outcome{}); answered != tc.answered || settled != tc.settled || !r.Settled(tc.index) {
			t.Errorf("%s: answered %v, settled %v", tc.name, answered, settled)
		}
	}
	refused := NewReceipt(AckStored, nil, 0)
	if !refused.Refuse(refusal) || refused.Refuse(refusal) || refused.Expect(1) || refused.Refusal() != refusal {
		t.Error("a receipt is refused once")
	}
}

// TestReceiptUnderConcurrentReplay settles every event from many goroutines at
// once, as stages do that replay a message: each credit comes back once, and
// the answers are complete when Done is closed.
func TestReceiptUnderConcurrentReplay(t *testing.T) {
	for round := range 200 {
		n := 1 + round%17
		var l ledger
		var firsts atomic.Int64
		r := NewReceipt(AckReceived, &l, reserved)
		r.Expect(n)
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for _, i := range rand.Perm(n) {
					if worker%2 == 0 {
						r.Acknowledge(i, Outcome{Fate: Received})
					}
					if _, settled := r.Settle(i, Outcome{Fate: Stored}); settled {
						firsts.Add(1)
					}
				}
			})
		}
		<-r.Done()
		for i, o := range r.Outcomes() {
			if o.Fate != Received && o.Fate != Stored {
				t.Fatalf("event %d of %d has no answer", i, n)
			}
		}
		wg.Wait()
		if firsts.Load() != int64(n) || l.events.Load() != int64(n) || l.lasts.Load() != 1 {
			t.Fatalf("%d events: %d fates, %d credits, body released %d times", n, firsts.Load(), l.events.Load(), l.lasts.Load())
		}
	}
}

func TestAckAndFateNames(t *testing.T) {
	for _, a := range []Ack{AckReceived, AckJournaled, AckStored} {
		if got, ok := ParseAck(a.String()); !ok || got != a {
			t.Errorf("%v is read back as %v", a, got)
		}
	}
	if _, ok := ParseAck("none"); ok {
		t.Error("the zero ack is no level")
	}
	seen := map[string]bool{}
	for f := range Fates {
		seen[Fate(f).String()] = true
	}
	if len(seen) != Fates {
		t.Errorf("names are not unique: %v", seen)
	}
}
