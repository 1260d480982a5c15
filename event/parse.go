package event

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// libraryDepth is where the JSON library stops, so that it cannot be made to
// overflow the stack.
const libraryDepth = 10_000

// Parser takes the events out of bodies. It is not safe for concurrent use: a
// parser actor has one.
//
// Every byte is checked by the rules of RFC 7493. An ordinary event passes the
// scanner, which takes its fields out as it goes. Any other goes to the JSON
// library, and its fields are then picked from bytes known to be good.
type Parser struct {
	limits Limits
	root   *pathNode
	quick  scanner
	finder finder
	dec    jsontext.Decoder
	src    bytes.Buffer // what dec reads from: it works in a Buffer's memory, without a copy

	// What was found so far in the body that is being parsed.
	raws    []Raw
	rejects []Reject
}

// NewParser returns a parser for a tenant that has its fields at f. The error
// says which pointer is wrong, and how. A MaxDepth above 9,999 counts as 9,999.
func NewParser(f Fields, l Limits) (*Parser, error) {
	root, err := compileFields(f)
	if err != nil {
		return nil, err
	}
	l.MaxDepth = min(l.MaxDepth, libraryDepth-1) // an array around the events takes one
	return &Parser{limits: l, root: root, quick: scanner{seed: maphash.MakeSeed()}}, nil
}

// Parse returns the events of body in order, and a Reject for each that is not
// an event. Or it returns nothing but the reason why the whole body is refused.
// Raws and rejects share one count of indexes, from 0 in the order of the body.
//
// The raws share body's memory: nobody may write to it from now on.
func (p *Parser) Parse(body []byte, format Format) ([]Raw, []Reject, *Refusal) {
	var refusal *Refusal
	switch start := skipSpace(body, 0); {
	case start == len(body):
		refusal = malformed(parserReason(CodeEmptyBody, "the body is empty: want at least one event"))
	case format == NDJSON:
		refusal = p.lines(body)
	case body[start] == '[':
		refusal = p.array(body)
	default:
		p.raws = make([]Raw, 0, 1)
		if r := p.one(0, body, spot{}); r != nil {
			refusal = malformed(*r)
		}
	}
	raws, rejects := p.raws, p.rejects
	p.raws, p.rejects, p.finder.values, p.quick.values = nil, nil, [fieldCount]Value{}, [fieldCount]Value{}
	p.read(nil) // an idle parser keeps no body in memory
	if refusal != nil {
		return nil, nil, refusal
	}
	return raws, rejects, nil
}

// read makes text what the decoder reads next.
func (p *Parser) read(text []byte) {
	p.src = *bytes.NewBuffer(text)
	p.dec.Reset(&p.src)
}

// glance takes the event that text is, if it is an ordinary one.
func (p *Parser) glance(index int, text []byte) bool {
	start := skipSpace(text, 0)
	if start == len(text) || text[start] != '{' {
		return false
	}
	end := p.quick.scan(text, start, p.root, p.limits.MaxDepth)
	if end == gaveUp || end-start > p.limits.MaxEvent || skipSpace(text, end) != len(text) {
		return false
	}
	p.keep(index, text[start:end:end], &p.quick.values)
	return true
}

func (p *Parser) keep(index int, data []byte, f *[fieldCount]Value) {
	p.raws = append(p.raws, Raw{Index: index, Data: data,
		ID: f[fieldID], Type: f[fieldType], User: f[fieldUser], TS: f[fieldTS]})
}

// one parses a text that has to be exactly one value.
func (p *Parser) one(index int, text []byte, at spot) *Reason {
	if p.glance(index, text) {
		return nil
	}
	if deeperThan(text, p.limits.MaxDepth) {
		p.reject(index, "", at, p.tooDeep())
		return nil
	}
	p.read(text)
	v, err := p.dec.ReadValue()
	if err != nil {
		return syntaxReason(err, text, at)
	}
	if r := p.trailing(text, at); r != nil {
		return r
	}
	p.take(index, v, at)
	return nil
}

// trailing returns what is wrong with text after the value that was read.
func (p *Parser) trailing(text []byte, at spot) *Reason {
	end := skipSpace(text, int(p.dec.InputOffset()))
	if end == len(text) {
		return nil
	}
	message := "unexpected " + quoteByte(text[end:]) + " after the end of the JSON value"
	switch {
	case at.line > 0:
		message += ": want one event a line"
	case text[end] == '{':
		message += ": several events are an array, or one a line as application/x-ndjson"
	}
	r := parserReason(CodeInvalidJSON, message+at.String(text, end))
	return &r
}

// ordinary takes the events of an array, if all of them are ordinary ones;
// otherwise it has taken none.
func (p *Parser) ordinary(body []byte) bool {
	i := skipSpace(body, skipSpace(body, 0)+1)
	for n := 0; i < len(body) && body[i] == '{' && n < p.limits.MaxEvents; n++ {
		end := p.quick.scan(body, i, p.root, p.limits.MaxDepth)
		if end == gaveUp || end-i > p.limits.MaxEvent {
			break
		}
		if n == 0 {
			p.raws = p.room(body, len(body)/(end-i+1)+1) // as if all were like the first
		}
		p.keep(n, body[i:end:end], &p.quick.values)
		switch i = skipSpace(body, end); {
		case i == len(body):
		case body[i] == ',':
			i = skipSpace(body, i+1)
			continue
		case body[i] == ']' && skipSpace(body, i+1) == len(body):
			return true
		}
		break
	}
	p.raws = nil
	return false
}

// array parses a body that is an array of events.
func (p *Parser) array(body []byte) *Refusal {
	if p.ordinary(body) {
		return nil
	}
	p.read(body)
	_, err := p.dec.ReadToken()
	n := 0
	for ; err == nil && p.dec.PeekKind() != ']'; n++ {
		if n == p.limits.MaxEvents {
			return p.tooMany()
		}
		var v jsontext.Value
		if v, err = p.dec.ReadValue(); err != nil {
			break
		}
		if n == 0 {
			p.raws = p.room(body, len(body)/(len(v)+1)+1) // as if all were like the first
		}
		p.take(n, v, spot{})
	}
	if err == nil {
		_, err = p.dec.ReadToken()
	}
	if err != nil {
		return malformed(*syntaxReason(err, body, spot{}))
	}
	if r := p.trailing(body, spot{}); r != nil {
		return malformed(*r)
	}
	if n == 0 {
		return malformed(parserReason(CodeNoEvents, "the array is empty: want at least one event"))
	}
	return nil
}

// lines parses a body of one event a line.
func (p *Parser) lines(body []byte) *Refusal {
	count := bytes.Count(body, []byte{'\n'}) + 1
	if count > p.limits.MaxEvents && moreLinesThan(body, p.limits.MaxEvents) {
		return p.tooMany()
	}
	p.raws = p.room(body, count)
	index := 0
	for at := (spot{line: 1}); at.offset < len(body); at.line++ {
		line := firstLine(body[at.offset:])
		if first := skipSpace(line, 0); first < len(line) {
			if size := len(bytes.TrimRight(line[first:], " \t\r")); size > p.limits.MaxEvent {
				p.reject(index, "", at, p.tooLarge(size))
			} else if r := p.one(index, line, at); r != nil {
				p.rejects = append(p.rejects, Reject{Index: index, Reason: *r})
			}
			index++
		}
		at.offset += len(line) + 1
	}
	return nil
}

// moreLinesThan reports whether body has more than n lines that are not blank.
func moreLinesThan(body []byte, n int) bool {
	for start := 0; start < len(body); {
		line := firstLine(body[start:])
		if skipSpace(line, 0) < len(line) {
			if n--; n < 0 {
				return true
			}
		}
		start += len(line) + 1
	}
	return false
}

// firstLine returns b up to its first newline, which is not part of it.
func firstLine(b []byte) []byte {
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		return b[:n]
	}
	return b
}

// room returns space for n raws, but never so much that a body of very short
// values makes it cost many times the body's own size.
func (p *Parser) room(body []byte, n int) []Raw {
	const shortest = 24 // bytes of {"type":"t","user":"u"}, and the separator
	n = min(n, len(body)/shortest+1, p.limits.MaxEvents)
	if used, ok := rawsPool.Get().(*[]Raw); ok && cap(*used) >= n {
		return *used
	}
	return make([]Raw, 0, n)
}

// rawsPool holds the memory of raws, cleared and of length 0, for the next bodies.
var rawsPool sync.Pool

// maxPooledRaws bounds what one element of the pool may hold on to.
const maxPooledRaws = 1024

// Recycle takes raws back that Parse has returned, and that nobody uses any more:
// neither they nor what was sliced from their array. It is never owed.
func Recycle(raws []Raw) {
	if cap(raws) < 2 || cap(raws) > maxPooledRaws {
		return
	}
	raws = raws[:cap(raws)]
	clear(raws) // they hold on to their body
	raws = raws[:0]
	rawsPool.Put(&raws)
}

// take makes the value v an event, or says why it is none.
func (p *Parser) take(index int, v jsontext.Value, at spot) {
	if v[0] != '{' {
		got, _ := readValue(v, 0)
		p.reject(index, "", at, parserReason(CodeNotAnObject, "want a JSON object, got "+got.describe()))
		return
	}
	p.finder.find(v, p.root)
	f := &p.finder.values
	switch {
	case len(v) > p.limits.MaxEvent:
		p.reject(index, givenID(f[fieldID]), at, p.tooLarge(len(v)))
	case deeperThan(v, p.limits.MaxDepth):
		p.reject(index, givenID(f[fieldID]), at, p.tooDeep())
	default:
		p.keep(index, v, f)
	}
}

func (p *Parser) reject(index int, id string, at spot, r Reason) {
	if at.line > 0 {
		r.Message += at.String(nil, 0)
	}
	p.rejects = append(p.rejects, Reject{Index: index, ID: id, Reason: r})
}
