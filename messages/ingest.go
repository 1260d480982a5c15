// Package messages is what the actors say to each other, one file a hop. They
// are plain values without methods; a slice in a message belongs to its
// receiver from the moment it is sent.
package messages

import (
	"time"

	"sluice/event"
)

// Parse hands a request to a parser.
type Parse struct {
	Request event.Request
	Receipt *event.Receipt
}

// Validate hands the well-formed events of one request to a validator.
type Validate struct {
	Raws     []event.Raw
	Receipt  *event.Receipt
	Received time.Time
	Where    bool // the sender asks where each event was stored
}
