// Package actors is the pipeline behind the data port: supervised actors that
// parse, validate, order, de-duplicate, batch and write events.
//
// The tree, top down, is root.go, tenant.go and then one file a stage:
// parser.go, validator.go, shard.go, user.go, batcher.go, writer.go. What all
// of them stand on is mailbox.go, dispatcher.go, supervision.go and credits.go.
package actors

import (
	"sync"
)

// quantum is how many messages a mailbox handles before the next one on its
// worker has a turn: large enough to pay for the switch, small enough that one
// full mailbox does not hold up the others.
const quantum = 64

// runnable is what a worker runs: a mailbox that has something to handle.
type runnable interface{ run() }

// Worker runs mailboxes on one goroutine. A mailbox stays on the worker that it
// was registered with, so what one worker runs needs no lock against itself,
// and waking a mailbox of a busy worker costs no goroutine and no wake-up.
//
// A Worker is an actor.Dispatcher. It is stopped by stop, which returns when
// its goroutine has ended.
type Worker struct {
	mu     sync.Mutex
	ready  []runnable // guarded by mu
	parked bool       // guarded by mu: the goroutine waits for wake
	closed bool       // guarded by mu

	wake chan struct{} // one token: there is something in ready
	done chan struct{}
}

// newWorker returns a worker whose goroutine is running.
func newWorker() *Worker {
	w := &Worker{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.loop()
	return w
}

func (w *Worker) loop() {
	defer close(w.done)
	var batch []runnable
	for {
		w.mu.Lock()
		for len(w.ready) == 0 {
			if w.closed {
				w.mu.Unlock()
				return
			}
			w.parked = true
			w.mu.Unlock()
			<-w.wake
			w.mu.Lock()
		}
		batch, w.ready = w.ready, batch[:0]
		w.mu.Unlock()
		for i, r := range batch {
			batch[i] = nil
			r.run()
		}
		if cap(batch) > 4096 {
			batch = nil // a burst need not be paid for ever
		}
	}
}

// enqueue gives r a turn. The caller sees to it that r is not waiting already.
func (w *Worker) enqueue(r runnable) {
	w.mu.Lock()
	w.ready = append(w.ready, r)
	wake := w.parked
	w.parked = false
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
}

// stop lets the goroutine end once nothing is ready any more, and waits for it.
func (w *Worker) stop() {
	w.mu.Lock()
	w.closed = true
	wake := w.parked
	w.parked = false
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
	<-w.done
}

type runFunc func()

func (f runFunc) run() { f() }

// Schedule implements actor.Dispatcher for mailboxes that are not ours.
func (w *Worker) Schedule(fn func()) { w.enqueue(runFunc(fn)) }

// Throughput implements actor.Dispatcher.
func (w *Worker) Throughput() int { return quantum }
