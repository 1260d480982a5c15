package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// fakeBroker is a broker of one topic that keeps Kafka's rules for idempotent
// producers (org.apache.kafka.storage.internals.log.ProducerAppendInfo and
// ProducerStateEntry) and goes wrong on demand. It speaks just enough of the
// protocol, and shares no code with sarama.
type fakeBroker struct {
	t          testing.TB
	l          net.Listener
	topic      string
	partitions int
	maxBatch   int // bytes of a record batch

	mu        sync.Mutex
	conns     map[net.Conn]struct{}
	wg        sync.WaitGroup
	faults    []fault // of the next record batches, in order
	logs      []fakeLog
	nextPID   int64
	delayed   [][]byte // batches that are still on their way, see zombie
	produced  int      // record batches that arrived
	perAnswer []int    // batches in each produce request
	bytes     [][]byte // the record batches as they came
	mute      bool     // answers nothing
}

type fakeLog struct {
	values    []string // of the records, by offset
	producers map[int64]*fakeProducer
}

type fakeProducer struct {
	epoch   int16
	lastSeq int32
	batches []fakeBatch // the last five
}

type fakeBatch struct {
	first, last int32
	offset      int64
}

// fault is what goes wrong with one record batch.
type fault struct {
	kind faultKind
	code sarama.KError
	bad  []int32       // invalid: the records that are named
	late time.Duration // lateAnswer
}

type faultKind int

const (
	none       faultKind = iota
	before               // answers code, and stores nothing
	after                // stores, and answers code
	cutBefore            // stores nothing, and cuts the connection
	cutAfter             // stores, and cuts the connection
	zombie               // cuts the connection, and stores when the next batch is answered
	lateAnswer           // stores, and answers late
	forget               // forgets every producer, then goes on as always
	refuse59             // as forget, and answers an unknown producer as old brokers do
)

func newFakeBroker(t testing.TB, partitions int) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeBroker{t: t, l: l, topic: "events", partitions: partitions, maxBatch: 1 << 20, nextPID: 100, conns: map[net.Conn]struct{}{}}
	for range partitions {
		f.logs = append(f.logs, fakeLog{producers: map[int64]*fakeProducer{}})
	}
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		for c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *fakeBroker) addr() string { return f.l.Addr().String() }

// then appends to the script of faults.
func (f *fakeBroker) then(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// log returns the values of a partition by offset.
func (f *fakeBroker) log(partition int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.logs[partition].values...)
}

func (f *fakeBroker) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		f.wg.Go(func() {
			f.serve(c)
			c.Close()
			f.mu.Lock()
			delete(f.conns, c)
			f.mu.Unlock()
		})
	}
}

var errCut = errors.New("cut")

func (f *fakeBroker) serve(c net.Conn) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		f.mu.Lock()
		mute := f.mute
		f.mu.Unlock()
		if mute {
			continue
		}
		r := &reader{b: body}
		key, version, correlation := r.i16(), r.i16(), r.i32()
		r.str() // client id
		w := &writer{}
		w.i32(0) // length, below
		w.i32(correlation)
		var err error
		switch key {
		case 18:
			f.apiVersions(w, version)
		case 3:
			f.metadata(w)
		case 22:
			f.initProducerID(w)
		case 0:
			err = f.produce(r, w)
		default:
			f.t.Errorf("the fake broker got a request of kind %d", key)
			return
		}
		if err != nil {
			return
		}
		binary.BigEndian.PutUint32(w.b, uint32(len(w.b)-4))
		if _, err := c.Write(w.b); err != nil {
			return
		}
	}
}

// apiVersions offers no flexible version but of itself.
func (f *fakeBroker) apiVersions(w *writer, version int16) {
	apis := [][3]int16{{0, 3, 8}, {3, 4, 7}, {18, 0, 3}, {22, 0, 1}}
	w.i16(0)
	if version < 3 {
		w.i32(int32(len(apis)))
	} else {
		w.b = append(w.b, byte(len(apis)+1))
	}
	for _, a := range apis {
		w.i16(a[0])
		w.i16(a[1])
		w.i16(a[2])
		if version >= 3 {
			w.b = append(w.b, 0)
		}
	}
	w.i32(0)
	if version >= 3 {
		w.b = append(w.b, 0)
	}
}

func (f *fakeBroker) metadata(w *writer) {
	host, port, _ := net.SplitHostPort(f.addr())
	n, _ := strconv.Atoi(port)
	w.i32(0) // throttle
	w.i32(1) // brokers
	w.i32(7)
	w.str(host)
	w.i32(int32(n))
	w.i16(-1) // rack
	w.i16(-1) // cluster id
	w.i32(7)  // controller
	w.i32(1)  // topics
	w.i16(0)
	w.str(f.topic)
	w.b = append(w.b, 0)
	w.i32(int32(f.partitions))
	for p := range f.partitions {
		w.i16(0)
		w.i32(int32(p))
		w.i32(7)
		w.i32(3) // leader epoch
		for range 2 {
			w.i32(1)
			w.i32(7)
		}
		w.i32(0)
	}
}

func (f *fakeBroker) initProducerID(w *writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.i32(0)
	w.i16(0)
	w.i64(f.nextPID)
	w.i16(0)
	f.nextPID++
}

func (f *fakeBroker) produce(r *reader, w *writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.str() // transactional id
	if acks := r.i16(); acks != -1 {
		f.t.Errorf("acks is %d, want all", acks)
	}
	r.i32() // timeout
	topics := r.i32()
	w.i32(topics)
	count := 0
	for range topics {
		name := r.str()
		w.str(name)
		partitions := r.i32()
		w.i32(partitions)
		for range partitions {
			count++
			p := r.i32()
			batch := r.bytes()
			code, offset, bad, err := f.arrive(int(p), batch)
			if err != nil {
				return err
			}
			w.i32(p)
			w.i16(int16(code))
			w.i64(offset)
			w.i64(-1)
			w.i64(0)
			w.i32(int32(len(bad)))
			for _, i := range bad {
				w.i32(i)
				w.str("says the fake")
			}
			w.i16(-1)
		}
	}
	f.perAnswer = append(f.perAnswer, count)
	w.i32(0)
	return nil
}

// arrive plays the next fault with a record batch.
func (f *fakeBroker) arrive(p int, batch []byte) (sarama.KError, int64, []int32, error) {
	f.produced++
	f.bytes = append(f.bytes, batch)
	var now fault
	if len(f.faults) > 0 {
		now, f.faults = f.faults[0], f.faults[1:]
	}
	late := f.delayed
	f.delayed = nil
	defer func() { // on their way since before this one, and overtaken by it
		for _, z := range late {
			f.append(p, z, false)
		}
	}()
	switch now.kind {
	case before:
		return now.code, -1, now.bad, nil
	case cutBefore:
		return 0, 0, nil, errCut
	case zombie:
		f.delayed = append(f.delayed, batch)
		return 0, 0, nil, errCut
	case forget, refuse59:
		clear(f.logs[p].producers)
	}
	code, offset := f.append(p, batch, now.kind == refuse59)
	switch now.kind {
	case after:
		if code == 0 {
			code = now.code
		}
	case cutAfter:
		return 0, 0, nil, errCut
	case lateAnswer:
		time.Sleep(now.late)
	}
	return code, offset, nil, nil
}

// append is the broker's own decision about a record batch.
func (f *fakeBroker) append(p int, batch []byte, old bool) (sarama.KError, int64) {
	if len(batch) > f.maxBatch {
		return sarama.ErrMessageSizeTooLarge, -1
	}
	pid := int64(binary.BigEndian.Uint64(batch[43:]))
	epoch := int16(binary.BigEndian.Uint16(batch[51:]))
	first := int32(binary.BigEndian.Uint32(batch[53:]))
	values := recordValues(f.t, batch)
	last := int32((int64(first) + int64(len(values)) - 1) % (math.MaxInt32 + 1))
	log := &f.logs[p]
	known := log.producers[pid]
	if pid < 0 {
		f.t.Errorf("a batch without a producer id")
	}
	if known != nil {
		if epoch < known.epoch {
			return sarama.ErrInvalidProducerEpoch, -1
		}
		if epoch == known.epoch {
			for _, b := range known.batches {
				if b.first == first && b.last == last {
					return sarama.ErrNoError, b.offset
				}
			}
			if first != int32((int64(known.lastSeq)+1)%(math.MaxInt32+1)) {
				return sarama.ErrOutOfOrderSequenceNumber, -1
			}
		} else if first != 0 {
			return sarama.ErrOutOfOrderSequenceNumber, -1
		}
	} else if old && first != 0 {
		return sarama.ErrUnknownProducerID, -1
	}
	if known == nil || known.epoch != epoch {
		known = &fakeProducer{epoch: epoch}
		log.producers[pid] = known
	}
	offset := int64(len(log.values))
	log.values = append(log.values, values...)
	known.lastSeq = last
	known.batches = append(known.batches, fakeBatch{first, last, offset})
	if len(known.batches) > 5 {
		known.batches = known.batches[1:]
	}
	return sarama.ErrNoError, offset
}

// recordValues returns the values of an uncompressed record batch.
func recordValues(t testing.TB, batch []byte) []string {
	if magic := batch[16]; magic != 2 {
		t.Errorf("record batch of version %d", magic)
	}
	if got, want := binary.BigEndian.Uint32(batch[17:]), castagnoli(batch[21:]); got != want {
		t.Errorf("record batch with CRC %x, want %x", got, want)
	}
	r := &reader{b: batch[61:]}
	var values []string
	for i := range binary.BigEndian.Uint32(batch[57:]) {
		r.varint() // length
		r.b = r.b[1:]
		r.varint() // timestamp
		if delta := r.varint(); delta != int64(i) {
			t.Errorf("record %d has offset delta %d", i, delta)
		}
		r.take(int(r.varint())) // key
		values = append(values, string(r.take(int(r.varint()))))
		for range r.varint() {
			r.take(int(r.varint()))
			r.take(int(r.varint()))
		}
	}
	if len(r.b) != 0 {
		t.Errorf("%d bytes behind the last record", len(r.b))
	}
	return values
}
