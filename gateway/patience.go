package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long answers wait for their outcome. The requests of one tick
// share the channel that ends their wait, which costs two timers a tick instead of
// one a request, and none while nobody asks.
//
//	         tick            timeout
//	open ──────────▶ shut ──────────▶ over
//	(handed out)     (waited for)
//
// So a wait is at least timeout and at most tick longer.
type patience struct {
	timeout, tick time.Duration

	open atomic.Pointer[wait] // nil: the next request opens one

	mu    sync.Mutex
	ended bool
	live  map[*wait]struct{} // not over
}

// wait is what the requests of one tick wait for.
type wait struct{ over chan struct{} }

func newPatience(timeout time.Duration) *patience {
	return &patience{timeout: timeout, tick: max(timeout/64, time.Millisecond), live: make(map[*wait]struct{})}
}

// begin returns a channel that is closed when a request that begins to wait now has
// waited for long enough, or everything has to end.
func (p *patience) begin() <-chan struct{} {
	if w := p.open.Load(); w != nil {
		return w.over
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.open.Load(); w != nil {
		return w.over
	}
	w := &wait{over: make(chan struct{})}
	if p.ended {
		close(w.over)
		return w.over
	}
	p.live[w] = struct{}{}
	p.open.Store(w)
	time.AfterFunc(p.tick, func() { p.open.CompareAndSwap(w, nil) })
	time.AfterFunc(p.tick+p.timeout, func() { p.finish(w) })
	return w.over
}

func (p *patience) finish(w *wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.live[w]; ok {
		delete(p.live, w)
		close(w.over)
	}
}

// end ends every wait, those that are still to begin too.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.open.Store(nil)
	for w := range p.live {
		delete(p.live, w)
		close(w.over)
	}
}
