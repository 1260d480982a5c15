package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/event"
)

const (
	// maxAnswer bounds what is read of an answer: 1000 errors are less.
	maxAnswer = 8 << 20
	// maxRetryAfter bounds the wait that an answer can ask for. A gateway asks for
	// seconds; more is of a proxy, or of a clock that is wrong, and to ask again
	// every ten minutes burdens nobody.
	maxRetryAfter = 10 * time.Minute
)

// sendBody makes the bodies of one lane's requests.
type sendBody struct {
	coding string
	plain  []byte
	packed bytes.Buffer
	gzip   *gzip.Writer
	zstd   *zstd.Encoder
}

// build returns the body that holds the batch, valid until the next call.
func (b *sendBody) build(batch []*sendItem) ([]byte, error) {
	b.plain = b.plain[:0]
	open, between, end := "", "\n", "\n"
	if batch[0].format == event.JSON {
		open, between, end = "[", ",", "]"
	}
	b.plain = append(b.plain, open...)
	for i, item := range batch {
		if i > 0 {
			b.plain = append(b.plain, between...)
		}
		b.plain = append(b.plain, item.data...)
	}
	b.plain = append(b.plain, end...)
	b.packed.Reset()
	switch b.coding {
	case "gzip":
		if b.gzip == nil {
			b.gzip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
		}
		b.gzip.Reset(&b.packed)
		if _, err := b.gzip.Write(b.plain); err != nil {
			return nil, err
		}
		if err := b.gzip.Close(); err != nil {
			return nil, err
		}
		return b.packed.Bytes(), nil
	case "zstd":
		if b.zstd == nil {
			var err error
			if b.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)); err != nil {
				return nil, err
			}
		}
		return b.zstd.EncodeAll(b.plain, b.packed.AvailableBuffer()), nil
	}
	return b.plain, nil
}

// sendAnswer is what a request came to.
type sendAnswer struct {
	err     error // there was no answer
	unsent  bool  // and the gateway cannot have had the request
	status  int
	problem bool // the body is a problem of a sluice gateway
	parsed  bool // the body is JSON

	Accepted   int         `json:"accepted"`
	Duplicates int         `json:"duplicates"`
	Rejected   int         `json:"rejected"`
	Failed     int         `json:"failed"`
	Errors     []sendError `json:"errors"`
	Code       string      `json:"code"`
	Detail     string      `json:"detail"`
	RetryMS    int64       `json:"retry_after_ms"`

	retryAfter time.Duration
}

// sendError is what an answer says of one event.
type sendError struct {
	Index   int    `json:"index"`
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// post sends the batch once.
func (s *sender) post(ctx context.Context, b *sendBody, batch []*sendItem) *sendAnswer {
	body, err := b.build(batch)
	if err != nil {
		return &sendAnswer{err: err, unsent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cmd.Timeout)
	defer cancel()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.String(), http.NoBody)
	if err != nil {
		return &sendAnswer{err: err, unsent: true}
	}
	// The transport may still read a body when Do has returned, and the next
	// one is built in the same memory.
	var reading sync.WaitGroup
	defer reading.Wait()
	req.GetBody = func() (io.ReadCloser, error) {
		reading.Add(1)
		return &sentBody{Reader: bytes.NewReader(body), done: sync.OnceFunc(reading.Done)}, nil
	}
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(body))
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("User-Agent", "sluice-send")
	req.Header.Set("Content-Type", "application/x-ndjson")
	if batch[0].format == event.JSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.coding != "none" {
		req.Header.Set("Content-Encoding", b.coding)
	}
	s.report.posted(batch)
	resp, err := s.client.Do(req)
	if err != nil {
		return &sendAnswer{err: err, unsent: !wrote.Load()}
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

func readAnswer(resp *http.Response) *sendAnswer {
	a := &sendAnswer{status: resp.StatusCode}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.parsed = err == nil && json.Unmarshal(b, a) == nil
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.problem = a.parsed && kind == "application/problem+json" && a.Code != ""
	a.retryAfter = retryAfter(resp.Header, time.Now())
	if a.RetryMS > 0 { // the gateway's own, which is finer
		a.retryAfter = time.Duration(min(a.RetryMS, maxRetryAfter.Milliseconds())) * time.Millisecond
	}
	return a
}

// retryAfter returns the wait that an answer asks for, from 0, which is also
// for none and for nonsense, to maxRetryAfter. It is a number of seconds or a
// date (RFC 9110 section 10.2.3); now is for a date in an answer that does not
// tell the time of the clock that the date is by.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(n, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}

// byIndex returns what the answer says of single events.
func (a *sendAnswer) byIndex() map[int]sendError {
	m := make(map[int]sendError, len(a.Errors))
	for _, e := range a.Errors {
		m[e.Index] = e
	}
	return m
}

// sendVerdict is what an answer means for the events that it does not name.
type sendVerdict int

const (
	sendTaken sendVerdict = iota // they are accepted
	sendAgain                    // they are not stored: send them again
	sendDoubt                    // they may be stored: send those again that have an id
	sendSplit                    // the request cannot be as it is: send less at once
	sendStop                     // no request will do better
)

// judge is the contract of the data port from the other side.
func (a *sendAnswer) judge(events int) sendVerdict {
	switch {
	case a.err != nil && a.unsent:
		return sendAgain
	case a.err != nil:
		return sendDoubt
	case a.status/100 == 2:
		if !a.parsed || a.Accepted+a.Duplicates+a.Rejected+a.Failed != events || a.Rejected+a.Failed != len(a.Errors) {
			return sendStop // nothing that speaks for this gateway: it may be another server
		}
		return sendTaken
	case !a.problem:
		// Not the gateway but something in front of it: it may have passed the
		// request on.
		if a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout {
			return sendDoubt
		}
		return sendStop
	}
	switch a.status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return sendAgain
	case http.StatusServiceUnavailable:
		if a.Code == event.CodeOutcomeUnknown {
			return sendDoubt
		}
		return sendAgain
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		switch {
		case len(a.Errors) == events:
			return sendAgain // nothing is left that it would be true of
		case aboutBody(a.Code):
			return sendSplit
		case a.Code == "incomplete_body":
			return sendAgain
		}
		return sendStop
	}
	if a.status >= 500 {
		return sendDoubt
	}
	return sendStop
}

// aboutBody reports whether a code says that a part of the body is at fault.
func aboutBody(code string) bool {
	switch code {
	case event.CodeInvalidJSON, event.CodeNotAnObject, event.CodeTooDeep, event.CodeEventTooLarge, event.CodeEmptyBody,
		event.CodeNoEvents, event.CodeTooManyEvents, "body_too_large", "validation_failed":
		return true
	}
	return false
}

// finalCode reports whether an event that failed for that code would fail again.
func finalCode(code string) bool {
	return code == event.CodeQuarantined || code == event.CodeSinkRejected
}

// short says in a few words what the answer was.
func (a *sendAnswer) short() string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(a.err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case a.err != nil:
		var u *url.Error
		if errors.As(a.err, &u) {
			return u.Err.Error()
		}
		return a.err.Error()
	case a.Code != "":
		return fmt.Sprintf("%d %s", a.status, a.Code)
	case len(a.Errors) > 0:
		return a.Errors[0].Code
	}
	return fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
}

// fatal is the error for an answer that ends everything.
func (a *sendAnswer) fatal(target *url.URL) error {
	switch {
	case a.problem:
		return fmt.Errorf("the gateway answers %s: %s", a.short(), a.Detail)
	case a.status/100 == 2:
		return fmt.Errorf("%s answers %d, but not as a sluice gateway does: nothing is taken for accepted", target.Redacted(), a.status)
	}
	return fmt.Errorf("%s answers %s: is it a sluice gateway?", target.Redacted(), a.short())
}

// gaveUpError says that the gateway took nothing for too long.
type gaveUpError struct {
	after  time.Duration
	last   string
	events int
}

func (e *gaveUpError) Error() string {
	return fmt.Sprintf("gave up: %s could not be sent for %v, at last because of: %s", count(e.events, "event"), e.after, e.last)
}

// sentBody is a request body that says when the transport is done with it.
type sentBody struct {
	*bytes.Reader
	done func()
}

// Close implements io.Closer; the transport calls it at the end of every
// attempt.
func (b *sentBody) Close() error {
	b.done()
	return nil
}
