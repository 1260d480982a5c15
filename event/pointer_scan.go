package event

import (
	"bytes"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions here move over JSON that the library has already found to be
// strict. They trust it to be well-formed and check nothing, which is what makes
// them cheap; on anything else they return a wrong position, never one outside
// of b, so that a damaged record costs its own fields and no more.

// skipSpace returns the position of the first byte at or after i that is not
// white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the position after the string that opens at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			break
		}
		i += n + 1
		escapes := 0 // an odd number of backslashes before it escapes the quote
		for j := i - 2; j >= 0 && b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
	return len(b)
}

// skipValue returns the position after the value that starts at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	}
	for i < len(b) && !endsScalar[b[i]] {
		i++
	}
	return i
}

// endsScalar holds the bytes that end a number or a literal.
var endsScalar = [256]bool{',': true, '}': true, ']': true, ' ': true, '\n': true, '\r': true, '\t': true}

// deeperThan reports whether b nests deeper than limit. It does not need b to be
// valid: brackets that no string holds are counted, up to where it is sure.
func deeperThan(b []byte, limit int) bool {
	// A level takes two bytes, and brackets are few: two counts, which the
	// processor does 32 bytes at a time, settle nearly every event.
	if len(b) < 2*limit || bytes.Count(b, []byte{'{'})+bytes.Count(b, []byte{'['}) <= limit {
		return false
	}
	depth := 0
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
		i++
	}
	return false
}

// finder takes the fields out of one event.
type finder struct {
	missing fieldSet // not found yet; nothing missing ends the walk
	values  [fieldCount]Value
	scratch []byte // for names with escapes
}

// find fills f.values from the event b, an object.
func (f *finder) find(b []byte, root *pathNode) {
	f.missing = root.below
	f.values = [fieldCount]Value{}
	f.object(b, skipSpace(b, 0), root)
}

// object walks the members of the object that opens at i. Like array and value
// it returns the position after what it walked, or any position once nothing is
// missing any more: whoever called it has to stop then too.
func (f *finder) object(b []byte, i int, n *pathNode) int {
	for i = skipSpace(b, i+1); i < len(b) && b[i] == '"'; {
		end := skipString(b, i)
		kid := f.match(b[i:end], n.kids)
		i = skipSpace(b, end)              // the colon
		i = skipSpace(b, min(i+1, len(b))) // the value
		if i == len(b) {
			return i
		}
		if kid == nil {
			i = skipValue(b, i)
		} else if i = f.value(b, i, kid); f.missing == 0 {
			return i
		}
		if i = skipSpace(b, i); i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return min(i+1, len(b))
}

// match returns the child that the quoted member name belongs to, nil if none.
func (f *finder) match(quoted []byte, kids []pathNode) *pathNode {
	if len(quoted) < 2 {
		return nil
	}
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		f.scratch, _ = jsontext.AppendUnquote(f.scratch[:0], quoted)
		name = f.scratch
	}
	for i := range kids {
		if kids[i].name == string(name) {
			return &kids[i]
		}
	}
	return nil
}

// array walks the elements of the array that opens at i.
func (f *finder) array(b []byte, i int, n *pathNode) int {
	i = skipSpace(b, i+1)
	for element := 0; i < len(b) && b[i] != ']'; element++ {
		if kid := n.element(element); kid == nil {
			i = skipValue(b, i)
		} else if i = f.value(b, i, kid); f.missing == 0 {
			return i
		}
		if i = skipSpace(b, i); i == len(b) || b[i] != ',' {
			break
		}
		i = skipSpace(b, i+1)
	}
	return min(i+1, len(b))
}

// value takes the value at i for the fields whose pointer ends at n, and goes
// into it for those below.
func (f *finder) value(b []byte, i int, n *pathNode) int {
	end := -1
	if n.ends != 0 {
		var v Value
		v, end = readValue(b, i)
		for id := range fieldCount {
			if n.ends.has(id) {
				f.values[id] = v
			}
		}
		f.missing &^= n.ends
	}
	switch {
	case len(n.kids) > 0 && b[i] == '{':
		end = f.object(b, i, n)
	case len(n.kids) > 0 && b[i] == '[':
		end = f.array(b, i, n)
	case end < 0:
		end = skipValue(b, i)
	}
	f.missing &^= n.below // names are unique: there is no second place to look
	return end
}

// readValue returns the value at i and the position after it. Its text shares
// b's memory unless the string has escapes.
func readValue(b []byte, i int) (Value, int) {
	end := skipValue(b, i)
	switch c := b[i]; c {
	case '"':
		if end-i < 2 {
			return Value{Kind: String}, end
		}
		text := b[i+1 : end-1]
		if bytes.IndexByte(text, '\\') >= 0 {
			text, _ = jsontext.AppendUnquote(nil, b[i:end])
		}
		return Value{Kind: String, Text: shared(text)}, end
	case '{':
		return Value{Kind: Object}, end
	case '[':
		return Value{Kind: Array}, end
	case 't', 'f':
		return Value{Kind: Bool}, end
	case 'n':
		return Value{Kind: Null}, end
	default:
		return Value{Kind: Number, Text: shared(b[i:end])}, end
	}
}

// shared returns b as a string in the same memory. A body is never written
// again once it is parsed.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
