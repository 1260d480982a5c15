// Package sinks is the contract between the writers and what stores events:
// Kafka, Cassandra, the embedded store. Each sink is a folder of its own below;
// sinktest holds the one test that all of them pass.
package sinks

import (
	"context"
	"errors"
	"fmt"

	"sluice/event"
)

// Sink stores one tenant's events. It is made without a connection and never
// fails to be made because the other side is away: it connects by itself, and
// Probe says how that stands.
//
// All methods may be called by many goroutines at once; the caller sees to it
// that at most one Write per Partition.Lane is under way, and that an attempt
// is over before the next one of the same batch begins.
type Sink interface {
	// Partition says where e belongs. It must be cheap (once an event, no I/O)
	// and must not change for a user while that user has events under way.
	Partition(e *event.Event) Partition

	// Write stores the batch and returns when every event's outcome is known or
	// ctx is over:
	//   nil            every event is stored, as durably as the sink can
	//   *PartialError  some are, the others failed for the reason given each
	//   Permanent(err) none is, and trying again will not help
	//   another error  not known to be stored; trying again may help
	// A retry passes the same *Batch, whole, also after a *PartialError, and the
	// sink sees to it that an event stored by an earlier attempt is not stored a
	// second time. Events of one user in one batch become visible in their order.
	// Write keeps neither the batch nor anything in it after it has returned, Memo
	// aside.
	Write(ctx context.Context, b *Batch) error

	// Probe reports whether a Write would find the sink in order: reachable, the
	// credentials good, the topic or table there. The error is for an operator.
	Probe(ctx context.Context) error

	// Close releases what the sink holds, within ctx. No Write is under way and
	// none comes after it.
	Close(ctx context.Context) error
}

// Reader is a Sink whose events can be asked for.
type Reader interface {
	// Read returns one page of q. Data is as it was sent; the caller fills in
	// what the sender left out.
	Read(ctx context.Context, q event.Query) (event.Page, error)
}

// Partition is the part of a sink that an event goes to.
type Partition struct {
	// Lane orders: events of one user have one Lane, and a lane has one batch
	// under way at a time. Kafka: the partition.
	Lane uint32
	// Key groups: a batch holds events of one Key (and so of one Lane), which is
	// what makes it one write for the sink. Kafka: the same as Lane; Cassandra: a
	// hash of the partition key. Two keys with one hash are merely slower.
	Key uint64
}

// Batch is the events of one Partition.Key, in order.
type Batch struct {
	Partition Partition
	Events    []event.Event
	// Where, when not nil, has one element per event, for the sink to say where
	// each was stored (topic/partition/offset, the table's key). Nil: nobody asks.
	Where []string
	// Memo is the sink's own memory between attempts of this batch, such as the
	// sequence under which Kafka already knows it. Nil on the first attempt.
	Memo any
}

// PartialError is the outcome of a batch of which some events were stored: all
// but those in Failed, which is by index into Batch.Events. Each value follows
// the same rule: Permanent, or worth another attempt.
type PartialError struct {
	Failed map[int]error
}

func (e *PartialError) Error() string {
	for _, err := range e.Failed {
		return fmt.Sprintf("%d events of the batch failed, one of them: %v", len(e.Failed), err)
	}
	return "no event of the batch failed"
}

type permanentError struct{ err error }

// Permanent marks err as one that another attempt cannot cure.
func Permanent(err error) error { return &permanentError{err} }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// IsPermanent reports whether err, or one it wraps, was marked by Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}
