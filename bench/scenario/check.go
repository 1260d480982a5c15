package scenario

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/bench/load"
)

// Bounds that keep a mistake from becoming a flood.
const (
	maxConnections = 100_000
	maxBatch       = 10_000
	maxUsers       = 10_000_000
	maxRate        = 10_000_000
	maxRun         = 30 * 24 * time.Hour
)

// check returns the first value that cannot be.
func (s *Scenario) check() *problem {
	for _, check := range []func() *problem{s.checkTarget, s.checkBounds, s.checkLoad, s.checkEvents, s.checkUsers} {
		if p := check(); p != nil {
			return p
		}
	}
	return nil
}

func wrong(path, format string, args ...any) *problem {
	return &problem{path, fmt.Sprintf(format, args...)}
}

func (s *Scenario) checkTarget() *problem {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return wrong("url", "want one such as http://127.0.0.1:8080, got %q", s.URL)
	}
	if len(s.Run) > 32 || strings.Trim(s.Run, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return wrong("run", "want at most 32 small letters and digits, got %q", s.Run)
	}
	if !slices.Contains([]string{"", "stored", "journaled", "received"}, s.Ack) {
		return wrong("ack", "want stored, journaled or received, got %q", s.Ack)
	}
	for name, value := range s.Headers {
		if !token(name) || strings.ContainsAny(value, "\r\n\x00") {
			return wrong("headers", "%q: %q is no header", name, value)
		}
		for _, own := range []string{"Host", "Content-Length", "Content-Type", "Content-Encoding", "Connection", "Transfer-Encoding"} {
			if strings.EqualFold(name, own) {
				return wrong("headers", "%s is set by the generator itself", own)
			}
		}
	}
	names := map[string]bool{}
	for i, t := range s.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		switch {
		case t.Name == "":
			return wrong(at, "a tenant needs a name")
		case names[t.Name]:
			return wrong(at, "there is another tenant %q", t.Name)
		case t.Weight < 0 || t.Weight > 1e6:
			return wrong(at+".weight", "want a number up to a million, got %v", t.Weight)
		case t.Connections < 0 || t.Connections > maxConnections:
			return wrong(at+".connections", "want at most %d, got %d", maxConnections, t.Connections)
		}
		names[t.Name] = true
	}
	if len(s.Tenants) > 1000 {
		return wrong("tenants", "at most 1000, got %d", len(s.Tenants))
	}
	if len(s.Tenants) > 0 && (s.Key != "" || s.KeyFile != "") {
		return wrong("tenants", "with tenants each has its own key, and there is none for all")
	}
	return nil
}

// token reports whether s is a token of HTTP.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func (s *Scenario) checkBounds() *problem {
	switch {
	case s.Connections < 1 || s.Connections > maxConnections:
		return wrong("connections", "want 1 to %d, got %d", maxConnections, s.Connections)
	case s.Connections < len(s.Tenants):
		return wrong("connections", "%d tenants need at least one each, got %d", len(s.Tenants), s.Connections)
	case time.Duration(s.Timeout) < time.Millisecond:
		return wrong("timeout", "want at least 1ms, got %s", s.Timeout)
	case time.Duration(s.For) > maxRun:
		return wrong("for", "want at most 30d, got %s", s.For)
	case time.Duration(s.Warmup) > time.Hour:
		return wrong("warmup", "want at most 1h, got %s", s.Warmup)
	case s.For == 0 && len(s.Load.Steps) == 0 && s.Load.Arrivals == "" && s.Load.Knee == nil:
		return wrong("for", "a run has to end: how long is it to be?")
	case s.For == 0 && s.Load.Ramp != nil:
		return wrong("for", "how long is the ramp to take?")
	}
	return nil
}

func rate(path string, v float64) *problem {
	if !(v > 0 && v <= maxRate) {
		return wrong(path, "want a rate of 1 to %d events a second, got %v", maxRate, v)
	}
	return nil
}

func (s *Scenario) checkLoad() *problem {
	l := &s.Load
	kinds := 0
	for _, set := range []bool{l.Closed, l.Rate != 0, l.Ramp != nil, l.Steps != nil, l.Burst != nil, l.Arrivals != "", l.Knee != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return wrong("load", "want one of closed, rate, ramp, steps, burst, arrivals and knee, got %d", kinds)
	}
	switch {
	case l.Rate != 0:
		return rate("load.rate", l.Rate)
	case l.Ramp != nil:
		return l.Ramp.check()
	case l.Steps != nil:
		return s.checkSteps()
	case l.Burst != nil:
		return l.Burst.check(time.Duration(s.For))
	case l.Knee != nil:
		return l.Knee.check()
	}
	return nil
}

func (r *Ramp) check() *problem {
	if r.From < 0 || r.From > maxRate {
		return wrong("load.ramp.from", "want 0 to %d, got %v", maxRate, r.From)
	}
	if r.Phases < 0 || r.Phases > 100 {
		return wrong("load.ramp.phases", "want 1 to 100, got %d", r.Phases)
	}
	return rate("load.ramp.to", r.To)
}

func (s *Scenario) checkSteps() *problem {
	if n := len(s.Load.Steps); n < 1 || n > 100 {
		return wrong("load.steps", "want 1 to 100, got %d", n)
	}
	var sum time.Duration
	for i, step := range s.Load.Steps {
		at := fmt.Sprintf("load.steps[%d]", i)
		if p := rate(at+".rate", step.Rate); p != nil {
			return p
		}
		if step.For <= 0 || time.Duration(step.For) > maxRun {
			return wrong(at+".for", "want a time of at most 30d, got %s", step.For)
		}
		if sum += time.Duration(step.For); sum > maxRun {
			return wrong(at+".for", "all steps take longer than 30d")
		}
	}
	return nil
}

func (b *Burst) check(total time.Duration) *problem {
	if p := rate("load.burst.rate", b.Rate); p != nil {
		return p
	}
	if p := rate("load.burst.to", b.To); p != nil {
		return p
	}
	switch {
	case b.Length <= 0:
		return wrong("load.burst.length", "want a time, got %s", b.Length)
	case b.Every <= b.Length:
		return wrong("load.burst.every", "want longer than the burst of %s, got %s", b.Length, b.Every)
	case time.Duration(b.Every) > total:
		return wrong("load.burst.every", "want at most the %s of the run, got %s", Duration(total), b.Every)
	case total/time.Duration(b.Every) > 100_000:
		return wrong("load.burst.every", "at most 100000 bursts, got %d", total/time.Duration(b.Every))
	}
	return nil
}

func (k *Knee) check() *problem {
	if p := rate("load.knee.from", k.From); p != nil {
		return p
	}
	switch {
	case k.To < 0 || k.To > maxRate || k.To > 0 && k.To < k.From:
		return wrong("load.knee.to", "want at least from and at most %d, got %v", maxRate, k.To)
	case k.Factor != 0 && (k.Factor < 1.01 || k.Factor > 10):
		return wrong("load.knee.factor", "want 1.01 to 10, got %v", k.Factor)
	case k.Step != 0 && (time.Duration(k.Step) < time.Second/10 || time.Duration(k.Step) > time.Hour):
		return wrong("load.knee.step", "want 100ms to 1h, got %s", k.Step)
	case k.P99 <= 0:
		return wrong("load.knee.p99", "which limit is the p99 to hold?")
	case k.Precision != 0 && (k.Precision < 0.001 || k.Precision > 0.5):
		return wrong("load.knee.precision", "want 0.001 to 0.5, got %v", k.Precision)
	}
	return nil
}

func share(path string, v float64) *problem {
	if !(v >= 0 && v <= 1) {
		return wrong(path, "want a share of 0 to 1, got %v", v)
	}
	return nil
}

func (s *Scenario) checkEvents() *problem {
	e := &s.Events
	switch {
	case !slices.Contains([]string{"single", "array", "ndjson", "otlp"}, e.Format):
		return wrong("events.format", "want single, array, ndjson or otlp, got %q", e.Format)
	case e.Batch < 1 || e.Batch > maxBatch:
		return wrong("events.batch", "want 1 to %d, got %d", maxBatch, e.Batch)
	case e.Format == "single" && e.Batch != 1:
		return wrong("events.batch", "a request of a single event has one; want format ndjson or array for %d", e.Batch)
	case !slices.Contains([]string{"none", "gzip", "zstd"}, e.Compress):
		return wrong("events.compress", "want none, gzip or zstd, got %q", e.Compress)
	case !slices.Contains([]string{"missing_type", "broken_json"}, e.InvalidKind):
		return wrong("events.invalid_kind", "want missing_type or broken_json, got %q", e.InvalidKind)
	case e.Uniform != nil && e.Lognormal != nil:
		return wrong("events.lognormal", "want one of uniform and lognormal")
	case e.RewriteID && e.File == "":
		return wrong("events.rewrite_id", "generated events have ids of their own; it is for a file")
	case e.File != "" && (e.Duplicates > 0 || e.Invalid > 0 || e.Oversize > 0) && !(e.RewriteID && e.Invalid == 0 && e.Oversize == 0):
		return wrong("events.file", "events of a file are sent as they are: only duplicates can be asked for, with rewrite_id")
	}
	for path, v := range map[string]float64{"events.duplicates": e.Duplicates, "events.invalid": e.Invalid, "events.oversize": e.Oversize} {
		if p := share(path, v); p != nil {
			return p
		}
	}
	return e.checkSizes()
}

func (e *Events) checkSizes() *problem {
	const most = 64 << 20
	within := func(path string, v Size) *problem {
		if v < load.MinEvent || v > most {
			return wrong(path, "want %d to %d bytes (id, type, user and ts have to be in it), got %d", load.MinEvent, most, int64(v))
		}
		return nil
	}
	list := []struct {
		path string
		v    Size
	}{{"events.size", e.Size}, {"events.oversize_bytes", e.OversizeBytes}}
	if u := e.Uniform; u != nil {
		if u.Max < u.Min {
			return wrong("events.uniform.max", "want at least min, which is %s", u.Min)
		}
		list = append(list, list[0], list[0])
		list[2].path, list[2].v, list[3].path, list[3].v = "events.uniform.min", u.Min, "events.uniform.max", u.Max
	}
	if l := e.Lognormal; l != nil {
		if l.P99 <= l.P50 {
			return wrong("events.lognormal.p99", "want more than p50, which is %s", l.P50)
		}
		list = append(list, list[0], list[0])
		list[2].path, list[2].v, list[3].path, list[3].v = "events.lognormal.p50", l.P50, "events.lognormal.p99", l.P99
	}
	for _, x := range list {
		if p := within(x.path, x.v); p != nil {
			return p
		}
	}
	return nil
}

func (s *Scenario) checkUsers() *problem {
	u := &s.Users
	switch {
	case u.Count < 1 || u.Count > maxUsers:
		return wrong("users.count", "want 1 to %d, got %d", maxUsers, u.Count)
	case !(u.Zipf >= 0 && u.Zipf <= 10) || math.IsNaN(u.Zipf):
		return wrong("users.zipf", "want an exponent of 0 to 10, got %v", u.Zipf)
	case u.Hot < 0 || u.Hot >= u.Count && u.Hot > 0:
		return wrong("users.hot", "want fewer than the %d users, got %d", u.Count, u.Hot)
	case u.Hot == 0 && u.Share != 0:
		return wrong("users.share", "how many users are hot? Set users.hot")
	case u.Hot > 0 && !(u.Share > 0 && u.Share <= 1):
		return wrong("users.share", "want a share of 0 to 1 for the %d hot users, got %v", u.Hot, u.Share)
	}
	return nil
}
