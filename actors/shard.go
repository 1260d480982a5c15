package actors

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/messages"
)

// What a user costs beside its window, in bytes: measured by
// BenchmarkIdleUser, rounded up.
const (
	liveUserBytes = 1024
	restUserBytes = 384
)

// resident is one user that a shard knows.
//
// States: at rest (pid nil) -(event)-> live -(Passivate)-> retiring
// -(Rest, nothing held)-> at rest; retiring -(Busy | something held)-> live.
type resident struct {
	state      userState        // in place: whoever looks at one looks at the other
	pid        *actor.PID       // nil: at rest, and state is the shard's
	mailbox    *Mailbox         // of pid's actor
	generation uint32           // of pid: a name is not used again
	retiring   bool             // asked to rest; what comes for it is held
	asked      bool             // a Describe went to it while retiring
	held       *[]messages.Item // nil: nothing
	seen       int64            // ns since the Unix epoch, by the shard's clock

	prev, next *resident // in the list of its kind, the longest unseen first

	// Scratch of route.
	epoch        uint64
	first, count int32
}

// shard is the parent of the actors of some of a tenant's users: it starts them,
// routes to them and puts the idle ones to rest, keeping their state. Only it
// sends them events, so none can be on its way to an actor that it stops.
//
// It and its users live on one worker. It is as simple as it can be, because a
// restart would stop its children; its supervisor resumes it instead.
type shard struct {
	tenant *tenant
	number uint8
	worker *Worker
	pid    *actor.PID
	props  *actor.Props
	policy *mailboxPolicy // of the users

	users      map[string]*resident
	live, rest list
	now        time.Time // as of the last Sweep, or the start

	epoch uint64
	order []*resident
	at    []*resident

	fetched int // see fetchUsers

	// incarnate is what proto.actor gets when it makes the next user actor. It is set
	// and used in one go on the shard's worker: at a spawn by the shard itself, at a
	// restart by the user, which goes on as it was.
	incarnate *user
}

func newShard(t *tenant, number uint8, worker *Worker, policy *mailboxPolicy) *shard {
	s := &shard{tenant: t, number: number, worker: worker, policy: policy, users: make(map[string]*resident), now: time.Now()}
	s.live.init()
	s.rest.init()
	s.props = actor.PropsFromProducer(
		func() actor.Actor { return s.incarnate },
		actor.WithMailbox(func() actor.Mailbox { return s.incarnate.mailbox }),
		actor.WithDispatcher(worker),
		actor.WithSupervisor(t.restarting),
	)
	return s
}

// Receive implements actor.Actor.
func (s *shard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.pid = ctx.Self()
	case messages.Route:
		s.route(ctx, m.Items)
	case messages.Written:
		s.fetched = fetchFlights(&m)
		s.tenant.land(m)
	case messages.Rest:
		s.rested(ctx, m.User)
	case messages.Busy:
		s.stayed(ctx, m.User)
	case messages.Sweep:
		s.sweep(ctx, m)
	case messages.Describe:
		s.describe(ctx, m)
	case *actor.Stopping:
		for _, r := range s.users {
			if r.held != nil {
				s.tenant.failItems(*r.held, s.tenant.stopped)
				r.held = nil
			}
		}
	}
}

// maxShards is how many shards a tenant can have: one a worker.
const maxShards = 256

// land lets the users of a shard know what became of their events.
func (t *tenant) land(m messages.Written) {
	for i := range m.Groups {
		if g := &m.Groups[i]; g.User.Shard == m.Shard {
			g.User.Place.(*userState).written(t, &m, g)
		}
	}
}

// route sends every user its part of the request, in the order of the request.
func (s *shard) route(ctx actor.Context, items []messages.Item) {
	if len(items) == 1 {
		s.deliver(ctx, s.find(items[0].Event.User), items)
		return
	}
	s.epoch++
	s.order, s.at = s.order[:0], s.at[:0]
	for i := range items {
		r := s.find(items[i].Event.User)
		if r.epoch != s.epoch {
			r.epoch, r.first, r.count = s.epoch, int32(i), 0
			s.order = append(s.order, r)
		}
		r.count++
		s.at = append(s.at, r)
	}
	s.fetched = fetchUsers(s.order, items)
	for i, r := range s.order {
		s.deliver(ctx, r, s.part(items, r))
		s.order[i] = nil
	}
	clear(s.at)
}

// part returns r's items: where they stand if they stand together.
func (s *shard) part(items []messages.Item, r *resident) []messages.Item {
	first, count := int(r.first), int(r.count)
	end := first
	for end < len(items) && s.at[end] == r {
		end++
	}
	if end-first == count {
		return items[first:end:end]
	}
	own := make([]messages.Item, 0, count)
	for i := first; len(own) < count; i++ {
		if s.at[i] == r {
			own = append(own, items[i])
		}
	}
	return own
}

// find returns the resident called name, and takes it in if it is new.
func (s *shard) find(name string) *resident {
	if r, ok := s.users[name]; ok {
		return r
	}
	r := &resident{state: userState{id: strings.Clone(name)}} // name is the body's memory
	s.users[r.state.id] = r
	s.rest.push(r)
	s.tenant.userBytes.Add(restUserBytes)
	s.tenant.usersAtRest.Add(1)
	return r
}

func (s *shard) deliver(ctx actor.Context, r *resident, items []messages.Item) {
	seen := s.now.UnixNano()
	later := seen != r.seen
	r.seen = seen
	if r.retiring {
		if r.held == nil {
			r.held = new([]messages.Item)
		}
		*r.held = append(*r.held, items...)
		return
	}
	if r.pid == nil {
		if err := s.activate(ctx, r); err != nil {
			panic(fmt.Sprintf("user actor not started: %v", err))
		}
	} else if later {
		s.live.touch(r)
	}
	r.mailbox.PostUserMessage(messages.Deliver{Items: items})
}

// activate starts the actor of a user at rest, making room first if the tenant's
// users take too much memory.
func (s *shard) activate(ctx actor.Context, r *resident) error {
	s.makeRoom(ctx, r)
	name := url.PathEscape(r.state.id)
	if r.generation++; r.generation > 1 {
		name = fmt.Sprintf("%s#%d", name, r.generation)
	}
	seat := new(struct { // one piece of memory: they are always used together
		user    user
		mailbox Mailbox
	})
	mailbox := &seat.mailbox
	mailbox.policy, mailbox.owner = s.policy, &r.state
	seat.user = user{userState: &r.state, home: s, mailbox: mailbox}
	s.incarnate = &seat.user
	pid, err := ctx.SpawnNamed(s.props, name)
	if err != nil {
		return err
	}
	r.pid, r.mailbox = pid, mailbox
	s.rest.remove(r)
	s.live.push(r)
	s.tenant.usersAtRest.Add(-1)
	s.tenant.usersLive.Add(1)
	s.tenant.userBytes.Add(liveUserBytes - restUserBytes)
	return nil
}

// makeRoom forgets those who have been at rest longest, and puts the longest
// idle to rest, while the tenant's users take more memory than they may. Two
// for one, so that it is caught up with whatever the rate of new users.
func (s *shard) makeRoom(ctx actor.Context, except *resident) {
	for n := 0; n < 2 && s.tenant.userBytes.Load() > s.tenant.cfg.Users.Memory; n++ {
		if r := s.rest.oldest(); r != nil && r != except {
			s.forget(r)
		} else if r := s.live.oldest(); r != nil && r != except {
			s.retire(ctx, r)
		}
	}
}

func (s *shard) forget(r *resident) {
	s.rest.remove(r)
	delete(s.users, r.state.id)
	s.tenant.usersAtRest.Add(-1)
	s.tenant.userBytes.Add(-restUserBytes - int64(r.state.window.bytes()))
}

// retire asks a live user whether it may rest.
func (s *shard) retire(ctx actor.Context, r *resident) {
	s.live.touch(r) // its turn comes again only after everybody else's
	if r.retiring {
		return
	}
	r.retiring, r.asked = true, false
	r.mailbox.PostUserMessage(messages.Passivate{})
}

// rested stops the actor of a user that has nothing under way, unless something
// came for it meanwhile.
func (s *shard) rested(ctx actor.Context, name string) {
	r := s.users[name]
	if r == nil || !r.retiring {
		return
	}
	if r.held != nil || r.asked {
		s.stayed(ctx, name)
		return
	}
	ctx.Stop(r.pid)
	r.pid, r.mailbox, r.retiring = nil, nil, false
	s.live.remove(r)
	s.rest.push(r)
	s.tenant.usersLive.Add(-1)
	s.tenant.usersAtRest.Add(1)
	s.tenant.userBytes.Add(restUserBytes - liveUserBytes)
	if r.state.window.len == 0 {
		s.forget(r)
	}
}

// stayed goes on with a live user that was asked to rest.
func (s *shard) stayed(ctx actor.Context, name string) {
	r := s.users[name]
	if r == nil || !r.retiring {
		return
	}
	held := r.held
	r.retiring, r.asked, r.held = false, false, nil
	s.live.touch(r) // what was held has moved seen, and not r
	if held != nil {
		r.mailbox.PostUserMessage(messages.Deliver{Items: *held})
	}
}

// sweepAtMost bounds what one Sweep does, so that events do not wait for it.
const sweepAtMost = 4096

// sweep puts users to rest that have been idle, and forgets those at rest whose
// ids have all left the dedupe window.
func (s *shard) sweep(ctx actor.Context, m messages.Sweep) {
	s.now = m.Now
	for range sweepAtMost {
		r := s.live.oldest()
		if r == nil || r.seen >= m.Idle.UnixNano() || r.retiring {
			break
		}
		s.retire(ctx, r)
	}
	for range sweepAtMost {
		r := s.rest.oldest()
		if r == nil || s.tenant.userBytes.Load() <= s.tenant.cfg.Users.Memory/16*15 {
			break // the windows of live users have room to grow
		}
		s.forget(r)
	}
	for range sweepAtMost {
		r := s.rest.oldest()
		if r == nil || r.seen >= m.Now.Add(-s.tenant.cfg.Users.Window).UnixNano() {
			break
		}
		r.state.expire(s.tenant, m.Now)
		if r.state.window.len > 0 {
			r.seen = int64(r.state.window.oldest()) * int64(time.Second)
			s.rest.touch(r)
			continue
		}
		s.forget(r)
	}
}

func (s *shard) describe(ctx actor.Context, m messages.Describe) {
	r := s.users[m.User]
	switch {
	case r == nil:
		m.Reply <- messages.Description{}
	case r.pid == nil:
		m.Reply <- messages.Description{Status: r.state.describe(), Known: r.state.first != 0}
	default:
		r.asked = true
		r.mailbox.PostUserMessage(m)
	}
}

// list is an intrusive list of residents, the longest unseen first. The zero
// list is not ready: call init.
type list struct{ root resident }

func (l *list) init() { l.root.prev, l.root.next = &l.root, &l.root }

// oldest returns the first resident, nil when there is none.
func (l *list) oldest() *resident {
	if l.root.next == &l.root {
		return nil
	}
	return l.root.next
}

func (l *list) push(r *resident) {
	r.prev, r.next = l.root.prev, &l.root
	r.prev.next, r.next.prev = r, r
}

func (l *list) remove(r *resident) {
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
}

func (l *list) touch(r *resident) {
	l.remove(r)
	l.push(r)
}
