// Package scenario reads the files that describe runs of the load generator, and
// makes plans of them. Reading is strict: what is not understood is an error that
// says where it is.
package scenario

import (
	"sluice/config"
)

// Scenario is a file. The doc comment of each field is its manual.
type Scenario struct {
	// What the run is called in results.
	Name string `yaml:"name"`
	// The question that the run answers, in a line.
	About string `yaml:"about"`

	// Where events are sent to, and nothing else is contacted. A URL without a path
	// gets /v1/events.
	URL string `yaml:"url"`
	// Headers of every request, besides those that it needs.
	Headers map[string]string `yaml:"headers"`
	TLS     TLS               `yaml:"tls"`
	// The API key, when there is one tenant. Better in SLUICE_KEY or `key_file`.
	Key     string `yaml:"key"`
	KeyFile string `yaml:"key_file"`
	// Senders that share the load by their weights, each with connections and a
	// schedule of its own.
	Tenants []Tenant `yaml:"tenants"`
	// What an answer is to promise: stored, journaled or received. Empty: what the
	// tenant's default is.
	Ack string `yaml:"ack"`
	// The longest wait for one answer. After it the connection is cut, and the
	// outcome of its events is unknown.
	Timeout Duration `yaml:"timeout"`
	// Send what was answered 429 or 503, or not at all, again with the same ids,
	// obeying Retry-After. Latency goes on counting. Without it each request is
	// sent once.
	Retry bool `yaml:"retry"`

	// Connections, over all tenants.
	Connections int `yaml:"connections"`
	// Open a new connection for every request.
	NewConnections bool `yaml:"new_connections"`
	// At the start, with the load of the first moment; not counted.
	Warmup Duration `yaml:"warmup"`
	// How long is measured. Steps have their own times.
	For Duration `yaml:"for"`
	// Stop after so many events, warm-up included. 0: only `for` ends the run.
	Count uint64 `yaml:"count"`
	// The first part of every event's id. Empty: a random one, so that no run's
	// events are duplicates of another's.
	Run string `yaml:"run"`
	// What chance depends on: the same seed makes the same events, ids aside.
	Seed uint64 `yaml:"seed"`

	Load   Load   `yaml:"load"`
	Events Events `yaml:"events"`
	Users  Users  `yaml:"users"`
}

// TLS is how an https URL is spoken to.
type TLS struct {
	// Certificates of the authorities that are trusted, PEM. Empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Trust any certificate.
	Insecure bool `yaml:"insecure"`
	// The name that the certificate has to have. Empty: that of the URL.
	ServerName string `yaml:"server_name"`
}

// Tenant is a sender with a key of its own.
type Tenant struct {
	Name    string  `yaml:"name"`
	Key     string  `yaml:"key"`
	KeyFile string  `yaml:"key_file"`
	Weight  float64 `yaml:"weight"`
	// 0: its share of all connections by weight.
	Connections int `yaml:"connections"`
}

// Load is when requests are sent: exactly one of its keys, or none, which is a
// closed loop. All rates are of events a second, over all tenants.
type Load struct {
	// A closed loop: each connection sends its next request when it has its answer.
	Closed bool `yaml:"closed"`
	// An open loop at one rate.
	Rate float64 `yaml:"rate"`
	// An open loop whose rate goes evenly from one to another over `for`.
	Ramp *Ramp `yaml:"ramp"`
	// An open loop of one rate after the other.
	Steps []Step `yaml:"steps"`
	// An open loop at a rate that is interrupted by bursts at a higher one.
	Burst *Burst `yaml:"burst"`
	// A file of the times at which requests are due, one a line, ascending:
	// seconds since the start, or with a unit, as 250ms.
	Arrivals string `yaml:"arrivals"`
	// A search for the highest rate whose p99 stays under a limit.
	Knee *Knee `yaml:"knee"`
}

// Ramp is an even change of the rate.
type Ramp struct {
	From float64 `yaml:"from"`
	To   float64 `yaml:"to"`
	// Phases of the ramp that have figures of their own.
	Phases int `yaml:"phases"`
}

// Step is a rate for a time.
type Step struct {
	Name string   `yaml:"name"`
	Rate float64  `yaml:"rate"`
	For  Duration `yaml:"for"`
}

// Burst is a rate of To for Length at the end of every period of Every.
type Burst struct {
	Rate   float64  `yaml:"rate"`
	To     float64  `yaml:"to"`
	Every  Duration `yaml:"every"`
	Length Duration `yaml:"length"`
}

// Knee is a search: from a rate upward by a factor until a step does not hold, then
// halfway between the last that held and the first that did not, and so on.
type Knee struct {
	From float64 `yaml:"from"`
	// The highest rate that is tried. 0: there is none.
	To     float64  `yaml:"to"`
	Factor float64  `yaml:"factor"`
	Step   Duration `yaml:"step"`
	// A step holds when its p99 is no longer, and at most one event in a thousand
	// was not accepted.
	P99 Duration `yaml:"p99"`
	// How closely the rate is to be found, as a share of it.
	Precision float64 `yaml:"precision"`
}

// Events is what is sent.
type Events struct {
	// single (an object a request), array, ndjson, or otlp (an OTLP/HTTP logs
	// request, an event a record, for an OpenTelemetry Collector).
	Format string `yaml:"format"`
	// Events a request.
	Batch int `yaml:"batch"`
	// The size of every event; or one of the two below.
	Size      Size       `yaml:"size"`
	Uniform   *Uniform   `yaml:"uniform"`
	Lognormal *Lognormal `yaml:"lognormal"`
	// Real events: NDJSON, plain, gzip or zstd, sent over and over in its order.
	// They are sent as they are, so the second time round they are duplicates to
	// the gateway, unless `rewrite_id` replaces their top-level id and user.
	File      string `yaml:"file"`
	RewriteID bool   `yaml:"rewrite_id"`
	// none, gzip or zstd. The generator compresses each request, and needs much
	// more of the machine for it.
	Compress string `yaml:"compress"`
	// Share of the events that are an earlier, accepted one again, 0 to 1.
	Duplicates float64 `yaml:"duplicates"`
	// Share of the events that are not valid.
	Invalid float64 `yaml:"invalid"`
	// What is wrong with those: missing_type or broken_json.
	InvalidKind string `yaml:"invalid_kind"`
	// Share of the events of `oversize_bytes`.
	Oversize      float64 `yaml:"oversize"`
	OversizeBytes Size    `yaml:"oversize_bytes"`
}

// Uniform is sizes evenly between two.
type Uniform struct {
	Min Size `yaml:"min"`
	Max Size `yaml:"max"`
}

// Lognormal is sizes of which half are larger than P50 and one in a hundred is
// larger than P99.
type Lognormal struct {
	P50 Size `yaml:"p50"`
	P99 Size `yaml:"p99"`
	// The largest. 0: 64 times P50.
	Max Size `yaml:"max"`
}

// Users is whose events are sent.
type Users struct {
	Count int `yaml:"count"`
	// Exponent of a Zipf distribution, 1 being that of words in a text. 0: all
	// users send equally much.
	Zipf float64 `yaml:"zipf"`
	// So many users have Share of the events between them.
	Hot   int     `yaml:"hot"`
	Share float64 `yaml:"share"`
}

// Size is a number of bytes, as in the gateway's configuration: 500B, 64KiB, 1MB.
type Size int64

// Duration is a time, as in the gateway's configuration: 5ms, 1m30s, 24h.
type Duration int64

// String returns the size as it is written in a file.
func (s Size) String() string { return config.Size(s).String() }

// String returns the duration as it is written in a file.
func (d Duration) String() string { return config.Duration(d).String() }

// Default is what a file changes, and what is run without one: ten seconds of a
// closed loop of single events.
func Default() *Scenario {
	return &Scenario{
		Name: "default", URL: "http://127.0.0.1:8080", Timeout: Duration(30e9), Connections: 64,
		Warmup: Duration(2e9), For: Duration(10e9), Seed: 1,
		Events: Events{Format: "single", Batch: 1, Size: 500, Compress: "none", InvalidKind: "missing_type", OversizeBytes: 300 << 10},
		Users:  Users{Count: 10000},
	}
}
