package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sluice/bench/result"
)

// Table writes what r came to for a person at a terminal. What spoils it stands
// above the figures.
func Table(w io.Writer, r *result.Run) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n%s\n%s\n", Clean(r.Scenario), Lead(r), strings.Join(how(r), " · "), strings.Join(machine(&r.Machine), " · "))
	for _, warning := range Warnings(r) {
		fmt.Fprintf(&b, "WARNING: %s\n", warning)
	}
	b.WriteByte('\n')
	events(r).write(&b)
	b.WriteByte('\n')
	times(r).write(&b)
	b.WriteByte('\n')
	for _, f := range findings(r) {
		fmt.Fprintf(&b, "%-10s %s\n", f.Name, f.Text)
		for _, line := range f.Lines {
			fmt.Fprintf(&b, "%-10s %s\n", "", line)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// grid is a table: a head and rows of as many cells. The first column is words, on
// the left; the others are figures, on the right.
type grid [][]string

func (g grid) write(b *bytes.Buffer) {
	widths := make([]int, len(g[0]))
	for _, row := range g {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// events is what became of them.
func events(r *result.Run) grid {
	t := &r.Totals
	perSecond := func(n uint64) string { return Rate(over(float64(n), r.Seconds)) }
	g := grid{{"EVENTS", "COUNT", "SHARE", "EVENTS/S", "BODIES"},
		{"sent in " + plural(t.Requests, "request"), Count(t.Sent), "", perSecond(t.Sent), megabytes(t.BytesPerS)}}
	for _, o := range outcomes(t) {
		rate := perSecond(o.N)
		if o.Name == "accepted" {
			rate = Rate(t.EventsPerS)
		}
		g = append(g, []string{o.Name, Count(o.N), percent(share(o.N, due(t))), rate, ""})
	}
	return g
}

// times is the latency of everything, of each phase and of each tenant.
func times(r *result.Run) grid {
	g := grid{{"LATENCY", "WANTED/S", "ACCEPTED/S", "NOT TAKEN", "P50", "P90", "P99", "P99.9", "P99.99", "MAX"}}
	add := func(name string, offered float64, t *result.Totals, l *result.Latency) {
		wanted := ""
		if offered > 0 {
			wanted = Rate(offered)
		}
		row := []string{name, wanted, Rate(t.EventsPerS), percent(share(refused(t)+t.Failed+t.Unknown+t.Unsent, due(t)))}
		for _, us := range []int64{l.P50, l.P90, l.P99, l.P999, l.P9999, l.Max} {
			if l.Count == 0 {
				row = append(row, "-")
				continue
			}
			row = append(row, Micros(float64(us)))
		}
		g = append(g, row)
	}
	add("the whole run", r.Load.Rate, &r.Totals, &r.Latency)
	for i := range r.Phases {
		p := &r.Phases[i]
		add("phase "+Clean(p.Name), p.Offered, &p.Totals, &p.Latency)
	}
	for i := range r.Tenants {
		t := &r.Tenants[i]
		add("tenant "+Clean(t.Name), 0, &t.Totals, &t.Latency)
	}
	return g
}

// finding is something that was found out, with further lines.
type finding struct {
	Name, Text string
	Lines      []string
}

func findings(r *result.Run) []finding {
	var all []finding
	if k := r.Knee; k != nil {
		all = append(all, finding{Name: "knee", Text: knee(k)})
	}
	if s := r.Server; s != nil {
		all = append(all, finding{Name: "server", Text: fmt.Sprintf(
			"%s cores, %s of CPU an accepted event; at most %s of memory, %s, %s, %s of its credits",
			three(over(s.CPUSeconds, r.Seconds)), Micros(s.CPUPerEvent), MiB(s.RSSMax),
			plural(uint64(max(s.GoroutinesMax, 0)), "goroutine"), plural(uint64(max(s.FilesMax, 0)), "open file"), percent(s.CreditShareMax))})
	} else {
		all = append(all, finding{Name: "server", Text: "not watched: name its admin port with --admin"})
	}
	all = append(all, finding{Name: "generator", Text: generator(r)})
	if v := r.Verified; v != nil {
		f := finding{Name: "verified", Text: "in " + Clean(v.Sink) + ": " + verdict(v)}
		for _, e := range v.Examples {
			f.Lines = append(f.Lines, Clean(e))
		}
		return append(all, f)
	}
	return append(all, finding{Name: "verified", Text: "no: nothing was read back from the sink (--verify)"})
}

func knee(k *result.Knee) string {
	limit := Micros(float64(k.LimitP99))
	switch {
	case k.Rate == 0 && k.Above == 0:
		return "no rate was tried whose p99 could be held against " + limit
	case k.Rate == 0:
		return fmt.Sprintf("no rate that was tried has a p99 of at most %s; the lowest was %s events/s", limit, Rate(k.Above))
	case k.Above == 0:
		return fmt.Sprintf("%s events/s have a p99 of at most %s; no higher rate was tried", Rate(k.Rate), limit)
	}
	return fmt.Sprintf("%s events/s have a p99 of at most %s; %s events/s have not", Rate(k.Rate), limit, Rate(k.Above))
}

func generator(r *result.Run) string {
	g := &r.Generator
	cores := three(over(g.CPUSeconds, r.Seconds)) + " cores"
	if s := r.Server; s != nil && s.CPUSeconds > 0 {
		cores += fmt.Sprintf(" (%s of the server's)", percent(over(g.CPUSeconds, s.CPUSeconds)))
	}
	text := fmt.Sprintf("%s, %s of CPU an event sent; at most %s of memory", cores, Micros(g.CPUPerEvent), MiB(g.RSSMax))
	if r.Load.Loop == "open" {
		text += fmt.Sprintf("; 99 of 100 requests left less than %s late", Micros(float64(g.LateP99)))
	}
	if g.Limit > 0 {
		return text + fmt.Sprintf("; its own limit is %s events/s", Rate(g.Limit))
	}
	return text + "; its own limit was not measured"
}
