package kafka

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/IBM/sarama"
)

// link carries record batches to one broker over one connection. One request is
// under way at a time; the batches that arrive meanwhile leave together in the
// next, at most one for each partition, as the protocol has it.
//
//	Write ──put──▶ queue ──▶ run: connect, (producer ids), Produce ──▶ send.done
//	      ◀─withdraw── (not taken yet)
//
// Its goroutine ends with stop, which cuts the connection.
type link struct {
	c    *Cluster
	addr string
	wake chan struct{} // holds one token while the queue may be non-empty

	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	queue []*send
	busy  int  // sends that were taken and are not answered yet
	gone  bool // nobody looks at the queue any more

	conn *conn // of the goroutine; nil while there is none
	used bool  // conn has carried an answer
}

// maxRequestBytes bounds the batches of one request, before compression: far
// below what a broker takes (socket.request.max.bytes, 100 MiB).
const maxRequestBytes = 8 << 20

// produceVersion is the newest version that is not "flexible": it has all we
// read, and sarama encodes it with one pass less.
const produceVersion = 8

// send is one attempt of one part. The Write fills it in and puts it; from then
// on it is the link's, until done is received from or withdraw reports true.
type send struct {
	topic     string
	partition int32
	bytes     int // of the records, before compression, about
	batch     *sarama.RecordBatch
	done      chan struct{} // gets one token, after the fields below were set

	// err is why there is no answer; sent whether the broker may have got the
	// batch all the same; again that it may well pass at once.
	err   error
	sent  bool
	again bool
	// The answer.
	code    sarama.KError
	text    string
	offset  int64 // of the first record, -1 where the broker does not say
	records []sarama.ProduceResponseRecordError
}

// learn keeps the producer id that was obtained for the stream on the way.
func (s *send) learn(st *stream) {
	if st.pid < 0 && s.batch.ProducerID >= 0 {
		st.pid, st.epoch, st.next = s.batch.ProducerID, s.batch.ProducerEpoch, 0
	}
}

func newLink(c *Cluster, addr string) *link {
	ctx, cancel := context.WithCancel(c.ctx)
	l := &link{
		c: c, addr: addr, wake: make(chan struct{}, 1),
		ctx: ctx, cancel: cancel, ended: make(chan struct{}),
	}
	go l.run()
	return l
}

// put queues s. False: the link was stopped, and s is the caller's still.
func (l *link) put(s *send) bool {
	s.err, s.sent, s.again = nil, false, false
	s.code, s.text, s.offset, s.records = 0, "", -1, nil
	l.mu.Lock()
	if l.gone {
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, s)
	l.mu.Unlock()
	l.knock()
	return true
}

func (l *link) knock() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// withdraw takes s back. False: it was taken, and gets its answer.
func (l *link) withdraw(s *send) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, queued := range l.queue {
		if queued == s {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}

// quiet reports whether nobody waits for the link.
func (l *link) quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0 && l.busy == 0
}

func (l *link) run() {
	defer close(l.ended)
	defer l.hangUp()
	defer context.AfterFunc(l.ctx, l.knock)()
	var taken []*send
	for range l.wake {
		for taken = l.gather(taken[:0]); len(taken) > 0; taken = l.gather(taken[:0]) {
			l.carry(taken)
		}
		if l.ctx.Err() == nil {
			continue
		}
		l.mu.Lock()
		l.gone = len(l.queue) == 0
		gone := l.gone
		l.mu.Unlock()
		if gone {
			return
		}
		l.knock()
	}
}

// gather takes what fits one request, after whoever is about to put something has
// had the chance to: writers that were woken together send together. It waits for
// work that is in hand, never for time.
func (l *link) gather(into []*send) []*send {
	runtime.Gosched()
	return l.take(into)
}

// take moves from the queue to into what fits one request.
func (l *link) take(into []*send) []*send {
	l.mu.Lock()
	defer l.mu.Unlock()
	bytes, left := 0, l.queue[:0]
	for _, s := range l.queue {
		if bytes > 0 && bytes+s.bytes > maxRequestBytes || inRequest(into, s) {
			left = append(left, s)
			continue
		}
		bytes += s.bytes
		into = append(into, s)
	}
	clear(l.queue[len(left):])
	l.queue = left
	l.busy = len(into)
	return into
}

func inRequest(taken []*send, s *send) bool {
	for _, t := range taken {
		if t.partition == s.partition && t.topic == s.topic {
			return true
		}
	}
	return false
}

// answer ends sends that have no answer of the broker's.
func (l *link) answer(sends []*send, err error, sent bool) {
	// A connection that had been in order may have been closed for being idle,
	// and a broker that has just started has no producer ids yet.
	again := sent && l.used || errors.Is(err, sarama.ErrOffsetsLoadInProgress) ||
		errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable)
	l.mu.Lock()
	l.busy -= len(sends)
	l.mu.Unlock()
	for _, s := range sends {
		s.err, s.sent, s.again = err, sent, again
		s.done <- struct{}{}
	}
}

// carry sends one request and hands out what the broker says.
func (l *link) carry(sends []*send) {
	if l.ctx.Err() != nil {
		l.answer(sends, fmt.Errorf("kafka: the connection to broker %s was ended by us", l.addr), false)
		return
	}
	if l.conn == nil {
		conn, err := l.c.connect(l.ctx, l.addr)
		if err != nil {
			l.answer(sends, err, false)
			// Whoever queued meanwhile would only wait for the same failure.
			for waiting := l.take(nil); len(waiting) > 0; waiting = l.take(nil) {
				l.answer(waiting, err, false)
			}
			return
		}
		l.conn, l.used = conn, false
	}
	stop := context.AfterFunc(l.ctx, l.conn.cut)
	defer stop()

	request := &sarama.ProduceRequest{
		RequiredAcks: sarama.WaitForAll,
		Timeout:      int32(l.c.cfg.Timeout.Milliseconds()),
		Version:      produceVersion,
	}
	for _, s := range sends {
		if s.batch.ProducerID < 0 {
			if err := l.introduce(s); err != nil {
				l.answer(sends, err, false)
				l.hangUp()
				return
			}
		}
		request.AddBatch(s.topic, s.partition, s.batch)
	}
	response, err := l.conn.broker.Produce(request)
	if err != nil {
		l.answer(sends, explain(l.addr, l.c.cfg, err), !neverSent(err))
		l.hangUp()
		return
	}
	l.used = true
	l.mu.Lock()
	l.busy = 0
	l.mu.Unlock()
	for _, s := range sends {
		if block := response.GetBlock(s.topic, s.partition); block == nil {
			s.err, s.sent = fmt.Errorf("kafka: broker %s did not answer about %s/%d", l.addr, s.topic, s.partition), true
		} else {
			s.code, s.offset, s.records = block.Err, block.Offset, block.RecordErrors
			if block.ErrorMessage != nil {
				s.text = *block.ErrorMessage
			}
		}
		s.done <- struct{}{}
	}
}

// introduce obtains a producer id for the batch of s.
func (l *link) introduce(s *send) error {
	answer, err := l.conn.broker.InitProducerID(&sarama.InitProducerIDRequest{
		Version: 4, ProducerID: -1, ProducerEpoch: -1,
	})
	if err != nil {
		return explain(l.addr, l.c.cfg, err)
	}
	if answer.Err != sarama.ErrNoError {
		return &produceError{
			topic: s.topic, partition: s.partition, addr: l.addr,
			code: answer.Err, text: "no producer id", user: l.c.cfg.SASL.User,
		}
	}
	s.batch.ProducerID, s.batch.ProducerEpoch = answer.ProducerID, answer.ProducerEpoch
	s.batch.FirstSequence = 0
	return nil
}

// neverSent reports an error of Produce's from before the first byte left.
func neverSent(err error) bool {
	var encoding sarama.PacketEncodingError
	return errors.As(err, &encoding) || errors.Is(err, sarama.ErrUnsupportedVersion) ||
		errors.Is(err, sarama.ErrNotConnected)
}

func (l *link) hangUp() {
	if l.conn != nil {
		l.conn.close()
		l.conn = nil
	}
}

// stop ends the link: what is queued or under way fails.
func (l *link) stop() { l.cancel() }
