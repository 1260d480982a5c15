package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// step is one command of the tour, and what it is said to print.
type step struct {
	command string
	want    []string
}

// tour returns the commands of the README's console blocks, in order.
func tour(t *testing.T) (steps []step) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{command: line[2:]})
		default:
			last := &steps[len(steps)-1]
			last.want = append(last.want, line)
		}
	}
	return steps
}

// TestTheReadmeTourIsTrue runs the README's tour in one shell and compares what
// it prints, line by line; … in the README stands for anything.
func TestTheReadmeTourIsTrue(t *testing.T) {
	for _, port := range []string{"8080", "8081"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("the tour needs port %s: %v", port, err)
		}
		l.Close()
	}
	steps := tour(t)
	if len(steps) < 10 {
		t.Fatalf("the README has only %d commands", len(steps))
	}
	const mark = "--- step"
	script := "shopt -s expand_aliases\nset -m\n"
	for i, s := range steps {
		script += fmt.Sprintf("echo '%s %d'\n%s\n", mark, i, s.command)
	}
	dir := t.TempDir()
	// From its standard input the shell reads line by line, as from a terminal: an
	// alias holds from the next line on.
	bash := exec.Command("bash", "--norc")
	bash.Dir = dir
	bash.Stdin = strings.NewReader(script)
	bash.Env = append(os.Environ(), "PATH="+filepath.Dir(sluicePath)+":"+os.Getenv("PATH"), "SLUICE_KEY=")
	var out, errs bytes.Buffer
	bash.Stdout, bash.Stderr = &out, &errs
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- bash.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the shell ended with %v\n%s", err, errs.String())
		}
	case <-time.After(2 * time.Minute):
		bash.Process.Kill()
		t.Fatalf("the tour did not end\n%s\n%s", out.String(), errs.String())
	}
	got := strings.Split(out.String(), mark)[1:]
	if len(got) != len(steps) {
		t.Fatalf("%d of %d commands ran\n%s\n%s", len(got), len(steps), out.String(), errs.String())
	}
	for i, s := range steps {
		_, printed, _ := strings.Cut(got[i], "\n")
		compare(t, s, strings.Split(strings.TrimSuffix(printed, "\n"), "\n"))
	}
	if t.Failed() {
		t.Logf("on the error stream:\n%s", errs.String())
	}
}

// compare holds what a command printed against what the README says.
func compare(t *testing.T, s step, printed []string) {
	t.Helper()
	if len(printed) == 1 && printed[0] == "" {
		printed = nil
	}
	for i := range max(len(printed), len(s.want)) {
		var got, want string
		if i < len(printed) {
			got = printed[i]
		}
		if i < len(s.want) {
			want = s.want[i]
		}
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("$ %s\nline %d\n got: %s\nwant: %s", s.command, i+1, got, want)
		}
	}
}
