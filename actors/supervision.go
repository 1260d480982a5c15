package actors

import (
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// SupervisionPolicy is how a tenant's actors are treated when they fail.
type SupervisionPolicy struct {
	MaxAttempts int           // of one message before it is quarantined, at least 1
	MaxRestarts int           // of one actor within Within; past it every restart waits MaxBackoff
	Within      time.Duration // the window of MaxRestarts
	MinBackoff  time.Duration // before the first restart
	MaxBackoff  time.Duration // before any restart
}

// supervisor is the strategy of every supervisor in the tree. It restarts the
// child that failed and no other, after a backoff that doubles with each attempt
// at the same message, and it never gives a child up: a stage cannot stay dead.
//
// It implements actor.SupervisorStrategy. proto.actor keeps guardians by
// strategy, so one pointer serves a whole tenant.
type supervisor struct {
	policy SupervisionPolicy
	// resumes tells which children go on as they are instead of being made anew:
	// parents, because a restart would stop all their children. Nil: none.
	resumes func(child *actor.PID) bool
}

// HandleFailure implements actor.SupervisorStrategy.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, _ any) {
	attempt := 1
	if f, ok := reason.(*Failure); ok {
		attempt = f.Attempt
	}
	again := parent.RestartChildren
	if s.resumes != nil && s.resumes(child) {
		again = parent.ResumeChildren
	}
	rs.Fail()
	delay := s.policy.backoff(attempt, rs.NumberOfFailures(s.policy.Within))
	if delay <= 0 {
		again(child)
		return
	}
	// A restart is a message to the child, so any goroutine may send it; one that
	// comes after the tree has stopped reaches nobody.
	time.AfterFunc(delay, func() { again(child) })
}

// backoff returns how long to wait before the restart that follows attempt
// number attempt, when the actor failed recent times within the window.
func (p SupervisionPolicy) backoff(attempt, recent int) time.Duration {
	if p.MaxRestarts > 0 && recent > p.MaxRestarts {
		return p.MaxBackoff
	}
	return jittered(exponential(p.MinBackoff, p.MaxBackoff, attempt))
}

// exponential doubles least with every attempt after the first, up to most.
func exponential(least, most time.Duration, attempt int) time.Duration {
	d := least
	for ; attempt > 1 && d < most; attempt-- {
		d *= 2
	}
	return min(d, most)
}

// jittered spreads d over [d/2, d], so that what failed together does not come
// back together.
func jittered(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// stage closes the mailbox of an actor that has stopped, so that nothing that is
// in it, or comes later, is lost in silence.
type stage struct {
	mailbox *Mailbox
	actor.Actor
}

func (s *stage) Receive(ctx actor.Context) {
	s.Actor.Receive(ctx)
	if _, ok := ctx.Message().(*actor.Stopped); ok {
		s.mailbox.close()
	}
}
