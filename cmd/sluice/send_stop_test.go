package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// prepareSend is a `sluice send` with the key of fake gateways that can be
// stopped at a moment of the test's choice.
func prepareSend(t *testing.T, in io.Reader, args ...string) (*sender, *bytes.Buffer) {
	t.Helper()
	cmd, err := parseSend(append([]string{"--key=key"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := cmd.prepare(stdio{In: in, Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	return s, &out
}

// TestSendIsInterruptedAtTheEnd interrupts while a request is under way. Ten
// events of a file go in requests of five, one after the other.
func TestSendIsInterruptedAtTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request int                      // the interrupt is in this one
		reject  func(postedEvent) string // as of a fakeGateway
		exit    int
		says    string
		resumes bool
	}{
		{"all accepted by the last answer: it has done its work", 2, nil, exitDone, "10 events sent, 10 accepted", false},
		{"one rejected by the last answer: it has done its work, and says so", 2, func(e postedEvent) string {
			if e.Seq == 9 {
				return "missing_field"
			}
			return ""
		}, exitFailed, "10 events sent, 9 accepted, 1 rejected", false},
		{"one to be sent again: it was interrupted", 2, func(e postedEvent) string {
			if e.Seq == 9 {
				return "failed user_limit"
			}
			return ""
		}, exitFailed, "sluice: interrupted", true},
		{"a request was still to come: it was interrupted", 1, nil, exitFailed, "sluice: interrupted", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			g.reject = tc.reject
			file := writeFile(t, "a.ndjson", strings.Join(lines(10, true), "\n"))
			s, out := prepareSend(t, nil, "--url", g.URL, "--batch=5", "--concurrency=1", file)
			g.misbehave = func(n int, _ http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
				if n == tc.request {
					s.stop(errInterrupted)
				}
				return false
			}
			exit := finish(s.std, s.run(t.Context()))
			if exit != tc.exit || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d and %q:\n%s", exit, tc.exit, tc.says, out)
			}
			if _, err := os.Stat(file + stateSuffix); (err == nil) != tc.resumes {
				t.Errorf("of the state: %v", err)
			}
		})
	}
}

// TestSendOfASilentStreamIsInterrupted has an input that gives nothing, or no
// more: there is nothing to wait for.
func TestSendOfASilentStreamIsInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name, begins string
		accepted     int
	}{
		{"not a byte", "", 0},
		{"not enough to tell its format", "{", 0},
		{"some events", strings.Join(lines(3, true), "\n") + "\n", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			stored := make(chan struct{}, tc.accepted)
			g.reject = func(postedEvent) string {
				stored <- struct{}{}
				return ""
			}
			in, input := io.Pipe()
			t.Cleanup(func() { input.Close() })
			s, out := prepareSend(t, in, "--url", g.URL, "-")
			ended := make(chan int, 1)
			go func() { ended <- finish(s.std, s.run(t.Context())) }()
			if _, err := io.WriteString(input, tc.begins); err != nil { // returns when all was read
				t.Fatal(err)
			}
			for range tc.accepted {
				<-stored
			}
			s.stop(errInterrupted)
			if exit := <-ended; exit != exitFailed || !strings.Contains(out.String(), "sluice: interrupted") {
				t.Errorf("exit %d:\n%s", exit, out)
			}
		})
	}
}
