package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// fakeUser is a gateway that has n events of one user and gives them in pages.
// It notes the requests it got.
type fakeUser struct {
	t       *testing.T
	n       int
	perPage int // at most so many, whatever is asked for; 0: as asked for
	fail    func(page int, w http.ResponseWriter) bool
	hang    bool // until the client leaves
	asked   []url.Values
	path    string
}

const fakeKey = "slk_test"

func (f *fakeUser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+fakeKey {
		f.t.Errorf("Authorization is %q", got)
	}
	f.path = r.URL.EscapedPath()
	q := r.URL.Query()
	f.asked = append(f.asked, q)
	if f.hang {
		<-r.Context().Done()
		return
	}
	if f.fail != nil && f.fail(len(f.asked), w) {
		return
	}
	from, _ := strconv.Atoi(q.Get("cursor"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		f.t.Errorf("limit is %q", q.Get("limit"))
	}
	if f.perPage > 0 {
		limit = min(limit, f.perPage)
	}
	to := min(f.n, from+limit)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"events":[`)
	for i := from; i < to; i++ {
		if i > from {
			fmt.Fprint(w, ",")
		}
		fmt.Fprint(w, fakeEvent(i))
	}
	fmt.Fprint(w, "]")
	if to < f.n {
		fmt.Fprintf(w, `,"next_cursor":"%d"`, to)
	}
	fmt.Fprint(w, "}")
}

func fakeEvent(i int) string {
	return fmt.Sprintf("{\"id\":\"e-%d\",\"type\":\"click\",\n \"ts\":%d, \"n\":1%s}", i, 1700000000000+i, strings.Repeat("0", 400))
}

func fakeLines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(strings.ReplaceAll(fakeEvent(i), "\n", " ") + "\n")
	}
	return b.String()
}

// query parses args as kong does and runs them against url.
func query(t *testing.T, url string, args ...string) (out, errs string, err error) {
	t.Helper()
	var cli struct {
		Query queryCmd `cmd:""`
	}
	parser, err := kong.New(&cli, kong.Exit(func(int) {}), kong.Writers(&bytes.Buffer{}, &bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"query", "--url", url}, args...)); err != nil {
		return "", "", &exitError{exitUsage, err}
	}
	var stdout, stderr bytes.Buffer
	err = cli.Query.Run(context.Background(), stdio{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return stdout.String(), stderr.String(), err
}

func TestQueryPages(t *testing.T) {
	t.Setenv("SLUICE_KEY", fakeKey)
	for _, tc := range []struct {
		name    string
		fake    fakeUser
		args    string
		want    string
		limits  string // of each request
		errsHas string
	}{
		{"a page is printed as lines, each event unchanged but for its line ends", fakeUser{n: 3}, "", fakeLines(0, 3), "100", ""},
		{"a hundred are enough by default", fakeUser{n: 250}, "", fakeLines(0, 100), "100", "--cursor 100"},
		{"a limit over a page takes several", fakeUser{n: 3000}, "--limit 2500", fakeLines(0, 2500), "1000 1000 500", "--cursor 2500"},
		{"pages may be shorter than asked for", fakeUser{n: 20, perPage: 4}, "--limit 10", fakeLines(0, 10), "10 6 2", "--cursor 10"},
		{"all follows cursors to the end", fakeUser{n: 2100}, "--all", fakeLines(0, 2100), "1000 1000 1000", ""},
		{"a cursor continues", fakeUser{n: 10}, "--cursor 7", fakeLines(7, 10), "100", ""},
		{"no events are no error", fakeUser{}, "", "", "100", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tc.fake
			f.t = t
			srv := httptest.NewServer(&f)
			defer srv.Close()
			out, errs, err := query(t, srv.URL, append([]string{"--user", "u"}, strings.Fields(tc.args)...)...)
			if err != nil {
				t.Fatal(err)
			}
			if out != tc.want {
				t.Errorf("printed %d bytes, want %d:\n%.300s", len(out), len(tc.want), out)
			}
			var limits []string
			for _, q := range f.asked {
				limits = append(limits, q.Get("limit"))
			}
			if got := strings.Join(limits, " "); got != tc.limits {
				t.Errorf("asked for %s events, want %s", got, tc.limits)
			}
			if !strings.Contains(errs, tc.errsHas) || tc.errsHas == "" && errs != "" {
				t.Errorf("said %q, want %q in it", errs, tc.errsHas)
			}
		})
	}
}

func TestQueryAsksForWhatIsWanted(t *testing.T) {
	t.Setenv("SLUICE_KEY", "")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(fakeKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := fakeUser{t: t, n: 1}
	srv := httptest.NewServer(&f)
	defer srv.Close()
	for user, path := range map[string]string{
		"u": "/base/v1/users/u/events", "a/b c": "/base/v1/users/a%2Fb%20c/events",
		"..": "/base/v1/users/%2E%2E/events", "Zoë?#%": "/base/v1/users/Zo%C3%AB%3F%23%25/events",
	} {
		if _, _, err := query(t, srv.URL+"/base/", "--user", user, "--key-file", file,
			"--from", "2026-01-01T00:00:00+01:00", "--to", "1770000000000", "--type", "a&b", "--order", "asc"); err != nil {
			t.Fatal(err)
		}
		if f.path != path {
			t.Errorf("asked for %s, want %s", f.path, path)
		}
	}
	want := url.Values{"from": {"2026-01-01T00:00:00+01:00"}, "to": {"1770000000000"}, "type": {"a&b"}, "order": {"asc"}, "limit": {"100"}}
	if got := f.asked[0]; got.Encode() != want.Encode() {
		t.Errorf("asked with %v, want %v", got, want)
	}
}

func TestQueryFails(t *testing.T) {
	problem := func(status int, retry, body string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			if retry != "" {
				w.Header().Set("Retry-After", retry)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	second := func(page int, w http.ResponseWriter) bool {
		return page == 2 && problem(503, "7", `{"title":"The sink is down","code":"sink_unavailable"}`)(page, w)
	}
	loop := func(_ int, w http.ResponseWriter) bool {
		fmt.Fprint(w, `{"events":[{}],"next_cursor":"same"}`)
		return true
	}
	for _, tc := range []struct {
		name string
		fake fakeUser
		args string
		code int
		want string
	}{
		{"an unknown key is said in the gateway's words", fakeUser{fail: problem(401, "", `{"title":"The key is not known","detail":"No tenant has it.","code":"unknown_key"}`)},
			"--user u", exitFailed, "The key is not known. No tenant has it. (401 unknown_key)"},
		{"a wrong parameter is wrong use", fakeUser{fail: problem(400, "", `{"title":"A parameter is not valid","detail":"from is \"x\"","code":"invalid_parameter"}`)},
			"--user u --from x", exitUsage, `from is "x"`},
		{"a sink that cannot be read is said", fakeUser{fail: problem(501, "", `{"title":"Not here","detail":"Kafka.","code":"not_queryable"}`)},
			"--user u", exitFailed, "not_queryable"},
		{"a problem does not command the terminal", fakeUser{fail: problem(500, "", `{"title":"a\u001b[2Jb"}`)}, "--user u", exitFailed, "a\ufffd[2Jb"},
		{"an answer that is no problem+json is said with its status", fakeUser{fail: func(_ int, w http.ResponseWriter) bool {
			http.Error(w, "<html>", http.StatusBadGateway)
			return true
		}}, "--user u", exitFailed, "502 Bad Gateway"},
		{"a redirect is not followed", fakeUser{fail: func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
			return true
		}}, "--user u", exitFailed, "302 Found"},
		{"something else behind the port is seen", fakeUser{fail: func(_ int, w http.ResponseWriter) bool {
			fmt.Fprint(w, "hello")
			return true
		}}, "--user u", exitFailed, "did not answer like a sluice gateway"},
		{"a failure on the way says how to go on", fakeUser{n: 3000, fail: second}, "--user u --all", exitFailed, "after 1000 events: The sink is down (503 sink_unavailable); it asks to try again in 7 s; the same query goes on from there with --cursor 1000"},
		{"a gateway that repeats itself is left", fakeUser{fail: loop}, "--user u --all", exitFailed, "again and again"},
		{"a slow gateway is left", fakeUser{hang: true},
			"--user u --timeout 10ms", exitFailed, "did not answer within 10ms"},
		{"a user is needed", fakeUser{}, "", exitUsage, "--user"},
		{"an empty user is none", fakeUser{}, "--user=", exitUsage, "--user is empty"},
		{"a limit is positive", fakeUser{}, "--user u --limit 0", exitUsage, "--limit is 0"},
		{"all and a limit contradict each other", fakeUser{}, "--user u --limit 5 --all", exitUsage, "can't be used together"},
		{"an order is asc or desc", fakeUser{}, "--user u --order up", exitUsage, "order"},
		{"a URL has a scheme", fakeUser{}, "--user u --url localhost:8080", exitUsage, "--url is"},
		{"a key file is there", fakeUser{}, "--user u --key-file /does/not/exist", exitUsage, "--key-file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("SLUICE_KEY", fakeKey)
			f := tc.fake
			f.t = t
			srv := httptest.NewServer(&f)
			defer srv.Close()
			_, _, err := query(t, srv.URL, strings.Fields(tc.args)...)
			if err == nil {
				t.Fatal("it succeeded")
			}
			code := exitFailed
			var exit *exitError
			if errors.As(err, &exit) {
				code = exit.code
			}
			if code != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("exit code %d, %q; want %d, %q", code, err, tc.code, tc.want)
			}
		})
	}
	t.Run("a gateway that is not there", func(t *testing.T) {
		t.Setenv("SLUICE_KEY", fakeKey)
		if _, _, err := query(t, "http://127.0.0.1:1", "--user", "u"); err == nil || !strings.Contains(err.Error(), "cannot reach the gateway at 127.0.0.1:1") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no key", func(t *testing.T) {
		t.Setenv("SLUICE_KEY", "")
		if _, _, err := query(t, "http://127.0.0.1:1", "--user", "u"); err == nil || !strings.Contains(err.Error(), "no key") {
			t.Errorf("got %v", err)
		}
	})
}

func TestQueryTable(t *testing.T) {
	var out, errs bytes.Buffer
	p := &eventPrinter{out: &out, width: 100}
	for _, e := range []string{
		`{"id":"e-1","type":"click","ts":"2026-01-01T00:00:00Z","x":1}`,
		`{"id":17,"type":"` + strings.Repeat("long", 10) + `","ts":1700000000000}`,
		"{\"id\":\"\\u001b[31m\u009b\u202e\",\n\"user\":\"u\"}",
	} {
		if err := p.print([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end(&errs, 3, "abc"); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"TS                        TYPE              ID                        EVENT",
		`2026-01-01T00:00:00Z      click             e-1                       {"id":"e-1","type":"click","t…`,
		`1700000000000             longlonglonglon…  17                        {"id":17,"type":"longlonglong…`,
		"-                         -                 \ufffd[31m\ufffd\ufffd                   {\"id\":\"\\u001b[31m\ufffd\ufffd\", \"user\":…",
		"",
	}, "\n")
	if got := out.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	if got := errs.String(); got != "3 events; there are more: use --all, a greater --limit, or --cursor abc\n" {
		t.Errorf("said %q", got)
	}
}
