// Package actors is the pipeline behind the data port: supervised actors that
// parse, validate, order, de-duplicate, batch and write events.
//
// The tree, top down, is root.go, tenant.go and then one file a stage:
// parser.go, validator.go, shard.go, user.go, batcher.go, writer.go. What all
// of them stand on is mailbox.go, dispatcher.go, supervision.go and credits.go.
package actors

import (
	"runtime"
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
// What can wait until there is nothing better to do stands in later: it has its
// turn when ready is empty, and whoever could run has had the chance to add to it,
// or after maxRounds. So it is put off by work, never by time: an idle worker
// comes to it at once.
//
// A Worker is an actor.Dispatcher. It is stopped by stop, which returns when
// its goroutine has ended.
type Worker struct {
	mu     sync.Mutex
	ready  []runnable // guarded by mu
	later  []runnable // guarded by mu
	rounds int        // guarded by mu: how often ready went before later
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

// maxRounds bounds how often what is ready goes before what is put off.
const maxRounds = 16

func (w *Worker) loop() {
	defer close(w.done)
	var batch []runnable
	for {
		if batch = w.next(batch[:0]); batch == nil {
			return
		}
		for i, r := range batch {
			batch[i] = nil
			r.run()
		}
		if cap(batch) > 4096 {
			batch = nil // a burst need not be paid for ever
		}
	}
}

// next waits for something to run and returns it, nil when the worker is to end.
// It takes spent, which is empty, in exchange.
func (w *Worker) next(spent []runnable) []runnable {
	w.mu.Lock()
	defer w.mu.Unlock()
	for yielded := false; len(w.ready) == 0; {
		switch {
		case len(w.later) > 0 && !yielded:
			w.mu.Unlock()
			runtime.Gosched() // whoever has a request in hand hands it over first
			w.mu.Lock()
			yielded = true
		case len(w.later) > 0:
			batch := w.later
			w.later, w.rounds = spent, 0
			return batch
		case w.closed:
			return nil
		default:
			w.parked = true
			w.mu.Unlock()
			<-w.wake
			w.mu.Lock()
			yielded = false
		}
	}
	if len(w.later) > 0 {
		if w.rounds++; w.rounds > maxRounds {
			w.ready = append(w.ready, w.later...)
			w.later, w.rounds = w.later[:0], 0
		}
	}
	batch := w.ready
	w.ready = spent
	return batch
}

// enqueue gives r a turn. The caller sees to it that r is not waiting already.
func (w *Worker) enqueue(r runnable) { w.add(&w.ready, r) }

// putOff gives r a turn when there is nothing better to do.
func (w *Worker) putOff(r runnable) { w.add(&w.later, r) }

func (w *Worker) add(queue *[]runnable, r runnable) {
	w.mu.Lock()
	*queue = append(*queue, r)
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
