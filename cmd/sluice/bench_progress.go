package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"sluice/bench/load"
)

// benchProgress tells how a run goes: on a terminal one line that is written
// again every second, otherwise a line every five.
type benchProgress struct {
	out      io.Writer
	terminal bool
	calls    int
}

func newBenchProgress(out io.Writer) *benchProgress {
	f, ok := out.(*os.File)
	return &benchProgress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (b *benchProgress) show(p load.Progress) {
	b.calls++
	line := progressLine(p)
	switch {
	case b.terminal:
		fmt.Fprintf(b.out, "\r\x1b[K%s", line)
	case b.calls%5 == 0:
		fmt.Fprintln(b.out, line)
	}
}

// end leaves the cursor at the start of a line.
func (b *benchProgress) end() {
	if b.terminal && b.calls > 0 {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

func progressLine(p load.Progress) string {
	s := fmt.Sprintf("%5.0fs", p.At.Seconds())
	if p.Phase != "" {
		s += " " + p.Phase
	}
	s += fmt.Sprintf("  sent %.0f/s  accepted %.0f/s", p.Sent, p.Accepted)
	if p.Refused > 0 {
		s += fmt.Sprintf("  refused %.0f/s", p.Refused)
	}
	if p.Unknown > 0 {
		s += fmt.Sprintf("  unanswered %.0f/s", p.Unknown)
	}
	s += fmt.Sprintf("  p50 %s  p99 %s", shortTime(p.P50), shortTime(p.P99))
	if p.Backlog > 0 {
		s += fmt.Sprintf("  behind by %d events", p.Backlog)
	}
	return s
}

// shortTime is a time to three digits.
func shortTime(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}
