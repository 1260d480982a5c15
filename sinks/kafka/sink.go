package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"sluice/event"
	"sluice/sinks"
)

// Sink writes one tenant's events; it implements sinks.Sink.
type Sink struct {
	c        *Cluster
	topic    *topic
	producer *producer
	// lanes is the number of lanes, fixed when it is first asked for; 0 until
	// then.
	lanes  atomic.Int32
	warned atomic.Bool // that lanes is not the number of partitions

	mu     sync.Mutex
	active map[uint32]*sync.Mutex // by lane: held while a Write is under way
	closed bool
}

func newSink(c *Cluster, t *topic) *Sink {
	return &Sink{c: c, topic: t, producer: newProducer(c, t), active: map[uint32]*sync.Mutex{}}
}

// Partition implements sinks.Sink: lane and key are both the partition that the
// user's key falls on.
func (s *Sink) Partition(e *event.Event) sinks.Partition {
	p := partitionOf(e.User, s.laneCount())
	return sinks.Partition{Lane: uint32(p), Key: uint64(p)}
}

func (s *Sink) laneCount() int32 {
	if n := s.lanes.Load(); n != 0 {
		return n
	}
	n := s.topic.count.Load()
	if n == 0 {
		n = int32(s.c.cfg.Partitions)
	}
	s.lanes.CompareAndSwap(0, n)
	return s.lanes.Load()
}

var errLaneBusy = errors.New("kafka: another Write of this lane is under way")

// Write implements sinks.Sink.
func (s *Sink) Write(ctx context.Context, b *sinks.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	lane, err := s.lane(b.Partition.Lane)
	if err != nil {
		return err
	}
	if !lane.TryLock() {
		return errLaneBusy
	}
	defer lane.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	return s.producer.write(ctx, b, n)
}

func (s *Sink) lane(n uint32) (*sync.Mutex, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	m := s.active[n]
	if m == nil {
		m = new(sync.Mutex)
		s.active[n] = m
	}
	return m, nil
}

// partitions returns the number of partitions to spread users over.
func (s *Sink) partitions(ctx context.Context) (int32, error) {
	n := s.topic.count.Load()
	if n == 0 {
		if _, err := s.topic.known(ctx); err != nil {
			return 0, err
		}
		n = s.topic.count.Load()
	}
	if lanes := s.laneCount(); lanes != n && !s.warned.Swap(true) {
		s.c.log.Warn("kafka topic was not known in time: batches span partitions until a restart, which is slower; set partitions to the topic's",
			"topic", s.topic.name, "partitions", n, "lanes", lanes)
	}
	return n, nil
}

// Probe implements sinks.Sink. It creates a missing topic where that is wanted.
func (s *Sink) Probe(ctx context.Context) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	return s.topic.probe(ctx)
}

// Close implements sinks.Sink.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.c.forget(s)
	return s.producer.stop(ctx)
}
