package event

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Fill appends to dst the event as it was sent, with its id and its ts filled in
// where the sender left them out or wrote null, and returns the result. The ts
// is written as RFC 3339 in UTC with milliseconds. Every other byte stays as it
// was sent.
//
// A member that is missing goes to the end of its object; objects on the way to
// it are made. Where that cannot be, because something other than an object is
// in the way or an array lacks the element, the field is left out.
func Fill(dst []byte, e *Event, f Fields) []byte {
	start := len(dst)
	dst = append(dst, e.Data...)
	var quoted []byte // most events have an id: no need to quote one in vain
	dst = fillIn(dst, start, f.ID, func() []byte {
		quoted, _ = jsontext.AppendQuote(quoted, e.ID)
		return quoted
	})
	return fillIn(dst, start, f.TS, func() []byte {
		return append(appendTime([]byte{'"'}, e.TS), '"')
	})
}

// fillIn puts value at pointer into the event dst[start:], if nothing is there.
func fillIn(dst []byte, start int, pointer string, value func() []byte) []byte {
	tokens, err := pointerTokens(pointer)
	if err != nil {
		return dst
	}
	h := findHole(dst[start:], tokens)
	switch {
	case !h.found:
		return dst
	case h.null:
		at := start + h.at
		return slices.Replace(dst, at, at+len("null"), value()...)
	}
	var member []byte
	if h.comma {
		member = append(member, ',')
	}
	for i, name := range h.names {
		if i > 0 {
			member = append(member, '{')
		}
		member, _ = jsontext.AppendQuote(member, name)
		member = append(member, ':')
	}
	member = append(member, value()...)
	member = append(member, bytes.Repeat([]byte{'}'}, len(h.names)-1)...)
	return slices.Insert(dst, start+h.at, member...)
}

// hole is a place where a field can be filled in.
type hole struct {
	found bool
	null  bool     // a null is at this place, to be replaced
	at    int      // otherwise a member is to be inserted here,
	comma bool     // after a comma,
	names []string // of this name, around objects of the further ones
}

// findHole follows tokens into the event b until something is missing.
func findHole(b []byte, tokens []string) hole {
	i := skipSpace(b, 0)
	for depth, token := range tokens {
		if i >= len(b) {
			return hole{}
		}
		var next int
		switch b[i] {
		case '{':
			var missing hole
			if next, missing = findMember(b, i, token); next < 0 {
				missing.names = tokens[depth:]
				missing.found = missing.found && canMake(tokens[depth+1:])
				return missing
			}
		case '[':
			if next = findElement(b, i, arrayIndex(token)); next < 0 {
				return hole{}
			}
		default:
			return hole{}
		}
		i = next
	}
	return hole{found: bytes.HasPrefix(b[i:], []byte("null")), null: true, at: i}
}

// canMake reports whether objects with these names can be made. A name that
// could be an element's was meant for an array, whose other elements nobody knows.
func canMake(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return arrayIndex(name) >= 0 })
}

// findMember returns where the value of the member called name begins, in the
// object that opens at i, or -1 and where it could be inserted.
func findMember(b []byte, i int, name string) (int, hole) {
	missing := hole{found: true, at: i + 1}
	for i = skipSpace(b, i+1); i < len(b) && b[i] == '"'; {
		end := skipString(b, i)
		quoted := b[i:end]
		value := skipSpace(b, min(skipSpace(b, end)+1, len(b)))
		if value == len(b) {
			return -1, hole{}
		}
		if isName(quoted, name) {
			return value, hole{}
		}
		i = skipValue(b, value)
		missing.at, missing.comma = i, true
		if i = skipSpace(b, i); i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return -1, missing
}

func isName(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		unquoted, err := jsontext.AppendUnquote(nil, quoted)
		return err == nil && string(unquoted) == name
	}
	return len(quoted) >= 2 && string(quoted[1:len(quoted)-1]) == name
}

// findElement returns where the element at index begins, in the array that
// opens at i, -1 if there is none.
func findElement(b []byte, i, index int) int {
	i = skipSpace(b, i+1)
	for n := 0; i < len(b) && b[i] != ']'; n++ {
		if n == index {
			return i
		}
		if i = skipSpace(b, skipValue(b, i)); i == len(b) || b[i] != ',' {
			return -1
		}
		i = skipSpace(b, i+1)
	}
	return -1
}
