package event

import "sync/atomic"

// Receipt collects one outcome per event of a request, wakes the one who waits
// for them, and gives the credits back.
//
// Life: made at the edge; then either Refuse, once, or Expect(n), once, and for
// every index Settle, or Acknowledge and later Settle. A stage whose message is
// replayed after a panic may call any of them again: the first call for an
// index counts, the others do nothing.
//
//	edge ──▶ Refuse ───────────────────────────────▶ Done
//	     └─▶ Expect(n) ─▶ n × (Settle | Acknowledge) ─▶ Done ─▶ n × Settle: credits back
type Receipt struct {
	ack      Ack
	credits  Credits
	reserved int // bytes
	outcomes []Outcome
	state    []atomic.Uint32 // per index: answered, settled
	expected atomic.Bool
	open     atomic.Int64 // answers still missing
	unknown  atomic.Int64 // fates still missing
	refusal  *Refusal
	done     chan struct{}

	// Most requests of devices hold one event: it needs no slices of its own.
	one      [1]Outcome
	oneState [1]atomic.Uint32
}

const (
	isAnswered = 1 << iota
	isSettled
)

// Credits takes back what a request has reserved. It must not block.
type Credits interface {
	// ReleaseEvents is called as events reach their fate, with their number.
	ReleaseEvents(n int)
	// ReleaseBytes is called once, when nothing of the request is in memory any
	// more, with all it had reserved.
	ReleaseBytes(n int)
}

// NewReceipt returns the receipt of a request that is answered at level ack and
// has reserved so many bytes of credits, which may be nil.
func NewReceipt(ack Ack, credits Credits, reserved int) *Receipt {
	return &Receipt{ack: ack, credits: credits, reserved: reserved, done: make(chan struct{})}
}

// Ack returns the level at which the request is answered.
func (r *Receipt) Ack() Ack { return r.ack }

// Refuse answers the whole request with f. It reports false, and does nothing,
// when the request was refused or its events counted before.
func (r *Receipt) Refuse(f *Refusal) bool {
	if !r.expected.CompareAndSwap(false, true) {
		return false
	}
	r.refusal = f
	if r.credits != nil {
		r.credits.ReleaseBytes(r.reserved)
	}
	close(r.done)
	return true
}

// Expect says that the request holds n events, n at least 1. It reports false,
// and does nothing, when that was said before.
func (r *Receipt) Expect(n int) bool {
	if !r.expected.CompareAndSwap(false, true) {
		return false
	}
	if n == 1 {
		r.outcomes, r.state = r.one[:], r.oneState[:]
	} else {
		r.outcomes, r.state = make([]Outcome, n), make([]atomic.Uint32, n)
	}
	r.unknown.Store(int64(n))
	r.open.Store(int64(n))
	return true
}

// Settle gives the event at index its fate, and its credit goes back. answered
// reports that o is what the sender is told: it is not when the event was
// acknowledged before. settled reports that this was the first Settle of index;
// any other does nothing.
func (r *Receipt) Settle(index int, o Outcome) (answered, settled bool) {
	before := r.state[index].Or(isAnswered | isSettled)
	if before&isAnswered == 0 {
		r.answer(index, o)
		answered = true
	}
	if before&isSettled != 0 {
		return answered, false
	}
	last := r.unknown.Add(-1) == 0
	if r.credits != nil {
		r.credits.ReleaseEvents(1)
		if last {
			r.credits.ReleaseBytes(r.reserved)
		}
	}
	return answered, true
}

// Acknowledge answers the event at index with o before its fate is known
// (ack=received). Its credit stays out until Settle.
func (r *Receipt) Acknowledge(index int, o Outcome) bool {
	if r.state[index].Or(isAnswered)&isAnswered != 0 {
		return false
	}
	r.answer(index, o)
	return true
}

// Settled reports whether the event at index has its fate.
func (r *Receipt) Settled(index int) bool { return r.state[index].Load()&isSettled != 0 }

func (r *Receipt) answer(index int, o Outcome) {
	r.outcomes[index] = o
	if r.open.Add(-1) == 0 {
		close(r.done)
	}
}

// Done is closed when the request was refused or every event is answered.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Refusal returns why the whole request was refused, nil if it was not. Only
// after Done.
func (r *Receipt) Refusal() *Refusal { return r.refusal }

// Outcomes returns the answers by index. Only after Done; read only.
func (r *Receipt) Outcomes() []Outcome { return r.outcomes }
