// Package result is what one run of a benchmark showed: the value that the load
// generator makes, that is kept as JSON, and that tables, pages and comparisons
// are made of. It holds data only; how it is measured is in bench/load, how it is
// shown in bench/report, how two are compared in bench/compare.
//
// Units: times in seconds as float64 unless a name says otherwise, latencies in
// microseconds, sizes in bytes, rates a second.
package result

import "time"

// Version is the version of the JSON form. A reader refuses a newer one.
const Version = 1

// Run is one run of one scenario.
type Run struct {
	Version  int       `json:"version"`
	Scenario string    `json:"scenario"` // its name
	About    string    `json:"about,omitempty"`
	Target   string    `json:"target"` // the address that was sent to
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // that were measured, warm-up aside
	Warmup   float64   `json:"warmup_seconds,omitempty"`
	Seed     uint64    `json:"seed"`
	Stopped  string    `json:"stopped,omitempty"` // why it ended before its time, empty when it did not
	Machine  Machine   `json:"machine"`
	Load     Load      `json:"load"`

	Totals  Totals   `json:"totals"`
	Latency Latency  `json:"latency"`
	Phases  []Phase  `json:"phases,omitempty"`  // of a ramp, of steps: in their order
	Tenants []Tenant `json:"tenants,omitempty"` // when there are several
	Series  []Sample `json:"series"`            // one a second
	Knee    *Knee    `json:"knee,omitempty"`    // of a search for the highest rate

	Server    *Server   `json:"server,omitempty"` // nil: nobody named the admin port
	Generator Generator `json:"generator"`
	Verified  *Verified `json:"verified,omitempty"` // nil: nothing was read back
}

// Machine is what both sides ran on.
type Machine struct {
	Cores   int     `json:"cores"`
	CPU     string  `json:"cpu"`
	OS      string  `json:"os"`
	Go      string  `json:"go"`
	Version string  `json:"version"` // of sluice, with its commit
	Load1   float64 `json:"load1"`   // load average of the last minute at the start
}

// Load is what was asked for, in a line each: enough to tell two runs apart.
type Load struct {
	Loop        string  `json:"loop"`           // open or closed
	Rate        float64 `json:"rate,omitempty"` // events/s wanted, of an open loop with one rate
	Connections int     `json:"connections"`
	Format      string  `json:"format"` // single, array, ndjson
	Batch       int     `json:"batch"`  // events a request
	EventBytes  float64 `json:"event_bytes"`
	Users       int     `json:"users"`
	Ack         string  `json:"ack,omitempty"`
}

// Totals counts events, requests aside. Every event that was sent is in exactly
// one of Accepted, Duplicates, Rejected, Failed, Refused, Unknown and Unsent.
type Totals struct {
	Requests   uint64            `json:"requests"`
	Sent       uint64            `json:"sent"`
	Accepted   uint64            `json:"accepted"`
	Duplicates uint64            `json:"duplicates"`
	Rejected   uint64            `json:"rejected"`          // answered as invalid, one by one
	Failed     uint64            `json:"failed"`            // answered as failed, one by one
	Refused    map[string]uint64 `json:"refused"`           // by "status code", as "429 no_credits": whole requests
	Unknown    uint64            `json:"unknown"`           // no answer: the connection broke, or a time-out
	Unsent     uint64            `json:"unsent"`            // due, and not sent before the end
	Bytes      uint64            `json:"bytes"`             // of bodies sent, before compression
	EventsPerS float64           `json:"events_per_second"` // accepted, over Seconds
	BytesPerS  float64           `json:"bytes_per_second"`
}

// Latency is a distribution of answer times in microseconds. In an open loop each
// is counted from when the request was due, in a closed loop from when it was sent.
// It is of requests, whatever number of events they have: of those that were
// answered 2xx, and, with the time that they waited, of those that were not answered.
// Refusals are quick and would hide what the others take.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean_us"`
	Min   int64   `json:"min_us"`
	P50   int64   `json:"p50_us"`
	P90   int64   `json:"p90_us"`
	P99   int64   `json:"p99_us"`
	P999  int64   `json:"p999_us"`
	P9999 int64   `json:"p9999_us"`
	Max   int64   `json:"max_us"`
	// Histogram is the whole distribution: HdrHistogram's V2 compressed encoding,
	// base64, of microseconds with 3 significant digits.
	Histogram string `json:"histogram,omitempty"`
}

// Phase is one step of the load.
type Phase struct {
	Name    string  `json:"name"`
	From    float64 `json:"from"` // seconds since the start of what was measured
	Seconds float64 `json:"seconds"`
	Offered float64 `json:"offered"` // events/s wanted, 0 in a closed loop
	Totals  Totals  `json:"totals"`
	Latency Latency `json:"latency"`
}

// Tenant is one tenant's part.
type Tenant struct {
	Name    string  `json:"name"`
	Totals  Totals  `json:"totals"`
	Latency Latency `json:"latency"`
}

// Sample is one second of a run.
type Sample struct {
	At       float64 `json:"at"` // seconds since the start of what was measured
	Sent     float64 `json:"sent"`
	Accepted float64 `json:"accepted"`
	Refused  float64 `json:"refused"` // events of refused requests, and failed ones
	Unknown  float64 `json:"unknown,omitempty"`
	P50      int64   `json:"p50_us"`
	P99      int64   `json:"p99_us"`
	Max      int64   `json:"max_us"`
	// Of the server, when the admin port was named; shares are 0 to 1.
	ServerCPU   float64            `json:"server_cpu,omitempty"` // cores in use
	ServerRSS   uint64             `json:"server_rss,omitempty"`
	CreditShare float64            `json:"credit_share,omitempty"` // of the fullest tenant
	Mailboxes   map[string]float64 `json:"mailboxes,omitempty"`    // messages waiting, by stage, all tenants
}

// Knee is the outcome of a search for the highest rate that holds a limit.
type Knee struct {
	LimitP99 int64   `json:"limit_p99_us"`
	Rate     float64 `json:"rate"`            // the highest that held it, events/s; 0: none did
	Above    float64 `json:"above,omitempty"` // the lowest that did not; 0: none was tried
}

// Server is what the process at the other end used while it was measured.
type Server struct {
	CPUSeconds     float64 `json:"cpu_seconds"`
	CPUPerEvent    float64 `json:"cpu_us_per_event"` // of an accepted event, microseconds
	RSSMax         uint64  `json:"rss_max"`
	GoroutinesMax  int     `json:"goroutines_max"`
	FilesMax       int     `json:"files_max"`
	CreditShareMax float64 `json:"credit_share_max"`
}

// Generator is what the load generator itself used, and whether it kept up.
type Generator struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	CPUPerEvent float64 `json:"cpu_us_per_event"` // of a sent event, microseconds
	RSSMax      uint64  `json:"rss_max"`
	// LateP99 is how late requests of an open loop left, because the generator (not
	// the server) was behind. More than a millisecond or two spoils the run.
	LateP99 int64 `json:"late_p99_us"`
	// Limit is what the same load came to against a server that does nothing,
	// events/s; 0 when that was not measured.
	Limit float64 `json:"limit,omitempty"`
}

// Verified is what reading back from the sink showed.
type Verified struct {
	Sink       string   `json:"sink"`               // kafka, cassandra, local
	Found      uint64   `json:"found"`              // events of this run
	Lost       uint64   `json:"lost"`               // accepted, and not there
	Duplicate  uint64   `json:"duplicate"`          // there more than once
	OutOfOrder uint64   `json:"out_of_order"`       // behind a later one of the same user and connection
	Unasked    uint64   `json:"unasked"`            // there, and not accepted: their outcome was unknown or failed
	Examples   []string `json:"examples,omitempty"` // a few ids of what is wrong, with what
}

// OK reports whether nothing that was accepted is lost, doubled or out of order.
func (v *Verified) OK() bool { return v.Lost == 0 && v.Duplicate == 0 && v.OutOfOrder == 0 }
