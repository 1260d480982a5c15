package event

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"unicode/utf8"
)

// scanner is the quick way through an ordinary event: one pass that checks it and
// takes its fields out. It accepts only what it is sure of, and gives up on
// everything else: what is wrong, and what is right but rare (half characters in
// escapes, escapes in names, deep nesting, two names that look alike, a pointer into
// an array). The JSON library then has the word, so that there is one judge of what
// is strict, and one source of errors.
//
// Invariant: what the scanner accepts, the library accepts, with the same fields.
// FuzzScan holds the two against each other.
type scanner struct {
	values [fieldCount]Value
	names  []uint64 // hashes of the member names of the objects that are open, outer ones first
	seed   maphash.Seed
	depth  int // levels that may still open
}

// quickDepth is the nesting up to which the scanner goes: each level is a call.
const quickDepth = 32

// gaveUp is the position that the scanner returns where it gives up.
const gaveUp = -1

// scan returns the position after the object that opens at b[i], nested at most
// maxDepth deep, with its fields in s.values; or it gives up.
func (s *scanner) scan(b []byte, i int, root *pathNode, maxDepth int) int {
	s.values = [fieldCount]Value{}
	s.names = s.names[:0]
	s.depth = min(maxDepth, quickDepth)
	return s.object(b, i, root)
}

// object checks the object that opens at i. n, when not nil, is where it stands on
// the way of a pointer.
func (s *scanner) object(b []byte, i int, n *pathNode) int {
	if s.depth--; s.depth < 0 {
		return gaveUp
	}
	outer, seen := len(s.names), uint64(0)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		s.depth++
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		end, plain := stringEnd(b, i)
		if end == gaveUp || !plain {
			return gaveUp
		}
		name := b[i+1 : end-1]
		if seen = s.distinct(name, outer, seen); seen == 0 {
			return gaveUp
		}
		if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
			return gaveUp
		}
		i = skipSpace(b, i+1)
		if i = s.member(b, i, n, name); i == gaveUp {
			return gaveUp
		}
		switch i = skipSpace(b, i); {
		case i == len(b):
			return gaveUp
		case b[i] == '}':
			s.names = s.names[:outer]
			s.depth++
			return i + 1
		case b[i] != ',':
			return gaveUp
		}
		i = skipSpace(b, i+1)
	}
	return gaveUp
}

// member checks the value at i of the member called name, and keeps it if a field
// is there.
func (s *scanner) member(b []byte, i int, n *pathNode, name []byte) int {
	if n != nil {
		for k := range n.kids {
			if kid := &n.kids[k]; string(name) == kid.name {
				return s.field(b, i, kid)
			}
		}
	}
	return s.value(b, i, nil)
}

// field checks the value at i, to which pointers lead.
func (s *scanner) field(b []byte, i int, n *pathNode) int {
	if len(n.kids) > 0 && i < len(b) && b[i] == '[' {
		return gaveUp
	}
	end := s.value(b, i, n)
	if end == gaveUp || n.ends == 0 {
		return end
	}
	v, _ := readValue(b[:end], i)
	for id := range fieldCount {
		if n.ends.has(id) {
			s.values[id] = v
		}
	}
	return end
}

// value checks the value at i and returns the position after it.
func (s *scanner) value(b []byte, i int, n *pathNode) int {
	if i == len(b) {
		return gaveUp
	}
	switch c := b[i]; c {
	case '"':
		end, _ := stringEnd(b, i)
		return end
	case '{':
		return s.object(b, i, n)
	case '[':
		return s.array(b, i)
	case 't':
		return literalEnd(b, i, "true")
	case 'f':
		return literalEnd(b, i, "false")
	case 'n':
		return literalEnd(b, i, "null")
	}
	return numberEnd(b, i)
}

func (s *scanner) array(b []byte, i int) int {
	if s.depth--; s.depth < 0 {
		return gaveUp
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		s.depth++
		return i + 1
	}
	for {
		if i = s.value(b, i, nil); i == gaveUp {
			return gaveUp
		}
		switch i = skipSpace(b, i); {
		case i == len(b):
			return gaveUp
		case b[i] == ']':
			s.depth++
			return i + 1
		case b[i] != ',':
			return gaveUp
		}
		i = skipSpace(b, i+1)
	}
}

// distinct enters name among those of its object, which begin at s.names[from].
// seen has a bit for each of them, by which most are told apart. It returns the new
// seen, 0 if the name may be there already.
func (s *scanner) distinct(name []byte, from int, seen uint64) uint64 {
	h := s.hash(name)
	bit := uint64(1) << (h >> 58)
	if seen&bit != 0 {
		for _, other := range s.names[from:] {
			if other == h {
				return 0
			}
		}
	}
	s.names = append(s.names, h)
	return seen | bit
}

// hash is the same for the same name; it tells all others of up to 16 bytes apart
// but for bad luck.
func (s *scanner) hash(name []byte) uint64 {
	const k1, k2 = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f
	var head, tail uint64
	switch n := len(name); {
	case n > 16:
		return maphash.Bytes(s.seed, name)
	case n >= 8:
		head, tail = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		head, tail = uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))
	default:
		for _, c := range name {
			head = head<<8 | uint64(c)
		}
	}
	hi, lo := bits.Mul64(head^k1, tail^k2^uint64(len(name))<<32)
	return hi ^ lo
}

// Every byte of a word: its highest bit, its lowest, and the smallest character
// that a string may hold as it is.
const (
	highs  = 0x8080808080808080
	lows   = 0x0101010101010101
	spaces = 0x20 * lows
)

// special returns a word whose lowest set bit is in the first byte of w that ends
// the ordinary part of a string: a quote, a backslash, a control character, or one
// beyond ASCII.
func special(w uint64) uint64 {
	quote, slash := w^('"'*lows), w^('\\'*lows)
	return (w | (w-spaces)&^w | (quote-lows)&^quote | (slash-lows)&^slash) & highs
}

// stringEnd returns the position after the string that opens at i, and whether it
// is written without escapes.
func stringEnd(b []byte, i int) (end int, plain bool) {
	start, ascii := i+1, true
	plain = true
	for i++; ; {
		for i+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return gaveUp, false
		}
		switch c := b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[start:i]) {
				return gaveUp, false
			}
			return i + 1, plain
		case c == '\\':
			n := escapeLength(b[i:])
			if n == 0 {
				return gaveUp, false
			}
			plain = false
			i += n
		case c < ' ':
			return gaveUp, false
		default:
			ascii = ascii && c < utf8.RuneSelf
			i++
		}
	}
}

// escapeLength returns the bytes of the escape that b begins with, 0 for one that
// is none or is half a character.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 || b[2]|0x20 == 'd' && b[3] > '7' {
			return 0
		}
		for _, c := range b[2:6] {
			if hexDigit[c] < 0 {
				return 0
			}
		}
		return 6
	}
	return 0
}

func literalEnd(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return gaveUp
	}
	return i + len(literal)
}

// numberEnd returns the position after the number at i (RFC 8259, section 6).
func numberEnd(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i == len(b) || !isDigit(b[i]):
		return gaveUp
	case b[i] == '0':
		i++
	default:
		i = skipDigits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = skipDigits(b, from); i == from {
			return gaveUp
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(b, from); i == from {
			return gaveUp
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}
