package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/event"
)

// maxParams bounds the parameters of a query string; no path has as many.
const maxParams = 32

// param is one decoded parameter of a query string.
type param struct{ name, value string }

// keyParams are the names under which clients put a key into the URI.
var keyParams = map[string]bool{
	"key": true, "api_key": true, "apikey": true, "api-key": true, "x-api-key": true,
	"token": true, "access_token": true, "auth": true, "authorization": true,
}

// parseQuery decodes a query string (WHATWG URL, application/
// x-www-form-urlencoded), strictly: a broken escape, bytes that are not UTF-8
// and a repeated name are errors, as guessing could change what a client gets.
func parseQuery(raw []byte) ([]param, *problem) {
	if len(raw) == 0 {
		return nil, nil
	}
	var params []param
	for _, pair := range strings.Split(string(raw), "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok := unescape(name, true)
		value, ok2 := unescape(value, true)
		if !ok || !ok2 {
			return nil, invalid("The query string has %s in it, which is not a valid escape of UTF-8.", quoted(pair))
		}
		for _, p := range params {
			if p.name == name {
				return nil, invalid("The parameter %s was given twice.", quoted(name))
			}
		}
		if len(params) == maxParams {
			return nil, invalid("The query string has more than %d parameters.", maxParams)
		}
		params = append(params, param{name, value})
	}
	return params, nil
}

// hasKey reports whether one of the parameters is a key by its name.
func hasKey(params []param) bool {
	for _, p := range params {
		if keyParams[strings.ToLower(p.name)] {
			return true
		}
	}
	return false
}

func invalid(format string, args ...any) *problem {
	return &problem{status: 400, code: CodeInvalidParameter, detail: fmt.Sprintf(format, args...)}
}

// unknown is the problem of a parameter that does not exist. Ignoring it would
// turn ?ak=received, or ?form=, into another request than was meant.
func unknown(name, known string) *problem {
	return &problem{status: 400, code: CodeUnknownParameter,
		detail: fmt.Sprintf("The parameter %s does not exist here. Known are %s.", quoted(name), known)}
}

// unescape decodes percent escapes, and + as a blank where form says so. It is
// false when an escape is broken or the result is not UTF-8.
func unescape(s string, form bool) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && (!form || strings.IndexByte(s, '+') < 0) {
		return s, utf8.ValidString(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+' && form:
			out = append(out, ' ')
		case c != '%':
			out = append(out, c)
		default:
			if i+2 >= len(s) {
				return "", false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			out = append(out, byte(high<<4|low))
			i += 2
		}
	}
	return string(out), utf8.Valid(out)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

const eventsParams = "from, to, type, limit, cursor and order"

// parseRange reads the parameters of GET /v1/users/{user}/events into q. now
// is the end of a range that has a beginning only; implied says that it was
// used.
func parseRange(params []param, now time.Time, q *event.Query) (implied bool, _ *problem) {
	q.Limit, q.Desc = defaultLimit, true
	var from, to bool
	for _, p := range params {
		var bad *problem
		switch p.name {
		case "from":
			q.From, bad = parseTime(p)
			from = true
		case "to":
			q.To, bad = parseTime(p)
			if to = true; bad == nil && q.To == 0 {
				bad = invalid("to is exclusive and must be after 1970-01-01T00:00:00Z.")
			}
		case "type":
			if q.Type = p.value; p.value == "" || len(p.value) > 128 {
				bad = invalid("type must be 1 to 128 bytes; leave it out for events of every type.")
			}
		case "limit":
			q.Limit, bad = parseLimit(p.value)
		case "cursor":
			if q.Cursor = p.value; p.value == "" {
				bad = invalid("cursor must be the next_cursor of the page before; leave it out for the first page.")
			}
		case "order":
			if q.Desc = p.value == "desc"; !q.Desc && p.value != "asc" {
				bad = invalid("order is %s; it must be asc or desc.", quoted(p.value))
			}
		default:
			bad = unknown(p.name, eventsParams)
		}
		if bad != nil {
			return false, bad
		}
	}
	if from && !to {
		q.To, implied = now.UnixMilli()+1, true // to is exclusive: now is in it
	}
	if q.To != 0 && q.From >= q.To {
		return false, invalid("from is not before to: the range is empty (from is inclusive, to exclusive, from alone reaches to now).")
	}
	return implied, nil
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func parseLimit(s string) (int, *problem) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, invalid("limit is %s; it must be a number from 1 to %d.", quoted(s), maxLimit)
	}
	return n, nil
}

// parseTime reads RFC 3339 or milliseconds since the epoch.
func parseTime(p param) (int64, *problem) {
	wrong := func() (int64, *problem) {
		return 0, invalid("%s is %s; it must be RFC 3339, such as 2026-01-31T12:00:00Z, or milliseconds since 1970, such as 1769860800000.",
			p.name, quoted(p.value))
	}
	if p.value == "" {
		return wrong()
	}
	if isDigits(p.value) {
		ms, err := strconv.ParseInt(p.value, 10, 64)
		if err != nil || ms > maxMillis {
			return wrong()
		}
		return ms, nil
	}
	// The + of an offset arrives as a blank when the client did not escape it.
	// RFC 3339 has no blank, so it can have been nothing else.
	at, err := time.Parse(time.RFC3339Nano, strings.Replace(p.value, " ", "+", 1))
	if err != nil || at.UnixMilli() < 0 {
		return wrong()
	}
	return at.UnixMilli(), nil
}

// maxMillis is 9999-12-31T23:59:59.999Z, the last instant of RFC 3339.
const maxMillis = 253402300799999

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
