package kafka

import (
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"sluice/event"
)

// headersPerRecord: id, tenant, type, ts, received.
const headersPerRecord = 5

// recordTime returns the timestamp of e's record in ms: its receipt, because
// retention counts from it (see doc.go).
func recordTime(e *event.Event) int64 { return max(e.Received/1000, 0) }

// recordSize returns the bytes of e's record before compression, to within the
// few that the lengths take.
func recordSize(e *event.Event) int {
	const framing = 96 // lengths, names of the headers, the two numbers
	return len(e.User) + len(e.Data) + len(e.ID) + len(e.Tenant) + len(e.Type) + framing
}

// records holds the events of one batch as sarama's encoder wants them, in a few
// slices that are made once and used again. Nothing is copied but the numbers:
// keys, values and headers are the events' own memory.
type records struct {
	batch   sarama.RecordBatch
	recs    []sarama.Record
	ptrs    []*sarama.Record
	headers []sarama.RecordHeader
	hptrs   []*sarama.RecordHeader
	digits  []byte
	used    int // of recs, by the newest fill
}

// maxKeptRecords bounds what a pooled records may hold on to.
const maxKeptRecords = 4096

// compressFrom is the size, in bytes of keys and values, from which compressing a
// batch saves more time than it takes: below it, it only costs.
const compressFrom = 4 << 10

// fill makes r the record batch of the events at the indices of pick, all of
// them when it is nil, with no producer and no sequence yet.
func (r *records) fill(events []event.Event, pick []int, codec sarama.CompressionCodec) {
	n, first := len(events), 0
	if pick != nil {
		n, first = len(pick), pick[0]
	}
	r.grow(n)
	r.used = n
	base, newest, size := recordTime(&events[first]), int64(0), 0
	for i := range n {
		e := &events[i]
		if pick != nil {
			e = &events[pick[i]]
		}
		ts := recordTime(e)
		newest = max(newest, ts)
		size += len(e.User) + len(e.Data)
		rec, h := &r.recs[i], r.headers[i*headersPerRecord:(i+1)*headersPerRecord:(i+1)*headersPerRecord]
		rec.Key, rec.Value = bytesOf(e.User), e.Data
		if rec.Value == nil {
			rec.Value = []byte{} // nil would be a tombstone
		}
		rec.OffsetDelta = int64(i)
		rec.TimestampDelta = time.Duration(ts-base) * time.Millisecond
		h[0].Value = bytesOf(e.ID)
		h[1].Value = bytesOf(e.Tenant)
		h[2].Value = bytesOf(e.Type)
		h[3].Value = r.number(e.TS)
		h[4].Value = r.number(e.Received)
	}
	if size < compressFrom {
		codec = sarama.CompressionNone
	}
	r.batch = sarama.RecordBatch{
		Version:              2,
		PartitionLeaderEpoch: -1,
		Codec:                codec,
		CompressionLevel:     sarama.CompressionLevelDefault,
		ProducerID:           -1,
		LastOffsetDelta:      int32(n - 1),
		FirstTimestamp:       time.UnixMilli(base),
		MaxTimestamp:         time.UnixMilli(newest),
		Records:              r.ptrs[:n],
	}
}

var (
	headerID       = []byte("id")
	headerTenant   = []byte("tenant")
	headerType     = []byte("type")
	headerTS       = []byte("ts")
	headerReceived = []byte("received")
)

// grow makes room for n records and links what never changes.
func (r *records) grow(n int) {
	r.digits = r.digits[:0]
	if n <= len(r.recs) {
		return
	}
	r.recs = make([]sarama.Record, n)
	r.ptrs = make([]*sarama.Record, n)
	r.headers = make([]sarama.RecordHeader, n*headersPerRecord)
	r.hptrs = make([]*sarama.RecordHeader, n*headersPerRecord)
	r.digits = make([]byte, 0, n*32)
	for i := range r.headers {
		r.hptrs[i] = &r.headers[i]
	}
	for i := range r.recs {
		first := i * headersPerRecord
		r.ptrs[i] = &r.recs[i]
		r.recs[i].Headers = r.hptrs[first : first+headersPerRecord : first+headersPerRecord]
		for j, key := range [headersPerRecord][]byte{headerID, headerTenant, headerType, headerTS, headerReceived} {
			r.headers[first+j].Key = key
		}
	}
}

// number appends n to the digits and returns its text.
func (r *records) number(n int64) []byte {
	from := len(r.digits)
	r.digits = strconv.AppendInt(r.digits, n, 10)
	return r.digits[from:len(r.digits):len(r.digits)]
}

// release lets go of the events. It reports whether r is worth keeping.
func (r *records) release() bool {
	r.batch = sarama.RecordBatch{}
	if len(r.recs) > maxKeptRecords {
		return false
	}
	for i := range r.used {
		r.recs[i].Key, r.recs[i].Value = nil, nil
	}
	for i := range r.used * headersPerRecord {
		r.headers[i].Value = nil
	}
	return true
}
