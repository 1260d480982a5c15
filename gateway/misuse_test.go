package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/event"
)

// TestMisuse sends what clients get wrong, and wants to see it explained.
func TestMisuse(t *testing.T) {
	p := start(t, func(_ *port, o *Options) { o.Limits.MaxBody = 100 << 10 })
	for _, tc := range []struct {
		name, line, head, body string
		status                 int
		code, detail           string // detail: within it
		header                 string // "Name: value" that the answer has
	}{
		{"no key", "POST /v1/events", "No-Key: 1", oneEvent, 401, CodeMissingKey, "Authorization: Bearer", "WWW-Authenticate: " + challenge},
		{"an unknown key", "POST /v1/events", "Authorization: Bearer nope", oneEvent, 401, CodeUnknownKey, "No tenant has the key", "WWW-Authenticate: " + challenge + `, error="invalid_token"`},
		{"an empty key", "POST /v1/events", "Authorization: Bearer ", oneEvent, 401, CodeMissingKey, "", ""},
		{"a key of a kilobyte", "POST /v1/events", "X-Api-Key: " + strings.Repeat("k", 1024), oneEvent, 401, CodeUnknownKey, "", ""},
		{"Basic that is not base64", "POST /v1/events", "Authorization: Basic !!!", oneEvent, 401, CodeUnknownKey, "not a key", ""},
		{"Basic of a kilobyte", "POST /v1/events", "Authorization: Basic " + strings.Repeat("QUFB", 512), oneEvent, 401, CodeUnknownKey, "not a key", ""},
		{"another scheme", "POST /v1/events", "Authorization: Digest username=x", oneEvent, 401, CodeMissingKey, "", ""},
		{"the key in the query string", "POST /v1/events?key=" + testKey, "No-Key: 1", oneEvent, 401, CodeKeyInQuery, "ends up in logs", ""},
		{"the key in both places", "POST /v1/events?Access_Token=x", "", oneEvent, 400, CodeKeyInQuery, "Bearer", ""},
		{"two keys", "POST /v1/events", "Authorization: Bearer a\nX-Api-Key: b", oneEvent, 400, CodeAmbiguousKey, "Send one", ""},
		{"the key twice", "POST /v1/events", "X-Api-Key: a\nX-Api-Key: b", oneEvent, 400, CodeBadRequest, "more than once", "Connection: close"},

		{"no such path", "POST /v1/event", "", oneEvent, 404, CodeNotFound, "POST /v1/events", ""},
		{"a slash too many", "POST /v1/events/", "", oneEvent, 404, CodeNotFound, "", ""},
		{"a path in other words", "POST /v1/x/../events", "", oneEvent, 404, CodeNotFound, "", ""},
		{"a path in escapes", "POST /v1/%65vents", "", oneEvent, 404, CodeNotFound, "", ""},
		{"GET of events", "GET /v1/events", "", "", 405, CodeMethodNotAllowed, "POST", "Allow: POST, OPTIONS"},
		{"PUT of events", "PUT /v1/events", "Content-Length: 38", oneEvent, 405, CodeMethodNotAllowed, "POST", "Allow: POST, OPTIONS"},
		{"DELETE of a user", "DELETE /v1/users/u", "", "", 405, CodeMethodNotAllowed, "GET", "Allow: GET, HEAD, OPTIONS"},
		{"POST to a user's events", "POST /v1/users/u/events", "", oneEvent, 405, CodeMethodNotAllowed, "GET", ""},
		{"a method of one's own", "BREW /v1/events", "", "", 405, CodeMethodNotAllowed, "BREW", ""},

		{"a level that is none", "POST /v1/events?ack=maybe", "", oneEvent, 400, CodeInvalidParameter, "stored or received", ""},
		{"a level that is not there yet", "POST /v1/events?ack=journaled", "", oneEvent, 400, CodeAckUnavailable, "journal", ""},
		{"a level weaker than allowed", "POST /v1/events?ack=received", "", oneEvent, 403, CodeAckNotAllowed, "weaker than this tenant allows, which is stored", ""},
		{"a parameter that does not exist", "POST /v1/events?akc=stored", "", oneEvent, 400, CodeUnknownParameter, `\"akc\" does not exist here. Known are ack and receipts`, ""},
		{"a parameter twice", "POST /v1/events?ack=stored&ack=received", "", oneEvent, 400, CodeInvalidParameter, "twice", ""},
		{"a broken escape", "POST /v1/events?ack=%zz", "", oneEvent, 400, CodeInvalidParameter, "escape", ""},
		{"a flag that is none", "POST /v1/events?receipts=yes", "", oneEvent, 400, CodeInvalidParameter, "1 or 0", ""},

		{"a form", "POST /v1/events", "Content-Type: application/x-www-form-urlencoded", oneEvent, 415, CodeUnsupportedType, "application/x-ndjson", "Accept-Post: " + acceptPost},
		{"a multipart form", "POST /v1/events", "Content-Type: multipart/form-data; boundary=b", "--b--", 415, CodeUnsupportedType, "", ""},
		{"no content type", "POST /v1/events", "Content-Type:", oneEvent, 415, CodeUnsupportedType, "missing", ""},
		{"two content types", "POST /v1/events", "Content-Type: application/json\nContent-Type: text/plain", oneEvent, 400, CodeBadRequest, "more than once", ""},
		{"Latin-1", "POST /v1/events", "Content-Type: application/json; charset=iso-8859-1", oneEvent, 415, CodeUnsupportedType, "UTF-8", ""},
		{"an unknown encoding", "POST /v1/events", "Content-Encoding: lzma", oneEvent, 415, CodeUnsupportedCode, "lzma", "Accept-Encoding: " + acceptEncoding},
		{"two encodings", "POST /v1/events", "Content-Encoding: gzip, br", oneEvent, 415, CodeUnsupportedCode, "once", ""},
		{"two encodings in two headers", "POST /v1/events", "Content-Encoding: gzip\nContent-Encoding: br", oneEvent, 415, CodeUnsupportedCode, "once", ""},
		{"a body that is not what its label says", "POST /v1/events", "Content-Encoding: gzip", oneEvent, 400, CodeInvalidEncoding, "not valid gzip", ""},

		{"an empty body", "POST /v1/events", "", "", 400, event.CodeEmptyBody, "empty", ""},
		{"neither a length nor chunks", "POST /v1/events", "Content-Length:", "", 400, CodeBadRequest, "", ""},
		{"an empty chunked body", "POST /v1/events", "Transfer-Encoding: chunked", "0\r\n\r\n", 400, event.CodeEmptyBody, "", ""},
		{"not JSON", "POST /v1/events", "", "hello", 400, event.CodeInvalidJSON, "", ""},
		{"an empty array", "POST /v1/events", "", "[]", 400, event.CodeNoEvents, "", ""},
		{"blank lines only", "POST /v1/events", "Content-Type: application/x-ndjson", "\n\n", 400, event.CodeEmptyBody, "", ""},
		{"a body over the limit", "POST /v1/events", "", strings.Repeat("x", 100<<10+1), 413, CodeBodyTooLarge, "102400 bytes", ""},
		{"chunks over the limit", "POST /v1/events", "Transfer-Encoding: chunked", chunked(strings.Repeat("x", 100<<10+1)), 413, CodeBodyTooLarge, "102400 bytes", "Connection: close"},

		{"Content-Length with Transfer-Encoding", "POST /v1/events", "Content-Length: 38\nTransfer-Encoding: chunked", "0\r\n\r\n", 400, CodeBadRequest, "exclude each other", "Connection: close"},
		{"two Content-Lengths", "POST /v1/events", "Content-Length: 38\nContent-Length: 2", oneEvent, 400, CodeBadRequest, "more than once", "Connection: close"},
		{"a Content-Length that is a list", "POST /v1/events", "Content-Length: 38, 38", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a Content-Length with a sign", "POST /v1/events", "Content-Length: +38", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a negative Content-Length", "POST /v1/events", "Content-Length: -1", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a Content-Length beyond numbers", "POST /v1/events", "Content-Length: 99999999999999999999", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"two Transfer-Encodings", "POST /v1/events", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "0\r\n\r\n", 400, CodeBadRequest, "", "Connection: close"},
		{"Transfer-Encoding: identity", "POST /v1/events", "Content-Length: 38\nTransfer-Encoding: identity", oneEvent, 400, CodeBadRequest, "exclude", "Connection: close"},
		{"Transfer-Encoding: gzip, chunked", "POST /v1/events", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 400, CodeBadRequest, "", "Connection: close"},
		{"a folded header", "POST /v1/events", "X-Folded: a\n b", oneEvent, 400, CodeBadRequest, "folded", "Connection: close"},
		{"a folded Transfer-Encoding", "POST /v1/events", "Transfer-Encoding:\n chunked", "0\r\n\r\n", 400, CodeBadRequest, "", "Connection: close"},
		{"a blank before the colon", "POST /v1/events", "Content-Length : 38", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a blank in a header's name", "POST /v1/events", "Transfer Encoding: chunked", oneEvent, 400, CodeBadRequest, "blank", "Connection: close"},
		{"a header without a name", "POST /v1/events", ": x", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a control character in a header", "POST /v1/events", "X-A: a\x00b", oneEvent, 400, CodeBadRequest, "", "Connection: close"},
		{"a broken chunk", "POST /v1/events", "Transfer-Encoding: chunked", "zz\r\n", 400, CodeIncompleteBody, "", "Connection: close"},
		{"a chunk longer than it says", "POST /v1/events", "Transfer-Encoding: chunked", "2\r\n{}}\r\n0\r\n\r\n", 400, CodeIncompleteBody, "", "Connection: close"},
		{"a chunk of all the world", "POST /v1/events", "Transfer-Encoding: chunked", "fffffffffffffffff\r\n", 400, CodeIncompleteBody, "", "Connection: close"},

		{"headers over the limit", "POST /v1/events", "X-Long: " + strings.Repeat("h", 9000), oneEvent, 431, CodeHeadersTooLarge, "8192 bytes", "Connection: close"},
		{"a URI over the limit", "GET /v1/users/" + strings.Repeat("u", 9000), "", "", 414, CodeURITooLong, "8192 bytes", "Connection: close"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.do(tc.line, tc.head, tc.body)
			a.want(t, tc.status, tc.code)
			if !strings.Contains(string(a.body), tc.detail) {
				t.Errorf("%s does not say %q", a.body, tc.detail)
			}
			if name, value, ok := strings.Cut(tc.header, ": "); ok {
				got := a.Header.Get(name)
				if name == "Connection" && a.Close {
					got = "close"
				}
				if got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
		})
	}
	if n := p.intake.peak.Load(); n > 256<<10 {
		t.Errorf("%d bytes were reserved for bodies of at most 100 KiB", n)
	}
}

func chunked(body string) string {
	return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// TestRawNonsense sends bytes that are no request at all.
func TestRawNonsense(t *testing.T) {
	p := start(t, nil)
	for _, tc := range []struct{ name, raw string }{
		{"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"no host", "GET /v1/users/u HTTP/1.1\r\n\r\n"},
		{"two hosts", "GET /v1/users/u HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
		{"a line end in bare LF", "GET /v1/users/u HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
		{"chunks in HTTP/1.0", "POST /v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"a path without a slash", "GET v1/users HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"nothing but noise", strings.Repeat("\xff", 500) + "\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := p.dial()
			c.send(tc.raw)
			a := c.receive()
			a.want(t, 400, CodeBadRequest)
			if !a.Close || !c.closed() {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestOldAndPipelinedHTTP(t *testing.T) {
	p := start(t, nil)
	old := p.dial()
	old.send("POST /v1/events HTTP/1.0\r\nX-Api-Key: " + testKey + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(oneEvent)) + "\r\n\r\n" + oneEvent)
	old.receive().want(t, 200, "")
	if !old.closed() {
		t.Error("HTTP/1.0 goes on without having asked to")
	}
	none := p.dial()
	none.send("POST /v1/events HTTP/1.1\r\nHost: a\r\nX-Api-Key: " + testKey + "\r\nContent-Type: application/json\r\n\r\n")
	none.receive().want(t, 400, event.CodeEmptyBody)
	absolute := p.dial()
	absolute.send(strings.Replace(request("POST /v1/events", "", oneEvent), "/v1/events", "http://sluice.test/v1/events", 1))
	absolute.sent = "POST /v1/events HTTP/1.1"
	absolute.receive().want(t, 200, "")

	pipelined := p.dial()
	pipelined.send(request("POST /v1/events", "", oneEvent) + request("POST /v1/events?x=1", "", oneEvent) +
		request("POST /v1/events", "Transfer-Encoding: chunked", chunked(oneEvent)) + request("POST /v1/events", "", oneEvent))
	for _, status := range []int{200, 400, 200, 200} {
		if status == 400 {
			// Its small body is in memory: the connection goes on behind it.
			pipelined.receive().want(t, 400, CodeUnknownParameter)
			continue
		}
		pipelined.receive().want(t, status, "")
	}
}

// TestRefusalKeepsTheConnection: a client that is refused before its body was
// read goes on with the same connection, or is told that it cannot.
func TestRefusalKeepsTheConnection(t *testing.T) {
	p := start(t, nil)
	for _, tc := range []struct {
		name, head string
		size       int
		keep       bool
	}{
		{"a small body of a stranger", "Authorization: Bearer nope", 1000, true},
		{"a large body of a stranger", "Authorization: Bearer nope", 200_000, false},
		{"a body of 200 kB", "Content-Type: text/plain", 200_000, true},
		{"a body of 2 MB", "Content-Type: text/plain", 2_000_000, false},
		{"a chunked body", "Content-Type: text/plain\nTransfer-Encoding: chunked", 1000, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := p.dial()
			body := strings.Repeat("x", tc.size)
			if strings.Contains(tc.head, "chunked") {
				body = chunked(body)
			}
			c.send(request("POST /v1/events", tc.head, body))
			a := c.receive()
			if a.StatusCode/100 != 4 || a.Close == tc.keep {
				t.Fatalf("answered %d, closes %v", a.StatusCode, a.Close)
			}
			if !tc.keep {
				if !c.closed() {
					t.Error("the connection goes on")
				}
				return
			}
			c.send(request("POST /v1/events", "", oneEvent))
			c.receive().want(t, 200, "")
		})
	}
}

// TestTooLargeABodyIsAnsweredBeforeItIsRead: the answer is there although the
// client never stops to listen while it sends, and nothing was reserved.
func TestTooLargeABodyIsAnsweredBeforeItIsRead(t *testing.T) {
	p := start(t, nil)
	c := p.dial()
	c.send(request("POST /v1/events", "", strings.Repeat("x", 9<<20)))
	a := c.receive()
	a.want(t, 413, CodeBodyTooLarge)
	if !strings.Contains(string(a.body), `"limit":{"name":"max_body","value":8388608}`) {
		t.Errorf("%s does not name the limit", a.body)
	}
	if !a.Close || p.intake.peak.Load() != 0 {
		t.Errorf("closes %v, reserved %d", a.Close, p.intake.peak.Load())
	}
}

func TestExpectIsRefusedBeforeTheBody(t *testing.T) {
	p := start(t, nil)
	for _, tc := range []struct {
		name, line, head string
		status           int
		code             string
	}{
		{"too large a body", "POST /v1/events", "Content-Length: 9437184", 413, CodeBodyTooLarge},
		{"no key", "POST /v1/events", "Content-Length: 10\nNo-Key: 1", 401, CodeMissingKey},
		{"a content type that is not understood", "POST /v1/events", "Content-Length: 10\nContent-Type: text/xml", 415, CodeUnsupportedType},
		{"a path that is not there", "POST /nowhere", "Content-Length: 10", 404, CodeNotFound},
		{"ambiguous framing", "POST /v1/events", "Content-Length: 10\nTransfer-Encoding: chunked", 400, CodeBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := p.dial()
			c.send(request(tc.line, "Expect: 100-continue\n"+tc.head, ""))
			a := c.receive()
			a.want(t, tc.status, tc.code)
			if !a.Close || !c.closed() {
				t.Error("the connection goes on, though the client may send its body")
			}
		})
	}
	t.Run("no credits", func(t *testing.T) {
		p := start(t, func(p *port, _ *Options) { p.intake.budget = 100 })
		c := p.dial()
		c.send(request("POST /v1/events", "Expect: 100-continue\nContent-Length: 101", ""))
		c.receive().want(t, 429, event.CodeNoCredits)
	})
	for _, size := range []int{10, 100_000} {
		t.Run(fmt.Sprintf("a body of %d bytes is asked for", size), func(t *testing.T) {
			c := p.dial()
			body := `{"id":"` + strings.Repeat("x", size) + `"}`
			c.send(request("POST /v1/events", fmt.Sprintf("Expect: 100-continue\nContent-Length: %d", len(body)), ""))
			if a := c.receive(); a.StatusCode != 100 {
				t.Fatalf("answered %d, want 100", a.StatusCode)
			}
			_, _ = io.WriteString(c.c, body)
			c.receive().want(t, 200, "")
		})
	}
}

func TestSlowClientsGet408(t *testing.T) {
	p := start(t, func(_ *port, o *Options) {
		// Long enough for a busy machine to send what it does send.
		o.HeaderTimeout, o.BodyTimeout = time.Second, 1500*time.Millisecond
	})
	for _, tc := range []struct{ name, sent string }{
		{"a header that does not end", "POST /v1/events HTTP/1.1\r\nHost: a\r\n"},
		{"a request line that does not end", "POST /v1/eve"},
		{"a small body that does not come", request("POST /v1/events", "Content-Length: 100", "{")},
		{"a large body that stops", request("POST /v1/events", "Content-Length: 100000", strings.Repeat("x", 20_000))},
		{"a chunk that does not come", request("POST /v1/events", "Transfer-Encoding: chunked", "5\r\nab")},
		{"a chunk size that does not end", request("POST /v1/events", "Transfer-Encoding: chunked", "5")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := p.dial()
			c.send(tc.sent)
			c.receive().want(t, 408, CodeClientTooSlow)
			if !c.closed() {
				t.Error("the connection goes on")
			}
		})
	}
	t.Run("a connection that says nothing is closed without a word", func(t *testing.T) {
		t.Parallel()
		c := p.dial()
		if !c.closed() {
			t.Error("it is still open")
		}
	})
}

func TestClientsThatLeave(t *testing.T) {
	t.Run("in the middle of a body", func(t *testing.T) {
		p := start(t, nil)
		for _, sent := range []string{
			request("POST /v1/events", "Content-Length: 100", "{"),
			request("POST /v1/events", "Content-Length: 100000", strings.Repeat("x", 20_000)),
			request("POST /v1/events", "Transfer-Encoding: chunked", "ffff\r\nab"),
		} {
			c := p.dial()
			c.send(sent)
			_ = c.c.(*net.TCPConn).CloseWrite()
			c.receive().want(t, 400, CodeIncompleteBody)
		}
		if n := p.intake.submits.Load(); n != 0 {
			t.Errorf("%d cut bodies were submitted", n)
		}
	})
	t.Run("before the answer", func(t *testing.T) {
		p := start(t, func(p *port, _ *Options) { p.intake.hold = true })
		c := p.dial()
		c.send(request("POST /v1/events", "", oneEvent))
		eventually(t, "the request arrives", func() bool { return p.intake.submits.Load() == 1 })
		_ = c.c.Close()
		p.intake.settleKept()
		eventually(t, "its answer is made all the same", func() bool { return len(p.observed()) == 1 })
		if got := p.observed()[0].status; got != 200 {
			t.Errorf("its status is %d", got)
		}
		p.do("POST /v1/users/u", "", "").want(t, 405, "")
	})
}

func TestUnknownOutcome(t *testing.T) {
	p := start(t, func(p *port, o *Options) { p.intake.hold, o.RequestTimeout = true, 50*time.Millisecond })
	a := p.do("POST /v1/events", "", oneEvent)
	a.want(t, 503, event.CodeOutcomeUnknown)
	if a.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	if p.intake.used.Load() == 0 {
		t.Error("the bytes came back before the events had their outcome")
	}
	p.intake.settleKept() // and the end of the test sees that they do
}

func TestNoCreditsNoMemory(t *testing.T) {
	p := start(t, func(p *port, _ *Options) { p.intake.budget = 64 << 10 })
	huge := gzipOf(t, bytes.Repeat([]byte{' '}, 4<<20))
	for _, tc := range []struct{ name, head, body string }{
		{"a body of known length", "", strings.Repeat(" ", 100<<10)},
		{"a chunked body", "Transfer-Encoding: chunked", chunked(strings.Repeat(" ", 100<<10))},
		{"a body that grows by decoding", "Content-Encoding: gzip", string(huge)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.do("POST /v1/events", tc.head, tc.body)
			a.want(t, 429, event.CodeNoCredits)
			if !strings.Contains(string(a.body), `"scope":"tenant"`) {
				t.Errorf("%s does not say whose budget", a.body)
			}
			if used := p.intake.used.Load(); used != 0 {
				t.Errorf("%d bytes are still reserved", used)
			}
		})
	}
}

func TestAPanicIsA500(t *testing.T) {
	p := start(t, func(p *port, _ *Options) {
		p.intake.fate = func(event.Request) ([]event.Outcome, *event.Refusal) { panic("the secret of the house") }
		p.store.read = func(context.Context, event.Query) (event.Page, error) { panic(errors.New("another secret")) }
	})
	for _, tc := range []struct{ line, body string }{{"POST /v1/events", oneEvent}, {"GET /v1/users/u/events", ""}} {
		a := p.do(tc.line, "", tc.body)
		a.want(t, 500, CodeInternal)
		if strings.Contains(string(a.body), "secret") || !a.Close {
			t.Errorf("%s tells too much, or goes on (%v)", a.body, a.Close)
		}
	}
	if log := p.log.String(); !strings.Contains(log, "the secret of the house") || !strings.Contains(log, "goroutine") {
		t.Error("the log does not say what happened")
	}
}

// TestKeysStayOutOfTheLog sends a header that cannot be parsed with a key in
// it: fasthttp would quote it.
func TestKeysStayOutOfTheLog(t *testing.T) {
	p := start(t, nil)
	p.do("POST /v1/events", "Authorization: Bearer "+testKey+"\nBad\x01Name: x", oneEvent).want(t, 400, CodeBadRequest)
	p.do("POST /v1/events", "Content-Length: 9x", oneEvent).want(t, 400, CodeBadRequest)
	p.stop()
	if log := p.log.String(); strings.Contains(log, testKey) {
		t.Errorf("the key is in the log: %s", log)
	}
}
