// Package load is the load generator: it sends the requests that a Plan describes,
// counts what became of every event, and measures how long answers took.
//
// One goroutine a connection speaks HTTP/1.1 itself, from memory that is allocated
// once: the generator has to take less of the machine than the server it measures.
//
// In an open loop requests are due at times that do not depend on the answers, and
// the latency of each counts from when it was due, so that a stall of the server is
// seen by every request it delayed. In a closed loop each connection sends its next
// request when it has the answer to the last one.
package load

import (
	"crypto/tls"
	"errors"
	"time"
)

// Plan is one run, complete and checked: package scenario makes it.
type Plan struct {
	Name   string
	About  string
	Target Target
	// Tenants share the load by their weights, each on connections and a schedule
	// of its own, so that a slow one does not hold the others' requests back.
	Tenants []Tenant
	Events  Events
	Users   Users

	// Open is when requests are due; nil is a closed loop.
	Open *Open
	// Knee, when it is not nil, searches for the highest rate that holds a limit.
	// Open is nil then.
	Knee *Knee

	Connections int
	NewConn     bool          // a new connection for every request
	Warmup      time.Duration // at the start, not counted
	For         time.Duration // measured; it ends the run
	Count       uint64        // events, warm-up included; 0: only For ends the run
	Timeout     time.Duration // of one answer
	Retry       bool          // send refused requests again when Retry-After says so
	Seed        uint64
	Run         string // the first part of every id
	Ack         string // for the result only: Target has it in its path
}

// Target is where requests go: one address, and nothing is sent to any other.
type Target struct {
	URL     string // for people
	Address string // host:port
	Host    string // of the Host header
	Path    string // with the query
	Headers [][2]string
	TLS     *tls.Config // nil: none
}

// Tenant is one sender of events.
type Tenant struct {
	Name        string
	Key         string // of the Authorization header; empty: none is sent
	Weight      float64
	Connections int // 0: its share by weight
}

// Format is how events are put into a request.
type Format string

// The formats.
const (
	Single Format = "single" // one object
	Array  Format = "array"
	NDJSON Format = "ndjson"
	OTLP   Format = "otlp" // an OTLP/HTTP logs request in JSON, an event a record
)

// Events says what events look like.
type Events struct {
	Format Format
	Batch  int // events a request
	// Sizes are the sizes of events in bytes; each event has one of them, picked
	// at random.
	Sizes []int
	// Records are events from a file; Sizes is not used then.
	Records []Record
	// Compress is gzip, zstd or empty.
	Compress string

	Duplicates float64 // share of events that are sent again, under the same id
	Invalid    float64 // share of events that are not valid
	Broken     bool    // those are no JSON; otherwise they lack their type
	Oversize   float64 // share of events of OversizeBytes
	OverBytes  int
}

// MinEvent is the least number of bytes of a generated event.
const MinEvent = 128

// Record is an event from a file. Rewritten, it is head, id, middle, user, tail.
type Record struct {
	Whole              []byte // nil when the parts are used
	Head, Middle, Tail []byte
	UserFirst          bool
}

// Users says whose events are sent.
type Users struct {
	Count int
	// Zipf is the exponent of a Zipf distribution, 0 for a uniform one.
	Zipf float64
	// HotUsers users share HotShare of the events evenly; 0: none are hot.
	HotUsers int
	HotShare float64
}

// Open is an open loop: rates of events over time, or recorded arrivals.
type Open struct {
	Segments []Segment
	Phases   []string // names of the phases that segments belong to
	// Arrivals are when requests are due, ascending; Segments is empty then.
	Arrivals []time.Duration
	Rate     float64 // for the result: the one rate, 0 when there are several
}

// Segment is a time over which the rate goes evenly From To, in events a second.
type Segment struct {
	Phase    int
	From, To float64
	For      time.Duration
}

// Knee is a search for the highest rate whose p99 holds a limit: steps up by
// Factor until one does not, then halving of what is between.
type Knee struct {
	From, To  float64 // events/s; a To of 0 is no bound
	Factor    float64
	Step      time.Duration
	LimitP99  time.Duration
	Precision float64 // of the rate, as a share of it
}

// Traceable is nil when every event has an id of its own, so that it can be looked
// for afterwards.
func (p *Plan) Traceable() error {
	if len(p.Events.Records) > 0 && p.Events.Records[0].Whole != nil {
		return errors.New("events of a file are sent as they are, time and again, so none can be looked for; rewrite_id gives them ids of their own")
	}
	return nil
}

// Phases of a closed loop and of arrivals have one name.
func (p *Plan) phases() []string {
	if p.Open != nil && len(p.Open.Phases) > 0 {
		return p.Open.Phases
	}
	return []string{""}
}
