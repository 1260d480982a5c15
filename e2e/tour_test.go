package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatalf("the tour needs port %s, and something else has it: stop that first (%v)", port, err)
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
	dir, path := t.TempDir(), t.TempDir()
	if err := os.Symlink(sluicePath, filepath.Join(path, "sluice")); err != nil {
		t.Fatal(err)
	}
	// From its standard input the shell reads line by line, as from a terminal: an
	// alias holds from the next line on.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "--norc")
	bash.Dir = dir
	bash.Stdin = strings.NewReader(script)
	bash.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "SLUICE_KEY=")
	// The gateway that the tour starts has the shell's session, and must not
	// survive a tour that went wrong.
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	bash.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	bash.Stdout, bash.Stderr = &out, &errs
	t.Cleanup(func() { endSession(t, bash.Process) })
	if err := bash.Run(); err != nil {
		t.Errorf("the shell ended with %v\n%s", err, errs.String())
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

// endSession kills what is left of the session that leader began.
func endSession(t *testing.T, leader *os.Process) {
	if leader == nil {
		return
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Error(err)
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid pgrp session …
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && len(fields) > 3 && fields[3] == strconv.Itoa(leader.Pid) && fields[0] != "Z" {
			t.Errorf("process %d of the tour was still running", pid)
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// compare holds what a command printed against what the README says.
func compare(t *testing.T, s step, printed []string) {
	t.Helper()
	if len(printed) == 1 && printed[0] == "" {
		printed = nil
	}
	same := len(printed) == len(s.want)
	var diff strings.Builder
	for i := range max(len(printed), len(s.want)) {
		switch {
		case i >= len(printed):
			fmt.Fprintf(&diff, "- %s\n", s.want[i])
		case i >= len(s.want):
			fmt.Fprintf(&diff, "+ %s\n", printed[i])
		case !matches(s.want[i], printed[i]):
			same = false
			fmt.Fprintf(&diff, "- %s\n+ %s\n", s.want[i], printed[i])
		default:
			fmt.Fprintf(&diff, "  %s\n", printed[i])
		}
	}
	if !same {
		t.Errorf("not what the README says (-) is printed (+) by\n$ %s\n%s", s.command, diff.String())
	}
}

// matches reports whether got is want, in which … stands for anything.
func matches(want, got string) bool {
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$"
	return regexp.MustCompile(pattern).MatchString(got)
}

func TestTheMatcherOfTheTourIsStrict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, got string
		match     bool
	}{
		{"a.c", "a.c", true},
		{"a.c", "abc", false},
		{"took=…", "took=3ms", true},
		{"took=… s", "took=3 ms", false},
		{"key …", "key", false},
		{"", " ", false},
		{"a", "a ", false},
	} {
		if matches(tc.want, tc.got) != tc.match {
			t.Errorf("%q against %q: want %v", tc.got, tc.want, tc.match)
		}
	}
}
