package event

import (
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// earliestIDTime is the first time that is believed of an id, in milliseconds:
// a counter padded to 26 digits is a ULID too, of some day in 1970.
var earliestIDTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// idTime returns the time, in milliseconds since the Unix epoch, that a UUIDv7
// (RFC 9562 section 5.7) or a ULID (github.com/ulid/spec) holds.
func idTime(id string) (int64, bool) {
	switch len(id) {
	case 36:
		return uuidTime(id)
	case 26:
		return ulidTime(id)
	}
	return 0, false
}

func uuidTime(id string) (int64, bool) {
	if id[14] != '7' {
		return 0, false
	}
	ms := int64(0)
	for i := range 36 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if id[i] != '-' {
				return 0, false
			}
			continue
		}
		d := hexDigit[id[i]]
		if d < 0 || i == 19 && d>>2 != 2 { // the variant
			return 0, false
		}
		if i < 13 {
			ms = ms<<4 | int64(d)
		}
	}
	return ms, true
}

func ulidTime(id string) (int64, bool) {
	if id[0] > '7' { // more than 48 bits of time
		return 0, false
	}
	ms := int64(0)
	for i := range 26 {
		d := crockford[id[i]]
		if d < 0 {
			return 0, false
		}
		if i < 10 {
			ms = ms<<5 | int64(d)
		}
	}
	return ms, true
}

var (
	hexDigit  = digits("0123456789abcdef")
	crockford = digits("0123456789abcdefghjkmnpqrstvwxyz")
)

// digits returns the value of each character of a number system in either case,
// -1 for every other.
func digits(alphabet string) (table [256]int8) {
	for i := range table {
		table[i] = -1
	}
	for i := range len(alphabet) {
		c := alphabet[i]
		table[c] = int8(i)
		if c >= 'a' {
			table[c-'a'+'A'] = int8(i)
		}
	}
	return table
}

// idSource makes UUIDv7s from times of receipt. Those of one time ascend in the
// order they were made, so that events of one request that have neither id nor
// ts are read back in the order they were sent.
//
//	 48 bits      4   12 bits            2   62 bits
//	┌────────────┬───┬──────────────────┬───┬──────────────────────────────────┐
//	│ ms         │ 7 │ µs/1000 of it    │ 2 │ random; then + 1 … 2³² for each  │
//	└────────────┴───┴──────────────────┴───┴──────────────────────────────────┘
//
// RFC 9562 section 6.2, methods 2 and 3.
type idSource struct {
	random *rand.ChaCha8
	time   int64  // of the last one, µs
	tail   uint64 // its 62 bits
}

func newIDSource() idSource {
	var seed [32]byte
	crand.Read(seed[:]) // never fails: it ends the process instead
	return idSource{random: rand.NewChaCha8(seed)}
}

// next returns an id for a time in microseconds since the Unix epoch.
func (s *idSource) next(received int64) string {
	const tailMask = 1<<62 - 1
	if received != s.time || s.tail > tailMask-1<<32 {
		s.time = received
		s.tail = s.random.Uint64() & (tailMask >> 1) // the upper half is room to count
	} else {
		s.tail += 1 + s.random.Uint64()>>32
	}
	ms, micros := uint64(received/1000), uint64(received%1000)
	head := ms<<16 | 7<<12 | micros<<12/1000
	tail := 2<<62 | s.tail
	var raw [16]byte
	for i := range 8 {
		raw[i], raw[8+i] = byte(head>>(56-8*i)), byte(tail>>(56-8*i))
	}
	var b [36]byte
	hex.Encode(b[:8], raw[:4])
	hex.Encode(b[9:13], raw[4:6])
	hex.Encode(b[14:18], raw[6:8])
	hex.Encode(b[19:23], raw[8:10])
	hex.Encode(b[24:], raw[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
