package main

import (
	"slices"
	"sync"

	"github.com/IBM/sarama"
	"github.com/valyala/fasthttp"

	"sluice/bench/peers/intake"
)

// A request is the memory of one request, which the next one uses again: a request
// in steady state allocates nothing.
type request struct {
	scanner  intake.Scanner
	messages []message
	keys     []byte // the users, one after the other

	waiting sync.WaitGroup // for the messages that have no outcome yet
	mu      sync.Mutex
	err     error
}

// A message is an event with what sarama needs to know of it, in one piece. The
// value is of fasthttp's memory: the handler returns when the message has its
// outcome, and until then the body is its own.
type message struct {
	sarama.ProducerMessage
	key, value sarama.ByteEncoder
}

// read checks the request and makes r.messages[:n] of its events. None is stored
// of a request that is not valid.
func (r *request) read(ctx *fasthttp.RequestCtx) (n int, err error) {
	s := &r.scanner
	s.Reset(ctx)
	// Messages hold pointers into themselves and so must not move.
	if most := s.Count(); cap(r.messages) < most {
		r.messages = make([]message, most)
	} else {
		r.messages = r.messages[:most]
	}
	r.keys = slices.Grow(r.keys[:0], 16*len(r.messages))
	for ; s.Next(); n++ {
		from := len(r.keys)
		r.keys = append(r.keys, s.User...) // should it move, earlier keys stay where they are
		m := &r.messages[n]
		m.key, m.value = r.keys[from:], s.Raw
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	return n, nil
}

// done notes the outcome of one message.
func (r *request) done(err error) {
	if err != nil {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
	r.waiting.Done()
}

// wait returns when all messages have their outcome: nil, or why one of them
// was perhaps not stored.
func (r *request) wait() error {
	r.waiting.Wait()
	return r.err
}

// requests is a pool of requests.
type requests struct{ pool sync.Pool }

func (p *requests) get() *request {
	if r, ok := p.pool.Get().(*request); ok {
		return r
	}
	return new(request)
}

// put takes a request back that has no error.
func (p *requests) put(r *request) { p.pool.Put(r) }
