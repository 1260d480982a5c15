package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// plot is one plot of the page. The page's script draws it from this, and knows of
// no plot by name.
type plot struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Text  string   `json:"text"`        // what it shows, for who does not see it
	X     []number `json:"x,omitempty"` // absent: the times of all samples
	Y     string   `json:"y"`           // how values are written: micros, rate, share, count, bytes, cores
	Log   bool     `json:"log,omitempty"`
	Lines []line   `json:"lines"`
}

type line struct {
	Name   string   `json:"name"`
	Values []number `json:"values"`
}

// plots returns all that r has figures for.
func plots(r *result.Run, samples []result.Sample) []plot {
	var all []plot
	if len(samples) > 0 {
		all = append(all, latencyPlot(samples))
	}
	if p, ok := percentilePlot(r); ok {
		all = append(all, p)
	}
	if len(samples) == 0 {
		return all
	}
	all = append(all, ratePlot(samples))
	if r.Server == nil {
		return all
	}
	all = append(all, creditPlot(samples))
	if names := stages(samples); len(names) > 0 {
		all = append(all, mailboxPlot(samples, names))
	}
	return append(all, cpuPlot(samples), memoryPlot(samples))
}

// of returns a line of what take takes from each sample.
func of(name string, samples []result.Sample, take func(*result.Sample) number) line {
	l := line{Name: name, Values: make([]number, len(samples))}
	for i := range samples {
		l.Values[i] = take(&samples[i])
	}
	return l
}

// spread returns the lowest and the highest value, and where this one is.
func (l line) spread() (low, high number, at int) {
	low, high = number(math.NaN()), number(math.NaN())
	for i, v := range l.Values {
		if math.IsNaN(float64(v)) {
			continue
		}
		if math.IsNaN(float64(low)) || v < low {
			low = v
		}
		if math.IsNaN(float64(high)) || v > high {
			high, at = v, i
		}
	}
	return low, high, at
}

func (l line) between(format func(float64) string) string {
	low, high, _ := l.spread()
	if math.IsNaN(float64(low)) {
		return l.Name + " without a value"
	}
	return fmt.Sprintf("%s from %s to %s", l.Name, format(float64(low)), format(float64(high)))
}

// sentence is text as one.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

func latencyPlot(samples []result.Sample) plot {
	p := plot{ID: "latency", Title: "Latency over time", Y: "micros", Log: true, Lines: []line{
		of("p50", samples, func(s *result.Sample) number { return someTime(s.P50) }),
		of("p99", samples, func(s *result.Sample) number { return someTime(s.P99) }),
		of("max", samples, func(s *result.Sample) number { return someTime(s.Max) }),
	}}
	_, _, at := p.Lines[2].spread()
	p.Text = fmt.Sprintf("%s, %s; the longest answer took %s, at %s.",
		p.Lines[0].between(Micros), p.Lines[1].between(Micros), Micros(float64(samples[at].Max)), seconds(samples[at].At))
	return p
}

// maxCurves is how many tenants have a percentile curve of their own.
const maxCurves = 5

func percentilePlot(r *result.Run) (plot, bool) {
	h, err := decode(&r.Latency)
	if err != nil || h.TotalCount() == 0 {
		return plot{}, false
	}
	p := plot{ID: "percentiles", Title: "Latency by percentile", Y: "micros", Log: true, X: quantiles(h.TotalCount())}
	p.Lines = []line{{"all", curve(h, p.X)}}
	p.Text = fmt.Sprintf("Half of the answers came within %s, 99 of 100 within %s, 999 of 1,000 within %s, all within %s.",
		Micros(float64(r.Latency.P50)), Micros(float64(r.Latency.P99)), Micros(float64(r.Latency.P999)), Micros(float64(r.Latency.Max)))
	for i := range min(len(r.Tenants), maxCurves) {
		if one, err := decode(&r.Tenants[i].Latency); err == nil && one.TotalCount() > 0 {
			p.Lines = append(p.Lines, line{"tenant " + Clean(r.Tenants[i].Name), curve(one, p.X)})
		}
	}
	return p, true
}

func ratePlot(samples []result.Sample) plot {
	p := plot{ID: "throughput", Title: "Events a second", Y: "rate", Lines: []line{
		of("sent", samples, func(s *result.Sample) number { return number(s.Sent) }),
		of("accepted", samples, func(s *result.Sample) number { return number(s.Accepted) }),
		of("refused", samples, func(s *result.Sample) number { return number(s.Refused) }),
	}}
	unknown := of("unknown", samples, func(s *result.Sample) number { return number(s.Unknown) })
	if _, most, _ := unknown.spread(); most > 0 {
		p.Lines = append(p.Lines, unknown)
	}
	for i, l := range p.Lines {
		p.Text += []string{"", ", "}[min(i, 1)] + l.between(Rate)
	}
	p.Text = sentence(p.Text)
	return p
}

func creditPlot(samples []result.Sample) plot {
	l := of("credits in use", samples, func(s *result.Sample) number { return number(s.CreditShare) })
	_, most, at := l.spread()
	return plot{ID: "credits", Title: "Credits in use, of the fullest tenant", Y: "share", Lines: []line{l},
		Text: fmt.Sprintf("At most %s of the budget was in flight, at %s.", percent(float64(most)), seconds(samples[at].At))}
}

func mailboxPlot(samples []result.Sample, names []string) plot {
	p := plot{ID: "mailboxes", Title: "Messages waiting in mailboxes", Y: "count"}
	fullest, most, at := "", number(-1), 0
	for _, stage := range names {
		l := of(Clean(stage), samples, func(s *result.Sample) number { return number(s.Mailboxes[stage]) })
		if _, high, i := l.spread(); high > most {
			fullest, most, at = l.Name, high, i
		}
		p.Lines = append(p.Lines, l)
	}
	p.Text = fmt.Sprintf("The most that waited were %s at %s, %s into the run.", plural(uint64(max(most, 0)), "message"), fullest, seconds(samples[at].At))
	return p
}

func cpuPlot(samples []result.Sample) plot {
	l := of("cores in use", samples, func(s *result.Sample) number { return number(s.ServerCPU) })
	return plot{ID: "cpu", Title: "Processors of the server", Y: "cores", Lines: []line{l}, Text: sentence(l.between(three))}
}

func memoryPlot(samples []result.Sample) plot {
	l := of("resident", samples, func(s *result.Sample) number {
		if s.ServerRSS == 0 {
			return number(math.NaN())
		}
		return number(s.ServerRSS)
	})
	return plot{ID: "memory", Title: "Memory of the server", Y: "bytes", Lines: []line{l},
		Text: sentence(l.between(func(b float64) string { return MiB(uint64(b)) }))}
}

// figuresOverTime is what the plots over time show, as a table.
func figuresOverTime(samples []result.Sample, server bool) grid {
	names := stages(samples)
	head := []string{"from", "sent/s", "accepted/s", "refused/s", "unknown/s", "p50", "p99", "max"}
	if server {
		head = append(head, "credits", "cores", "memory")
		for _, stage := range names {
			head = append(head, "at "+Clean(stage))
		}
	}
	g := grid{head}
	for i := range samples {
		s := &samples[i]
		row := []string{seconds(s.At), Rate(s.Sent), Rate(s.Accepted), Rate(s.Refused), Rate(s.Unknown),
			orDash(s.P50), orDash(s.P99), orDash(s.Max)}
		if server {
			row = append(row, percent(s.CreditShare), three(s.ServerCPU), MiB(s.ServerRSS))
			for _, stage := range names {
				row = append(row, Count(uint64(max(s.Mailboxes[stage], 0))))
			}
		}
		g = append(g, row)
	}
	return g
}

func orDash(us int64) string {
	if us <= 0 {
		return "–"
	}
	return Micros(float64(us))
}

// figuresByPercentile is what the percentile curves show, as a table.
func figuresByPercentile(r *result.Run) grid {
	g := grid{{"of the answers"}}
	var hs []*hdrhistogram.Histogram
	add := func(name string, l *result.Latency) {
		if h, err := decode(l); err == nil && h.TotalCount() > 0 {
			g[0] = append(g[0], name)
			hs = append(hs, h)
		}
	}
	add("all within", &r.Latency)
	for i := range min(len(r.Tenants), maxCurves) {
		add("tenant "+Clean(r.Tenants[i].Name), &r.Tenants[i].Latency)
	}
	if len(hs) == 0 {
		return nil
	}
	for _, p := range []float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100} {
		row := []string{trim(p, 3) + " %"}
		if p > 99 && p < 100 {
			row[0] = fmt.Sprintf("%g %%", p)
		}
		for _, h := range hs {
			row = append(row, Micros(float64(h.ValueAtPercentile(p))))
		}
		g = append(g, row)
	}
	return g
}
