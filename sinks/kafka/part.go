package kafka

import (
	"fmt"
	"strconv"

	"github.com/IBM/sarama"

	"sluice/event"
	"sluice/sinks"
)

// memo is what a Batch remembers of its earlier attempts. Its zero value is the
// memo of a batch that is stored whole.
type memo struct {
	parts  []*part       // whose events have no outcome yet, in their order
	failed map[int]error // for good, by index
	one    [1]*part      // backs parts in the common case
}

// fail gives the event at index i its outcome.
func (m *memo) fail(i int, err error) {
	if m.failed == nil {
		m.failed = make(map[int]error)
	}
	m.failed[i] = sinks.Permanent(err)
}

// part is the events of a batch that make one record batch. A batch has one,
// unless it spans partitions, is huge, or a part had to be split.
type part struct {
	stream *stream
	pick   []int // indices into Batch.Events; nil: all of them
	n      int
	records

	stamped bool // the record batch has its producer, epoch and sequence
	unsure  bool // an attempt that is over may have stored it
	// underway: send is with link, which has not answered yet. What layout said
	// led there.
	underway bool
	send     send
	link     *link
	layout   *layout
}

// index returns the index in the batch of the part's i-th event.
func (p *part) index(i int) int {
	if p.pick == nil {
		return i
	}
	return p.pick[i]
}

// plan cuts the batch into parts, and fails what is too large to be tried.
func (w *producer) plan(b *sinks.Batch, partitions int32) *memo {
	m := &memo{}
	m.parts = m.one[:0]
	if size, ok := w.uniform(b, partitions); ok {
		p := w.newPart(b.Events, nil, w.stream(b.Partition.Lane, partitionOf(b.Events[0].User, partitions)))
		p.send.bytes = size
		m.parts = append(m.parts, p)
		return m
	}
	var order []int32
	picks, sizes := map[int32][]int{}, map[int32]int{}
	cut := func(at int32) {
		if len(picks[at]) == 0 {
			return
		}
		p := w.newPart(b.Events, picks[at], w.stream(b.Partition.Lane, at))
		p.send.bytes = sizes[at]
		m.parts = append(m.parts, p)
		picks[at], sizes[at] = nil, 0
	}
	for i := range b.Events {
		size := recordSize(&b.Events[i])
		if size > w.c.cfg.MaxRecordBytes {
			m.fail(i, fmt.Errorf("kafka: a record of %d bytes is over the limit of %d bytes a record", size, w.c.cfg.MaxRecordBytes))
			continue
		}
		at := partitionOf(b.Events[i].User, partitions)
		if _, seen := picks[at]; !seen {
			order = append(order, at)
		} else if sizes[at]+size > maxRequestBytes {
			cut(at)
		}
		picks[at] = append(picks[at], i)
		sizes[at] += size
	}
	for _, at := range order {
		cut(at)
	}
	return m
}

// uniform reports whether the batch makes one part as it is: one partition,
// nothing over the limits. It returns the size of its records.
func (w *producer) uniform(b *sinks.Batch, partitions int32) (size int, ok bool) {
	at := partitionOf(b.Events[0].User, partitions)
	for i := range b.Events {
		e := &b.Events[i]
		n := recordSize(e)
		size += n
		if n > w.c.cfg.MaxRecordBytes || size > maxRequestBytes {
			return 0, false
		}
		if i > 0 && e.User != b.Events[i-1].User && partitionOf(e.User, partitions) != at {
			return 0, false
		}
	}
	return size, true
}

// newPart returns a part of the events that pick names.
func (w *producer) newPart(events []event.Event, pick []int, s *stream) *part {
	p, ok := w.parts.Get().(*part)
	if !ok {
		p = &part{send: send{done: make(chan struct{}, 1)}}
	}
	p.stream, p.pick, p.n = s, pick, len(events)
	if pick != nil {
		p.n = len(pick)
	}
	p.fill(events, pick, codecs[w.c.cfg.Compression])
	p.send.topic, p.send.partition, p.send.batch = w.topic.name, s.partition, &p.batch
	return p
}

// recycle takes back a part that nothing refers to any more.
func (w *producer) recycle(p *part) {
	if !p.release() {
		return
	}
	p.stream, p.pick, p.link, p.layout = nil, nil, nil, nil
	p.stamped, p.unsure, p.underway = false, false, false
	w.parts.Put(p)
}

// divide replaces a part by two halves, in order.
func (w *producer) divide(b *sinks.Batch, p *part) []*part {
	picks := make([]int, p.n)
	for i := range picks {
		picks[i] = p.index(i)
	}
	half := p.n / 2
	halves := []*part{w.newPart(b.Events, picks[:half:half], p.stream), w.newPart(b.Events, picks[half:], p.stream)}
	for _, h := range halves {
		h.send.bytes = p.send.bytes * h.n / p.n
	}
	return halves
}

// without returns the part without the records that the broker named, which
// fail for good; nil where nothing is left. False: the broker named none.
func (w *producer) without(b *sinks.Batch, m *memo, p *part, named []sarama.ProduceResponseRecordError, why error) ([]*part, bool) {
	bad := map[int]bool{}
	for _, r := range named {
		if r.BatchIndex < 0 || int(r.BatchIndex) >= p.n {
			continue
		}
		text := ""
		if r.BatchIndexErrorMessage != nil {
			text = ": " + *r.BatchIndexErrorMessage
		}
		m.fail(p.index(int(r.BatchIndex)), fmt.Errorf("%w%s", why, text))
		bad[int(r.BatchIndex)] = true
	}
	if len(bad) == 0 {
		return nil, false
	}
	var rest []int
	for i := range p.n {
		if !bad[i] {
			rest = append(rest, p.index(i))
		}
	}
	if len(rest) == 0 {
		return nil, true
	}
	left := w.newPart(b.Events, rest, p.stream)
	left.send.bytes = p.send.bytes
	return []*part{left}, true
}

// tell fills in where the part's events are.
func (p *part) tell(b *sinks.Batch) {
	if b.Where == nil {
		return
	}
	at := append([]byte(p.send.topic), '/')
	at = strconv.AppendInt(at, int64(p.send.partition), 10)
	for i := range p.n {
		where := at[:len(at):len(at)]
		if p.send.offset >= 0 { // a duplicate of long ago is there, but not said where
			where = strconv.AppendInt(append(where, '/'), p.send.offset+int64(i), 10)
		}
		b.Where[p.index(i)] = string(where)
	}
}
