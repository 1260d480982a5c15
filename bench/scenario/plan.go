package scenario

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/bench/load"
	"sluice/config"
)

// Plan reads the files that the scenario names and returns what is to be run. The
// key that is given, unless it is empty, is used instead of the scenario's, and by
// tenants that have none.
func (s *Scenario) Plan(key string) (*load.Plan, error) {
	if p := s.check(); p != nil {
		return nil, p
	}
	target, err := s.target()
	if err != nil {
		return nil, err
	}
	p := &load.Plan{
		Name: s.Name, About: s.About, Target: *target, Connections: s.Connections, NewConn: s.NewConnections,
		Warmup: time.Duration(s.Warmup), For: time.Duration(s.For), Count: s.Count, Timeout: time.Duration(s.Timeout),
		Retry: s.Retry, Seed: s.Seed, Ack: s.Ack, Run: or(s.Run, newRun()),
		Users: load.Users{Count: s.Users.Count, Zipf: s.Users.Zipf, HotUsers: s.Users.Hot, HotShare: s.Users.Share},
	}
	if p.Tenants, err = s.tenants(key); err != nil {
		return nil, err
	}
	if p.Events, err = s.Events.plan(); err != nil {
		return nil, err
	}
	if k := s.Load.Knee; k != nil {
		p.Knee = &load.Knee{
			From: k.From, To: k.To, Factor: or(k.Factor, 1.5), Step: time.Duration(or(k.Step, Duration(5*time.Second))),
			LimitP99: time.Duration(k.P99), Precision: or(k.Precision, 0.05),
		}
		return p, nil
	}
	p.Open, err = s.open()
	return p, err
}

// newRun returns a name that no other run has.
func newRun() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// target takes the URL apart.
func (s *Scenario) target() (*load.Target, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/events"
		if s.Events.Format == "otlp" {
			u.Path = "/v1/logs"
		}
	}
	if s.Ack != "" {
		q := u.Query()
		q.Set("ack", s.Ack)
		u.RawQuery = q.Encode()
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	t := &load.Target{URL: u.String(), Address: net.JoinHostPort(u.Hostname(), port), Host: u.Host, Path: u.RequestURI()}
	for name, value := range s.Headers {
		t.Headers = append(t.Headers, [2]string{name, value})
	}
	slices.SortFunc(t.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	if u.Scheme != "https" {
		return t, nil
	}
	t.TLS = &tls.Config{
		ServerName: or(s.TLS.ServerName, u.Hostname()), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: s.TLS.Insecure, // only when it is asked for
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if s.TLS.CAFile != "" {
		pem, err := os.ReadFile(s.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate in PEM", s.TLS.CAFile)
		}
	}
	return t, nil
}

// tenants reads the keys.
func (s *Scenario) tenants(given string) ([]load.Tenant, error) {
	if len(s.Tenants) == 0 {
		if given != "" {
			s = &Scenario{Key: given}
		}
		key, err := readKey("", s.Key, s.KeyFile, "")
		return []load.Tenant{{Name: "default", Key: key, Weight: 1}}, err
	}
	list := make([]load.Tenant, len(s.Tenants))
	for i, t := range s.Tenants {
		key, err := readKey(fmt.Sprintf("tenants[%d].", i), t.Key, t.KeyFile, given)
		if err != nil {
			return nil, err
		}
		list[i] = load.Tenant{Name: t.Name, Key: key, Weight: or(t.Weight, 1), Connections: t.Connections}
	}
	return list, nil
}

func readKey(path, key, file, given string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%skey_file: %w", path, err)
		}
		key = string(b)
	}
	key = strings.TrimSpace(or(key, given))
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%skey: it holds characters that no key has", path)
	}
	return key, nil
}

// open returns the schedule, nil for a closed loop.
func (s *Scenario) open() (*load.Open, error) {
	l, length := &s.Load, time.Duration(s.For)
	switch {
	case l.Rate != 0:
		return &load.Open{Rate: l.Rate, Phases: []string{""}, Segments: []load.Segment{{From: l.Rate, To: l.Rate, For: length}}}, nil
	case l.Ramp != nil:
		return l.Ramp.open(length), nil
	case l.Steps != nil:
		o := &load.Open{}
		for i, step := range l.Steps {
			o.Phases = append(o.Phases, or(step.Name, strconv.FormatFloat(step.Rate, 'f', -1, 64)+"/s"))
			o.Segments = append(o.Segments, load.Segment{Phase: i, From: step.Rate, To: step.Rate, For: time.Duration(step.For)})
		}
		return o, nil
	case l.Burst != nil:
		return l.Burst.open(length), nil
	case l.Arrivals != "":
		times, err := readArrivals(l.Arrivals)
		return &load.Open{Arrivals: times}, err
	}
	return nil, nil
}

func (r *Ramp) open(length time.Duration) *load.Open {
	o, n := &load.Open{}, or(r.Phases, 10)
	at := func(i int) float64 { return r.From + (r.To-r.From)*float64(i)/float64(n) }
	for i := range n {
		o.Phases = append(o.Phases, fmt.Sprintf("%.0f–%.0f/s", at(i), at(i+1)))
		o.Segments = append(o.Segments, load.Segment{Phase: i, From: at(i), To: at(i + 1), For: length / time.Duration(n)})
	}
	return o
}

func (b *Burst) open(length time.Duration) *load.Open {
	o := &load.Open{Phases: []string{"between", "burst"}}
	for left := length; left > 0; left -= time.Duration(b.Every) {
		quiet := min(left, time.Duration(b.Every-b.Length))
		o.Segments = append(o.Segments, load.Segment{Phase: 0, From: b.Rate, To: b.Rate, For: quiet})
		if burst := min(left-quiet, time.Duration(b.Length)); burst > 0 {
			o.Segments = append(o.Segments, load.Segment{Phase: 1, From: b.To, To: b.To, For: burst})
		}
	}
	return o
}

// maxArrivals bounds a recorded pattern.
const maxArrivals = 50_000_000

// readArrivals reads a file of times.
func readArrivals(path string) ([]time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load.arrivals: %w", err)
	}
	defer f.Close()
	var times []time.Duration
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		t, err := parseArrival(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("load.arrivals: %s:%d: %w", path, n, err)
		case len(times) > 0 && t < times[len(times)-1]:
			return nil, fmt.Errorf("load.arrivals: %s:%d: earlier than the line before it; times have to ascend", path, n)
		case len(times) == maxArrivals:
			return nil, fmt.Errorf("load.arrivals: %s: more than %d", path, maxArrivals)
		}
		times = append(times, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("load.arrivals: %s: %w", path, err)
	}
	if len(times) == 0 {
		return nil, fmt.Errorf("load.arrivals: %s holds no times", path)
	}
	return times, nil
}

func parseArrival(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds >= 0 && seconds <= maxRun.Seconds()) {
			return 0, fmt.Errorf("want seconds from 0 to 30 days, got %q", text)
		}
		return time.Duration(math.Round(seconds * 1e9)), nil
	}
	d, err := config.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("want seconds, or a time such as 250ms, got %q", text)
	}
	return time.Duration(d), nil
}

// plan makes the sizes, or reads the file.
func (e *Events) plan() (load.Events, error) {
	out := load.Events{
		Format: load.Format(e.Format), Batch: e.Batch, Duplicates: e.Duplicates, Invalid: e.Invalid,
		Broken: e.InvalidKind == "broken_json", Oversize: e.Oversize, OverBytes: int(e.OversizeBytes),
	}
	if e.Compress != "none" {
		out.Compress = e.Compress
	}
	out.Sizes = e.sizes()
	if e.File == "" {
		return out, nil
	}
	var err error
	out.Records, err = readRecords(e.File, e.RewriteID)
	return out, err
}

// quantiles is into how many sizes a distribution is cut.
const quantiles = 1024

func (e *Events) sizes() []int {
	switch {
	case e.Uniform != nil:
		sizes := make([]int, quantiles)
		for i := range sizes {
			sizes[i] = int(e.Uniform.Min) + int(float64(e.Uniform.Max-e.Uniform.Min)*(float64(i)+0.5)/quantiles)
		}
		return sizes
	case e.Lognormal != nil:
		sizes := make([]int, quantiles)
		most := or(e.Lognormal.Max, 64*e.Lognormal.P50)
		sigma := math.Log(float64(e.Lognormal.P99)/float64(e.Lognormal.P50)) / normalQuantile(0.99)
		for i := range sizes {
			v := float64(e.Lognormal.P50) * math.Exp(sigma*normalQuantile((float64(i)+0.5)/quantiles))
			sizes[i] = int(min(max(v, load.MinEvent), float64(most)))
		}
		return sizes
	}
	return []int{int(e.Size)}
}

// normalQuantile is the inverse of the standard normal distribution.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

var errNoRecords = errors.New("it holds no events")
