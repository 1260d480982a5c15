package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sluice/bench/result"
)

// A Probe tells how the server is. One goroutine calls Look.
type Probe interface {
	// Look returns what is so now. It takes at most a second.
	Look(ctx context.Context) (Figures, error)
}

// Figures are what a server has used up to a moment.
type Figures struct {
	CPU         time.Duration
	RSS         uint64
	Goroutines  int
	Files       int
	CreditShare float64            // of the fullest tenant, 0 to 1
	Mailboxes   map[string]float64 // messages waiting, by stage
}

// watched is a server while it is measured.
type watched struct {
	probe Probe

	last, lastAt         Figures // of the last two looks
	at, before           time.Time
	seen                 bool
	first                Figures // at the start of what is measured
	final                Figures
	rss                  uint64
	goroutines, files    int
	credit               float64
	measuring, available bool
}

// look asks the server. One that does not answer has no figures for that moment.
func (w *watched) look(ctx context.Context) {
	w.seen = false
	if w.probe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	f, err := w.probe.Look(ctx)
	if err != nil {
		return
	}
	w.lastAt, w.before = w.last, w.at
	w.last, w.at, w.seen = f, time.Now(), true
	if w.measuring {
		w.rss, w.goroutines, w.files = max(w.rss, f.RSS), max(w.goroutines, f.Goroutines), max(w.files, f.Files)
		w.credit = max(w.credit, f.CreditShare)
	}
}

func (w *watched) begin() {
	w.measuring, w.available, w.first = true, w.seen, w.last
}

func (w *watched) end() {
	w.measuring, w.final = false, w.last
}

// fill puts the last look into a sample.
func (w *watched) fill(s *result.Sample) {
	if !w.seen {
		return
	}
	if span := w.at.Sub(w.before).Seconds(); !w.before.IsZero() && span > 0 {
		s.ServerCPU = (w.last.CPU - w.lastAt.CPU).Seconds() / span
	}
	s.ServerRSS, s.CreditShare, s.Mailboxes = w.last.RSS, w.last.CreditShare, w.last.Mailboxes
}

// result is nil for a server that did not answer at the start.
func (w *watched) result(accepted uint64) *result.Server {
	if !w.available {
		return nil
	}
	s := &result.Server{
		CPUSeconds: (w.final.CPU - w.first.CPU).Seconds(), RSSMax: w.rss, GoroutinesMax: w.goroutines,
		FilesMax: w.files, CreditShareMax: w.credit,
	}
	if accepted > 0 {
		s.CPUPerEvent = s.CPUSeconds * 1e6 / float64(accepted)
	}
	return s
}

// AdminProbe asks the metrics of a sluice admin port.
type AdminProbe struct {
	URL    string // of the admin port
	Token  string // of the admin port; empty: none
	Client *http.Client
}

// maxMetrics bounds what is read of the metrics.
const maxMetrics = 32 << 20

// Look implements Probe.
func (p *AdminProbe) Look(ctx context.Context) (Figures, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(p.URL, "/")+"/metrics", nil)
	if err != nil {
		return Figures{}, err
	}
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return Figures{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Figures{}, fmt.Errorf("%s answers %s", req.URL, resp.Status)
	}
	return readMetrics(io.LimitReader(resp.Body, maxMetrics))
}

// readMetrics reads the Prometheus text format, as far as its figures are looked
// at here.
func readMetrics(r io.Reader) (Figures, error) {
	f := Figures{Mailboxes: map[string]float64{}}
	inUse, limit := map[string]float64{}, map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "sluice_credits_") && !strings.HasPrefix(line, "sluice_mailbox_") &&
			!strings.HasPrefix(line, "process_") && !strings.HasPrefix(line, "go_goroutines") {
			continue
		}
		series, text, ok := strings.Cut(line, " ")
		if i := strings.LastIndexByte(line, '}'); i >= 0 {
			series, text, ok = line[:i+1], strings.TrimSpace(line[i+1:]), true
		}
		v, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			continue
		}
		name, labels, _ := strings.Cut(series, "{")
		switch name {
		case "process_cpu_seconds_total":
			f.CPU = time.Duration(v * float64(time.Second))
		case "process_resident_memory_bytes":
			f.RSS = uint64(v)
		case "process_open_fds":
			f.Files = int(v)
		case "go_goroutines":
			f.Goroutines = int(v)
		case "sluice_credits_in_use":
			inUse[labels] = v
		case "sluice_credits_limit":
			limit[labels] = v
		case "sluice_mailbox_depth":
			f.Mailboxes[label(labels, "stage")] += v
		}
	}
	for k, v := range inUse {
		if limit[k] > 0 {
			f.CreditShare = max(f.CreditShare, v/limit[k])
		}
	}
	return f, lines.Err()
}

// label returns the value of a label; those that are looked for need no escapes.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
