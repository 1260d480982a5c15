package gateway

import (
	"fmt"
	"io"

	"sluice/event"
)

const (
	firstChunk = 8 << 10 // what a body of unknown length starts with
	emptyReads = 100     // reads in a row that bring nothing, before a source counts as broken
)

// reserve takes n bytes of the tenant's budget for this request.
func (x *exchange) reserve(n int) *problem {
	if n <= 0 {
		return nil
	}
	if f := x.tenant.Intake.Reserve(n); f != nil {
		return refused(f, x.tenant.Intake.RetryAfter)
	}
	x.held += n
	return nil
}

// release gives n of the reserved bytes back.
func (x *exchange) release(n int) {
	if n > 0 {
		x.held -= n
		x.tenant.Intake.Release(n)
	}
}

// readBody returns the decoded body in memory of its own, with x.held bytes of
// the budget reserved for it: exactly those that the slice occupies.
//
// No byte is allocated before it is reserved. An encoded body is first read as
// it is and then decoded: a decoder needs up to 17 MiB of its own, and so runs
// only once it no longer waits for the client.
func (x *exchange) readBody(p *plan) ([]byte, *problem) {
	body, bad := x.receive(p.length)
	x.wire = len(body)
	if bad != nil {
		return nil, bad
	}
	if len(body) == 0 {
		return nil, &problem{status: 400, code: event.CodeEmptyBody,
			detail: "The body is empty. Send an event as a JSON object, an array of them, or one a line."}
	}
	if p.coding == identity {
		return body, nil
	}
	encoded := cap(body)
	body, bad = x.decode(p.coding, body)
	if bad != nil {
		return nil, bad
	}
	x.release(encoded)
	if len(body) == 0 {
		return nil, &problem{status: 400, code: event.CodeEmptyBody, detail: "The body is empty once it is decoded."}
	}
	return body, nil
}

// receive reads the body as it was sent. length is its Content-Length, or -1
// when it is chunked. fasthttp has up to 8 KiB of it in memory; the rest comes
// straight from the connection, under its read deadline.
func (x *exchange) receive(length int) ([]byte, *problem) {
	stream := x.ctx.Request.BodyStream()
	if length == 0 || stream == nil {
		return nil, nil
	}
	if length < 0 {
		body, bad, err := x.readAll(stream, 0)
		if err != nil {
			bad = x.broken()
		}
		x.unread = bad != nil
		return body, bad
	}
	if bad := x.reserve(length); bad != nil {
		return nil, bad
	}
	body := make([]byte, length)
	// The stream ends with a plain io.EOF when the client stops early: what
	// counts is that every byte is there.
	n, err := io.ReadFull(stream, body)
	if err != nil {
		return body[:n], x.broken()
	}
	x.unread = false
	return body, nil
}

// broken is the problem of a body that did not arrive. Whether time ran out is
// asked of the connection: fasthttp wraps some of its errors beyond recognition.
func (x *exchange) broken() *problem {
	if late(x.ctx) {
		return &problem{status: 408, code: CodeClientTooSlow, close: true,
			detail: "The body did not arrive in time. Nothing of the request was accepted."}
	}
	return &problem{status: 400, code: CodeIncompleteBody, close: true,
		detail: "The body ended before its end, or its chunks are broken. Nothing of the request was accepted."}
}

// bodyTooLarge is the problem of a body over max_body. how says which size.
func bodyTooLarge(limit int, how string) *problem {
	return &problem{status: 413, code: CodeBodyTooLarge, limitName: "max_body", limit: int64(limit),
		detail: fmt.Sprintf("The body is larger than max_body, which is %d bytes%s. Send fewer events at once.", limit, how)}
}

// readAll reads r to its end, at most max_body bytes of it. hint is how many
// there probably are; 0 when nobody knows. It returns the problem when the
// budget or the limit ends it, and err when r does.
//
// Reserved is what is allocated: cap of the slice, and during growth both the
// old and the new one.
func (x *exchange) readAll(r io.Reader, hint int) (b []byte, bad *problem, err error) {
	limit := x.table.limits.MaxBody
	if hint <= 0 {
		hint = firstChunk
	}
	if b, bad = x.grow(nil, min(hint, limit)); bad != nil {
		return nil, bad, nil
	}
	for idle := 0; ; {
		var n int
		if len(b) < cap(b) {
			n, err = r.Read(b[len(b):cap(b)])
			b = b[:len(b)+n]
		} else {
			// It is full, and may be complete: one byte more tells, and costs
			// less than room that nobody needs.
			n, err = r.Read(x.probe[:])
			if n > 0 {
				if len(b) >= limit {
					return b, bodyTooLarge(limit, ""), nil
				}
				if b, bad = x.grow(b, min(2*cap(b), limit)); bad != nil {
					return b, bad, nil
				}
				b = append(b, x.probe[0])
			}
		}
		if err == io.EOF {
			return x.fit(b), nil, nil
		}
		if err != nil {
			return b, nil, err
		}
		if idle++; n > 0 {
			idle = 0
		} else if idle == emptyReads {
			return b, nil, io.ErrNoProgress
		}
	}
}

// grow moves b into a slice of capacity n.
func (x *exchange) grow(b []byte, n int) ([]byte, *problem) {
	if bad := x.reserve(n); bad != nil {
		return b, bad
	}
	grown := make([]byte, len(b), n)
	copy(grown, b)
	x.release(cap(b))
	return grown, nil
}

// fit gives the room behind b back when there is much of it.
func (x *exchange) fit(b []byte) []byte {
	if cap(b)-len(b) <= len(b)/8+1024 {
		return b
	}
	fitted, bad := x.grow(b, len(b))
	if bad != nil {
		return b // too large a slice is better than a refusal now
	}
	return fitted
}
