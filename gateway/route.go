package gateway

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"
)

const (
	pathEvents = "/v1/events"
	pathUsers  = "/v1/users/"

	allowEvents = "POST, OPTIONS"
	allowUsers  = "GET, HEAD, OPTIONS"
	allowAll    = "GET, HEAD, POST, OPTIONS"
)

// resource is what a path names.
type resource uint8

const (
	nothing resource = iota
	theEvents
	userStatus
	userEvents
	everything // the * of OPTIONS
)

// locate finds what a raw path names, and the user in it, still escaped. The
// path is compared as it was sent: nothing is decoded before it is cut, so that
// a user called "a/b" is a%2Fb, and no "..", "//" or "%65vents" is another
// spelling of a path.
func locate(path []byte) (r resource, user string) {
	switch {
	case string(path) == pathEvents:
		return theEvents, ""
	case string(path) == "*":
		return everything, ""
	case !bytes.HasPrefix(path, []byte(pathUsers)):
		return nothing, ""
	}
	user, tail, found := strings.Cut(string(path[len(pathUsers):]), "/")
	switch {
	case user == "":
		return nothing, ""
	case !found:
		return userStatus, user
	case tail == "events":
		return userEvents, user
	}
	return nothing, ""
}

func (r resource) allow() string {
	switch r {
	case theEvents:
		return allowEvents
	case everything:
		return allowAll
	}
	return allowUsers
}

// allows reports whether method may be used on r. OPTIONS is answered before.
func (r resource) allows(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodPost:
		return r == theEvents
	case fasthttp.MethodGet, fasthttp.MethodHead:
		return r == userStatus || r == userEvents
	}
	return false
}

// serve answers the request, or returns the problem that does.
func (x *exchange) serve() *problem {
	r, user, bad := x.check()
	if bad != nil {
		return bad
	}
	if x.ctx.IsOptions() {
		x.options(r)
		return nil
	}
	params, bad := x.identify()
	if bad != nil {
		return bad
	}
	switch r {
	case theEvents:
		return x.ingest(params)
	case userStatus:
		return x.userStatus(user, params)
	default:
		return x.userEvents(user, params)
	}
}

// check settles what needs no key: the framing, the path and the method.
func (x *exchange) check() (resource, string, *problem) {
	h := &x.ctx.Request.Header
	if x.head = scanHead(h.RawHeaders()); x.head.flaw != "" {
		return 0, "", &problem{status: 400, code: CodeBadRequest, detail: x.head.flaw, close: true}
	}
	path := x.ctx.URI().PathOriginal()
	r, user := locate(path)
	if r == nothing {
		return 0, "", &problem{status: 404, code: CodeNotFound,
			detail: fmt.Sprintf("There is no %s. The data port has POST %s, GET %s{user} and GET %s{user}/events.",
				quoted(string(path)), pathEvents, pathUsers, pathUsers)}
	}
	if !x.ctx.IsOptions() && !r.allows(h.Method()) {
		return 0, "", &problem{status: 405, code: CodeMethodNotAllowed, allow: r.allow(),
			detail: fmt.Sprintf("%s is not allowed here; allowed are %s.", quoted(string(h.Method())), r.allow())}
	}
	return r, user, nil
}

// identify decodes the query string and finds whose key it is.
func (x *exchange) identify() ([]param, *problem) {
	params, flaw := parseQuery(x.ctx.URI().QueryString())
	tenant, bad := x.table.authenticate(&x.ctx.Request.Header, &x.head, hasKey(params))
	if bad != nil {
		return nil, bad
	}
	x.tenant = tenant
	return params, flaw
}

func (x *exchange) options(r resource) {
	x.status = fasthttp.StatusNoContent
	x.ctx.Response.SetStatusCode(x.status)
	x.ctx.Response.Header.Set("Allow", r.allow())
	if r == theEvents {
		x.ctx.Response.Header.Set("Accept-Post", acceptPost)
		x.ctx.Response.Header.Set("Accept-Encoding", acceptEncoding)
	}
}
