package compare

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"sluice/bench/report"
)

// Text writes c for a person.
func (c *Comparison) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", report.Clean(c.Scenario), c.Load)
	fmt.Fprintf(&b, "A: %s\nB: %s\n", runs(c.A), runs(c.B))
	for _, d := range c.Differences {
		fmt.Fprintf(&b, "DIFFERENT WORK: %s\n", report.Clean(d))
	}
	for _, d := range c.Doubts {
		fmt.Fprintf(&b, "WARNING: %s\n", report.Clean(d))
	}
	b.WriteByte('\n')
	c.grid(&b)
	b.WriteByte('\n')
	for _, m := range c.Missing {
		fmt.Fprintln(&b, m)
	}
	b.WriteString(c.sureness())
	for _, f := range c.Faults {
		fmt.Fprintf(&b, "FAULT: %s\n", report.Clean(f))
	}
	limit := percent(c.LimitShare)
	if len(c.Regressions) > 0 {
		fmt.Fprintf(&b, "REGRESSION past %s: %s\n", limit, strings.Join(c.Regressions, ", "))
	} else {
		fmt.Fprintf(&b, "No regression past %s.\n", limit)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func runs(paths []string) string {
	if len(paths) == 1 {
		return "1 run, " + paths[0]
	}
	if len(paths) > 6 {
		return fmt.Sprintf("%d runs, %s … %s", len(paths), paths[0], paths[len(paths)-1])
	}
	return fmt.Sprintf("%d runs, %s", len(paths), strings.Join(paths, ", "))
}

func (c *Comparison) sureness() string {
	switch {
	case c.Confidence > 0:
		return fmt.Sprintf("Intervals are at %s confidence, of the Mann-Whitney U test; a difference counts with p below %s.\n",
			percent(c.Confidence), number(1-c.Confidence, 2))
	case len(c.A) == 1 && len(c.B) == 1:
		return "With a single run each there is no confidence: the limit alone decides. Four each would do, five are better.\n"
	}
	return fmt.Sprintf("With %d and %d runs there is no confidence of %s: the limit alone decides. Four each would do, five are better.\n", len(c.A), len(c.B), percent(Confidence))
}

func (c *Comparison) grid(b *strings.Builder) {
	rows := [][]string{{"", "A", "", "B", "", "B/A", "", "", ""}}
	for _, f := range c.Figures {
		interval, p := "", ""
		if f.Low != nil {
			interval = fmt.Sprintf("%.3f–%.3f", *f.Low, *f.High)
		}
		if f.P != nil {
			p = fmt.Sprintf("p=%.3f", *f.P)
			if *f.P < 0.0005 {
				p = "p<0.001"
			}
		}
		rows = append(rows, []string{f.Name, f.format(f.A.Median), f.between(f.A), f.format(f.B.Median), f.between(f.B), fmt.Sprintf("%.3f", f.Ratio), interval, p, f.words()})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				line = cell + pad
			case widths[i] == 0:
			case i == 2 || i == 4 || i >= 6: // what belongs to the figure before it
				line += "  " + cell + pad
			default:
				line += "   " + pad + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (f *Figure) format(v float64) string {
	switch f.Unit {
	case "µs":
		return report.Micros(v)
	case "bytes":
		return report.MiB(uint64(v))
	}
	return report.Rate(v)
}

// between is how far the runs are apart, when there are several.
func (f *Figure) between(s Spread) string {
	if s.Min == s.Max {
		return ""
	}
	return "(" + f.format(s.Min) + "–" + f.format(s.Max) + ")"
}

func (f *Figure) words() string {
	by := percent(math.Abs(f.Ratio - 1))
	switch {
	case f.Verdict == Same:
		return "no difference"
	case f.Verdict == Unsure && f.Ratio == 1:
		return "the same"
	case f.Verdict == Unsure && (f.Ratio > 1) == f.HigherIsBetter:
		return "better by " + by + "?"
	case f.Verdict == Unsure:
		return "worse by " + by + "?"
	case f.Verdict == Better:
		return "better by " + by
	case f.Verdict == Worse:
		return "worse by " + by
	}
	return "REGRESSION, worse by " + by
}

func percent(share float64) string { return number(share*100, 1) + " %" }

// number is x with n digits behind the point and no zeros at the end.
func number(x float64, n int) string {
	s := fmt.Sprintf("%.*f", n, x)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
