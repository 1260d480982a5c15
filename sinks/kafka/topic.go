package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// topic is what the cluster knows of one topic, shared by the tenants that
// write to it.
type topic struct {
	c    *Cluster
	name string

	// count is the number of partitions, fixed when it first becomes known; 0
	// until then.
	count atomic.Int32
	// layout is where the partitions are, nil until known. Immutable.
	layout atomic.Pointer[layout]
	// stale is the number of the newest layout that turned out to be wrong.
	stale atomic.Uint64

	mu     sync.Mutex
	flight *flight // the question under way, which everybody who asks waits for
	inSync int     // min.insync.replicas; 0 not asked yet, below 0 not to be had
}

// layout is a topic's partitions as one metadata answer described them.
type layout struct {
	number uint64 // greater is newer
	id     sarama.Uuid
	parts  []leader
}

// leader is where one partition is written.
type leader struct {
	addr     string   // empty: there is none at the moment
	epoch    int32    // -1 where the broker does not say
	inSync   []string // addresses of the replicas in sync, empty for an unknown broker
	replicas int
}

// flight is one question for the layout.
type flight struct {
	done   chan struct{}
	layout *layout
	err    error
}

func newTopic(c *Cluster, name string) *topic { return &topic{c: c, name: name} }

// known returns the layout, asking the cluster for it where there is none or it
// is known to be wrong.
func (t *topic) known(ctx context.Context) (*layout, error) {
	if l := t.layout.Load(); l != nil && t.stale.Load() < l.number {
		return l, nil
	}
	return t.refresh(ctx)
}

// wrong says that what l says did not hold: the next known asks anew.
func (t *topic) wrong(l *layout) {
	for {
		old := t.stale.Load()
		if old >= l.number || t.stale.CompareAndSwap(old, l.number) {
			return
		}
	}
}

// refresh asks the cluster for the layout, together with everybody else who
// does so at the moment. It creates the topic where that is wanted.
func (t *topic) refresh(ctx context.Context) (*layout, error) {
	t.mu.Lock()
	f := t.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		if !t.c.background(func() { t.fly(f) }) {
			t.mu.Unlock()
			return nil, errClosed
		}
		t.flight = f
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.layout, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("kafka: no answer yet about topic %q from %v: %w", t.name, t.c.candidates(), context.Cause(ctx))
	}
}

// fly asks, on a goroutine of its own: a caller whose ctx is over leaves the
// answer to the next.
func (t *topic) fly(f *flight) {
	ctx, cancel := context.WithTimeout(t.c.ctx, t.c.cfg.Timeout+connectTimeout)
	defer cancel()
	found, err := t.find(ctx)

	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		f.layout = t.adopt(found)
	}
	f.err = err
	t.flight = nil
	close(f.done)
}

// adopt makes l the layout in force, under t.mu.
func (t *topic) adopt(l *layout) *layout {
	l.number = t.stale.Load() + 1
	if old := t.layout.Load(); old != nil {
		l.number = max(l.number, old.number+1)
		// A broker that lags behind can name a leader that is none any more; the
		// epochs of a topic that was made anew start again.
		for p := range min(len(old.parts), len(l.parts)) {
			if l.id == old.id && l.parts[p].epoch >= 0 && l.parts[p].epoch < old.parts[p].epoch {
				l.parts[p] = old.parts[p]
			}
		}
	}
	if n := int32(len(l.parts)); !t.count.CompareAndSwap(0, n) && n != t.count.Load() {
		t.c.log.Warn("kafka topic has another number of partitions than at the start; restart to use them",
			"topic", t.name, "partitions", n, "used", t.count.Load())
	}
	t.layout.Store(l)
	return l
}

// find returns the layout of the topic, which it creates if need be.
func (t *topic) find(ctx context.Context) (*layout, error) {
	found, err := t.ask(ctx)
	if err == nil || !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !t.c.cfg.CreateTopics {
		return found, err
	}
	if err := t.create(ctx); err != nil {
		return nil, err
	}
	// The brokers hear of a new topic one after the other.
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		found, err := t.ask(ctx)
		if err == nil && found.leaderless() < 0 || err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return found, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("kafka: topic %q was created, but has no leaders yet: %w", t.name, context.Cause(ctx))
		}
	}
}

// ask returns the layout as some broker knows it.
func (t *topic) ask(ctx context.Context) (*layout, error) {
	var answer *sarama.MetadataResponse
	err := t.c.ask(ctx, func(b *sarama.Broker) (err error) {
		answer, err = b.GetMetadata(sarama.NewMetadataRequest(t.c.conf.Version, []string{t.name}))
		if err == nil && len(answer.Brokers) == 0 {
			err = errors.New("it is starting and knows no brokers yet")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	addrs, all := map[int32]string{}, []string(nil)
	for _, b := range answer.Brokers {
		addrs[b.ID()] = b.Addr()
		all = append(all, b.Addr())
	}
	t.c.know(all)
	for _, m := range answer.Topics {
		if m.Name == t.name {
			return t.read(m, addrs)
		}
	}
	return nil, fmt.Errorf("kafka: the cluster did not answer about topic %q", t.name)
}

// read turns the metadata of the topic into a layout.
func (t *topic) read(m *sarama.TopicMetadata, addrs map[int32]string) (*layout, error) {
	switch m.Err {
	case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
	case sarama.ErrUnknownTopicOrPartition:
		return nil, fmt.Errorf("kafka: topic %q does not exist: create it or set create_topics: true: %w", t.name, m.Err)
	case sarama.ErrTopicAuthorizationFailed:
		return nil, fmt.Errorf("kafka: user %q may not describe topic %q: grant it DESCRIBE and WRITE: %w",
			t.c.cfg.SASL.User, t.name, m.Err)
	case sarama.ErrInvalidTopic:
		return nil, fmt.Errorf("kafka: %q is not a name a topic can have: %w", t.name, m.Err)
	default:
		return nil, fmt.Errorf("kafka: topic %q: %w", t.name, m.Err)
	}
	l := &layout{id: m.Uuid, parts: make([]leader, len(m.Partitions))}
	for _, p := range m.Partitions {
		if int(p.ID) < 0 || int(p.ID) >= len(l.parts) {
			return nil, fmt.Errorf("kafka: topic %q: the cluster names partition %d of %d", t.name, p.ID, len(l.parts))
		}
		at := leader{epoch: -1, replicas: len(p.Replicas)}
		for _, id := range p.Isr {
			at.inSync = append(at.inSync, addrs[id])
		}
		if p.Version >= 7 {
			at.epoch = p.LeaderEpoch
		}
		if p.Leader >= 0 {
			at.addr = addrs[p.Leader]
		}
		l.parts[p.ID] = at
	}
	if len(l.parts) == 0 {
		return nil, fmt.Errorf("kafka: topic %q has no partitions", t.name)
	}
	return l, nil
}

// leaderless returns a partition that has no leader, -1 where all have one.
func (l *layout) leaderless() int {
	for p := range l.parts {
		if l.parts[p].addr == "" {
			return p
		}
	}
	return -1
}
