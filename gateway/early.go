package gateway

import (
	"errors"
	"fmt"
	"io"

	"github.com/valyala/fasthttp"
)

// This file answers requests before, or instead of, their handler.

// headerReceived gives a body that is not there yet the time for bodies.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if n := h.ContentLength(); n == -1 || n > prefetched {
		return fasthttp.RequestConfig{ReadTimeout: s.opts.BodyTimeout}
	}
	return fasthttp.RequestConfig{}
}

// expect answers Expect: 100-continue: with 100, or with the refusal that the
// request would get anyhow, before its body is sent.
//
// fasthttp takes the status from what is returned and sends ctx.Response with
// it. It documents the latter as not to be modified; without that the refusal
// would have no body, and a test sees to it that it arrives.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	x := s.begin(ctx)
	bad := x.expected()
	if bad == nil {
		x.abandon()
		return fasthttp.StatusContinue
	}
	defer x.end()
	// The client may send its body after all: it does not have to wait.
	x.unread, bad.close = true, true
	x.refuse(bad)
	return bad.status
}

// expected returns the problem of a request whose body is still to come. What
// is reserved is given back by its end.
func (x *exchange) expected() (bad *problem) {
	defer func() {
		if v := recover(); v != nil {
			x.srv.opts.Log.Error("a request made the data port panic", "panic", fmt.Sprint(v))
			bad = &problem{status: 500, code: CodeInternal, detail: "The gateway failed. Nothing of the request was accepted."}
		}
	}()
	r, _, bad := x.check()
	if bad != nil || r != theEvents || x.ctx.IsOptions() {
		return bad
	}
	params, bad := x.identify()
	if bad != nil {
		return bad
	}
	p, bad := x.plan(params)
	if bad != nil {
		return bad
	}
	if bad = x.reserve(p.length); bad != nil {
		return bad
	}
	x.release(x.held) // it is reserved again, for good, when the body is there
	return nil
}

// abandon ends an exchange that another one answers.
func (x *exchange) abandon() {
	x.release(x.held)
	*x = exchange{scratch: x.scratch[:0]}
	exchanges.Put(x)
}

// unreadable is the fasthttp ErrorHandler: it answers what could not be read
// as a request. The connection is closed after it.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	p := s.unreadableProblem(ctx, err)
	ctx.Response.Reset()
	writeProblem(ctx, p, nil)
	linger(ctx)
	if s.opts.Observe != nil {
		s.opts.Observe("", p.status, 0, 0)
	}
}

func (s *Server) unreadableProblem(ctx *fasthttp.RequestCtx, err error) *problem {
	var small *fasthttp.ErrSmallBuffer
	c := underlying(ctx.Conn())
	switch {
	case errors.As(err, &small) && c != nil && c.unbroken >= s.opts.MaxHeader:
		return &problem{status: 414, code: CodeURITooLong, limitName: "max_header", limit: int64(s.opts.MaxHeader),
			detail: fmt.Sprintf("The request line alone is longer than %d bytes.", s.opts.MaxHeader)}
	case errors.As(err, &small):
		return &problem{status: 431, code: CodeHeadersTooLarge, limitName: "max_header", limit: int64(s.opts.MaxHeader),
			detail: fmt.Sprintf("The request line and the headers together are longer than %d bytes.", s.opts.MaxHeader)}
	case c != nil && c.late:
		return &problem{status: 408, code: CodeClientTooSlow,
			detail: "The request did not arrive in time. Nothing of it was accepted."}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &problem{status: 400, code: CodeIncompleteBody,
			detail: "The request ended before its end. Nothing of it was accepted."}
	case errors.Is(err, fasthttp.ErrDuplicateContentLength):
		return &problem{status: 400, code: CodeBadRequest, detail: "Content-Length was sent more than once."}
	case errors.Is(err, fasthttp.ErrUnsupportedTransferEncoding):
		return &problem{status: 400, code: CodeBadRequest,
			detail: "Transfer-Encoding can only be chunked, once, and in HTTP/1.1."}
	}
	return &problem{status: 400, code: CodeBadRequest, detail: "What was sent is not a valid HTTP/1.1 request."}
}
