package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"sluice/event"
)

const maxUser = 256 // bytes of a user's name

// namedUser decodes the user in a path.
func namedUser(escaped string) (string, *problem) {
	user, ok := unescape(escaped, false)
	if !ok || len(user) > maxUser {
		return "", invalid("The user in the path must be 1 to %d bytes of UTF-8, percent-encoded.", maxUser)
	}
	return user, nil
}

// userStatus is GET /v1/users/{user}: what the user's actor knows.
func (x *exchange) userStatus(escaped string, params []param) *problem {
	user, bad := namedUser(escaped)
	if bad != nil {
		return bad
	}
	if len(params) > 0 {
		return unknown(params[0].name, "none")
	}
	ctx, cancel := x.deadline()
	defer cancel()
	status, ok, err := x.tenant.Users.Status(ctx, user)
	if err != nil {
		return x.unreadableStore("cannot tell a user's status", err)
	}
	if !ok {
		return &problem{status: 404, code: CodeUnknownUser,
			detail: "No actor knows this user: nothing came from it since the gateway started, or it has been idle. " +
				"What is stored is at " + pathUsers + "{user}/events."}
	}
	x.private()
	x.answer(200, typeJSON, appendStatus(x.scratch[:0], &status))
	return nil
}

func appendStatus(dst []byte, s *event.UserStatus) []byte {
	dst = append(dst, `{"user":`...)
	dst = appendString(dst, s.User)
	dst = append(dst, `,"first_seen":`...)
	dst = appendTime(dst, s.FirstSeen)
	dst = append(dst, `,"last_seen":`...)
	dst = appendTime(dst, s.LastSeen)
	for _, n := range []struct {
		name string
		v    uint64
	}{
		{`,"accepted":`, s.Accepted}, {`,"duplicates":`, s.Duplicates}, {`,"rejected":`, s.Rejected},
		{`,"failed":`, s.Failed}, {`,"in_flight":`, uint64(max(0, s.InFlight))}, {`,"dedupe":{"ids":`, uint64(max(0, s.WindowIDs))},
	} {
		dst = append(dst, n.name...)
		dst = strconv.AppendUint(dst, n.v, 10)
	}
	if s.WindowIDs > 0 {
		dst = append(dst, `,"since":`...)
		dst = appendTime(dst, s.WindowFrom)
	}
	return append(dst, `}}`...)
}

// userEvents is GET /v1/users/{user}/events: one page of what is stored.
func (x *exchange) userEvents(escaped string, params []param) *problem {
	user, bad := namedUser(escaped)
	if bad != nil {
		return bad
	}
	if x.tenant.Reader == nil {
		return &problem{status: 501, code: CodeNotQueryable,
			detail: "This tenant's events go to sinks that cannot be read by user, such as Kafka. " +
				"A tenant with the embedded store or Cassandra among its sinks can be read."}
	}
	q := event.Query{Tenant: x.tenant.Name, User: user}
	implied, bad := parseRange(params, x.ctx.Time(), &q)
	if bad != nil {
		return bad
	}
	if bad = openCursor(&q, implied); bad != nil {
		return bad
	}
	ctx, cancel := x.deadline()
	defer cancel()
	page, err := x.tenant.Reader.Read(ctx, q)
	if errors.Is(err, event.ErrBadCursor) {
		return badCursor()
	}
	if err != nil {
		return x.unreadableStore("cannot read a user's events", err)
	}
	x.sendPage(&page, sealCursor(page.Next, &q, implied))
	return nil
}

// A cursor is the Reader's own, with the end of the range in front when that
// was the time of the first page's request: the later pages are of the same
// range, though their request says no more than from.
//
//	".<cursor of the reader>"  |  "<to in ms>.<cursor of the reader>"
func sealCursor(next string, q *event.Query, implied bool) string {
	if next == "" {
		return ""
	}
	if implied {
		return strconv.FormatInt(q.To, 10) + "." + next
	}
	return "." + next
}

func openCursor(q *event.Query, implied bool) *problem {
	if q.Cursor == "" {
		return nil
	}
	to, inner, ok := strings.Cut(q.Cursor, ".")
	if !ok || inner == "" || implied != (to != "") {
		return badCursor()
	}
	if implied {
		at, err := strconv.ParseInt(to, 10, 64)
		if err != nil || at <= q.From || at > maxMillis {
			return badCursor()
		}
		q.To = at
	}
	q.Cursor = inner
	return nil
}

func badCursor() *problem {
	return &problem{status: 400, code: CodeInvalidCursor,
		detail: "cursor is not a next_cursor of this query: use it with the same user, from, to, type and order."}
}

// sendPage answers with a page, as one JSON object or an event a line.
func (x *exchange) sendPage(page *event.Page, next string) {
	body := x.scratch[:0]
	contentType := typeJSON
	if prefersNDJSON(x.ctx.Request.Header.Peek("Accept")) {
		contentType = typeNDJSON
		for i := range page.Events {
			from := len(body)
			body = x.tenant.Fill(body, &page.Events[i])
			oneLine(body[from:])
			body = append(body, '\n')
		}
	} else {
		body = append(body, `{"events":[`...)
		for i := range page.Events {
			if i > 0 {
				body = append(body, ',')
			}
			body = x.tenant.Fill(body, &page.Events[i])
		}
		body = append(body, ']')
		if next != "" {
			body = append(body, `,"next_cursor":`...)
			body = appendString(body, next)
		}
		body = append(body, '}')
	}
	x.private()
	x.ctx.Response.Header.Set("Vary", "Accept")
	if next != "" {
		x.ctx.Response.Header.Set("Sluice-Next-Cursor", next)
	}
	x.answer(200, contentType, body)
}

// private keeps the answer out of caches: only of Authorization do they know by
// themselves that it makes an answer one client's.
func (x *exchange) private() { x.ctx.Response.Header.Set("Cache-Control", "no-store") }

// oneLine makes the line ends in an event blanks. In valid JSON they occur
// between tokens only, where a blank means the same.
func oneLine(event []byte) {
	for i, c := range event {
		if c == '\n' || c == '\r' {
			event[i] = ' '
		}
	}
}

func (x *exchange) deadline() (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.Background(), time.Now().Add(x.srv.opts.RequestTimeout))
}

// unreadableStore is the problem of a read that failed. Why is for the log.
func (x *exchange) unreadableStore(what string, err error) *problem {
	x.srv.opts.Log.Warn("data port: "+what, "tenant", x.tenant.Name, "error", err)
	return &problem{status: 503, code: event.CodeSinkUnavailable, retryAfter: x.tenant.Intake.RetryAfter(),
		detail: "What is stored cannot be read right now. Trying again later may help."}
}
