package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	asJSON   = "application/json"
	asNDJSON = "application/x-ndjson"
)

// client is an application that sends and reads events with a tenant's key.
type client struct {
	http *http.Client
	base string
	key  string
}

// as returns a client of the process with the tenant's key.
func (p *process) as(tenant string) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &client{http: &http.Client{Transport: transport, Timeout: patience}, base: "http://" + p.data, key: keyOf(tenant)}
}

// answer is what came back. The members are those of a 2xx and of a problem.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration

	Ack                                    string
	ID                                     string
	Accepted, Duplicates, Rejected, Failed int
	Errors                                 []struct {
		Index                                      int
		ID, Outcome, Code, Stage, Pointer, Message string
	}
	Receipts []struct {
		Index              int
		ID, Outcome, Where string
	}
	Code, Title, Detail, Scope string
}

func (a *answer) String() string {
	return fmt.Sprintf("%d after %v: %s", a.status, a.took.Round(time.Millisecond), strings.TrimSpace(a.body))
}

// retryAfter returns the header in seconds, 0 where it is missing or no number.
func (a *answer) retryAfter() int {
	n, _ := strconv.Atoi(a.header.Get("Retry-After"))
	return n
}

// do sends a request. An error means that no whole answer came.
func (c *client) do(method, path, contentType, body string, headers ...string) (*answer, error) {
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body == "" {
		req.Body = nil
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	begun := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: res.StatusCode, header: res.Header, body: string(b), took: time.Since(begun)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !strings.Contains(res.Header.Get("Content-Type"), "ndjson") {
		if err := json.Unmarshal(b, a); err != nil {
			return nil, fmt.Errorf("the answer is not JSON: %w: %q", err, b)
		}
	}
	return a, nil
}

// send posts to /v1/events, with a query such as ?receipts=1 or without.
func (c *client) send(query, contentType, body string) (*answer, error) {
	return c.do("POST", "/v1/events"+query, contentType, body)
}

// post is send of what has to be answered.
func (c *client) post(t *testing.T, query, contentType, body string) *answer {
	t.Helper()
	a, err := c.send(query, contentType, body)
	if err != nil {
		t.Fatalf("POST /v1/events%s: %v", query, err)
	}
	return a
}

// store posts events that have to be stored, each of them new.
func (c *client) store(t *testing.T, events ...string) *answer {
	t.Helper()
	a := c.post(t, "?receipts=1", asNDJSON, strings.Join(events, "\n"))
	if a.status != 200 || a.Ack != "stored" || a.Accepted != len(events) {
		t.Fatalf("want 200 with %d accepted, got %v", len(events), a)
	}
	return a
}

// get is a GET that has to be answered.
func (c *client) get(t *testing.T, path string) *answer {
	t.Helper()
	a, err := c.do("GET", path, "", "")
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return a
}

// events returns all events of a user as the gateway gives them back, oldest
// first, page by page.
func (c *client) events(t *testing.T, user string) []string {
	t.Helper()
	var all []string
	for cursor := ""; ; {
		q := url.Values{"order": {"asc"}, "limit": {"1000"}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		a := c.get(t, "/v1/users/"+url.PathEscape(user)+"/events?"+q.Encode())
		var page struct {
			Events     []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
			t.Fatalf("reading %s back: %v", user, a)
		}
		for _, e := range page.Events {
			all = append(all, string(e))
		}
		if page.NextCursor == "" {
			return all
		}
		if page.NextCursor == cursor {
			t.Fatal("the cursor does not move")
		}
		cursor = page.NextCursor
	}
}

// readyz is what the admin port says about readiness.
type readyz struct {
	status   int
	body     string
	Ready    bool
	Draining bool
	Reason   string
	Tenants  []struct {
		Tenant string
		Ready  bool
		Sinks  []struct{ Sink, State, Reason string }
	}
}

// reason returns why the tenant's sink is not ready.
func (r *readyz) reason(tenant, sink string) string {
	for _, t := range r.Tenants {
		for _, s := range t.Sinks {
			if t.Tenant == tenant && s.Sink == sink {
				return s.Reason
			}
		}
	}
	return ""
}

// probe asks /readyz.
func (p *process) probe() (*readyz, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	r := &readyz{status: res.StatusCode, body: string(b)}
	return r, json.Unmarshal(b, r)
}

// awaitReady waits until /readyz is 200 and every tenant has all of its sinks.
func (p *process) awaitReady() {
	p.t.Helper()
	eventually(p.t, "every tenant is ready", func() error {
		r, err := p.probe()
		if err != nil {
			return err
		}
		for _, t := range r.Tenants {
			if !t.Ready {
				return fmt.Errorf("/readyz answers %d %s", r.status, r.body)
			}
		}
		if r.status != 200 {
			return fmt.Errorf("/readyz answers %d %s", r.status, r.body)
		}
		return nil
	})
}

// awaitReason waits until /readyz is 503 and gives all the words as the reason
// for the tenant's sink, and returns the reason.
func (p *process) awaitReason(tenant, sink string, words ...string) string {
	p.t.Helper()
	var reason string
	eventually(p.t, "/readyz is 503 and says "+strings.Join(words, " … "), func() error {
		r, err := p.probe()
		if err != nil {
			return err
		}
		reason = r.reason(tenant, sink)
		for _, w := range words {
			if !strings.Contains(reason, w) {
				return fmt.Errorf("it answers %d with the reason %q", r.status, reason)
			}
		}
		if r.status != 503 {
			return fmt.Errorf("it answers %d", r.status)
		}
		return nil
	})
	return reason
}
