package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// fakeGateway keeps the data port's contract, but for what a test makes it do
// wrong.
type fakeGateway struct {
	*httptest.Server
	// misbehave may answer in the place of the gateway, and says whether it did.
	// n counts the requests from 1. store stores the events, all the same.
	misbehave func(n int, w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool
	// reject says why an event is rejected or, after "failed ", fails.
	reject func(e postedEvent) string

	mu       sync.Mutex
	requests int
	types    []string
	codings  []string
	sizes    []int         // events of each request
	stored   []postedEvent // in order, duplicates left out
	ids      map[string]bool
}

type postedEvent struct {
	data []byte
	ID   any    `json:"id"`
	User string `json:"user"`
	Seq  int    `json:"seq"`
}

type postedResult struct {
	Index   int    `json:"index"`
	ID      string `json:"id,omitempty"`
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func newFakeGateway(t testing.TB) *fakeGateway {
	g := &fakeGateway{ids: map[string]bool{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// behave changes what misbehave is while requests may be under way.
func (g *fakeGateway) behave(f func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.misbehave = f
}

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/events" || r.Method != http.MethodPost {
		fakeProblem(w, 404, "not_found", nil)
		return
	}
	if r.Header.Get("Authorization") != "Bearer key" {
		fakeProblem(w, 401, "unknown_key", nil)
		return
	}
	events, err := readPosted(r)
	if err != nil {
		fakeProblem(w, 400, "invalid_json", nil)
		return
	}
	g.mu.Lock()
	g.requests++
	n := g.requests
	g.types = append(g.types, r.Header.Get("Content-Type"))
	g.codings = append(g.codings, r.Header.Get("Content-Encoding"))
	g.sizes = append(g.sizes, len(events))
	misbehave := g.misbehave
	g.mu.Unlock()
	if misbehave != nil && misbehave(n, w, events, func() []postedResult { return g.store(events) }) {
		return
	}
	g.answer(w, g.store(events))
}

func readPosted(r *http.Request) ([]postedEvent, error) {
	var body io.Reader = r.Body
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var raws []json.RawMessage
	if r.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(b, &raws); err != nil {
			return nil, err
		}
	} else {
		for line := range bytes.Lines(b) {
			raws = append(raws, bytes.TrimSpace(line))
		}
	}
	var events []postedEvent
	for _, raw := range raws {
		e := postedEvent{data: raw}
		if json.Unmarshal(raw, &e) != nil {
			e.User = "invalid_json"
		}
		events = append(events, e)
	}
	return events, nil
}

// store stores what can be stored and returns a result for each event.
func (g *fakeGateway) store(events []postedEvent) []postedResult {
	g.mu.Lock()
	defer g.mu.Unlock()
	var results []postedResult
	for i, e := range events {
		result := postedResult{Index: i, Outcome: "stored"}
		why := ""
		if g.reject != nil {
			why = g.reject(e)
		}
		id := fmt.Sprint(e.User, "/", e.ID)
		switch {
		case e.User == "invalid_json":
			result.Outcome, result.Code = "rejected", "invalid_json"
		case why != "":
			result.Outcome, result.Code = "rejected", why
			if code, failed := strings.CutPrefix(why, "failed "); failed {
				result.Outcome, result.Code = "failed", code
			}
		case e.ID != nil && g.ids[id]:
			result.Outcome = "duplicate"
		default:
			g.ids[id] = true
			g.stored = append(g.stored, e)
		}
		result.Message = "because of " + result.Code
		results = append(results, result)
	}
	return results
}

func (g *fakeGateway) answer(w http.ResponseWriter, results []postedResult) {
	n := map[string]int{}
	var errors []postedResult
	for _, r := range results {
		n[r.Outcome]++
		if r.Outcome == "rejected" || r.Outcome == "failed" {
			errors = append(errors, r)
		}
	}
	status := 200
	switch {
	case len(errors) == len(results) && n["failed"] == 0:
		fakeProblem(w, 422, "validation_failed", errors)
		return
	case len(errors) == len(results):
		fakeProblem(w, 503, "sink_unavailable", errors)
		return
	case len(errors) > 0:
		status = 207
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"ack": "stored", "accepted": n["stored"], "duplicates": n["duplicate"],
		"rejected": n["rejected"], "failed": n["failed"], "errors": errors})
}

func fakeProblem(w http.ResponseWriter, status int, code string, errors []postedResult) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(status)
	p := map[string]any{"type": "urn:sluice:problem:" + code, "title": "t", "status": status, "detail": "the detail", "code": code, "retry_after_ms": 2}
	if errors != nil {
		p["errors"] = errors
	}
	json.NewEncoder(w).Encode(p)
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
	return true
}

// seqs returns the seq of what is stored, in the order it was stored.
func (g *fakeGateway) seqs() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	var seqs []int
	for _, e := range g.stored {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}
