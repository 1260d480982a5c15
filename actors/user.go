package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
	"sluice/sinks"
)

// UserPolicy is how a tenant's users are treated.
type UserPolicy struct {
	PerUser int           // events of one user in flight, at most
	Idle    time.Duration // after which a user's actor is put to rest
	Window  time.Duration // for which an id is remembered
	MaxIDs  int           // remembered of one user, at most
	Memory  int64         // bytes that all users of the tenant may take
}

// route is the way from the user actors to one sink.
type route struct {
	partition func(*event.Event) sinks.Partition
	batchers  []*actor.PID // a lane always goes to the same one
}

// userState is everything sluice knows of a user: a value that outlives the
// actor's restarts, its rest, and could move to another machine.
//
// Owned by its shard's worker: the user's actor and the shard are both on it.
type userState struct {
	id     string
	window window

	// flights are the events under way, in order: flights[0] has number base.
	// Those in the middle may have landed; the first has not.
	flights []flight
	base    uint64
	waiting int32 // duplicates that wait for a flight's outcome
	// unsent is the accepted events of the message that is being handled; it is
	// empty between messages unless handling one panicked.
	unsent []messages.Item

	first, last          int64 // ms since the Unix epoch
	accepted, duplicates uint64
	rejected, failures   uint32
}

// flight is one event between its acceptance by the user actor and its fate.
//
// States: under way (left > 0) -(Written from each sink)-> landed (left == 0).
type flight struct {
	mark     mark
	receipt  *event.Receipt
	index    int32
	left     int8 // sinks that have not answered
	rejected bool // a sink will never take it
	reason   *event.Reason
	id       string
	*extra   // what few flights have; nil: nothing of it
}

type extra struct {
	where   string // a sink said where it is stored, and somebody asked
	waiters []waiter
}

func (f *flight) more() *extra {
	if f.extra == nil {
		f.extra = new(extra)
	}
	return f.extra
}

// waiter is a duplicate that came while the first of its id was under way. It
// gets the same outcome.
type waiter struct {
	receipt *event.Receipt
	index   int32
	id      string
}

// user is the actor of one user. It owns the user's order (what it sends on, it
// sends in the order of acceptance, and the same lane always to the same
// batcher), its dedupe window, its cap and its counters. What the sinks say its shard
// notes in its state, on the same goroutine: nobody else settles an event that it has
// accepted.
type user struct {
	*userState
	home    *shard
	mailbox *Mailbox
}

// Receive implements actor.Actor.
func (u *user) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case messages.Deliver:
		u.home.tenant.rehearse(event.StageUser, ctx)
		u.deliver(ctx, m.Items)
	case messages.Passivate:
		u.passivate(ctx)
	case messages.Describe:
		m.Reply <- messages.Description{Status: u.describe(), Known: true}
	case *actor.Restarting:
		u.home.incarnate = u
	case *actor.Stopped:
		u.mailbox.close()
	}
}

func (u *user) passivate(ctx actor.Context) {
	if len(u.flights) > 0 {
		ctx.Send(u.home.pid, messages.Busy{User: u.id})
		return
	}
	ctx.Send(u.home.pid, messages.Rest{User: u.id})
}

// deliver accepts what is new and within the cap, and sends it on.
func (u *user) deliver(ctx actor.Context, items []messages.Item) {
	now := u.home.now // to the second, which is what windows count in
	u.expire(u.home.tenant, now)
	if len(u.unsent) == 0 {
		u.unsent = items[:0] // in place: never ahead of what is read
	}
	for i := range items {
		if u.accept(&items[i], uint32(now.Unix())) {
			u.unsent = append(u.unsent, items[i])
		}
	}
	if len(u.unsent) > 0 {
		for r := range u.home.tenant.routes {
			u.send(ctx, &u.home.tenant.routes[r], u.unsent)
		}
	}
	u.unsent = nil
}

// accept takes one event in: it reports whether the event goes to the sinks, and
// has answered it, or made it wait, otherwise.
func (u *user) accept(it *messages.Item, now uint32) bool {
	if it.Receipt.Settled(int(it.Index)) {
		return false // this message is handled for the second time
	}
	u.seen(it.Event.Received / 1000)
	m := markOf(it.Event.ID)
	m.at = now
	if f := u.flightOf(m); f != nil {
		u.attach(f, it)
		return false
	}
	if u.window.has(m) {
		u.duplicates++
		u.home.tenant.settle(it.Receipt, int(it.Index), event.Outcome{ID: it.Event.ID, Fate: event.Duplicate})
		return false
	}
	if u.full() {
		u.refuse(it)
		return false
	}
	it.Seq = u.base + uint64(len(u.flights))
	f := flight{mark: m, receipt: it.Receipt, index: it.Index, left: int8(len(u.home.tenant.routes)), id: it.Event.ID}
	if it.Receipt.Ack() == event.AckReceived {
		u.home.tenant.acknowledge(it.Receipt, int(it.Index), it.Event.ID)
	}
	u.flights = append(u.flights, f)
	return true
}

// expire forgets the ids that have left the dedupe window at now.
func (u *userState) expire(t *tenant, now time.Time) {
	before := u.window.bytes()
	u.window.expire(uint32(max(0, now.Add(-t.cfg.Users.Window).Unix())))
	t.userBytes.Add(int64(u.window.bytes() - before))
}

func (u *userState) seen(ms int64) {
	if u.first == 0 {
		u.first = ms
	}
	u.last = max(u.last, ms)
}

// flightOf returns the flight under way with m's id, nil if there is none.
func (u *userState) flightOf(m mark) *flight {
	for i := range u.flights {
		if f := &u.flights[i]; f.left > 0 && f.mark.same(m) {
			return f
		}
	}
	return nil
}

func (u *user) full() bool { return len(u.flights)+int(u.waiting) >= u.home.tenant.cfg.Users.PerUser }

// attach makes a duplicate wait for the outcome of the first of its id.
func (u *user) attach(f *flight, it *messages.Item) {
	if f.receipt == it.Receipt && f.index == it.Index {
		return // the same event: this message is handled for the second time
	}
	for _, w := range f.more().waiters {
		if w.receipt == it.Receipt && w.index == it.Index {
			return
		}
	}
	if it.Receipt.Ack() == event.AckReceived {
		u.duplicates++
		u.home.tenant.settle(it.Receipt, int(it.Index), event.Outcome{ID: it.Event.ID, Fate: event.Duplicate})
		return
	}
	if u.full() {
		u.refuse(it)
		return
	}
	u.waiting++
	f.waiters = append(f.waiters, waiter{receipt: it.Receipt, index: it.Index, id: it.Event.ID})
}

func (u *user) refuse(it *messages.Item) {
	u.rejected++
	u.home.tenant.settle(it.Receipt, int(it.Index), event.Outcome{
		ID: it.Event.ID, Fate: event.Failed, Reason: u.home.tenant.userLimit,
	})
}

// send hands items on to the batchers of one sink, those of one partition
// together, in order.
func (u *user) send(ctx actor.Context, r *route, items []messages.Item) {
	for start := 0; start < len(items); {
		p := r.partition(&items[start].Event)
		end := start + 1
		for end < len(items) && r.partition(&items[end].Event) == p {
			end++
		}
		ctx.Send(r.batchers[int(p.Lane)%len(r.batchers)], messages.Append{
			User: messages.User{Place: u.userState, Shard: u.home.number}, Lane: p.Lane, Key: p.Key, Items: items[start:end:end],
		})
		start = end
	}
}

// written notes what one sink made of the flights of a group, and lands those that
// every sink has answered.
func (u *userState) written(t *tenant, m *messages.Written, g *messages.Group) {
	for i := g.Start; i < g.End; i++ {
		seq := m.Seqs[i]
		if seq < u.base || seq-u.base >= uint64(len(u.flights)) {
			continue // landed before: this message is handled for the second time
		}
		f := &u.flights[seq-u.base]
		if f.left == 0 {
			continue
		}
		if m.Reasons != nil && m.Reasons[i] != nil {
			f.reason, f.rejected = m.Reasons[i], f.rejected || m.Rejected[i]
		}
		if m.Where != nil && m.Where[i] != "" {
			f.more().where = strings.TrimPrefix(f.extra.where+" "+m.Where[i], " ")
		}
		if f.left--; f.left == 0 {
			u.land(t, f)
		}
	}
	u.compact()
}

// land gives a flight, and every duplicate that waits for it, its fate.
func (u *userState) land(t *tenant, f *flight) {
	var more extra
	if f.extra != nil {
		more = *f.extra
	}
	first := event.Outcome{ID: f.id, Fate: event.Stored, Where: more.where}
	again := event.Outcome{Fate: event.Duplicate, Where: more.where}
	switch {
	case f.reason == nil:
		u.accepted++
		u.duplicates += uint64(len(more.waiters))
		u.remember(t, f.mark)
	case f.rejected:
		u.failures++
		first.Fate, first.Reason = event.Rejected, f.reason
		again.Fate, again.Reason = event.Rejected, f.reason
	default:
		u.failures++
		first.Fate, first.Reason = event.Failed, f.reason
		again.Fate, again.Reason = event.Failed, f.reason
	}
	t.settle(f.receipt, int(f.index), first)
	for _, w := range more.waiters {
		again.ID = w.id
		t.settle(w.receipt, int(w.index), again)
	}
	u.waiting -= int32(len(more.waiters))
	*f = flight{}
}

// remember puts a stored id into the dedupe window. While the tenant's users take
// all the memory they may, a window does not grow: its oldest id makes room.
func (u *userState) remember(t *tenant, m mark) {
	size := t.cfg.Users.MaxIDs
	if size <= 0 {
		return // duplicates are not looked for
	}
	before := u.window.bytes()
	if u.window.full() && t.userBytes.Load()+int64(before) > t.cfg.Users.Memory {
		size = max(1, int(u.window.len)) // growing would double it
	}
	u.window.add(m, size)
	t.userBytes.Add(int64(u.window.bytes() - before))
}

// compact takes the landed flights off the front.
func (u *userState) compact() {
	landed := 0
	for landed < len(u.flights) && u.flights[landed].left == 0 {
		landed++
	}
	u.base += uint64(landed)
	if landed == len(u.flights) {
		if cap(u.flights) > 1 {
			u.flights = nil
		} else {
			u.flights = u.flights[:0]
		}
		return
	}
	u.flights = u.flights[landed:]
}

// dropped sees to a message that the mailbox has put aside: events that were
// accepted and not sent on fail here, and the rest of a Deliver fails with whoever
// dropped it.
func (u *userState) dropped(t *tenant, msg any, reason *event.Reason) {
	if _, ok := msg.(messages.Deliver); !ok {
		return
	}
	unsent := u.unsent
	u.unsent = nil
	for i := range unsent {
		if seq := unsent[i].Seq; seq >= u.base && seq-u.base < uint64(len(u.flights)) {
			f := &u.flights[seq-u.base]
			f.left, f.reason = 0, reason
			u.land(t, f)
		}
	}
	u.compact()
}

func (u *userState) describe() event.UserStatus {
	return event.UserStatus{
		User: u.id, FirstSeen: u.first, LastSeen: u.last,
		Accepted: u.accepted, Duplicates: u.duplicates, Rejected: uint64(u.rejected), Failed: uint64(u.failures),
		InFlight: len(u.flights) + int(u.waiting), WindowIDs: int(u.window.len), WindowFrom: int64(u.window.oldest()) * 1000,
	}
}
