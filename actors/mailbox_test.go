package actors

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// recorder is an actor that notes what it handles and fails on command:
// "panic:n" panics the first n times it is handled.
type recorder struct {
	mu       *sync.Mutex
	log      *[]string
	failures map[string]int
}

func (r *recorder) Receive(ctx actor.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m := ctx.Message().(type) {
	case string:
		var n int
		if _, err := fmt.Sscanf(m, "panic:%d", &n); err == nil && r.failures[m] < n {
			r.failures[m]++
			*r.log = append(*r.log, "boom")
			panic(m)
		}
		*r.log = append(*r.log, m)
	case *actor.Restarting:
		*r.log = append(*r.log, "restart")
	}
}

// rig is an actor over a Mailbox with everything it says recorded.
type rig struct {
	system  *actor.ActorSystem
	pid     *actor.PID
	mailbox *Mailbox
	worker  *Worker

	mu  sync.Mutex
	log []string
}

func newRig(t *testing.T, limit, attempts int) *rig {
	r := &rig{system: newSystem(slog.New(slog.DiscardHandler)), worker: newWorker()}
	r.mailbox = newMailbox(&mailboxPolicy{
		limit: limit, keep: 4, maxAttempts: attempts,
		dropped: func(_, msg any, why drop) {
			r.note(fmt.Sprintf("drop(%v,%v)", msg, []string{"", "full", "stopped", "quarantined"}[why]))
		},
		failed: func(f *Failure) {
			if len(f.Stack) == 0 || !strings.Contains(string(f.Stack), "recorder") {
				t.Errorf("the stack is not that of the panic: %s", f.Stack)
			}
		},
	})
	failures := map[string]int{}
	pid, err := r.system.Root.SpawnNamed(actor.PropsFromProducer(
		func() actor.Actor {
			return &stage{mailbox: r.mailbox, Actor: &recorder{mu: &r.mu, log: &r.log, failures: failures}}
		},
		actor.WithMailbox(func() actor.Mailbox { return r.mailbox }),
		actor.WithDispatcher(r.worker),
		actor.WithGuardian(&supervisor{}),
	), "rig")
	if err != nil {
		t.Fatal(err)
	}
	r.pid = pid
	t.Cleanup(func() {
		r.stop(t)
		r.worker.stop()
		r.system.Shutdown()
	})
	return r
}

func (r *rig) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, s)
}

func (r *rig) notes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, " ")
}

func (r *rig) stop(t *testing.T) {
	if err := r.system.Root.StopFuture(r.pid).Wait(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// hold occupies the rig's worker until the function it returns is called, so
// that messages pile up.
func (r *rig) hold() (release func()) {
	held, gate := make(chan struct{}), make(chan struct{})
	r.worker.Schedule(func() { close(held); <-gate })
	<-held
	return func() { close(gate) }
}

func (r *rig) send(msgs ...string) {
	for _, m := range msgs {
		r.system.Root.Send(r.pid, m)
	}
}

func (r *rig) expect(t *testing.T, want string) {
	t.Helper()
	until(t, want, func() bool { return r.notes() == want || len(r.notes()) > len(want) })
	if got := r.notes(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMailbox(t *testing.T) {
	t.Run("messages are handled in order", func(t *testing.T) {
		r := newRig(t, 10, 3)
		r.send("a", "b", "c")
		r.expect(t, "a b c")
	})
	t.Run("a message that panicked is handled again before those behind it", func(t *testing.T) {
		r := newRig(t, 10, 3)
		release := r.hold()
		r.send("a", "panic:2", "b")
		release()
		r.expect(t, "a boom restart boom restart panic:2 b")
	})
	t.Run("a message that panics too often is put aside, and the next has its turn", func(t *testing.T) {
		r := newRig(t, 10, 2)
		release := r.hold()
		r.send("panic:9", "b")
		release()
		r.expect(t, "boom restart boom drop(panic:9,quarantined) restart b")
	})
	t.Run("a full mailbox refuses at once", func(t *testing.T) {
		r := newRig(t, 2, 3)
		release := r.hold()
		r.send("a", "b", "c")
		release()
		r.expect(t, "drop(c,full) a b")
	})
	t.Run("what is left when the actor stops is dropped, and what comes later", func(t *testing.T) {
		r := newRig(t, 10, 3)
		release := r.hold()
		r.send("a", "b")
		r.system.Root.Stop(r.pid) // by the system lane: before a and b
		release()
		r.expect(t, "drop(a,stopped) drop(b,stopped)")
		r.mailbox.PostUserMessage("c")
		r.expect(t, "drop(a,stopped) drop(b,stopped) drop(c,stopped)")
	})
	t.Run("a suspended mailbox keeps what comes", func(t *testing.T) {
		r := newRig(t, 10, 3)
		release := r.hold()
		r.mailbox.PostSystemMessage(&actor.SuspendMailbox{})
		r.send("a")
		release()
		until(t, "idle", func() bool {
			r.mailbox.mu.Lock()
			defer r.mailbox.mu.Unlock()
			return !r.mailbox.scheduled
		})
		if got := r.notes(); got != "" {
			t.Errorf("handled while suspended: %s", got)
		}
		r.mailbox.PostSystemMessage(&actor.ResumeMailbox{})
		r.expect(t, "a")
	})
}

// TestMailboxKeepsOrderAndLosesNothingOverRestarts is the long form: 20,000
// messages from four senders, one in thirteen failing once.
func TestMailboxKeepsOrderAndLosesNothingOverRestarts(t *testing.T) {
	const senders, each = 4, 5000
	r := newRig(t, senders*each, 3)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if i%13 == 0 {
					r.send(fmt.Sprintf("panic:1 %d/%05d", s, i))
				} else {
					r.send(fmt.Sprintf("%d/%05d", s, i))
				}
			}
		}()
	}
	wg.Wait()
	bySender := make([][]string, senders)
	until(t, "all are handled", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, m := range r.log {
			if strings.Contains(m, "/") {
				n++
			}
		}
		return n == senders*each
	})
	for _, m := range r.log {
		if s, _, ok := strings.Cut(strings.TrimPrefix(m, "panic:1 "), "/"); ok {
			bySender[s[0]-'0'] = append(bySender[s[0]-'0'], strings.TrimPrefix(m, "panic:1 "))
		}
	}
	for s, got := range bySender {
		if !slices.IsSorted(got) {
			t.Errorf("sender %d's messages were handled out of order", s)
		}
	}
}
