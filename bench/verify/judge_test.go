package verify

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/bench/ledger"
)

// TestJudge shows ids to a judge of run "5eed", written without their run.
func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ledger   string // a word a connection
		seen     string
		want     string
		examples []string
	}{
		{"everything once and in order is well", "aAa aa", "0-0 0-1 1-0 0-2 1-1", "found 5 lost 0 doubled 0 disordered 0 unasked 0", nil},
		{"what was accepted and is not there is lost", "aaa", "0-0 0-2", "found 2 lost 1 doubled 0 disordered 0 unasked 0",
			[]string{"5eed-0-1 of u2 is lost: its outcome was accepted"}},
		{"a duplicate was stored before, so it is lost too", "d", "", "found 0 lost 1 doubled 0 disordered 0 unasked 0",
			[]string{"5eed-0-0 of u2 is lost: its outcome was duplicate"}},
		{"nothing else can be lost", "ufrjn", "", "found 0 lost 0 doubled 0 disordered 0 unasked 0", nil},
		{"what is there thrice is doubled once", "aa", "0-0 0-0 0-1 0-0", "found 2 lost 0 doubled 1 disordered 0 unasked 0",
			[]string{"5eed-0-0 of u2 is in the sink more than once"}},
		{"an event behind a later one is out of order", "aaa", "0-0 0-2 0-1", "found 3 lost 0 doubled 0 disordered 1 unasked 0",
			[]string{"5eed-0-1 of u2 is behind a later one of its user"}},
		{"all that are behind it are", "aaaa", "0-3 0-0 0-1 0-2", "found 4 lost 0 doubled 0 disordered 3 unasked 0",
			[]string{"5eed-0-0 of u2 is behind a later one of its user", "5eed-0-1 of u2 is behind a later one of its user", "5eed-0-2 of u2 is behind a later one of its user"}},
		{"users have no order between them", "aA", "0-1 0-0", "found 2 lost 0 doubled 0 disordered 0 unasked 0", nil},
		{"nor have connections", "a a", "1-0 0-0", "found 2 lost 0 doubled 0 disordered 0 unasked 0", nil},
		{"an event without an answer may come at any time", "uau", "0-1 0-2 0-0", "found 3 lost 0 doubled 0 disordered 0 unasked 2",
			[]string{"5eed-0-2 of u2 is in the sink, and its outcome was: unknown", "5eed-0-0 of u2 is in the sink, and its outcome was: unknown"}},
		{"so may one that was sent again", "da", "0-1 0-0", "found 2 lost 0 doubled 0 disordered 0 unasked 0", nil},
		{"the second copy has no order", "aa", "0-0 0-1 0-0", "found 2 lost 0 doubled 1 disordered 0 unasked 0",
			[]string{"5eed-0-0 of u2 is in the sink more than once"}},
		{"what was refused is unasked", "r", "0-0", "found 1 lost 0 doubled 0 disordered 0 unasked 1",
			[]string{"5eed-0-0 of u2 is in the sink, and its outcome was: refused"}},
		{"so is what was never sent", "a", "0-0 0-1", "found 1 lost 0 doubled 0 disordered 0 unasked 1",
			[]string{`"5eed-0-1" is in the sink, and was never sent`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := newJudge(script("5eed", strings.Fields(tc.ledger)...), Kafka, true)
			j.see("feed-0-0") // another run's
			j.see("")
			for _, id := range strings.Fields(tc.seen) {
				j.see("5eed-" + id)
			}
			expect(t, j.verdict(), tc.want, tc.examples...)
		})
	}
}

func TestOrderIsNotJudgedWhereItIsNotKept(t *testing.T) {
	j := newJudge(script("5eed", "aa"), Cassandra, false)
	j.see("5eed-0-1")
	j.see("5eed-0-0")
	expect(t, j.verdict(), "found 2 lost 0 doubled 0 disordered 0 unasked 0")
}

func TestExamplesAreFew(t *testing.T) {
	v := newJudge(script("5eed", strings.Repeat("a", 100)), Kafka, true).verdict()
	if v.Lost != 100 || len(v.Examples) != maxExamples {
		t.Errorf("%d lost, %d examples", v.Lost, len(v.Examples))
	}
}

// TestJudgeAgainstModel compares the judge with one that remembers everything and
// looks through all of it, on runs and readings made at random.
func TestJudgeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		conns := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("aaaAAAduUfrjn")), 0, 12, -1), 1, 3).Draw(t, "ledger")
		l := script("5eed", conns...)
		var ids []string
		for range rapid.IntRange(0, 40).Draw(t, "reads") {
			c := rapid.IntRange(0, len(conns)-1).Draw(t, "conn")
			ids = append(ids, l.ID(c, rapid.IntRange(0, 12).Draw(t, "n")))
		}
		j := newJudge(l, Kafka, true)
		for _, id := range ids {
			j.see(id)
		}
		if got, want := summary(j.verdict()), model(l, ids); got != want {
			t.Fatalf("%q read %q: %s, want %s", conns, ids, got, want)
		}
	})
}

func model(l *ledger.Ledger, ids []string) string {
	var found, lost, doubled, disordered, unasked int
	times := map[string]int{}
	for i, id := range ids {
		c, n, ok := l.Parse(id)
		if !ok {
			unasked++
			continue
		}
		times[id]++
		e := l.Conns[c][n]
		switch {
		case times[id] == 2:
			doubled++
		case times[id] > 2:
		case !e.Outcome.Stored():
			found, unasked = found+1, unasked+1
		default:
			found++
			late := false
			for _, before := range ids[:i] {
				bc, bn, ok := l.Parse(before)
				late = late || ok && bc == c && bn > n && l.Conns[c][bn] == e && e.Outcome == ledger.Accepted
			}
			if late {
				disordered++
			}
		}
	}
	for c, entries := range l.Conns {
		for n, e := range entries {
			if e.Outcome.Stored() && times[l.ID(c, n)] == 0 {
				lost++
			}
		}
	}
	return fmt.Sprintf("found %d lost %d doubled %d disordered %d unasked %d", found, lost, doubled, disordered, unasked)
}

func BenchmarkJudge(b *testing.B) {
	const events = 1_000_000
	l := &ledger.Ledger{Run: "5eed", Conns: make([][]ledger.Entry, 64)}
	for i := range events {
		l.Conns[i%64] = append(l.Conns[i%64], ledger.Entry{User: uint32(i * 7919 % 10_000), Outcome: ledger.Accepted})
	}
	ids := make([]string, events)
	for i := range ids {
		ids[i] = l.ID(i%64, i/64)
	}
	b.ReportAllocs()
	for b.Loop() {
		j := newJudge(l, Kafka, true)
		for _, id := range ids {
			j.see(id)
		}
		if v := j.verdict(); !v.OK() || v.Found != events {
			b.Fatal(summary(v))
		}
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}
