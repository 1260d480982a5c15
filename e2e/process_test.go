package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that is not itself measured: the
// machine may be busy with other tests.
const patience = 60 * time.Second

// process is a running `sluice serve`.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	log         logBuffer
	data, admin string        // host:port
	ended       chan struct{} // closed when it is no more
}

var serving = regexp.MustCompile(`msg=serving data=(\S+) admin=(\S+)`)

// serve starts sluice with the configuration file and returns when it serves.
// It is killed, if it still runs, when the test is over; its log is shown when
// the test failed.
func serve(t *testing.T, config string) *process {
	t.Helper()
	return serveBinary(t, sluicePath, config)
}

func serveBinary(t *testing.T, binary, config string) *process {
	t.Helper()
	p := start(t, exec.Command(binary, "serve", "-c", config))
	eventually(t, "sluice serves", func() error {
		if m := serving.FindStringSubmatch(p.log.String()); m != nil {
			p.data, p.admin = m[1], m[2]
			return nil
		}
		select {
		case <-p.ended:
			t.Fatalf("sluice ended with code %d instead of serving:\n%s", p.cmd.ProcessState.ExitCode(), p.log.String())
		default:
		}
		return errors.New("no line says so yet")
	})
	return p
}

// start starts cmd, whose error stream is its log.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		log := p.log.String()
		if strings.Contains(log, "DATA RACE") || strings.Contains(log, "\npanic: ") || strings.Contains(log, "fatal error: ") {
			t.Error("the process raced or panicked")
		}
		if t.Failed() {
			t.Logf("log of process %d:\n%s", cmd.Process.Pid, log)
		}
	})
	return p
}

// serveReady is serve and awaitReady.
func serveReady(t *testing.T, config string) *process {
	t.Helper()
	p := serve(t, config)
	p.awaitReady()
	return p
}

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// exits returns the exit code, which has to be there within the time.
func (p *process) exits(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.signal(syscall.SIGQUIT) // the log then says where it hangs
		<-p.ended
		p.t.Fatalf("still running %v later", within)
		return -1
	}
}

// stop ends the process as an operator does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exits(patience); code != 0 {
		p.t.Fatalf("stopped with exit code %d", code)
	}
}

// resident returns the memory of the process in bytes.
func (p *process) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// logBuffer keeps what a process says, for reading while it goes on.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// result is what a command that ended has left behind.
type result struct {
	code     int
	out, err string
}

// sluice runs a subcommand to its end, with env in its environment.
func sluice(t *testing.T, env []string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), sluicePath, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("sluice %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// eventually waits until try has no error any more. what says what is waited
// for, as a sentence.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	eventuallyWithin(t, patience, what, try)
}

func eventuallyWithin(t *testing.T, limit time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v later it is still not so that %s: %v", limit, what, err)
		}
		<-tick.C
	}
}

// write writes a file into a new directory of the test, and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
