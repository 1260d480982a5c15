package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// holder stands between `sluice send` and the gateway. It passes everything on,
// and holds answers back when it has passed on so many: their events are stored
// then, and their sender does not know.
type holder struct {
	url string

	mu     sync.Mutex
	passes int           // answers until it holds; negative: it does not
	held   chan struct{} // closed when an answer is held
	gate   chan struct{} // closed when answers go on
}

func newHolder(t *testing.T, target string) *holder {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	h := &holder{passes: -1}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Transport:      transport,
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: target}) },
		ModifyResponse: h.pass,
		// A sender that was killed reads no answer.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     log.New(t.Output(), "", 0),
	})
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		transport.CloseIdleConnections()
	})
	h.url = front.URL
	return h
}

// holdAfter has all answers held back when n more have passed. The channel is
// closed when the first is.
func (h *holder) holdAfter(n int) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passes, h.held, h.gate = n, make(chan struct{}), make(chan struct{})
	return h.held
}

// release lets all answers pass.
func (h *holder) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passes = -1
	close(h.gate)
}

func (h *holder) pass(res *http.Response) error {
	h.mu.Lock()
	if h.passes != 0 {
		h.passes--
		h.mu.Unlock()
		return nil
	}
	select {
	case <-h.held:
	default:
		close(h.held)
	}
	gate := h.gate
	h.mu.Unlock()
	select {
	case <-gate:
		return nil
	case <-res.Request.Context().Done():
		return res.Request.Context().Err()
	}
}

// upload is a file of events on its way into a gateway, in as many runs of
// `sluice send` as it takes.
type upload struct {
	t       *testing.T
	gateway *process
	holder  *holder
	file    string
	events  []string // by seq
}

const (
	uploadUsers = 60
	uploadBatch = 200
)

// newUpload makes a file of n events, of which all have ids or every third has
// none.
func newUpload(t *testing.T, n int, allIDs bool) *upload {
	t.Helper()
	u := &upload{t: t, gateway: serveReady(t, configure(t, localStore))}
	u.holder = newHolder(t, u.gateway.data)
	for seq := range n {
		id := fmt.Sprintf(`"id":"e%d",`, seq)
		if !allIDs && seq%3 == 0 {
			id = ""
		}
		u.events = append(u.events, fmt.Sprintf(`{%s"type":"step","user":"u%d","ts":%d,"seq":%d}`,
			id, seq%uploadUsers, 1767225600000+seq, seq))
	}
	u.file = write(t, "events.ndjson", strings.Join(u.events, "\n")+"\n")
	return u
}

// args is the command line of every run. No answer that is held is given up.
func (u *upload) args() []string {
	return []string{"send", "--url", u.holder.url, "--json", "--timeout=10m", fmt.Sprintf("--batch=%d", uploadBatch), u.file}
}

var uploadKey = []string{"SLUICE_KEY=" + keyOf("acme")}

// begin starts a run and returns when some of its answers are held back, after
// at least so many.
func (u *upload) begin(answers int) (run *process, out *bytes.Buffer) {
	u.t.Helper()
	held := u.holder.holdAfter(answers)
	cmd := exec.Command(sluicePath, u.args()...)
	cmd.Env = append(os.Environ(), uploadKey...)
	out = new(bytes.Buffer)
	cmd.Stdout = out
	run = start(u.t, cmd)
	select {
	case <-held:
	case <-run.ended:
		u.t.Fatalf("the run ended with code %d before an answer was held back", run.cmd.ProcessState.ExitCode())
	}
	return run, out
}

// uploaded is the summary of a run.
type uploaded struct {
	Sent, Accepted, Duplicates, Rejected, Failed, Open, Skipped int
	Complete                                                    bool
}

func (u *upload) summary(out []byte) uploaded {
	u.t.Helper()
	var sum uploaded
	if err := json.Unmarshal(out, &sum); err != nil {
		u.t.Fatalf("the summary is %q: %v", out, err)
	}
	return sum
}

// finish is a run that nobody disturbs.
func (u *upload) finish() uploaded {
	u.t.Helper()
	r := sluice(u.t, uploadKey, u.args()...)
	sum := u.summary([]byte(r.out))
	if r.code != 0 || !sum.Complete || sum.Rejected+sum.Failed+sum.Open != 0 {
		u.t.Fatalf("the last run: exit code %d, %+v\n%s", r.code, sum, r.err)
	}
	return sum
}

// confirmed returns how many events have their result by the state file.
func (u *upload) confirmed() (int, error) {
	b, err := os.ReadFile(u.file + ".sluice-state")
	if err != nil {
		return 0, err
	}
	var state struct {
		Files []struct {
			Read int
			Open [][2]int
		}
	}
	if err := json.Unmarshal(b, &state); err != nil {
		return 0, fmt.Errorf("the state is %s: %w", b, err)
	}
	if len(state.Files) != 1 {
		return 0, fmt.Errorf("the state is of %d files: %s", len(state.Files), b)
	}
	n := state.Files[0].Read
	for _, r := range state.Files[0].Open {
		n -= r[1] - r[0]
	}
	return n, nil
}

// told is how many events the gateway has given an outcome.
func (u *upload) told(outcome string) int {
	u.t.Helper()
	return int(u.gateway.metric(fmt.Sprintf(`sluice_events_total{outcome="%s",tenant="acme"}`, outcome)))
}

// check reads everything back: each event is there once, those with an id as
// they were sent. Nothing is left beside the file.
func (u *upload) check() {
	u.t.Helper()
	c := u.gateway.as("acme")
	times := make([]int, len(u.events))
	for user := range uploadUsers {
		for _, text := range c.events(u.t, fmt.Sprintf("u%d", user)) {
			e := struct{ Seq int }{-1}
			if err := json.Unmarshal([]byte(text), &e); err != nil || e.Seq < 0 || e.Seq >= len(u.events) {
				u.t.Fatalf("never sent: %s %v", text, err)
			}
			if sent := u.events[e.Seq]; text != sent && strings.Contains(sent, `"id"`) {
				u.t.Fatalf("read back\n%s\nsent\n%s", text, sent)
			}
			times[e.Seq]++
		}
	}
	for seq, n := range times {
		if n != 1 {
			u.t.Fatalf("event %d is stored %d times", seq, n)
		}
	}
	if n := u.told("stored"); n != len(u.events) {
		u.t.Errorf("the gateway counts %d events as stored, want %d", n, len(u.events))
	}
	beside, err := filepath.Glob(u.file + "?*")
	if err != nil || len(beside) > 0 {
		u.t.Errorf("left behind: %v %v", beside, err)
	}
}

// TestAnUploadIsInterruptedAndGoesOn stops a run with either signal while
// answers are under way. A third of the events have no ids: nobody would notice
// if one of them was sent twice, but who reads it back.
func TestAnUploadIsInterruptedAndGoesOn(t *testing.T) {
	t.Parallel()
	const n = 24_000
	u := newUpload(t, n, false)
	var accepted []int
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		before := u.told("stored")
		run, out := u.begin(30)
		second := sluice(t, uploadKey, u.args()...)
		if want := fmt.Sprintf("process %d is sending", run.cmd.Process.Pid); second.code != 1 || !strings.Contains(second.err, want) {
			t.Errorf("a second run at the same time: exit code %d, want 1 and %q:\n%s", second.code, want, second.err)
		}
		run.signal(signal)
		eventually(t, "the run says that it stops", func() error {
			if !strings.Contains(run.log.String(), "stopping: waiting for the answers under way") {
				return errors.New(run.log.String())
			}
			return nil
		})
		u.holder.release()
		code := run.exits(patience)
		sum := u.summary(out.Bytes())
		if code != 1 || sum.Complete || sum.Duplicates+sum.Rejected+sum.Failed != 0 || !strings.Contains(run.log.String(), "run the same command again") {
			t.Fatalf("%v: exit code %d, %+v", signal, code, sum)
		}
		if stored := u.told("stored") - before; sum.Accepted != stored || stored < 30 {
			t.Fatalf("%v: %d events accepted, and the gateway has stored %d", signal, sum.Accepted, stored)
		}
		accepted = append(accepted, sum.Accepted)
		confirmed, err := u.confirmed()
		if total := u.told("stored"); err != nil || confirmed != total {
			t.Fatalf("%v: %d events are confirmed by the state, %d are stored: %v", signal, confirmed, total, err)
		}
	}
	last := u.finish()
	if total := accepted[0] + accepted[1] + last.Accepted; total != n || last.Duplicates != 0 || u.told("duplicate") != 0 {
		t.Errorf("accepted %v and %+v, %d in all, want %d and no duplicates", accepted, last, total, n)
	}
	t.Logf("accepted: %v in two runs that were interrupted, %d in the last", accepted, last.Accepted)
	u.check()
}

// TestAnUploadSurvivesKill9 kills a run whose state is saved, and another at
// once, with events that are stored and not answered. They have ids: sent again,
// they are duplicates.
func TestAnUploadSurvivesKill9(t *testing.T) {
	t.Parallel()
	const n = 24_000
	u := newUpload(t, n, true)

	first, _ := u.begin(30)
	var confirmed []int
	eventually(t, "the state knows what was answered", func() error {
		c, err := u.confirmed()
		if stored := u.told("stored"); err == nil && (c == 0 || c >= stored) {
			err = fmt.Errorf("%d events are confirmed, %d are stored", c, stored)
		}
		if err == nil {
			confirmed = append(confirmed, c)
		}
		return err
	})
	first.kill()
	u.holder.release()

	second, _ := u.begin(30)
	second.kill()
	u.holder.release()
	c, err := u.confirmed()
	if err != nil || c < confirmed[0] {
		t.Fatalf("the second run has left a state with %d events confirmed, the first had %v: %v", c, confirmed, err)
	}
	confirmed = append(confirmed, c)

	before := u.told("duplicate")
	last := u.finish()
	if last.Sent != n-c || last.Accepted+last.Duplicates != last.Sent {
		t.Errorf("%d events were confirmed; the last run is %+v, want the other %d sent, each accepted or a duplicate", c, last, n-c)
	}
	if duplicates := u.told("duplicate") - before; last.Duplicates == 0 || last.Accepted == 0 || duplicates != last.Duplicates {
		t.Errorf("the last run tells of %d duplicates, the gateway of %d, want as many and more than none", last.Duplicates, duplicates)
	}
	t.Logf("confirmed when killed: %v; the last run: %+v", confirmed, last)
	u.check()
}
