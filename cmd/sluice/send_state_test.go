package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// mixed makes n events of which every other one has an id.
func mixed(n int) []string {
	with, without := lines(n, true), lines(n, false)
	for i := 1; i < n; i += 2 {
		with[i] = without[i]
	}
	return with
}

// onceEach fails the test unless every event of 0 to n-1 is stored once, but
// for those that may be missing because their outcome is not known.
func onceEach(t *testing.T, g *fakeGateway, n int, unknown int64) {
	t.Helper()
	times := map[int]int{}
	for _, seq := range g.seqs() {
		if times[seq]++; times[seq] > 1 {
			t.Fatalf("event %d is stored twice", seq)
		}
	}
	if missing := n - len(times); int64(missing) > unknown {
		t.Fatalf("%d events are missing, and %d are reported as unknown", missing, unknown)
	}
}

func TestSendIsResumedAfterAnInterrupt(t *testing.T) {
	array := func(l []string) string { return "[" + strings.Join(l, ",\n") + "]" }
	ndjson := func(l []string) string { return strings.Join(l, "\n\n") }
	for _, tc := range []struct {
		name, file string
		content    func([]string) string
		args       []string
	}{
		{"NDJSON", "a.ndjson", ndjson, nil},
		{"a JSON array", "a.json", array, nil},
		{"several lanes", "a.ndjson", ndjson, []string{"--concurrency=8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const n = 1000
			g := newFakeGateway(t)
			file := writeFile(t, tc.file, tc.content(mixed(n)))
			args := append([]string{"--url", g.URL, "--batch=20", file}, tc.args...)
			skipped := int64(0)
			for run := 1; ; run++ {
				ctx, interrupt := context.WithCancel(t.Context())
				g.behave(func(k int, _ http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
					if k%9 == 0 {
						interrupt()
					}
					return false
				})
				r := runSendUntil(t, ctx, nil, args...)
				interrupt()
				if r.Duplicates != 0 || r.Failed != 0 || r.Skipped < skipped && tc.file == "a.json" {
					t.Fatalf("run %d: %+v\n%s", run, r, r.stderr)
				}
				skipped = r.Skipped
				if r.Complete {
					if r.exit != 0 || run < 3 {
						t.Fatalf("run %d: %+v\n%s", run, r, r.stderr)
					}
					break
				}
				if r.exit != 1 || !strings.Contains(r.stderr, "run the same command again: what is confirmed is in "+file+stateSuffix) {
					t.Fatalf("run %d: %+v\n%s", run, r, r.stderr)
				}
			}
			if onceEach(t, g, n, 0); len(g.stored) != n {
				t.Fatalf("%d stored", len(g.stored))
			}
			if _, err := os.Stat(file + stateSuffix); !os.IsNotExist(err) {
				t.Errorf("the state is left behind: %v", err)
			}
		})
	}
}

// sendProcess starts `sluice send` as a process of its own.
func sendProcess(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"--key=key", "--json"}, args...)...)
	cmd.Env = append(os.Environ(), "SLUICE_TEST_SEND=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stderr
}

// TestSendIsResumedAfterAKill kills the process in the middle, with requests
// under way that were stored and not answered, again and again.
func TestSendIsResumedAfterAKill(t *testing.T) {
	const n, rounds = 2000, 4
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(mixed(n), "\n"))
	errorsFile := filepath.Join(t.TempDir(), "errors.ndjson")
	args := []string{"--url", g.URL, "--batch=20", "--concurrency=4", "--errors", errorsFile, file}
	for range rounds {
		kill, gone := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var served atomic.Int64
		g.behave(func(_ int, _ http.ResponseWriter, _ []postedEvent, store func() []postedResult) bool {
			if served.Add(1) <= 15 {
				return false
			}
			store()
			once.Do(func() { close(kill) })
			<-gone // without an answer
			return true
		})
		cmd, stderr := sendProcess(t, args...)
		select {
		case <-kill:
		case <-time.After(20 * time.Second):
			t.Error("it did not come so far")
		}
		cmd.Process.Kill()
		cmd.Wait()
		close(gone)
		if t.Failed() {
			t.Fatal(stderr)
		}
	}
	g.behave(nil)
	r := runSend(t, nil, args...)
	b, _ := os.ReadFile(errorsFile)
	g.Close() // no request is under way any more
	unknown := int64(bytes.Count(b, []byte(`"code":"outcome_unknown"`)))
	onceEach(t, g, n, unknown)
	if !r.Complete || unknown == 0 || r.exit != 1 || unknown > rounds*4*20 {
		t.Fatalf("%d unknown, %+v\n%s", unknown, r, r.stderr)
	}
}

func TestSendEndsAtOnceAtTheSecondInterrupt(t *testing.T) {
	g := newFakeGateway(t)
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	t.Cleanup(func() { close(release) })
	g.behave(func(_ int, _ http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
		arrived <- struct{}{}
		<-release
		return true
	})
	file := writeFile(t, "a.ndjson", strings.Join(mixed(100), "\n"))
	cmd, stderr := sendProcess(t, "--url", g.URL, "--timeout=1h", file)
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case <-ended:
			if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "interrupt again to end at once") {
				t.Errorf("exit %d\n%s", cmd.ProcessState.ExitCode(), stderr)
			}
			if _, err := os.Stat(file + stateSuffix); err != nil {
				t.Error(err)
			}
			return
		case <-tick.C:
			cmd.Process.Signal(syscall.SIGINT)
		case <-deadline:
			cmd.Process.Kill()
			t.Fatal("it did not end")
		}
	}
}

// interrupted sends a file and stops after some of it.
func interrupted(t *testing.T, g *fakeGateway, args ...string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	g.behave(func(k int, _ http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
		interrupt()
		return false
	})
	if r := runSendUntil(t, ctx, nil, args...); r.exit != 1 || r.Complete {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
	g.behave(nil)
}

func TestSendRefusesAStateThatIsOfSomethingElse(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		args       []string
		change     func(file string) error
	}{
		{"the file was changed", "was changed after a part of it was sent", nil, func(file string) error {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				f.WriteString("\n{}")
				err = f.Close()
			}
			return err
		}},
		{"the file was touched", "was changed after a part of it was sent", nil, func(file string) error {
			return os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour))
		}},
		{"another tenant's key", "is of sending to", []string{"--key=other"}, nil},
		{"another gateway", "is of sending to", []string{"--url=http://127.0.0.1:1"}, nil},
		{"another way to count events", "--max-event=100", []string{"--max-event=100"}, nil},
		{"the state is damaged", "is not a state file", nil, func(file string) error {
			return os.WriteFile(file+stateSuffix, []byte("{"), 0o600)
		}},
		{"the state is of another version", "is not a state file of this version", nil, func(file string) error {
			return os.WriteFile(file+stateSuffix, []byte(`{"version":99}`), 0o600)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			file := writeFile(t, "a.ndjson", strings.Join(lines(1000, true), "\n"))
			interrupted(t, g, "--url", g.URL, "--batch=10", file)
			if tc.change != nil {
				if err := tc.change(file); err != nil {
					t.Fatal(err)
				}
			}
			before := g.requests
			r := runSend(t, nil, append([]string{"--url", g.URL, file}, tc.args...)...)
			if r.exit == 0 || !strings.Contains(r.stderr, tc.want) || g.requests != before {
				t.Errorf("exit %d, %d requests: %s", r.exit, g.requests-before, r.stderr)
			}
		})
	}
}

func TestSendStateHoldsSeveralFilesAndNoKey(t *testing.T) {
	g := newFakeGateway(t)
	a := writeFile(t, "a.ndjson", strings.Join(lines(50, true), "\n"))
	b := writeFile(t, "b.ndjson", strings.ReplaceAll(strings.Join(lines(1000, true), "\n"), `"e`, `"b`))
	state := filepath.Join(t.TempDir(), "state")
	// The file b follows a, whose 50 events are long confirmed by its end.
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	g.behave(func(k int, _ http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
		if strings.HasPrefix(fmt.Sprint(events[0].ID), "b") && k > 20 {
			interrupt()
		}
		return false
	})
	args := []string{"--url", g.URL, "--batch=10", "--state", state, a, b}
	if r := runSendUntil(t, ctx, nil, args...); r.exit != 1 || !strings.Contains(r.stderr, state) {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
	g.behave(nil)
	content, err := os.ReadFile(state)
	if err != nil || bytes.Contains(content, []byte("key=key")) || bytes.Contains(content, []byte(`"key"`)) {
		t.Fatalf("%s %v", content, err)
	}
	var saved savedState
	if err := json.Unmarshal(content, &saved); err != nil || len(saved.Files) != 2 || !saved.Files[0].Complete || saved.Files[1].Complete {
		t.Fatalf("%s %v", content, err)
	}
	if r := runSend(t, nil, args...); r.exit != 0 || r.Duplicates != 0 || len(g.stored) != 1050 {
		t.Fatalf("%d stored, %+v\n%s", len(g.stored), r, r.stderr)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Error("the state is left behind")
	}
}

func TestSendLeavesNoStateWhereNothingWasSent(t *testing.T) {
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(mixed(1000), "\n"))
	if r := runSend(t, nil, "--url", g.URL, "--key=wrong", file); r.exit != 1 || !strings.Contains(r.stderr, "401 unknown_key") || strings.Contains(r.stderr, "run the same command again") {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
	if r := runSend(t, nil, "--url", g.URL, file); r.exit != 0 || r.Accepted != 1000 {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
}

func TestSendRemembersWhatAnEarlierRunCouldNotSend(t *testing.T) {
	g := newFakeGateway(t)
	g.reject = func(e postedEvent) string {
		if e.Seq == 0 {
			return "missing_field"
		}
		return ""
	}
	file := writeFile(t, "a.ndjson", strings.Join(lines(1000, true), "\n"))
	errorsFile := filepath.Join(t.TempDir(), "errors")
	args := []string{"--url", g.URL, "--batch=10", "--concurrency=1", "--errors", errorsFile, file}
	interrupted(t, g, args...)
	r := runSend(t, nil, args...)
	b, err := os.ReadFile(errorsFile)
	if r.exit != 1 || r.Earlier != 1 || r.Rejected != 0 || !r.Complete || err != nil || bytes.Count(b, []byte(`"code":"missing_field"`)) != 1 {
		t.Errorf("%+v\n%s\n%s", r, r.stderr, b)
	}
}

func TestSendWithoutAPlaceForItsState(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may write anywhere: a folder that is not there does for both.
		t.Log("as root only --state is tried")
	} else {
		g := newFakeGateway(t)
		file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
		if err := os.Chmod(filepath.Dir(file), 0o500); err != nil {
			t.Fatal(err)
		}
		if r := runSend(t, nil, "--url", g.URL, file); r.exit != 0 || !strings.Contains(r.stderr, "sending can not be resumed") {
			t.Errorf("%+v\n%s", r, r.stderr)
		}
	}
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
	if r := runSend(t, nil, "--url", g.URL, "--state", filepath.Join(file, "state"), file); r.exit != 1 || g.requests != 0 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
}

func TestRanges(t *testing.T) {
	r := rangesOf([]uint64{7, 3, 4, 5, 9, 10})
	if fmt.Sprint(r) != "[[3 6] [7 8] [9 11]]" {
		t.Fatal(r)
	}
	for n, want := range map[uint64]bool{0: false, 2: false, 3: true, 5: true, 6: false, 7: true, 8: false, 10: true, 11: false} {
		if r.has(n) != want {
			t.Errorf("%d: %v", n, !want)
		}
	}
	if rangesOf(nil).has(0) {
		t.Error("nothing has no events")
	}
}
