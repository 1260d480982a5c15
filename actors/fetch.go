package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"sluice/messages"
)

// What a shard handles at once is of many users, and of each nothing is in a cache.
// The functions here read a word of each piece of memory that is about to be
// needed, of all users before the first is handled: reads that do not depend on
// each other wait for memory together, where handling one user after the other
// would wait for each in turn (ADR 13).
//
// The sums of what was read are of no use but to keep the compiler from leaving the
// reads out. Everything read belongs to the shard's worker, on which they run: into a
// user's mailbox, whose messages have a lock, nobody but its shard puts any.

// fetchUsers is for delivering items to users, whose first items are known.
func fetchUsers(users []*resident, items []messages.Item) (sum int) {
	for _, r := range users {
		if r.mailbox != nil {
			sum += int(r.mailbox.next) + len(r.mailbox.out)
		}
		sum += int(r.state.window.head) + len(r.state.flights)
	}
	for _, r := range users {
		sum += r.state.window.fetch(markOf(items[r.first].Event.ID))
		if f := r.state.flights[:cap(r.state.flights)]; len(f) > 0 {
			sum += int(f[0].index)
		}
		m := r.mailbox
		if m == nil {
			continue
		}
		if in := m.in[:cap(m.in)]; len(in) > 0 && in[0] != nil {
			sum++
		}
		if out := m.out[:cap(m.out)]; len(out) > 0 && out[0] != nil {
			sum++
		}
		if m.invoker.(actor.Context).Self() != nil {
			sum++
		}
	}
	return sum
}

// fetchFlights is for landing the flights of one shard's users.
func fetchFlights(m *messages.Written) (sum int) {
	for i := range m.Groups {
		if g := &m.Groups[i]; g.User.Shard == m.Shard {
			u := g.User.Place.(*userState)
			sum += len(u.flights) + int(u.window.head)
		}
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		if g.User.Shard != m.Shard {
			continue
		}
		u := g.User.Place.(*userState)
		if at := m.Seqs[g.Start] - u.base; at < uint64(len(u.flights)) {
			sum += u.window.fetch(u.flights[at].mark)
		}
	}
	return sum
}

// fetch reads what looking for m, adding it and dropping the oldest need.
func (w *window) fetch(m mark) int {
	if len(w.ring) == 0 {
		return 0
	}
	oldest := w.ring[w.head]
	sum := int(w.ring[w.place(w.len)].at)
	if w.table != nil {
		mask := len(w.table) - 1
		sum += int(w.table[int(m.hash)&mask] + w.table[int(oldest.hash)&mask])
	}
	return sum
}
