package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/bench/ledger"
)

// A source is what the requests of all connections are made from. It is read only
// once it is made, its pool aside.
type source struct {
	plan   *Plan
	users  *picker
	filler []byte // that generated events are filled up with
	began  int64  // wall clock of the start, milliseconds
	packed *sync.Pool

	idWidth, userWidth int
}

// newSource makes the source; conns is how many connections there will be.
func newSource(p *Plan, conns int) *source {
	longest := 0
	for _, n := range p.Events.Sizes {
		longest = max(longest, n)
	}
	s := &source{
		plan: p, users: newPicker(p.Users),
		filler: filler(p.Seed, max(longest, p.Events.OverBytes)+64<<10),
		began:  time.Now().UnixMilli(),
		// Ids and users are followed by spaces to the same width, so that events of
		// one size are of one size.
		idWidth:   len(ledger.AppendID(nil, p.Run, max(conns-1, 0), 1e9-1)),
		userWidth: len(ledger.UserName(uint32(max(p.Users.Count-1, 0)))),
	}
	if p.Events.Compress != "" {
		s.packed = &sync.Pool{New: func() any { return newPacker(p.Events.Compress) }}
	}
	return s
}

// filler returns n bytes of words, which compress about as well as what people
// send does.
func filler(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0xf111e4))
	words := make([]string, 512)
	for i := range words {
		w := make([]byte, 2+rng.IntN(9))
		for j := range w {
			w[j] = "etaoinshrdlucmfwypvbgk"[min(rng.IntN(22), rng.IntN(22))]
		}
		words[i] = string(w)
	}
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(b, words[rng.IntN(len(words))]...)
		b = append(b, ' ')
	}
	return b[:n]
}

// spaces is what ids and users are padded with.
var spaces = strings.Repeat(" ", 64)

// sent is what a request holds, by the index of its events.
type sent struct {
	n    []int32 // number of the event on its connection; -1: a duplicate, on purpose
	user []uint32
}

// A writer makes the requests of one connection.
type writer struct {
	src    *source
	conn   int
	rng    *rand.Rand
	prefix []byte // of every header, up to the number of Content-Length

	next   int32 // number of the next event
	recent []recentEvent
	oldest int // of recent, when that is full
	at     int // of the next record of a file

	buf   []byte // the request; its body begins at room
	event []byte // one event that is to be quoted
	sent  sent
	out   []byte // the whole request, in buf
	bytes int    // of the body before compression
}

// recentEvent is an event that was accepted, which may be sent again.
type recentEvent struct {
	n    int32
	user uint32
}

// room is what is kept free before a body for its header, which is written when
// the length of the body is known.
func (w *writer) room() int { return len(w.prefix) + 24 }

// end is the end of a header.
const end = "\r\n\r\n"

func newWriter(src *source, conn int, key string) *writer {
	t := &src.plan.Target
	var h bytes.Buffer
	h.WriteString("POST " + t.Path + " HTTP/1.1\r\nHost: " + t.Host + "\r\nUser-Agent: sluice-bench\r\n")
	if key != "" {
		h.WriteString("Authorization: Bearer " + key + "\r\n")
	}
	contentType := "application/json"
	if src.plan.Events.Format == NDJSON {
		contentType = "application/x-ndjson"
	}
	h.WriteString("Content-Type: " + contentType + "\r\n")
	if c := src.plan.Events.Compress; c != "" {
		h.WriteString("Content-Encoding: " + c + "\r\n")
	}
	if src.plan.NewConn {
		h.WriteString("Connection: close\r\n")
	}
	for _, kv := range t.Headers {
		h.WriteString(kv[0] + ": " + kv[1] + "\r\n")
	}
	h.WriteString("Content-Length: ")
	batch := src.plan.Events.Batch
	return &writer{
		src: src, conn: conn, prefix: h.Bytes(),
		rng:  rand.New(rand.NewPCG(src.plan.Seed, uint64(conn))),
		sent: sent{n: make([]int32, 0, batch), user: make([]uint32, 0, batch)},
		at:   conn, // so that connections begin at different records of a file
	}
}

// build makes the next request, which is w.out until the next call. now is the
// time since the start of the run.
func (w *writer) build(now time.Duration) {
	ev := &w.src.plan.Events
	w.sent.n, w.sent.user = w.sent.n[:0], w.sent.user[:0]
	room := w.room()
	if cap(w.buf) < room {
		w.buf = make([]byte, room, room+4096)
	}
	b := w.buf[:room]
	ts := w.src.began + now.Milliseconds()
	switch ev.Format {
	case Single:
		b = w.appendEvent(b, ts)
	case Array:
		b = append(b, '[')
		for i := range ev.Batch {
			if i > 0 {
				b = append(b, ',')
			}
			b = w.appendEvent(b, ts)
		}
		b = append(b, ']')
	case OTLP:
		b = w.appendOTLP(b, ts)
	default:
		for range ev.Batch {
			b = append(w.appendEvent(b, ts), '\n')
		}
	}
	w.bytes = len(b) - room
	if w.src.packed != nil {
		b = w.pack(b)
	}
	w.buf = b
	var digits [20]byte
	length := append(strconv.AppendInt(digits[:0], int64(len(b)-room), 10), end...)
	start := room - len(w.prefix) - len(length)
	copy(b[start:], w.prefix)
	copy(b[start+len(w.prefix):], length)
	w.out = b[start:]
}

// appendEvent appends the next event, which may be one that was sent before, or
// one that is not valid, as the plan has it.
func (w *writer) appendEvent(b []byte, ts int64) []byte {
	ev := &w.src.plan.Events
	var n int32
	var user uint32
	if ev.Duplicates > 0 && len(w.recent) > 0 && w.rng.Float64() < ev.Duplicates {
		again := w.recent[w.rng.IntN(len(w.recent))]
		n, user = again.n, again.user
		w.sent.n = append(w.sent.n, -1)
	} else {
		n, user = w.next, w.src.users.pick(w.rng)
		w.next++
		w.sent.n = append(w.sent.n, n)
	}
	w.sent.user = append(w.sent.user, user)
	if len(ev.Records) > 0 {
		return w.appendRecord(b, n, user)
	}
	size := ev.Sizes[0]
	if len(ev.Sizes) > 1 {
		size = ev.Sizes[w.rng.IntN(len(ev.Sizes))]
	}
	kind, last := "type", byte('}')
	if ev.Oversize > 0 && w.rng.Float64() < ev.Oversize {
		size = ev.OverBytes
	}
	if ev.Invalid > 0 && w.rng.Float64() < ev.Invalid {
		if ev.Broken {
			last = ']'
		} else {
			kind = "tipe"
		}
	}
	began := len(b)
	b = append(b, `{"id":"`...)
	b = w.appendID(b, n)
	b = append(append(append(b, `,"`...), kind...), `":"bench.event","user":"`...)
	b = w.appendUser(b, user)
	b = append(b, `,"ts":`...)
	b = strconv.AppendInt(b, ts, 10)
	b = append(b, `,"text":"`...)
	if left := size - (len(b) - began) - len(`"}`); left > 0 {
		// Not always the same text: a server could find that out.
		from := int(uint32(n)*64) % (len(w.src.filler) - left)
		b = append(b, w.src.filler[from:from+left]...)
	}
	return append(b, '"', last)
}

// appendID appends an id, its closing quote, and spaces to the width of all ids.
func (w *writer) appendID(b []byte, n int32) []byte {
	began := len(b)
	b = append(ledger.AppendID(b, w.src.plan.Run, w.conn, int(n)), '"')
	return append(b, spaces[:max(0, w.src.idWidth+1-(len(b)-began))]...)
}

func (w *writer) appendUser(b []byte, user uint32) []byte {
	began := len(b)
	b = append(strconv.AppendUint(append(b, 'u'), uint64(user), 10), '"')
	return append(b, spaces[:max(0, w.src.userWidth+1-(len(b)-began))]...)
}

func (w *writer) appendRecord(b []byte, n int32, user uint32) []byte {
	r := &w.src.plan.Events.Records[w.at%len(w.src.plan.Events.Records)]
	w.at++
	if r.Whole != nil {
		return append(b, r.Whole...)
	}
	b = append(append(b, r.Head...), '"')
	if r.UserFirst {
		b = append(w.appendUser(b, user), r.Middle...)
		b = w.appendID(append(b, '"'), n)
	} else {
		b = append(w.appendID(b, n), r.Middle...)
		b = w.appendUser(append(b, '"'), user)
	}
	return append(b, r.Tail...)
}

// appendOTLP appends an ExportLogsServiceRequest in OTLP's JSON encoding. A body is
// bytesValue: an exporter that writes bodies as they are would write a stringValue
// with quotes around it. The trace id stands for the user, since it is all of a log
// record that a collector can take as Kafka's key.
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md
func (w *writer) appendOTLP(b []byte, ts int64) []byte {
	b = append(b, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[`...)
	for i := range w.src.plan.Events.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		w.event = w.appendEvent(w.event[:0], ts)
		b = append(b, `{"timeUnixNano":"`...)
		b = strconv.AppendInt(b, ts*1e6, 10)
		b = append(b, `","traceId":"`...)
		b = appendTraceID(b, w.sent.user[i])
		b = append(b, `","body":{"bytesValue":"`...)
		b = base64.StdEncoding.AppendEncode(b, w.event)
		b = append(b, `"}}`...)
	}
	return append(b, `]}]}]}`...)
}

// appendTraceID appends the trace id of a user's events, 16 bytes in hex. It is
// never zero, which would be none.
func appendTraceID(b []byte, user uint32) []byte {
	var id [16]byte
	id[0] = 1
	binary.BigEndian.PutUint32(id[12:], user)
	return hex.AppendEncode(b, id[:])
}

// accepted remembers the events of a request that was accepted as a whole, so
// that they may be sent again.
func (w *writer) accepted() {
	const most = 64
	if w.src.plan.Events.Duplicates == 0 {
		return
	}
	for i, n := range w.sent.n {
		switch {
		case n < 0:
		case len(w.recent) < most:
			w.recent = append(w.recent, recentEvent{n, w.sent.user[i]})
		default:
			w.recent[w.oldest] = recentEvent{n, w.sent.user[i]}
			w.oldest = (w.oldest + 1) % most
		}
	}
}

// A packer compresses bodies. Encoders are large: connections share them.
type packer struct {
	out  bytes.Buffer
	gzip *gzip.Writer
	zstd *zstd.Encoder
}

func newPacker(coding string) *packer {
	p := &packer{}
	if coding == "gzip" {
		p.gzip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
		return p
	}
	p.zstd, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)) // options that exist
	return p
}

// pack replaces the body in b by its compressed form.
func (w *writer) pack(b []byte) []byte {
	p := w.src.packed.Get().(*packer)
	defer w.src.packed.Put(p)
	room := w.room()
	p.out.Reset()
	if p.zstd != nil {
		packed := p.zstd.EncodeAll(b[room:], p.out.AvailableBuffer())
		p.out.Write(packed)
	} else {
		p.gzip.Reset(&p.out)
		p.gzip.Write(b[room:]) //nolint:errcheck // a bytes.Buffer takes everything
		p.gzip.Close()         //nolint:errcheck // the same
	}
	return append(b[:room], p.out.Bytes()...)
}
