package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"sluice/sinks"
)

// producer writes record batches that it builds itself: each batch of a lane is
// one record batch, which is kept as it is until its fate is known.
//
// sarama's AsyncProducer is not used: it gives a record back without saying
// whether it was stored, and gives it another sequence when it is sent again.
type producer struct {
	c     *Cluster
	topic *topic
	parts sync.Pool // of *part
	whole *memo     // shared by the batches that are stored whole

	mu      sync.Mutex
	links   map[string]*link // by address of the broker
	streams map[streamKey]*stream
	stopped bool
}

// streamKey names a stream. In the ordinary case the two are the same; they are
// not while lanes and partitions differ in number.
type streamKey struct {
	lane      uint32
	partition int32
}

func newProducer(c *Cluster, t *topic) *producer {
	return &producer{
		c: c, topic: t, whole: &memo{},
		links: map[string]*link{}, streams: map[streamKey]*stream{},
	}
}

// write does what Sink.Write promises, on a topic of so many partitions. No other
// call for the same lane is under way.
func (w *producer) write(ctx context.Context, b *sinks.Batch, partitions int32) error {
	m, ok := b.Memo.(*memo)
	if !ok {
		m = w.plan(b, partitions)
		b.Memo = m
	}
	if len(m.parts) == 0 && len(m.failed) == 0 {
		return nil // stored by an earlier attempt
	}
	var rest []*part
	var blocked map[*stream]error // order: what comes behind a failure waits for it
	for queue := m.parts; len(queue) > 0; {
		p := queue[0]
		queue = queue[1:]
		err := blocked[p.stream]
		if err == nil {
			var split []*part
			if split, err = w.store(ctx, b, m, p); err == nil {
				w.recycle(p)
				queue = append(split, queue...)
				continue
			}
			if blocked == nil {
				blocked = map[*stream]error{}
			}
			blocked[p.stream] = err
		}
		rest = append(rest, p)
	}
	m.parts = rest
	if len(rest) == 0 && len(m.failed) == 0 {
		b.Memo = w.whole
		return nil
	}
	return m.outcome(b, blocked)
}

// outcome returns what Write returns: why is what stopped each stream.
func (m *memo) outcome(b *sinks.Batch, why map[*stream]error) error {
	failed := maps.Clone(m.failed)
	if failed == nil {
		failed = make(map[int]error)
	}
	for _, p := range m.parts {
		for i := range p.n {
			failed[p.index(i)] = why[p.stream]
		}
	}
	if len(m.failed) == 0 && len(why) == 1 && len(failed) == len(b.Events) {
		return why[m.parts[0].stream]
	}
	return &sinks.PartialError{Failed: failed}
}

// What one Write does by itself is bounded by maxTries and, together, by half a
// second: only what passes at once is tried again, and only where our picture of
// the cluster was at fault: the leader had moved, a new leader did not know it
// yet, an idle connection had been closed, the broker had forgotten the
// producer. Real failures are the caller's to retry.
const (
	maxTries   = 6
	firstPause = 10 * time.Millisecond // doubled each time
)

// store sends p until its outcome is known, or no better known than that
// another attempt may help: the error. Where p was to be split it returns what
// replaces it.
func (w *producer) store(ctx context.Context, b *sinks.Batch, m *memo, p *part) ([]*part, error) {
	for try := 1; ; try++ {
		if err := w.await(ctx, p); err != nil {
			return nil, err
		}
		s := &p.send
		s.learn(p.stream)
		if s.err != nil {
			w.noAnswer(p)
			if !s.again || try == maxTries || !w.pause(ctx, try) {
				return nil, s.err
			}
			continue
		}
		verdict := judge(s.code)
		switch verdict {
		case stored:
			p.tell(b)
			p.stream.advance(p)
			return nil, nil
		case tooLarge, invalid:
			w.notStored(p)
			return w.exclude(b, m, p, verdict), nil
		}
		if !w.another(p, verdict) || try == maxTries || !w.pause(ctx, try) {
			return nil, w.refusal(p)
		}
	}
}

// another notes what the answer says about the part's fate, and reports whether
// the same Write should try again.
func (w *producer) another(p *part, v verdict) bool {
	switch v {
	case restart:
		p.stream.undecided, p.unsure, p.stamped = nil, false, false
		p.stream.renew()
		return true
	case fenced:
		if p.unsure { // an earlier attempt may have stored it, and nobody can tell
			p.stream.fenced = true
			return false
		}
		w.notStored(p)
		p.stream.forget()
		return true
	case moved:
		w.topic.wrong(p.layout)
		w.mayBeStored(p)
		return true
	default: // unsure: if this batch is given up, the next one begins an epoch
		w.mayBeStored(p)
		return false
	}
}

// pause waits a little longer with each try. False: ctx is over.
func (w *producer) pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(firstPause << (try - 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// refusal returns the broker's answer about p as an error.
func (w *producer) refusal(p *part) error {
	s := &p.send
	return &produceError{
		topic: s.topic, partition: s.partition, addr: p.link.addr,
		code: s.code, text: s.text, user: w.c.cfg.SASL.User,
	}
}

// exclude finds the events of p that the broker will never take. It returns what
// is to be tried without them.
func (w *producer) exclude(b *sinks.Batch, m *memo, p *part, v verdict) []*part {
	why := w.refusal(p)
	if v == invalid {
		if rest, named := w.without(b, m, p, p.send.records, why); named {
			return rest
		}
	}
	if p.n == 1 {
		m.fail(p.index(0), why)
		return nil
	}
	return w.divide(b, p)
}

// mayBeStored: nothing but a resend can tell.
func (w *producer) mayBeStored(p *part) {
	p.unsure = true
	p.stream.undecided = p
}

// notStored: the sequence of p is free, or, where an earlier attempt may be on
// its way still, the epoch is closed.
func (w *producer) notStored(p *part) {
	if p.unsure {
		p.stream.renew()
	}
	p.stream.undecided, p.unsure, p.stamped = nil, false, false
}

// noAnswer: the connection failed.
func (w *producer) noAnswer(p *part) {
	w.topic.wrong(p.layout)
	switch {
	case p.send.sent:
		w.mayBeStored(p)
	case !p.unsure:
		w.notStored(p)
	}
}

var errGivenUp = errors.New("kafka: another batch took this one's place, and whether it was stored cannot be found out any more")

// await sees to it that p is with a link, and waits until that has answered or
// ctx is over.
func (w *producer) await(ctx context.Context, p *part) error {
	if !p.underway {
		if err := w.dispatch(ctx, p); err != nil {
			return err
		}
	}
	select {
	case <-p.send.done:
		p.underway = false
		return nil
	case <-ctx.Done():
	}
	if p.link.withdraw(&p.send) {
		p.underway = false
		if !p.unsure {
			w.notStored(p)
		}
	} else {
		p.stream.undecided = p // until its answer is fetched
	}
	return fmt.Errorf("kafka: no answer from broker %s about %s/%d yet: %w",
		p.link.addr, p.send.topic, p.send.partition, context.Cause(ctx))
}

// dispatch hands p to the link of its partition's leader.
func (w *producer) dispatch(ctx context.Context, p *part) error {
	p.stream.admit(p)
	if p.stamped && !p.stream.holds(p) {
		if p.unsure {
			return errGivenUp
		}
		p.stamped = false
	}
	for {
		l, err := w.topic.known(ctx)
		if err != nil {
			return err
		}
		if int(p.send.partition) >= len(l.parts) {
			w.topic.wrong(l)
			return fmt.Errorf("kafka: topic %q has %d partitions and had more: it was made anew; restart to use it", p.send.topic, len(l.parts))
		}
		addr := l.parts[p.send.partition].addr
		if addr == "" {
			w.topic.wrong(l)
			return fmt.Errorf("kafka: %s/%d has no leader at the moment", p.send.topic, p.send.partition)
		}
		to, err := w.link(addr, l)
		if err != nil {
			return err
		}
		if !p.stamped {
			p.stream.stamp(p)
		}
		p.link, p.layout = to, l
		if to.put(&p.send) {
			p.underway = true
			return nil
		}
		if w.c.ctx.Err() != nil {
			return errClosed
		}
	}
}

func (w *producer) stream(lane uint32, partition int32) *stream {
	key := streamKey{lane, partition}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.streams[key]
	if s == nil {
		s = &stream{partition: partition, pid: -1}
		w.streams[key] = s
	}
	return s
}

// link returns the link to addr, and ends those to brokers that l does not name.
func (w *producer) link(addr string, l *layout) (*link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil, errClosed
	}
	if found := w.links[addr]; found != nil {
		return found, nil
	}
	for old, unused := range w.links {
		if !l.names(old) && unused.quiet() {
			unused.stop()
			delete(w.links, old)
		}
	}
	made := newLink(w.c, addr)
	w.links[addr] = made
	return made, nil
}

func (l *layout) names(addr string) bool {
	for i := range l.parts {
		if l.parts[i].addr == addr {
			return true
		}
	}
	return false
}

// stop ends what is under way, unfinished, and hangs up.
func (w *producer) stop(ctx context.Context) error {
	w.mu.Lock()
	w.stopped = true
	links := w.links
	w.links = nil
	w.mu.Unlock()
	for _, l := range links {
		l.stop()
	}
	return within(ctx, "the connections to the brokers", func() {
		for _, l := range links {
			<-l.ended
		}
	})
}
