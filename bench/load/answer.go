package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// An answer is one HTTP response. Its slices are of the reader's memory, valid
// until the next answer.
type answer struct {
	status     int
	retryAfter int // seconds; -1: there was no such header
	close      bool
	body       []byte
}

// maxHead and maxBody bound what is read of an answer.
const (
	maxHead = 64 << 10
	maxBody = 16 << 20
)

var (
	errHead = errors.New("the answer is not HTTP/1.1")
	errLong = errors.New("the answer is too long")
)

// An inbox reads answers from a connection into memory of its own.
type inbox struct {
	buf  []byte
	r, w int // what was read and not used yet is buf[r:w]

	chunked []byte // the body of a chunked answer
}

func newInbox() inbox { return inbox{buf: make([]byte, 2048)} }

// free returns where the next bytes are to be read to. It makes room if there is
// none.
func (in *inbox) free() []byte {
	if in.w == len(in.buf) {
		if in.r > 0 {
			copy(in.buf, in.buf[in.r:in.w])
			in.r, in.w = 0, in.w-in.r
		} else {
			in.buf = append(in.buf, make([]byte, len(in.buf))...)
		}
	}
	return in.buf[in.w:]
}

// more reads on.
func (in *inbox) more(src io.Reader) error {
	n, err := src.Read(in.free())
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// read reads one answer; some of it may be in the inbox already.
func (in *inbox) read(src io.Reader, a *answer) error {
	for {
		length, chunked, ok, err := in.head(a)
		switch {
		case err != nil:
			return err
		case !ok:
			if in.w-in.r > maxHead {
				return errLong
			}
			if err := in.more(src); err != nil {
				return err
			}
			continue
		case a.status == 100:
			continue
		case chunked:
			return in.chunks(src, a)
		case length >= 0:
			return in.exactly(src, a, length)
		}
		return in.rest(src, a)
	}
}

// head parses the head of an answer, if all of it has come, and takes it out of
// the inbox. A length of -1 is none.
func (in *inbox) head(a *answer) (length int, chunked, ok bool, err error) {
	b := in.buf[in.r:in.w]
	if len(b) < len("HTTP/1.1 200") {
		return 0, false, false, nil
	}
	stop := bytes.Index(b, []byte("\r\n\r\n"))
	if stop < 0 {
		return 0, false, false, nil
	}
	status, valid := digits(b[9:12])
	if string(b[:7]) != "HTTP/1." || !valid {
		return 0, false, false, errHead
	}
	a.status, a.retryAfter, a.close = status, -1, b[7] == '0'
	length = -1
	if status == 204 || status == 304 {
		length = 0
	}
	lines := b[bytes.IndexByte(b, '\n')+1 : stop+2]
	for len(lines) > 0 {
		i := bytes.IndexByte(lines, '\n')
		line := bytes.TrimSuffix(lines[:i], []byte("\r"))
		lines = lines[i+1:]
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return 0, false, false, errHead
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch {
		case len(name) == len("content-length") && is(name, "content-length"):
			if length, valid = digits(value); !valid {
				return 0, false, false, errHead
			}
		case len(name) == len("transfer-encoding") && is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case len(name) == len("connection") && is(name, "connection"):
			a.close = a.close && !is(value, "keep-alive") || is(value, "close")
		case len(name) == len("retry-after") && is(name, "retry-after"):
			if s, valid := digits(value); valid {
				a.retryAfter = s
			}
		}
	}
	in.r += stop + 4
	return length, chunked, true, nil
}

// is compares without regard to case; lower is in lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// digits reads a number of at most nine digits.
func digits(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// exactly reads a body of a known length.
func (in *inbox) exactly(src io.Reader, a *answer, length int) error {
	if length > maxBody {
		return errLong
	}
	for in.w-in.r < length {
		if err := in.more(src); err != nil {
			return unexpected(err)
		}
	}
	a.body = in.buf[in.r : in.r+length]
	in.r += length
	in.settle()
	return nil
}

// settle begins at the front again when everything was used. The bytes of the
// last answer stay where they are until the next read.
func (in *inbox) settle() {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// rest reads a body that ends with the connection.
func (in *inbox) rest(src io.Reader, a *answer) error {
	a.close = true
	for {
		if in.w-in.r > maxBody {
			return errLong
		}
		switch err := in.more(src); err {
		case nil:
		case io.EOF:
			a.body = in.buf[in.r:in.w]
			in.r, in.w = 0, 0
			return nil
		default:
			return err
		}
	}
}

// chunks reads a chunked body (RFC 9112, section 7.1), its trailers aside.
func (in *inbox) chunks(src io.Reader, a *answer) error {
	in.chunked = in.chunked[:0]
	for {
		line, err := in.line(src)
		if err != nil {
			return err
		}
		size := 0
		for _, c := range line {
			digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
			if digit < 0 {
				break // an extension
			}
			if size = size<<4 | digit; size > maxBody {
				return errLong
			}
		}
		if size == 0 {
			break
		}
		var part answer
		if err := in.exactly(src, &part, size); err != nil {
			return err
		}
		if in.chunked = append(in.chunked, part.body...); len(in.chunked) > maxBody {
			return errLong
		}
		if _, err := in.line(src); err != nil {
			return err
		}
	}
	for {
		line, err := in.line(src)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			a.body = in.chunked
			in.settle()
			return nil
		}
	}
}

// line reads a line, without its end.
func (in *inbox) line(src io.Reader) ([]byte, error) {
	for {
		if i := bytes.IndexByte(in.buf[in.r:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : in.r+i]
			in.r += i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if in.w-in.r > maxHead {
			return nil, errLong
		}
		if err := in.more(src); err != nil {
			return nil, unexpected(err)
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// counts is what became of the events of one request.
type counts struct {
	accepted, duplicates, rejected, failed int
}

// readCounts reads the counts of an answer of sluice's data port. It reports false
// for any other body.
func readCounts(body []byte) (counts, bool) {
	var c counts
	rest := body
	for _, f := range []struct {
		name string
		into *int
	}{
		{`"accepted":`, &c.accepted}, {`"duplicates":`, &c.duplicates},
		{`"rejected":`, &c.rejected}, {`"failed":`, &c.failed},
	} {
		i := bytes.Index(rest, []byte(f.name))
		if i < 0 {
			return counts{}, false
		}
		rest = rest[i+len(f.name):]
		n := 0
		for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
			n++
		}
		var ok bool
		if *f.into, ok = digits(rest[:n]); !ok {
			return counts{}, false
		}
	}
	return c, true
}

// explanation is what an answer that is not a plain success says of events, one by
// one, and of the whole request.
type explanation struct {
	Code   string `json:"code"`
	Retry  int64  `json:"retry_after_ms"`
	Errors []struct {
		Index   int    `json:"index"`
		Outcome string `json:"outcome"`
	} `json:"errors"`
	// Of an OpenTelemetry Collector.
	Partial struct {
		Rejected json.Number `json:"rejectedLogRecords"`
	} `json:"partialSuccess"`
}

// explain reads the body of an answer, as far as it is JSON.
func explain(body []byte) explanation {
	var e explanation
	if err := json.Unmarshal(body, &e); err != nil {
		return explanation{}
	}
	return e
}

// problemCode returns the code of a problem without making anything: in overload
// most answers are problems.
func problemCode(body []byte) []byte {
	_, rest, ok := bytes.Cut(body, []byte(`"code":"`))
	if !ok {
		return nil
	}
	code, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || len(code) > 64 {
		return nil
	}
	return code
}

// connectError is a target that cannot be reached before anything was sent.
type connectError struct {
	address string
	err     error
}

func (e *connectError) Error() string {
	return fmt.Sprintf("cannot connect to %s: %v", e.address, e.err)
}

func (e *connectError) Unwrap() error { return e.err }
