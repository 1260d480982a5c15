package e2e

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServeSaysWhyItCannotStart: each mistake ends with exit code 1 and a
// sentence that says what is wrong.
func TestServeSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := write(t, "a-file", "x")
	running := serveReady(t, configure(t, localStore, "./data", filepath.Join(t.TempDir(), "shared")))
	shared := filepath.Dir(file)
	first := serveReady(t, configure(t, localStore, "./data", shared))
	for _, tc := range []struct {
		name, config string
		want         []string
	}{
		{"a port in use", configure(t, localStore, `data: {listen: "127.0.0.1:0"}`, `data: {listen: "`+taken.Addr().String()+`"}`),
			[]string{"data.listen", "in use"}},
		{"a directory that cannot be", configure(t, localStore, "./data", filepath.Join(file, "below")), []string{"a-file"}},
		{"a second process on one directory", configure(t, localStore, "./data", shared), []string{shared, "another process"}},
		{"a configuration with mistakes", configure(t, localStore, "kind: local", "kind: locale"), []string{"sluice.yaml:", `"local"`}},
		{"a file that is not there", filepath.Join(t.TempDir(), "none.yaml"), []string{"none.yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := sluice(t, nil, "serve", "-c", tc.config)
			if r.code != 1 {
				t.Errorf("exit code %d", r.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(r.err, want) {
					t.Errorf("it does not say %q:\n%s", want, r.err)
				}
			}
		})
	}
	for _, p := range []*process{running, first} {
		p.as("acme").store(t, `{"id":"1","type":"t","user":"ann"}`)
	}
}

func TestWrongUseEndsWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"bogus"}, {"serve", "--bogus"}, {"check"}, {"query"}} {
		if r := sluice(t, nil, args...); r.code != 2 || r.err == "" {
			t.Errorf("sluice %v: exit code %d, %q", args, r.code, r.err)
		}
	}
}

func TestCheckTellsEveryMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	r := sluice(t, nil, "check", "-c", configure(t, ports+`
sinks: {bus: {kind: kafka, brokers: [nope]}}
tenants: {acme: {keyz: [1], sink: buss, budget: {bytes: 64Mb}}}
`))
	for _, want := range []string{`did you mean "keys"`, `did you mean "bus"`, "64MB", "host:port", "sluice.yaml:5:", "^"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("it does not say %q:\n%s", want, r.err)
		}
	}
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
}

// TestHostileRequestsAreRefusedAndHarmNothing: what is wrong is said, in the
// documented shape; the process goes on, and no secret is in its log.
func TestHostileRequestsAreRefusedAndHarmNothing(t *testing.T) {
	t.Parallel()
	p := serveReady(t, configure(t, localStore))
	good := `{"id":"1","type":"t","user":"ann"}`
	bomb := gzipBomb(t)
	stranger := p.as("nobody")
	for _, tc := range []struct {
		name, code string
		status     int
		ask        func() (*answer, error)
	}{
		{"an unknown key", "", 401, func() (*answer, error) { return stranger.send("", asJSON, good) }},
		{"broken JSON", "invalid_json", 400, func() (*answer, error) { return p.as("acme").send("", asJSON, `{"id":`) }},
		{"nesting 100,000 deep", "too_deep", 400, func() (*answer, error) {
			return p.as("acme").send("", asJSON, `{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"}")
		}},
		{"a body of 9 MiB", "", 413, func() (*answer, error) { return p.as("acme").send("", asJSON, strings.Repeat(" ", 9<<20)) }},
		{"10,001 events", "too_many_events", 413, func() (*answer, error) {
			return p.as("acme").send("", asNDJSON, strings.Repeat(good+"\n", 10_001))
		}},
		{"a bomb of 1 GiB", "", 413, func() (*answer, error) {
			return p.as("acme").do("POST", "/v1/events", asJSON, bomb, "Content-Encoding", "gzip")
		}},
		{"an encoding that is none", "", 415, func() (*answer, error) {
			return p.as("acme").do("POST", "/v1/events", asJSON, good, "Content-Encoding", "rot13")
		}},
		{"a method that is none", "", 405, func() (*answer, error) { return p.as("acme").do("PUT", "/v1/events", asJSON, good) }},
		{"a level that is not there yet", "ack_unavailable", 400, func() (*answer, error) {
			return p.as("acme").send("?ack=journaled", asJSON, good)
		}},
	} {
		a, err := tc.ask()
		switch {
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case a.status != tc.status || (tc.code != "" && a.Code != tc.code):
			t.Errorf("%s: %v, want %d %s", tc.name, a, tc.status, tc.code)
		case !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") || a.Title == "" || a.Detail == "":
			t.Errorf("%s: not a problem: %v", tc.name, a)
		}
	}
	p.as("acme").store(t, good)
	if rss := p.resident(); rss > 1<<30 {
		t.Errorf("%d MiB resident after all that", rss>>20)
	}
	for _, secret := range []string{keyOf("acme"), keyOf("nobody")} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log holds the key %q", secret)
		}
	}
	res, err := http.Get("http://" + p.admin + "/v1/config")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var shown bytes.Buffer
	if _, err := shown.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown.String(), strings.TrimPrefix(hashOf("acme"), "sha256:")) {
		t.Error("the view of the configuration holds a key's hash")
	}
}

// gzipBomb returns a gzip stream of 1 GiB of zeros. Only two of its mebibytes are
// compressed: the second refers to nothing but zeros before it, and so can be
// there a thousand times.
func gzipBomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	w.Write(zeros)
	w.Flush()
	first := b.Len()
	w.Write(zeros)
	w.Flush()
	head := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // RFC 1952: deflate, no name, unknown system
	return head + string(b.Bytes()[:first]) + strings.Repeat(string(b.Bytes()[first:]), 1023)
}

// TestSendAndQueryAgree sends a compressed file and reads a user back.
func TestSendAndQueryAgree(t *testing.T) {
	t.Parallel()
	p := serveReady(t, configure(t, localStore))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for _, line := range []string{
		`{"id":"1","type":"t","user":"ann","ts":"2026-01-01T00:00:00Z"}`, `{"id":"2","type":"t","user":"bob"}`,
		`{"id":"3","type":"t"}`, `{"id":"4","type":"t","user":"ann","ts":"2026-01-01T00:00:01Z"}`,
	} {
		z.Write([]byte(line + "\n"))
	}
	z.Close()
	file := write(t, "events.ndjson.gz", packed.String())
	env := []string{"SLUICE_KEY=" + keyOf("acme")}
	r := sluice(t, env, "send", "--url", "http://"+p.data, "--json", file)
	if r.code != 1 || !strings.Contains(r.out, `"accepted": 3`) || !strings.Contains(r.out, `"rejected": 1`) || !strings.Contains(r.err, "3") {
		t.Errorf("send: exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
	r = sluice(t, env, "query", "--url", "http://"+p.data, "--user", "ann", "--json")
	want := `{"id":"4","type":"t","user":"ann","ts":"2026-01-01T00:00:01Z"}` + "\n" + `{"id":"1","type":"t","user":"ann","ts":"2026-01-01T00:00:00Z"}` + "\n"
	if r.code != 0 || r.out != want {
		t.Errorf("query: exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(file + ".sluice-state"); err == nil {
		t.Error("everything has its result, and the state file is still there")
	}
}
