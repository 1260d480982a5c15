package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func runSendUntil(t *testing.T, ctx context.Context, in io.Reader, args ...string) sent {
	t.Helper()
	cmd, err := parseSend(append([]string{"--json", "--key=key"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	std := stdio{In: in, Out: &out, Err: &errOut}
	result := sent{exit: finish(std, cmd.Run(ctx, std))}
	result.stderr = errOut.String()
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &result.sendSummary); err != nil {
			t.Fatalf("the summary is %q: %v", out.String(), err)
		}
	}
	return result
}

// lines makes n events of 10 users, with ids or without.
func lines(n int, ids bool) []string {
	out := make([]string, n)
	for i := range out {
		id := ""
		if ids {
			id = fmt.Sprintf(`"id":"e%d",`, i)
		}
		out[i] = fmt.Sprintf(`{%s"type":"t","user":"u%d", "seq":%d}`, id, i%10, i)
	}
	return out
}

func writeFile(t *testing.T, name string, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendInputs(t *testing.T) {
	plain := strings.Join(lines(100, true), "\n")
	gz := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(s))
		z.Close()
		return b.String()
	}
	zst := func(s string) string {
		enc, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		return string(enc.EncodeAll([]byte(s), nil))
	}
	array := "[" + strings.Join(lines(100, true), ",\n ") + "]"
	pretty := strings.ReplaceAll(lines(1, true)[0], ",", ",\n  ")
	for _, tc := range []struct {
		name, file, content string
		stdin               bool
		want                int
		contentType         string
	}{
		{"NDJSON", "a.ndjson", plain, false, 100, "application/x-ndjson"},
		{"NDJSON with CRLF, blank lines and a BOM", "a.log", "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n\r\n \r\n"), false, 100, "application/x-ndjson"},
		{"NDJSON in gzip, whatever its name", "a.ndjson", gz(plain), false, 100, "application/x-ndjson"},
		{"NDJSON in several gzip members", "a", gz(plain[:1000]) + gz(plain[1000:]), false, 100, "application/x-ndjson"},
		{"NDJSON in zstd", "a.zst", zst(plain), false, 100, "application/x-ndjson"},
		{"NDJSON on the standard input", "", plain, true, 100, "application/x-ndjson"},
		{"a JSON array", "a.json", array, false, 100, "application/json"},
		{"a JSON array in zstd", "a.json.zst", zst(array), false, 100, "application/json"},
		{"a JSON array on the standard input", "", array, true, 100, "application/json"},
		{"one object over several lines", "a.json", pretty, false, 1, "application/json"},
		{"objects over several lines, one after another", "a.json", pretty + "\n" + strings.Replace(pretty, "e0", "x", 1), false, 2, "application/json"},
		{"an empty array", "a.json", "[]", false, 0, ""},
		{"an empty file", "a.ndjson", "", false, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			arg, in := "-", io.Reader(strings.NewReader(tc.content))
			if !tc.stdin {
				arg, in = writeFile(t, tc.file, tc.content), nil
			}
			r := runSend(t, in, "--url", g.URL, "--batch=30", arg)
			if r.exit != 0 || r.Accepted != int64(tc.want) || r.Sent != int64(tc.want) || !r.Complete {
				t.Fatalf("exit %d, %+v\n%s", r.exit, r.sendSummary, r.stderr)
			}
			if len(g.stored) != tc.want {
				t.Fatalf("%d events stored", len(g.stored))
			}
			for _, e := range g.stored {
				if !strings.Contains(tc.content, string(e.data)) && strings.HasPrefix(tc.content, "{") {
					t.Fatalf("%s was not sent as it is", e.data)
				}
			}
			if len(g.types) > 0 && g.types[0] != tc.contentType {
				t.Errorf("sent as %s", g.types[0])
			}
			if left, _ := filepath.Glob(filepath.Dir(arg) + "/*" + stateSuffix); !tc.stdin && len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSendGlobsInOrder(t *testing.T) {
	g := newFakeGateway(t)
	dir := t.TempDir()
	all := lines(90, true)
	for i := range 3 {
		name := filepath.Join(dir, fmt.Sprintf("part-%d.ndjson", i))
		if err := os.WriteFile(name, []byte(strings.Join(all[i*30:i*30+30], "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := runSend(t, nil, "--url", g.URL, "--concurrency=1", "--batch=7", filepath.Join(dir, "part-*.ndjson"))
	if r.exit != 0 || !slices.IsSorted(g.seqs()) || len(g.seqs()) != 90 {
		t.Errorf("%+v %v\n%s", r, g.seqs(), r.stderr)
	}
}

func TestSendCompresses(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd", "none"} {
		g := newFakeGateway(t)
		r := runSend(t, strings.NewReader(strings.Join(lines(500, true), "\n")), "--url", g.URL, "--compress", coding, "--batch=50", "-")
		want := coding
		if coding == "none" {
			want = ""
		}
		if r.exit != 0 || len(g.stored) != 500 || g.codings[0] != want {
			t.Errorf("%s: exit %d, %d stored, sent as %q", coding, r.exit, len(g.stored), g.codings[0])
		}
	}
}

// TestSendMisbehaviour is the retry contract: what is sent again, and what is
// not, after each kind of answer. Every gateway gets 40 events in requests of 10.
func TestSendMisbehaviour(t *testing.T) {
	first := func(f func(w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return func(n int, w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool {
			return n == 1 && f(w, events, store)
		}
	}
	refuse := func(status int, code string) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fakeProblem(w, status, code, nil)
			return true
		})
	}
	storedThen := func(f func(w http.ResponseWriter)) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return first(func(w http.ResponseWriter, _ []postedEvent, store func() []postedResult) bool {
			store()
			f(w)
			return true
		})
	}
	for _, tc := range []struct {
		name      string
		ids       bool
		misbehave func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool
		reject    func(postedEvent) string
		want      string // exit, stored, accepted, duplicates, rejected, failed, refused
		says      string // on the error stream or in the errors file
	}{
		{"no credits: sent again", false, refuse(429, "no_credits"), nil, "0: 40 40 0 0 0 1", "429 no_credits: trying again"},
		{"draining: sent again", false, refuse(503, "draining"), nil, "0: 40 40 0 0 0 1", "503 draining"},
		{"sink down: sent again", false, refuse(503, "sink_unavailable"), nil, "0: 40 40 0 0 0 1", ""},
		{"too slow: sent again", false, refuse(408, "client_too_slow"), nil, "0: 40 40 0 0 0 0", ""},
		{"outcome unknown, with ids: sent again, stored once", true, storedThen(func(w http.ResponseWriter) { fakeProblem(w, 503, "outcome_unknown", nil) }), nil, "0: 40 30 10 0 0 1", ""},
		{"outcome unknown, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { fakeProblem(w, 503, "outcome_unknown", nil) }), nil, "1: 40 30 0 0 10 1", "without an id sending it again could store it twice"},
		{"cut after it was stored, with ids: sent again, stored once", true, storedThen(func(w http.ResponseWriter) { cut(w) }), nil, "0: 40 30 10 0 0 0", ""},
		{"cut after it was stored, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { cut(w) }), nil, "1: 40 30 0 0 10 0", "outcome_unknown"},
		{"a proxy's 503, with ids: sent again", true, storedThen(func(w http.ResponseWriter) { http.Error(w, "upstream", 503) }), nil, "0: 40 30 10 0 0 1", ""},
		{"a proxy's 502, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { http.Error(w, "upstream", 502) }), nil, "1: 40 30 0 0 10 0", "502 Bad Gateway"},
		{"rejected: reported, and nothing is sent again", true, nil, func(e postedEvent) string {
			if e.Seq%10 == 3 {
				return "missing_field"
			}
			return ""
		}, "1: 36 36 0 4 0 0", "standard input:4: rejected: missing_field: because of missing_field"},
		{"all rejected", true, nil, func(postedEvent) string { return "schema_violation" }, "1: 0 0 0 40 0 0", `"line":40,`},
		{"quarantined: sending it again would not help", true, nil, func(e postedEvent) string {
			if e.Seq == 5 {
				return "failed quarantined"
			}
			return ""
		}, "1: 39 39 0 0 1 0", "standard input:6: failed: quarantined"},
		{"a wrong key ends it", true, refuse(403, "ack_not_allowed"), nil, "1: 0 0 0 0 0 0", "the gateway answers 403 ack_not_allowed: the detail"},
		{"a bad parameter ends it", true, refuse(400, "ack_unavailable"), nil, "1: 0 0 0 0 0 0", "400 ack_unavailable"},
		{"another server's 200 is not believed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fmt.Fprint(w, "<html>welcome</html>")
			return true
		}), nil, "1: 0 0 0 0 0 0", "nothing is taken for accepted"},
		{"an answer that does not add up is not believed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fmt.Fprint(w, `{"ack":"stored","accepted":9,"duplicates":0,"rejected":0,"failed":0}`)
			return true
		}), nil, "1: 0 0 0 0 0 0", "not as a sluice gateway does"},
		{"another server's 404 ends it", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			http.NotFound(w, nil)
			return true
		}), nil, "1: 0 0 0 0 0 0", "is it a sluice gateway?"},
		{"a redirect is not followed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(302)
			return true
		}), nil, "1: 0 0 0 0 0 0", "302 Found"},
		{"too much at once: sent in halves", true, func(_ int, w http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
			if len(events) > 3 {
				fakeProblem(w, 413, "body_too_large", nil)
				return true
			}
			return false
		}, nil, "0: 40 40 0 0 0 0", ""},
		{"one that is too large alone is reported", true, func(_ int, w http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
			if slices.ContainsFunc(events, func(e postedEvent) bool { return e.Seq == 7 }) {
				fakeProblem(w, 413, "event_too_large", nil)
				return true
			}
			return false
		}, nil, "1: 39 39 0 1 0 0", "standard input:8: rejected: event_too_large: the detail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			g.misbehave, g.reject = tc.misbehave, tc.reject
			errorsFile := filepath.Join(t.TempDir(), "errors.ndjson")
			r := runSend(t, strings.NewReader(strings.Join(lines(40, tc.ids), "\n")),
				"--url", g.URL, "--batch=10", "--concurrency=1", "--errors", errorsFile, "-")
			got := fmt.Sprintf("%d: %d %d %d %d %d %d", r.exit, len(g.stored), r.Accepted, r.Duplicates, r.Rejected, r.Failed, r.Refused)
			if got != tc.want {
				t.Errorf("got  %s\nwant %s\n%s", got, tc.want, r.stderr)
			}
			b, err := os.ReadFile(errorsFile)
			if err != nil || int64(bytes.Count(b, []byte("\n"))) != r.Rejected+r.Failed {
				t.Errorf("errors file: %s %v", b, err)
			}
			if said := r.stderr + string(b); !strings.Contains(said, tc.says) {
				t.Errorf("nobody says %q:\n%s", tc.says, said)
			}
			if r.Accepted+r.Duplicates+r.Rejected+r.Failed == 40 != r.Complete {
				t.Errorf("complete is %v", r.Complete)
			}
		})
	}
}

func TestSendOnlyWhatFailedIsSentAgain(t *testing.T) {
	g := newFakeGateway(t)
	var calls atomic.Int64
	g.reject = func(e postedEvent) string {
		if e.Seq%5 == 0 && calls.Add(1) <= 4 {
			return "failed user_limit"
		}
		return ""
	}
	r := runSend(t, strings.NewReader(strings.Join(lines(20, true), "\n")), "--url", g.URL, "--concurrency=1", "--batch=20", "-")
	if r.exit != 0 || r.Accepted != 20 || r.Duplicates != 0 || r.Retries != 1 {
		t.Errorf("%+v\n%s", r.sendSummary, r.stderr)
	}
	if !slices.Equal(g.sizes, []int{20, 4}) {
		t.Errorf("requests of %v events", g.sizes)
	}
}

func TestSendTimesOut(t *testing.T) {
	g := newFakeGateway(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	g.misbehave = func(n int, _ http.ResponseWriter, _ []postedEvent, store func() []postedResult) bool {
		if n > 1 {
			return false
		}
		store()
		<-release
		return true
	}
	r := runSend(t, strings.NewReader(strings.Join(lines(10, true), "\n")), "--url", g.URL, "--concurrency=1", "--timeout=100ms", "-")
	if r.exit != 0 || r.Duplicates != 10 || len(g.stored) != 10 || !strings.Contains(r.stderr, "no answer in time") {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
}

func TestSendWaitsForTheGatewayToStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	g := newFakeGateway(t)
	in, out := io.Pipe()
	go func() {
		defer out.Close()
		// Without ids: nothing can have been stored where nobody listens.
		io.WriteString(out, strings.Join(lines(10, false), "\n")+"\n")
	}()
	up := make(chan error, 1)
	server := &http.Server{Handler: g}
	t.Cleanup(func() { server.Close() })
	started := time.AfterFunc(150*time.Millisecond, func() {
		l, err := net.Listen("tcp", address)
		if err == nil {
			err = server.Serve(l)
		}
		up <- err
	})
	defer started.Stop()
	r := runSend(t, in, "--url", "http://"+address, "-")
	if r.exit != 0 || r.Accepted != 10 || r.Retries == 0 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
	server.Close()
	<-up
}

func TestSendGivesUp(t *testing.T) {
	g := newFakeGateway(t)
	g.misbehave = func(_ int, w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
		fakeProblem(w, 503, "sink_unavailable", nil)
		return true
	}
	file := writeFile(t, "a.ndjson", strings.Join(lines(100, true), "\n"))
	r := runSend(t, nil, "--url", g.URL, "--give-up=50ms", file)
	if r.exit != 1 || r.Complete || r.Open == 0 || !strings.Contains(r.stderr, "gave up: ") || !strings.Contains(r.stderr, "503 sink_unavailable") {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
	g.misbehave = nil
	if r := runSend(t, nil, "--url", g.URL, file); r.exit != 0 || r.Accepted != 100 || len(g.stored) != 100 {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
}

// TestSendKeepsTheOrderOfUsers sends through a gateway that refuses, fails and
// cuts at random.
func TestSendKeepsTheOrderOfUsers(t *testing.T) {
	g := newFakeGateway(t)
	random := rand.New(rand.NewPCG(1, 2))
	g.misbehave = func(_ int, w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool {
		g.mu.Lock()
		dice := random.IntN(8)
		g.mu.Unlock()
		switch dice {
		case 0:
			fakeProblem(w, 429, "no_credits", nil)
		case 1:
			store()
			cut(w)
		case 2:
			cut(w)
		default:
			return false
		}
		return true
	}
	const n = 1000
	file := writeFile(t, "a.ndjson", strings.Join(lines(n, true), "\n"))
	r := runSend(t, nil, "--url", g.URL, "--concurrency=8", "--batch=17", file)
	if r.exit != 0 || r.Accepted+r.Duplicates != n || len(g.stored) != n {
		t.Fatalf("%+v\n%s", r.sendSummary, r.stderr)
	}
	last := map[string]int{}
	for _, e := range g.stored {
		if before, ok := last[e.User]; ok && before >= e.Seq {
			t.Fatalf("event %d of %s came after %d", e.Seq, e.User, before)
		}
		last[e.User] = e.Seq
	}
}

func TestSendAssignsIDs(t *testing.T) {
	g := newFakeGateway(t)
	events := append(lines(50, false), lines(50, true)...)
	file := writeFile(t, "a.ndjson", strings.Join(events, "\n")+"\n"+`{"id":null,"user":"n","seq":1}`)
	for range 2 {
		if r := runSend(t, nil, "--url", g.URL, "--assign-ids", file); r.exit != 0 || r.Accepted+r.Duplicates != 101 || len(g.stored) != 101 {
			t.Fatalf("%+v\n%s", r, r.stderr)
		}
	}
	for _, e := range g.stored {
		id, _ := e.ID.(string)
		if len(id) != 36 && !strings.HasPrefix(id, "e") || len(id) == 36 && id[14] != '8' {
			t.Errorf("%s has no id", e.data)
		}
	}
}

func TestSendReportsWhatIsTooLong(t *testing.T) {
	g := newFakeGateway(t)
	long := `{"id":"long","user":"u","pad":"` + strings.Repeat("x", 300_000) + `"}`
	all := lines(3, true)
	for _, tc := range []struct{ name, content string }{
		{"a.ndjson", strings.Join([]string{all[0], long, all[1], long, all[2], long}, "\n")},
		{"b.json", "[" + strings.Join([]string{all[0], long, all[1], long, all[2], long}, ",") + "]"},
	} {
		g.stored, g.ids = nil, map[string]bool{}
		r := runSend(t, nil, "--url", g.URL, writeFile(t, tc.name, tc.content))
		if r.exit != 1 || r.Accepted != 3 || r.Rejected != 3 || r.Sent != 3 || !r.Complete ||
			!strings.Contains(r.stderr, tc.name+":4: rejected: event_too_large: the event is larger than 262144 bytes (--max-event) and was not sent") {
			t.Errorf("%s: %+v\n%s", tc.name, r, r.stderr)
		}
	}
}

func TestSendOfBrokenInputsSendsWhatComesBefore(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(strings.Join(lines(1000, true), "\n")))
	w.Close()
	for _, tc := range []struct {
		name, content, want string
		accepted            int64
	}{
		{"cut.json", "[" + strings.Join(lines(5, true), ","), "cut.json: not JSON at value 6: unexpected EOF", 5},
		{"bad.json", "[" + strings.Join(lines(5, true), ",") + ", oops]", "bad.json: not JSON at value 6: invalid character 'o' at start of value", 5},
		{"more.json", "[" + strings.Join(lines(5, true), ",") + "] x", "there is something after the end of the array", 5},
		{"cut.gz", z.String()[:z.Len()-20], "cut.gz: unexpected EOF", -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			r := runSend(t, nil, "--url", g.URL, writeFile(t, tc.name, tc.content))
			if r.exit != 1 || r.Complete || !strings.Contains(r.stderr, tc.want) || tc.accepted >= 0 && r.Accepted != tc.accepted {
				t.Errorf("%+v\n%s", r, r.stderr)
			}
		})
	}
}

func TestSendRate(t *testing.T) {
	g := newFakeGateway(t)
	begin := time.Now()
	r := runSend(t, strings.NewReader(strings.Join(lines(60, true), "\n")), "--url", g.URL, "--rate=200", "--batch=20", "--concurrency=1", "-")
	if r.exit != 0 || time.Since(begin) < 150*time.Millisecond {
		t.Errorf("60 events at 200/s, 20 of them at once, in %v: %+v", time.Since(begin), r)
	}
}

func TestSendOfASlowStreamDoesNotWaitForFullBatches(t *testing.T) {
	g := newFakeGateway(t)
	in, out := io.Pipe()
	arrived := make(chan int, 10)
	g.misbehave = func(_ int, _ http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
		arrived <- events[0].Seq
		return false
	}
	go func() {
		defer out.Close()
		for i, line := range lines(3, true) {
			io.WriteString(out, line+"\n")
			if seq := <-arrived; seq != i {
				t.Errorf("event %d arrived, not %d", seq, i)
			}
		}
	}()
	if r := runSend(t, in, "--url", g.URL, "-"); r.exit != 0 || r.Accepted != 3 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
}

// TestSendManualNamesEveryFlag holds docs/send.md against the command line.
func TestSendManualNamesEveryFlag(t *testing.T) {
	manual, err := os.ReadFile("../../docs/send.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&sendCmd{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.Flags {
		if flag.Name != "help" && !bytes.Contains(manual, []byte("`--"+flag.Name)) {
			t.Errorf("docs/send.md does not know --%s", flag.Name)
		}
	}
	var summary map[string]any
	b, err := json.Marshal(sendSummary{})
	if err == nil {
		err = json.Unmarshal(b, &summary)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name := range summary {
		if !bytes.Contains(manual, []byte("`"+name+"`")) {
			t.Errorf("docs/send.md does not know %s of the summary", name)
		}
	}
}

func TestSendWrongUse(t *testing.T) {
	file := writeFile(t, "a.ndjson", "{}")
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"a file that is not there", "no such file", []string{file + "x"}},
		{"a glob that matches nothing", "no file matches", []string{file + "x*"}},
		{"a folder", "is a directory: name its files", []string{filepath.Dir(file)}},
		{"the standard input twice", "only once", []string{"-", "-"}},
		{"a batch too large", "--batch is 1001", []string{"--batch=1001", file}},
		{"no request at once", "--concurrency is 0", []string{"--concurrency=0", file}},
		{"a URL that is none", "--url is", []string{"--url=localhost:8080", file}},
		{"a pointer that is none", "--user-pointer or --id-pointer: fields.user", []string{"--user-pointer=user", file}},
		{"no key", "no key: use --key-file", []string{"--key=", file}},
		{"a key file that is not there", "--key-file", []string{"--key-file=" + file + "x", file}},
		{"a key with a line break", "characters that no key has", []string{"--key=a\nb", file}},
		{"a rate below nothing", "--rate", []string{"--rate=-1", file}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := runSend(t, nil, tc.args...)
			if r.exit != exitUsage || !strings.Contains(r.stderr, tc.want) {
				t.Errorf("exit %d: %s", r.exit, r.stderr)
			}
		})
	}
}
