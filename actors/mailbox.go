package actors

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// drop says why a message leaves its mailbox without having been handled.
type drop uint8

const (
	dropFull        drop = iota + 1 // the mailbox was at its limit when it came
	dropStopped                     // its actor stopped first
	dropQuarantined                 // handling it failed maxAttempts times
)

// mailboxPolicy is what the mailboxes of one stage of one tenant have in common.
type mailboxPolicy struct {
	limit       int // messages waiting, at most
	keep        int // messages that an emptied mailbox keeps memory for
	maxAttempts int // of one message, at least 1
	// dropped answers whoever waits for a message that will not be handled. owner
	// is that of the mailbox. It is called by whoever posts (dropFull,
	// dropStopped) or by the mailbox's worker, and must not block.
	dropped func(owner, msg any, why drop)
	// failed hears of every panic, quarantine or not, before the supervisor does.
	failed func(f *Failure)
	// split takes a message apart that failed maxAttempts times, so that one event
	// does not take its neighbours with it. Nil, or fewer than two parts: it cannot.
	split func(msg any) []any
}

// Failure is one panic of an actor: what it was handling, and what the mailbox
// made of it. It is the reason that supervisors see.
type Failure struct {
	Value       any // of the panic
	Stack       []byte
	Message     any
	Attempt     int  // of this message, from 1
	Quarantined bool // it was the last attempt: the message is put aside
}

// Mailbox is the bounded mailbox of every actor on the way of an event.
//
//	                 post                    worker
//	sender ──▶ [ in ........ ] ──swap──▶ [ out ... ] ──▶ Receive
//	system ──▶ [ system .... ] ──────────────────▶ first, always, even suspended
//
// States: idle -(post)-> scheduled -(empty)-> idle; any -(close)-> closed.
// scheduled means that the worker has it in its queue or is running it, so it
// runs on one goroutine at a time.
//
// Promises: a post never blocks and fails at the limit. A message whose
// handling panicked is kept and handled first after the restart, in order; after
// maxAttempts it is split and its parts are tried by themselves, or it goes to
// dropped, and the next one has its turn. What is in the mailbox when its actor
// has stopped, and what comes later, goes to dropped.
type Mailbox struct {
	policy  *mailboxPolicy
	owner   any // what the actor is the shell of, for policy.dropped; may be nil
	worker  *Worker
	invoker actor.MessageInvoker

	// A user has a mailbox of its own, so every word here is megabytes: what is
	// seldom there stands behind a pointer.
	mu        sync.Mutex
	in        []any    // guarded by mu
	system    *[]any   // guarded by mu; nil: empty
	taken     int32    // guarded by mu: messages in out when it was last filled
	scheduled bool     // guarded by mu
	closed    bool     // guarded by mu
	suspended bool     // owned by the worker: between a failure and the supervisor's word
	handling  bool     // owned by the worker: a message is being handled
	urgent    flag     // system is not empty: look before the next message
	next      int32    // owned by the worker: in out; out[next-1] is being handled
	out       []any    // owned by the worker while scheduled
	failed    *attempt // owned by the worker; nil: the last message was handled
}

// attempt is a message whose handling panicked; it is to be handled first.
type attempt struct {
	msg   any
	tried int
}

// flag is an atomic boolean of four bytes.
type flag struct{ v atomic.Uint32 }

func (f *flag) set(on bool) {
	var v uint32
	if on {
		v = 1
	}
	f.v.Store(v)
}

func (f *flag) isSet() bool { return f.v.Load() != 0 }

func newMailbox(policy *mailboxPolicy) *Mailbox { return &Mailbox{policy: policy} }

// RegisterHandlers implements actor.Mailbox. The dispatcher must be a *Worker.
func (m *Mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.worker = invoker, dispatcher.(*Worker)
}

// Start implements actor.Mailbox.
func (m *Mailbox) Start() {}

// UserMessageCount implements actor.Mailbox: how many messages wait, counting
// those of the group that is being handled as waiting until it is done.
func (m *Mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.in) + int(m.taken)
}

// PostUserMessage implements actor.Mailbox. A message that finds no room, or
// nobody any more, goes to dropped before PostUserMessage returns.
func (m *Mailbox) PostUserMessage(msg any) {
	if why := m.post(msg); why != 0 {
		m.policy.dropped(m.owner, msg, why)
	}
}

func (m *Mailbox) post(msg any) drop {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return dropStopped
	}
	if len(m.in)+int(m.taken) >= m.policy.limit {
		m.mu.Unlock()
		return dropFull
	}
	m.in = append(m.in, msg)
	wake := !m.scheduled
	m.scheduled = true
	m.mu.Unlock()
	if wake {
		m.worker.enqueue(m)
	}
	return 0
}

// PostSystemMessage implements actor.Mailbox. The system lane has no limit:
// what it carries is bounded by the number of actors.
func (m *Mailbox) PostSystemMessage(msg any) {
	m.mu.Lock()
	if m.system == nil {
		m.system = new([]any)
	}
	*m.system = append(*m.system, msg)
	m.urgent.set(true)
	wake := !m.scheduled
	m.scheduled = true
	m.mu.Unlock()
	if wake {
		m.worker.enqueue(m)
	}
}

// run handles what is there, at most a quantum of it, and gives the worker back.
func (m *Mailbox) run() {
	for left := quantum; ; {
		if !m.refill() {
			return
		}
		if left <= 0 {
			m.worker.enqueue(m)
			return
		}
		left = m.handle(left)
	}
}

// refill sees to the system lane and takes the next group of messages. It
// reports false, and the mailbox is idle, when there is nothing to handle.
func (m *Mailbox) refill() bool {
	for {
		m.mu.Lock()
		system := m.system
		m.system = nil
		m.urgent.set(false)
		if system == nil {
			break
		}
		m.mu.Unlock()
		for _, msg := range *system {
			m.invokeSystem(msg)
		}
	}
	defer m.mu.Unlock()
	if m.suspended {
		m.scheduled = false
		return false
	}
	if m.failed != nil || int(m.next) < len(m.out) {
		return true
	}
	spent := m.out[:0]
	if cap(spent) > m.policy.keep {
		spent = nil
	}
	m.out, m.in, m.next = m.in, spent, 0
	m.taken = int32(len(m.out))
	if m.taken == 0 {
		m.scheduled = false
		return false
	}
	return true
}

// handle lets the actor handle up to left messages and returns what is left of
// left. It returns early when the system lane has something or the actor failed.
func (m *Mailbox) handle(left int) (rest int) {
	rest = left
	defer func() {
		if v := recover(); v != nil {
			m.fail(v)
			rest--
		}
	}()
	if m.failed != nil {
		m.invoker.InvokeUserMessage(m.failed.msg)
		m.failed = nil
		rest--
	}
	for int(m.next) < len(m.out) && rest > 0 && !m.urgent.isSet() {
		m.handling = true
		m.next++
		m.invoker.InvokeUserMessage(m.out[m.next-1])
		m.out[m.next-1] = nil
		m.handling = false
		rest--
	}
	return rest
}

// fail keeps the message whose handling panicked for another attempt, or puts
// it aside, and tells the supervisor. Called while recovering, so that the
// stack is still that of the panic.
func (m *Mailbox) fail(v any) {
	if m.handling {
		m.handling = false
		m.failed = &attempt{msg: m.out[m.next-1]}
		m.out[m.next-1] = nil
	}
	m.failed.tried++
	f := &Failure{Value: v, Stack: debug.Stack(), Message: m.failed.msg, Attempt: m.failed.tried}
	if f.Attempt >= m.policy.maxAttempts {
		f.Quarantined = !m.takeApart(f.Message)
		m.failed = nil
	}
	m.policy.failed(f)
	if f.Quarantined {
		m.answer(f)
	}
	m.suspended = true // at once: the order of EscalateFailure comes by the system lane
	m.invoker.EscalateFailure(f, f.Message)
}

// takeApart puts the parts of msg where it stood, and reports whether it has any.
func (m *Mailbox) takeApart(msg any) bool {
	if m.policy.split == nil {
		return false
	}
	parts := m.policy.split(msg)
	if len(parts) < 2 {
		return false
	}
	m.out, m.next = append(parts, m.out[m.next:]...), 0
	return true
}

// answer lets the policy answer for a quarantined message. A panic in there
// must not take the worker down; it is reported like any other.
func (m *Mailbox) answer(f *Failure) {
	defer func() {
		if v := recover(); v != nil {
			m.policy.failed(&Failure{Value: v, Stack: debug.Stack(), Message: f.Message, Attempt: f.Attempt, Quarantined: true})
		}
	}()
	m.policy.dropped(m.owner, f.Message, dropQuarantined)
}

func (m *Mailbox) invokeSystem(msg any) {
	defer func() {
		if v := recover(); v != nil {
			f := &Failure{Value: v, Stack: debug.Stack(), Message: msg, Attempt: 1}
			m.policy.failed(f)
			m.suspended = true
			m.invoker.EscalateFailure(f, msg)
		}
	}()
	switch msg.(type) {
	case *actor.SuspendMailbox:
		m.suspended = true
	case *actor.ResumeMailbox:
		m.suspended = false
	default:
		m.invoker.InvokeSystemMessage(msg)
	}
}

// close drops what is left. The actor calls it when it is told that it has
// stopped, on its own worker.
func (m *Mailbox) close() {
	m.mu.Lock()
	m.closed = true
	left := append([]any{}, m.out[m.next:]...)
	left = append(left, m.in...)
	m.out, m.in, m.next, m.taken = nil, nil, 0, 0
	m.mu.Unlock()
	if m.failed != nil {
		left = append([]any{m.failed.msg}, left...)
		m.failed = nil
	}
	m.suspended = false
	for _, msg := range left {
		m.policy.dropped(m.owner, msg, dropStopped)
	}
}
