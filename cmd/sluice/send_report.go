package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"sluice/config"
)

const (
	shownErrors   = 10 // events that are named on the error stream
	progressEvery = 5 * time.Second
)

// sendSummary is what came of it, as --json prints it.
type sendSummary struct {
	Sent       int64   `json:"sent"`       // events that were in a request
	Accepted   int64   `json:"accepted"`   // and were new
	Duplicates int64   `json:"duplicates"` // and were stored before
	Rejected   int64   `json:"rejected"`   // and can never be accepted as they are; with those too large to send
	Failed     int64   `json:"failed"`     // not stored, or not known to be
	Retries    int64   `json:"retries"`    // requests that were repeated
	Refused    int64   `json:"refused"`    // answers 429 and 503
	Bytes      int64   `json:"bytes"`      // of the events sent
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"events_per_second"` // accepted and duplicates

	Skipped  int64 `json:"skipped"`              // confirmed by an earlier run
	Earlier  int64 `json:"earlier_not_accepted"` // rejected or failed in an earlier run
	Open     int64 `json:"open"`                 // read and without a result
	Complete bool  `json:"complete"`             // everything was read and has its result
}

// sendReport counts results, tells of them, and books them.
type sendReport struct {
	s       *sender
	started time.Time

	sent, bytes, fresh, duplicates, rejected, failed atomic.Int64
	retries, refused, skipped, brokenInputs          atomic.Int64

	mu       sync.Mutex // of the error stream and what follows
	errors   *os.File   // nil: none was asked for
	shown    int
	bar      *progressbar.ProgressBar // nil: not on a terminal
	lastWait time.Time
	failure  error // writing errors failed
}

func newSendReport(s *sender) (*sendReport, error) {
	r := &sendReport{s: s, started: time.Now()}
	if s.cmd.Errors != "" {
		// A run that goes on with an earlier one adds to what that found.
		mode := os.O_TRUNC
		if slices.ContainsFunc(s.inputs, func(in *sendInput) bool { return in.track.wasRead > 0 }) {
			mode = os.O_APPEND
		}
		f, err := os.OpenFile(s.cmd.Errors, os.O_CREATE|os.O_WRONLY|mode, 0o644)
		if err != nil {
			return nil, fmt.Errorf("--errors: %w", err)
		}
		r.errors = f
	}
	if s.tty != nil {
		total := int64(0)
		for _, in := range s.inputs {
			if in.size < 0 || total < 0 {
				total = -1
				continue
			}
			total += in.size
		}
		r.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(s.std.Err), progressbar.OptionShowBytes(true),
			progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return r, nil
}

// posted says that a request with the batch is on its way.
func (r *sendReport) posted(batch []*sendItem) {
	for _, item := range batch {
		if !item.sent {
			item.sent = true
			r.sent.Add(1)
			r.bytes.Add(int64(len(item.data)))
		}
	}
}

// accepted books an event as stored, whether new or not.
func (r *sendReport) accepted(item *sendItem) {
	item.in.track.settle(item, true)
	r.s.held.Release(item.weight)
}

func (r *sendReport) newAndDuplicates(fresh, duplicates int) {
	r.fresh.Add(int64(fresh))
	r.duplicates.Add(int64(duplicates))
}

// notAccepted books an event whose final result is outcome, rejected or failed.
func (r *sendReport) notAccepted(item *sendItem, outcome, code, message string) {
	if outcome == "rejected" {
		r.rejected.Add(1)
	} else {
		r.failed.Add(1)
	}
	r.tell(item, outcome, code, message)
	item.in.track.settle(item, false)
	r.s.held.Release(item.weight)
}

// ofRequest is where an error is in the body of a request, at the end of a
// message. The sender of a file looks for it in the file, whose line is told.
var ofRequest = regexp.MustCompile(` \(line \d+(, column \d+, byte offset \d+)?\)$`)

// tell writes an event that was not accepted to the errors file, and the first
// few to the error stream.
func (r *sendReport) tell(item *sendItem, outcome, code, message string) {
	message = ofRequest.ReplaceAllString(message, "")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.errors != nil && r.failure == nil {
		b, err := json.Marshal(struct {
			File    string `json:"file"`
			Line    int    `json:"line"`
			ID      string `json:"id,omitempty"`
			Outcome string `json:"outcome"`
			Code    string `json:"code"`
			Message string `json:"message"`
		}{item.in.name, item.start.Line, item.id, outcome, code, message})
		if err == nil {
			_, err = r.errors.Write(append(b, '\n'))
		}
		if r.failure = err; err != nil {
			go r.s.stop(fmt.Errorf("--errors: %w", err))
		}
	}
	if r.shown++; r.shown <= shownErrors {
		r.clear()
		fmt.Fprintf(r.s.std.Err, "%s:%d: %s: %s: %s\n", item.in.name, item.start.Line, outcome, code, message)
	}
	if r.shown == shownErrors+1 {
		r.clear()
		fmt.Fprintln(r.s.std.Err, "… and more: --errors FILE names every one")
	}
}

// broken says that an input cannot be read, or read any further.
func (r *sendReport) broken(in *sendInput, err error) {
	r.brokenInputs.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	fmt.Fprintf(r.s.std.Err, "%s: %v\n", in.name, err)
}

// waiting says why nothing happens.
func (r *sendReport) waiting(why string, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.s.cmd.Quiet || time.Since(r.lastWait) < progressEvery {
		return
	}
	r.lastWait = time.Now()
	r.clear()
	fmt.Fprintf(r.s.std.Err, "%s: trying again in %v\n", why, delay.Round(time.Millisecond))
}

// clear makes room for a line where the bar is.
func (r *sendReport) clear() {
	if r.bar != nil {
		r.bar.Clear() // an error stream that fails cannot be told about
	}
}

// progress shows how far it is, until ctx is over.
func (r *sendReport) progress(ctx context.Context) {
	if r.s.cmd.Quiet {
		return
	}
	every := progressEvery
	if r.bar != nil {
		every = 200 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.show()
		}
	}
}

func (r *sendReport) show() {
	read, total := int64(0), int64(0)
	for _, in := range r.s.inputs {
		n := in.read.Load()
		if in.track.complete() && in.size >= 0 {
			n = in.size
		}
		read += n
		if total >= 0 && in.size >= 0 {
			total += in.size
		} else {
			total = -1
		}
	}
	done := r.fresh.Load() + r.duplicates.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		r.bar.Describe(fmt.Sprintf("%d events", done))
		r.bar.Set64(read)
		return
	}
	of := ""
	if total > 0 {
		of = fmt.Sprintf(", %d %%", read*100/total)
	}
	fmt.Fprintf(r.s.std.Err, "%d events accepted, %.0f/s%s\n", done, float64(done)/time.Since(r.started).Seconds(), of)
}

func (r *sendReport) summary() sendSummary {
	sum := sendSummary{
		Sent: r.sent.Load(), Accepted: r.fresh.Load(), Duplicates: r.duplicates.Load(), Rejected: r.rejected.Load(), Failed: r.failed.Load(),
		Retries: r.retries.Load(), Refused: r.refused.Load(), Bytes: r.bytes.Load(), Skipped: r.skipped.Load(),
		Seconds: time.Since(r.started).Seconds(), Complete: r.brokenInputs.Load() == 0,
	}
	sum.PerSecond = float64(sum.Accepted+sum.Duplicates) / max(sum.Seconds, 1e-9)
	for _, in := range r.s.inputs {
		in.track.mu.Lock()
		sum.Open += int64(len(in.track.open))
		sum.Earlier += in.track.earlier
		in.track.mu.Unlock()
		sum.Complete = sum.Complete && in.track.complete()
	}
	return sum
}

// finish says what came of it, and leaves a state behind where there is more
// to do.
func (s *sender) finish() error {
	r := s.report
	sum := r.summary()
	var errs []error
	// An interrupt that came when nothing was left to do has changed nothing.
	if s.stopped() && !(sum.Complete && s.cause == errInterrupted) {
		errs = append(errs, s.cause)
	}
	if r.errors != nil {
		errs = append(errs, r.errors.Close())
	}
	kept := ""
	for _, store := range s.stores {
		if sum.Complete || store.untouched() {
			errs = append(errs, store.remove())
			continue
		}
		errs = append(errs, store.save())
		if kept == "" {
			kept = store.path
		}
	}
	r.clear()
	if s.cmd.JSON {
		errs = append(errs, s.std.json(sum))
	} else if !s.cmd.Quiet {
		sum.print(s.std.Out)
	}
	if kept != "" {
		fmt.Fprintf(s.std.Err, "To go on where this stopped, run the same command again: what is confirmed is in %s.\n", kept)
	}
	if err := errors.Join(errs...); err != nil {
		return &exitError{exitFailed, err}
	}
	if !sum.Complete || sum.Rejected+sum.Failed+sum.Earlier > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

func (sum sendSummary) print(w io.Writer) {
	parts := []string{fmt.Sprintf("%s sent", count(int(sum.Sent), "event"))}
	for _, p := range []struct {
		n    int64
		what string
	}{
		{sum.Accepted, "accepted"}, {sum.Duplicates, "duplicates"}, {sum.Rejected, "rejected"}, {sum.Failed, "failed"},
		{sum.Open, "without a result"}, {sum.Skipped, "confirmed earlier"}, {sum.Earlier, "not accepted earlier"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	fmt.Fprintf(w, "%s\n%s in %.1f s, %.0f events/s; %s, %d refused\n", strings.Join(parts, ", "),
		config.Size(sum.Bytes).About(), sum.Seconds, sum.PerSecond, count(int(sum.Retries), "repeated request"), sum.Refused)
}

// lockedWriter is a writer for many goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
