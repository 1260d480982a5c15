package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/bench/ledger"
)

// sluice is a real gateway on its own store.
type sluice struct {
	t   *testing.T
	url string
}

var serving = regexp.MustCompile(`msg=serving data=(\S+)`)

// serve builds and starts one with the tenants acme and bee, whose keys are their
// names; it stops with the test.
func serve(t *testing.T) *sluice {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no gateway is built")
	}
	dir := t.TempDir()
	binary, config := filepath.Join(dir, "sluice"), filepath.Join(dir, "sluice.yaml")
	if out, err := exec.Command("go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("building sluice: %v\n%s", err, out)
	}
	text := fmt.Sprintf(`
data: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
dir: %s
sinks: {local: {kind: local}}
tenants:
  acme: {sink: local, keys: ["%s"], budget: {per_user: 2000}}
  bee: {sink: local, keys: ["%s"]}
`, filepath.Join(dir, "data"), keyHash("acme"), keyHash("bee"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "-c", config)
	log := &watched{found: make(chan string, 1)}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("the gateway: %v\n%s", err, log)
		}
	})
	select {
	case data := <-log.found:
		return &sluice{t, "http://" + data}
	case err := <-ended:
		ended <- err
		t.Fatalf("the gateway ended instead of serving: %v\n%s", err, log)
	case <-time.After(time.Minute):
		t.Fatalf("the gateway does not serve\n%s", log)
	}
	return nil
}

// watched is a log that tells of the address that is served.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	found chan string
	told  bool
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if m := serving.FindSubmatch(w.text.Bytes()); m != nil && !w.told {
		w.told = true
		w.found <- string(m[1])
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func keyHash(key string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key))) }

// post sends events as lines.
func (s *sluice) post(tenant string, lines ...string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/events", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+tenant)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		s.t.Fatalf("the gateway answered %s", res.Status)
	}
}

func event(id, user string, ts int64) string {
	return fmt.Sprintf(`{"id":"%s","type":"t","user":"%s","ts":%d}`, id, user, ts)
}

// TestLocal reads a real gateway's store back, over pages and tenants, with faults
// planted in it.
func TestLocal(t *testing.T) {
	s := serve(t)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	const now = 1_767_225_600_000
	l := script("5eed", strings.Repeat("a", 2500), "AAu", "nj")
	var lines []string
	for n := range 2500 { // more than two pages of one user
		if n != 1234 { // lost
			lines = append(lines, event(l.ID(0, n), "u2", now+int64(n)))
		}
	}
	s.post("acme", lines[:1500]...)
	s.post("acme", lines[1500:]...)
	s.post("bee", event("5eed-1-0", "u1", now), event("5eed-1-1", "u1", now), event("5eed-1-2", "u2", now))
	s.post("bee", event("5eed-0-7", "u2", now)) // a second time, at the other tenant
	s.post("bee", event("5eed-3-3", "u1", now), event("feed-0-0", "u1", now), `{"id":7,"type":"t","user":"u1"}`)
	s.post("acme", event("5eed-1-1", "u1", now-1_000_000)) // older than the run

	o := Options{Sink: Local, URL: s.url, Tenants: []Tenant{{"acme", "acme"}, {"bee", "bee"}}, Since: time.UnixMilli(now - 1000)}
	var told Progress
	o.Progress = func(p Progress) { told = p }
	if _, err := Mark(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	v, err := Run(t.Context(), o, l)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range v.Examples { // the two that are unasked come in any order
		if strings.Contains(e, "never sent") {
			v.Examples = append(append(v.Examples[:i:i], v.Examples[i+1:]...), e)
		}
	}
	expect(t, v, "found 2502 lost 1 doubled 1 disordered 0 unasked 2",
		"5eed-0-1234 of u2 is lost: its outcome was accepted",
		"5eed-0-7 of u2 is in the sink more than once",
		"5eed-1-2 of u2 is in the sink, and its outcome was: unknown",
		`"5eed-3-3" is in the sink, and was never sent`)
	if want := (Progress{4, 4, "users"}); told != want {
		t.Errorf("the last word on progress is %+v, want %+v", told, want)
	}

	o.Since = time.Time{}
	if v, err := Run(t.Context(), o, l); err != nil || v.Duplicate != 2 {
		t.Errorf("without a beginning: %v, %v; want the older one found as well", v, err)
	}
	o.Tenants[1].Key = "wrong"
	if _, err := Mark(t.Context(), o); err == nil || !strings.Contains(err.Error(), "tenant bee: the gateway answered 401") {
		t.Errorf("a wrong key: %v", err)
	}
}

func TestLocalErrors(t *testing.T) {
	same := func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Sluice-Next-Cursor", "7") }
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte(`{"id":"5eed-0-0"}` + "\n"))
	}
	unreadable := func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such sink", http.StatusNotImplemented) }
	for _, tc := range []struct {
		name    string
		gateway http.HandlerFunc
		change  func(*Options)
		want    string
	}{
		{"a page that does not end", same, nil, "the same page of u2 again and again"},
		{"an answer that breaks off", broken, nil, "unexpected EOF"},
		{"a sink that cannot be read", unreadable, nil, `501 Not Implemented: "no such sink`},
		{"no address", same, func(o *Options) { o.URL = "127.0.0.1:8080" }, "want one such as http://127.0.0.1:8080"},
		{"no key", same, func(o *Options) { o.Tenants = nil }, "none is given"},
		{"nobody at the address", same, func(o *Options) { o.URL = "http://127.0.0.1:1" }, "connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(tc.gateway)
			defer srv.Close()
			o := Options{Sink: Local, URL: srv.URL, Tenants: []Tenant{{"acme", "key"}}}
			if tc.change != nil {
				tc.change(&o)
			}
			_, err := Run(t.Context(), o, script("5eed", "aa"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "cursor=") {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestLocalStopsWhenTold(t *testing.T) {
	arrived := make(chan struct{}, readers)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	l := &ledger.Ledger{Run: "5eed", Conns: [][]ledger.Entry{make([]ledger.Entry, 100)}}
	for n := range l.Conns[0] {
		l.Conns[0][n] = ledger.Entry{User: uint32(n), Outcome: ledger.Accepted}
	}
	if _, err := Run(ctx, Options{Sink: Local, URL: srv.URL, Tenants: []Tenant{{"acme", "key"}}}, l); err == nil || ctx.Err() == nil {
		t.Errorf("Run: %v", err)
	}
}
