package gateway

import (
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// exchange is one request and its answer. It belongs to the goroutine that
// serves the connection, and is used again for another request after it.
//
// Invariant: at its end everything in held has been given back or submitted.
type exchange struct {
	srv    *Server
	ctx    *fasthttp.RequestCtx
	table  *table
	head   head
	tenant *Tenant // nil until the key is known

	held   int  // bytes reserved and not yet submitted
	wire   int  // bytes of the body as it was sent, as far as it was read
	unread bool // part of the body may still be in the connection
	status int  // of the answer; 0 until there is one

	probe   [1]byte
	scratch []byte // where an answer is built
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// maxScratch is the largest scratch that an exchange keeps for the next one.
const maxScratch = 64 << 10

func (s *Server) begin(ctx *fasthttp.RequestCtx) *exchange {
	x := exchanges.Get().(*exchange)
	scratch := x.scratch
	*x = exchange{srv: s, ctx: ctx, table: s.table.Load(), scratch: scratch[:0]}
	return x
}

func (x *exchange) end() {
	x.release(x.held)
	if x.srv.opts.Observe != nil {
		name := ""
		if x.tenant != nil {
			name = x.tenant.Name
		}
		x.srv.opts.Observe(name, x.status, x.wire, time.Since(x.ctx.Time()))
	}
	if cap(x.scratch) > maxScratch {
		x.scratch = nil // of a problem with many errors
	}
	*x = exchange{scratch: x.scratch[:0]}
	exchanges.Put(x)
}

// handle is the fasthttp handler of every request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := s.begin(ctx)
	defer x.end()
	defer x.recover()
	length := ctx.Request.Header.ContentLength()
	x.unread = length == -1 || length > prefetched
	if bad := x.serve(); bad != nil {
		x.refuse(bad)
	}
	if s.stopping.Load() {
		ctx.SetConnectionClose()
	}
}

// recover turns a panic into a 500: fasthttp would let it end the process.
func (x *exchange) recover() {
	v := recover()
	if v == nil {
		return
	}
	x.srv.opts.Log.Error("a request made the data port panic", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	x.ctx.Response.Reset()
	x.refuse(&problem{status: 500, code: CodeInternal, close: true,
		detail: "The gateway failed. Whether the events were accepted is not known; sending them again with the same ids is safe."})
}

// refuse answers with p, and decides whether the connection can go on.
func (x *exchange) refuse(p *problem) {
	if x.unread && !p.close {
		// fasthttp drops the rest of a body of up to 256 KiB after the answer.
		// That is done for a sender who is known, and has said how much it is.
		length := x.ctx.Request.Header.ContentLength()
		p.close = x.tenant == nil || length < 0 || length > 256<<10
	}
	if p.close {
		x.ctx.SetConnectionClose()
		if x.unread {
			x.linger()
		}
	}
	x.status = p.status
	x.scratch = writeProblem(x.ctx, p, x.scratch)
}

// linger makes sure that a client which is still sending can read its answer.
func (x *exchange) linger() { linger(x.ctx) }

func linger(ctx *fasthttp.RequestCtx) {
	if c := underlying(ctx.Conn()); c != nil {
		c.refused.Store(true)
	}
}

// answer sends body, which may be scratch.
func (x *exchange) answer(status int, contentType string, body []byte) {
	x.status = status
	x.ctx.Response.SetStatusCode(status)
	x.ctx.Response.Header.SetContentType(contentType)
	if cap(body) > maxScratch {
		// fasthttp writes it after this exchange is over: it is not used again.
		x.scratch = nil
		x.ctx.Response.SetBodyRaw(body)
		return
	}
	x.scratch = body
	x.ctx.Response.SetBody(body)
}

// writeProblem makes p the response. It builds the body in scratch and returns
// it for the next use.
func writeProblem(ctx *fasthttp.RequestCtx, p *problem, scratch []byte) []byte {
	body := p.append(scratch[:0])
	h := &ctx.Response.Header
	ctx.Response.SetStatusCode(p.status)
	h.SetContentType(typeProblem)
	h.Set("Cache-Control", "no-store") // 404, 405, 414 and 501 may be cached otherwise
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(retrySeconds(p.retryAfter)))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.auth != "" {
		h.Set("WWW-Authenticate", p.auth)
	}
	if p.accepts {
		h.Set("Accept-Post", acceptPost)
		h.Set("Accept-Encoding", acceptEncoding)
	}
	ctx.Response.SetBody(body)
	return body
}

// overloaded is the whole answer to a connection beyond the limit, which is
// sent before anything of a request is read.
func overloaded(limit int) []byte {
	p := problem{status: 503, code: CodeOverloaded, retryAfter: time.Second, limitName: "max_connections", limit: int64(limit),
		detail: "The gateway has as many connections as it may have. Nothing of the request was read."}
	body := p.append(nil)
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nServer: sluice\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"+
		"Content-Length: %d\r\nRetry-After: %d\r\nConnection: close\r\n\r\n%s",
		typeProblem, len(body), retrySeconds(p.retryAfter), body)
}
