// Package messages is what the actors say to each other, one file a hop. They
// are plain values without methods; a slice in a message belongs to its
// receiver from the moment it is sent.
package messages

import "sluice/event"

// Parse hands a request to a parser.
type Parse struct {
	Request event.Request
	Receipt *event.Receipt
}

// Validate hands the parsed events of one request to a validator. The index of
// an event in its request is in Raw.Index.
type Validate struct {
	Raws     []event.Raw
	Receipt  *event.Receipt
	Received int64 // µs since the Unix epoch
}
