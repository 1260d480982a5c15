// Package event holds what travels through sluice: the event itself, the
// request that brought it, the outcome it gets and the receipt that collects
// outcomes. It depends on the standard library and the JSON library alone.
package event

import "time"

// Event is one validated event. It is immutable from the moment the validator
// has made it.
//
// The strings and Data may share memory with the body of the request that
// brought them, which is never written again; whoever keeps one of them beyond
// the event's outcome clones it, or the whole body stays in memory.
type Event struct {
	Tenant string
	User   string // 1–256 bytes; whatever is ordered: a user, a device, a sensor
	ID     string // 1–128 bytes; the idempotency key within (Tenant, User)
	Type   string // 1–128 bytes
	TS     int64  // event time, milliseconds since the Unix epoch
	// Received is the time of receipt in microseconds since the Unix epoch. It
	// is fixed once, at the edge, so that a rewrite is the same write.
	Received int64
	Data     []byte // the event's own bytes, as they were sent
}

// Time returns the event time.
func (e *Event) Time() time.Time { return time.UnixMilli(e.TS).UTC() }

// Format says how a body holds its events.
type Format uint8

// The formats of a body.
const (
	JSON   Format = iota // one object, or an array of objects
	NDJSON               // one object a line; blank lines are skipped
)

// Ack is what a 2xx promises. A greater Ack is a stronger promise.
type Ack uint8

// The levels, weakest first. The zero Ack is no level.
const (
	AckReceived  Ack = iota + 1 // valid and in the mailbox; lost if the process dies
	AckJournaled                // fsynced in the local journal
	AckStored                   // confirmed by the sink
)

// ParseAck returns the level called name, false if there is none.
func ParseAck(name string) (Ack, bool) {
	for a := AckReceived; a <= AckStored; a++ {
		if a.String() == name {
			return a, true
		}
	}
	return 0, false
}

func (a Ack) String() string {
	switch a {
	case AckReceived:
		return "received"
	case AckJournaled:
		return "journaled"
	case AckStored:
		return "stored"
	}
	return "none"
}

// Fields says where an event holds the fields sluice reads, each as a JSON
// Pointer (RFC 6901) such as "/id" or "/meta/device".
type Fields struct {
	ID, Type, User, TS string
}

// DefaultFields are the pointers of a tenant that configures none.
func DefaultFields() Fields {
	return Fields{ID: "/id", Type: "/type", User: "/user", TS: "/ts"}
}

// Limits bound what one request may hold.
type Limits struct {
	MaxEvent  int           // bytes of one event
	MaxEvents int           // events of one request
	MaxDepth  int           // nesting of one event; the event itself is depth 1
	MaxSkew   time.Duration // how far in the future ts may be
}

// Request is one accepted body on its way to the parser.
type Request struct {
	Body     []byte // owned by the receiver: never of the HTTP server's memory
	Format   Format
	Ack      Ack  // the level at which it is answered
	Where    bool // the sender asks where each event was stored
	Reserved int  // bytes of the tenant's budget that go with it, at least len(Body)
	Received time.Time
}
