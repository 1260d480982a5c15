package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// busySend is a process that sends a file, with one request under way. It ends, with
// its work done, after release.
func busySend(t *testing.T, g *fakeGateway, args ...string) (pid int, release func() error, kill func()) {
	t.Helper()
	if errors.Is(flockOf(t), errors.ErrUnsupported) {
		t.Skip("this system has no locks")
	}
	arrived, answer := make(chan struct{}), make(chan struct{})
	var first sync.Once
	g.behave(func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		first.Do(func() { close(arrived) })
		<-answer
		return false
	})
	cmd, stderr := sendProcess(t, append([]string{"--concurrency=1"}, args...)...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	open := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(func() {
		open()
		cmd.Process.Kill()
	})
	select {
	case <-arrived:
	case err := <-ended:
		t.Fatalf("it ended: %v\n%s", err, stderr)
	}
	g.behave(nil)
	return cmd.Process.Pid, func() error { open(); return <-ended }, func() { cmd.Process.Kill(); <-ended; open() }
}

func flockOf(t *testing.T) error {
	t.Helper()
	l, err := takeLock(filepath.Join(t.TempDir(), "lock"), flock)
	if err == nil {
		l.release()
	}
	return err
}

// left returns the files there are beside path that begin with its name.
func left(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(path + "?*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSendOfAFileThatIsBeingSentIsRefused(t *testing.T) {
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(mixed(10), "\n"))
	errorsFile := writeFile(t, "errors.ndjson", "of the first\n")
	pid, release, _ := busySend(t, g, "--url", g.URL, file)
	r := runSend(t, nil, "--url", g.URL, "--errors", errorsFile, file)
	want := fmt.Sprintf("process %d is sending from the same state file (it has locked %s)", pid, file+stateSuffix+lockSuffix)
	if r.exit != exitFailed || !strings.Contains(r.stderr, want) {
		t.Errorf("exit %d, want 1 and %q:\n%s", r.exit, want, r.stderr)
	}
	g.mu.Lock()
	if g.requests != 1 {
		t.Errorf("%d requests: the second process has sent", g.requests)
	}
	g.mu.Unlock()
	if b, err := os.ReadFile(errorsFile); err != nil || string(b) != "of the first\n" {
		t.Errorf("the second process has touched the errors: %q %v", b, err)
	}
	if found := left(t, file); len(found) != 2 {
		t.Errorf("beside the file are %v, and not a state and a lock", found)
	}
	if err := release(); err != nil {
		t.Errorf("the first process: %v", err)
	}
	if found := left(t, file); found != nil {
		t.Errorf("left behind: %v", found)
	}
}

func TestSendOfAFileThatIsBeingSentElsewhereGoesOn(t *testing.T) {
	for _, tc := range []struct{ name, state string }{
		{"with another state file", filepath.Join(t.TempDir(), "state")},
		{"without a state", "off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
			_, release, _ := busySend(t, g, "--url", g.URL, file)
			if r := runSend(t, nil, "--url", g.URL, "--state", tc.state, file); r.exit != exitDone || r.Accepted+r.Duplicates != 10 {
				t.Errorf("%+v\n%s", r, r.stderr)
			}
			if err := release(); err != nil {
				t.Errorf("the first process: %v", err)
			}
		})
	}
}

func TestALockEndsWithItsProcess(t *testing.T) {
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
	_, _, kill := busySend(t, g, "--url", g.URL, file)
	kill()
	if found := left(t, file); len(found) != 2 {
		t.Fatalf("a killed process has left %v, and not a state and a lock: nothing is tested", found)
	}
	// A glob that takes in what was left behind is no obstacle either.
	if r := runSend(t, nil, "--url", g.URL, file+"*"); r.exit != exitDone || r.Accepted+r.Duplicates != 10 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
	if found := left(t, file); found != nil {
		t.Errorf("left behind: %v", found)
	}
}

func TestALockIsGivenBackByARunThatFails(t *testing.T) {
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
	for range 2 {
		if r := runSend(t, nil, "--url", g.URL, "--key=wrong", file); r.exit != exitFailed || !strings.Contains(r.stderr, "401") {
			t.Errorf("%+v\n%s", r, r.stderr)
		}
		if found := left(t, file); found != nil {
			t.Errorf("left behind: %v", found)
		}
	}
}

func TestSendWithoutLocks(t *testing.T) {
	for _, tc := range []struct {
		name, says string
		err        error
		exit       int
		args       []string
	}{
		{"a system that has none: said, and sent", "would not be noticed", errors.ErrUnsupported, exitDone, nil},
		{"one that cannot be had, beside the file: sent without a state", "sending can not be resumed", os.ErrPermission, exitDone, nil},
		{"one that cannot be had, of a state that was asked for: not sent", "cannot be locked", os.ErrPermission, exitFailed,
			[]string{"--state", filepath.Join(t.TempDir(), "state")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
			s, out := prepareSend(t, nil, append(tc.args, "--url", g.URL, file)...)
			s.flock = func(*os.File) error { return tc.err }
			if exit := finish(s.std, s.run(t.Context())); exit != tc.exit || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d and %q:\n%s", exit, tc.exit, tc.says, out)
			}
			if (len(g.stored) == 10) != (tc.exit == exitDone) {
				t.Errorf("%d events stored", len(g.stored))
			}
			if _, err := os.Stat(file + stateSuffix); err == nil {
				t.Error("a state is left behind")
			}
		})
	}
}

// TestALockHasOneOwner has many take and give back one lock, which makes and
// removes its file all the time.
func TestALockHasOneOwner(t *testing.T) {
	if errors.Is(flockOf(t), errors.ErrUnsupported) {
		t.Skip("this system has no locks")
	}
	path := filepath.Join(t.TempDir(), "lock")
	var owners, taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for taken.Load() < 500 {
				l, err := takeLock(path, flock)
				var locked *lockedError
				if errors.As(err, &locked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := owners.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				taken.Add(1)
				owners.Add(-1)
				l.release()
			}
		})
	}
	all.Wait()
	if found := left(t, strings.TrimSuffix(path, "k")); found != nil {
		t.Errorf("left behind: %v", found)
	}
}

func TestSendDoesNotGoOnFromAStateThatItCannotKeep(t *testing.T) {
	g := newFakeGateway(t)
	file := writeFile(t, "a.ndjson", strings.Join(mixed(1000), "\n"))
	interrupted(t, g, "--url", g.URL, "--batch=10", file)
	before := g.requests
	s, out := prepareSend(t, nil, "--url", g.URL, file)
	s.flock = func(*os.File) error { return os.ErrPermission }
	if exit := finish(s.std, s.run(t.Context())); exit != exitFailed || g.requests != before || !strings.Contains(out.String(), "cannot be locked") {
		t.Errorf("exit %d, %d requests:\n%s", exit, g.requests-before, out)
	}
}
