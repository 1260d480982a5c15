package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// lineReader reads NDJSON.
type lineReader struct {
	source *source
	max    int // bytes of an event
	line   int // number of the next line
	offset int64
}

func (r *lineReader) close() { r.source.close() }

func (r *lineReader) next() (readEvent, error) {
	for {
		at := readEvent{line: r.line, offset: r.offset}
		line, size, err := r.readLine()
		if err != nil && (err != io.EOF || size == 0) {
			return readEvent{}, err
		}
		r.line++
		r.offset += size
		switch {
		case line == nil:
			at.size = size
		case len(line) > 0:
			at.data, at.size = line, int64(len(line))
		default:
			continue
		}
		at.nextLine, at.nextOffset = r.line, r.offset
		return at, nil
	}
}

// readLine returns the next line without the white space around it, nil when
// it is longer than an event may be, and how many bytes of input it was. A long
// line is read to its end and not kept.
func (r *lineReader) readLine() (line []byte, size int64, err error) {
	var long []byte
	tooLong := false
	for {
		part, err := r.source.buf.ReadSlice('\n')
		size += int64(len(part))
		if err == nil || err == io.EOF {
			if tooLong {
				return nil, size, err
			}
			if long != nil {
				part = append(long, part...)
			}
			trimmed := bytes.Trim(part, " \t\r\n")
			if len(trimmed) > r.max {
				return nil, size, err
			}
			return append(make([]byte, 0, len(trimmed)), trimmed...), size, err
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, size, err
		}
		if tooLong = tooLong || len(long)+len(part) > r.max+1024; tooLong {
			long = nil
		} else {
			long = append(long, part...)
		}
	}
}

// valueReader reads the elements of a JSON array, or JSON values one after
// another, without ever holding more than one of them.
type valueReader struct {
	source *source
	dec    *jsontext.Decoder
	guard  *guardReader
	max    int
	count  int
	array  bool
}

// The most that is held in memory of an input that is wrong: white space
// between values, and one string in an event that is skipped because it is too large.
const (
	maxBlank = 1 << 20
	maxToken = 16 << 20
)

var (
	errLimit = errors.New("limit of what is read ahead")
	errBlank = fmt.Errorf("more than %d MiB without a value", maxBlank>>20)
	errToken = fmt.Errorf("a string is longer than %d MiB", maxToken>>20)
)

func newValueReader(s *source, maxEvent int) *valueReader {
	r := &valueReader{source: s, max: maxEvent, guard: &guardReader{r: s.buf}}
	r.dec = jsontext.NewDecoder(r.guard)
	r.guard.dec = r.dec
	return r
}

func (r *valueReader) close() { r.source.close() }

func (r *valueReader) next() (readEvent, error) {
	r.guard.allow, r.guard.err = r.dec.InputOffset()+int64(r.max)+maxBlank, errBlank
	kind := r.dec.PeekKind()
	if r.count == 0 && !r.array && kind == '[' {
		r.array = true
		if _, err := r.dec.ReadToken(); err != nil {
			return readEvent{}, r.explain(err)
		}
		kind = r.dec.PeekKind()
	}
	if r.array && kind == ']' {
		if _, err := r.dec.ReadToken(); err != nil {
			return readEvent{}, r.explain(err)
		}
		end := r.dec.InputOffset()
		if _, err := r.dec.ReadToken(); err != io.EOF {
			return readEvent{}, fmt.Errorf("there is something after the end of the array, which is at byte %d", end)
		}
		return readEvent{}, io.EOF
	}
	at := readEvent{line: r.count + 1}
	r.guard.allow, r.guard.err = r.guard.given+int64(r.max), errLimit
	v, err := r.dec.ReadValue()
	switch {
	case errors.Is(err, errLimit):
		// The decoder still stands before the value: go over it token by token.
		before := r.dec.InputOffset()
		r.guard.allow = 0
		if err := r.dec.SkipValue(); err != nil {
			return readEvent{}, r.explain(err)
		}
		at.size = r.dec.InputOffset() - before
	case err == io.EOF && !r.array:
		return readEvent{}, io.EOF
	case err != nil:
		return readEvent{}, r.explain(err)
	default:
		at.size = int64(len(v))
		if len(v) <= r.max {
			at.data = bytes.Clone(v)
		}
	}
	r.count++
	return at, nil
}

func (r *valueReader) explain(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at value %d: %s", r.count+1, strings.TrimPrefix(syntax.Error(), "jsontext: "))
	}
	for _, ours := range []error{errBlank, errToken} {
		if errors.Is(err, ours) {
			return fmt.Errorf("value %d: %w", r.count+1, ours)
		}
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// guardReader stops its decoder from reading ahead without a bound.
type guardReader struct {
	r     io.Reader
	dec   *jsontext.Decoder
	given int64
	allow int64 // given may not pass this; 0: only maxToken after what dec has done with
	err   error
}

func (g *guardReader) Read(p []byte) (int, error) {
	switch {
	case g.allow > 0 && g.given >= g.allow:
		return 0, g.err
	case g.allow > 0:
		p = p[:min(int64(len(p)), g.allow-g.given)]
	case g.given-g.dec.InputOffset() > maxToken:
		return 0, errToken
	default:
		p = p[:min(len(p), 64<<10)]
	}
	n, err := g.r.Read(p)
	g.given += int64(n)
	return n, err
}
