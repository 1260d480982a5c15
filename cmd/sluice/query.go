package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// queryCmd is `sluice query`: the events of one user in a time range, over
// GET /v1/users/{user}/events.
type queryCmd struct {
	User   string `required:"" help:"Whose events."`
	From   string `placeholder:"TIME" help:"From this event time on: RFC 3339, or milliseconds since 1970. With --from alone the range ends now."`
	To     string `placeholder:"TIME" help:"Up to this event time, which is not part of the range."`
	Type   string `help:"Events of this type only."`
	Order  string `enum:"asc,desc" default:"desc" help:"Oldest (asc) or newest (desc) first."`
	Limit  *int   `xor:"count" placeholder:"100" help:"At most so many events."`
	All    bool   `xor:"count" help:"Every event of the range."`
	Cursor string `help:"Continue where another query with the same range ended."`

	URL     string        `name:"url" default:"http://127.0.0.1:8080" help:"The gateway."`
	Key     string        `env:"SLUICE_KEY" placeholder:"KEY" help:"API key. Better from the environment or a file: other users of the machine see a command line."`
	KeyFile string        `type:"path" placeholder:"FILE" help:"File with the API key."`
	Timeout time.Duration `default:"30s" help:"Longest wait for one page."`
	JSON    bool          `name:"json" help:"Print an event a line, as it was sent. So is what does not go to a terminal."`
}

const (
	queryPage   = 1000      // events asked for at once, the most there may be
	queryAnswer = 512 << 20 // bytes of an answer; a gateway with its default limits stays far below
)

// queryAnswerPage is one page as the gateway answers.
type queryAnswerPage struct {
	Events     []json.RawMessage `json:"events"`
	NextCursor string            `json:"next_cursor"`
}

// Run prints the events, page by page.
func (c queryCmd) Run(ctx context.Context, std stdio) error {
	target, key, err := c.prepare()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	out, most := newEventPrinter(std.Out, c.JSON), c.most()
	cursor, shown := c.Cursor, 0
	for {
		page, err := c.page(ctx, target, key, cursor, most-shown)
		if err != nil {
			return resumable(err, cursor, shown)
		}
		for _, e := range page.Events {
			if err := out.print(e); err != nil {
				return fmt.Errorf("print event %d: %w", shown+1, err)
			}
			shown++
		}
		stuck := page.NextCursor == cursor
		cursor = page.NextCursor
		switch {
		case cursor == "":
			return out.end(std.Err, shown, "")
		case shown >= most:
			return out.end(std.Err, shown, cursor)
		case stuck:
			return errors.New("the gateway answers with the same page again and again")
		}
	}
}

// most is how many events are printed.
func (c queryCmd) most() int {
	switch {
	case c.All:
		return math.MaxInt
	case c.Limit != nil:
		return *c.Limit
	}
	return 100
}

// resumable adds to err how to go on from where it happened.
func resumable(err error, cursor string, shown int) error {
	if shown == 0 {
		return err
	}
	return fmt.Errorf("after %d events: %w; the same query goes on from there with --cursor %s", shown, err, cursor)
}

// prepare checks the command line. It returns the URL of the user's events.
func (c queryCmd) prepare() (*url.URL, string, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("--url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, "", fmt.Errorf("--url is %q: want one such as http://127.0.0.1:8080", c.URL)
	case c.User == "":
		return nil, "", errors.New("--user is empty")
	case c.most() < 1:
		return nil, "", fmt.Errorf("--limit is %d: want 1 or more, or --all", *c.Limit)
	case c.Timeout <= 0:
		return nil, "", errors.New("--timeout has to be a time such as 30s")
	}
	key, err := givenKey(c.Key, c.KeyFile)
	if err != nil {
		return nil, "", err
	}
	// A user may be called ".." or "a/b": nothing may take that for a path.
	user := strings.ReplaceAll(url.PathEscape(c.User), ".", "%2E")
	raw := strings.TrimSuffix(u.EscapedPath(), "/") + "/v1/users/" + user + "/events"
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/v1/users/"+c.User+"/events", raw
	return u, key, nil
}

// page asks for the events behind cursor, at most limit.
func (c queryCmd) page(ctx context.Context, target *url.URL, key, cursor string, limit int) (*queryAnswerPage, error) {
	params := url.Values{"order": {c.Order}, "limit": {strconv.Itoa(min(limit, queryPage))}}
	for name, value := range map[string]string{"from": c.From, "to": c.To, "type": c.Type, "cursor": cursor} {
		if value != "" {
			params.Set(name, value)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	u := *target
	u.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "application/json")
	client := http.Client{
		Transport: http.DefaultTransport,
		// A redirect would take the key along, or lose it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, queryUnreachable(target, c.Timeout, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, queryAnswer+1))
	switch {
	case err != nil:
		return nil, queryUnreachable(target, c.Timeout, err)
	case res.StatusCode != http.StatusOK:
		return nil, queryRefused(res, body)
	case len(body) > queryAnswer:
		return nil, fmt.Errorf("the answer has more than %d MiB: use a smaller --limit", queryAnswer>>20)
	}
	var page queryAnswerPage
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("%s did not answer like a sluice gateway: %w", target.Host, err)
	}
	return &page, nil
}

// queryUnreachable says what went wrong without the URL, which holds the query.
func queryUnreachable(target *url.URL, timeout time.Duration, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s did not answer within %v", target.Host, timeout)
	}
	return fmt.Errorf("cannot reach the gateway at %s: %w", target.Host, err)
}

// queryRefused puts a problem (RFC 9457) into words. A 400 is wrong use.
func queryRefused(res *http.Response, body []byte) error {
	text := fmt.Sprintf("the gateway answered %s", res.Status)
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "application/problem+json" {
		var p struct{ Title, Detail, Code string }
		if json.Unmarshal(body, &p) == nil && p.Title+p.Detail != "" {
			text = printable(strings.TrimSpace(strings.TrimSuffix(p.Title, ".") + ". " + p.Detail))
			if p.Detail == "" {
				text = printable(p.Title)
			}
			text = fmt.Sprintf("%s (%d %s)", text, res.StatusCode, printable(p.Code))
		}
	}
	if after := res.Header.Get("Retry-After"); after != "" {
		text += "; it asks to try again in " + printable(after) + " s"
	}
	if res.StatusCode == http.StatusBadRequest {
		return &exitError{exitUsage, errors.New(text)}
	}
	return errors.New(text)
}

// oneEventALine makes the line ends in an event blanks: in valid JSON they
// occur between tokens only.
func oneEventALine(e []byte) []byte {
	e = bytes.Clone(e)
	for i, c := range e {
		if c == '\n' || c == '\r' {
			e[i] = ' '
		}
	}
	return e
}
