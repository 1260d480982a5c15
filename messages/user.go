package messages

import (
	"time"

	"sluice/event"
)

// Item is one valid event with the place in its request that waits for the
// outcome.
type Item struct {
	Event   event.Event
	Receipt *event.Receipt
	Index   int32
	Where   bool   // the sender asks where it was stored
	Seq     uint64 // given by the user actor: how it recognises the event in Written
}

// Route hands the events of one request whose users live in one shard to that
// shard, in the order of the request.
type Route struct {
	Items []Item
}

// Deliver hands the events of one request and one user to the user's actor.
type Deliver struct {
	Items []Item
}

// Passivate asks a user actor whether it may be put to rest. It answers its
// shard with Rest or Busy, and its shard holds back what comes for it meanwhile.
type Passivate struct{}

// Rest says that the user has nothing under way: its actor may be stopped.
type Rest struct {
	User string
}

// Busy says that the user's actor has events under way.
type Busy struct {
	User string
}

// Sweep makes a shard put users to rest that have been idle since before Idle.
type Sweep struct {
	Now  time.Time
	Idle time.Time
}

// Describe asks a shard, and through it a user's actor, for what it knows.
// Reply has room for one answer and gets exactly one.
type Describe struct {
	User  string
	Reply chan<- Description
}

// Description answers Describe; Known is false when nothing is known of the user.
type Description struct {
	Status event.UserStatus
	Known  bool
}

// Written tells a user actor what became of its events in one sink.
type Written struct {
	Seqs []uint64
	// Reasons is nil when all were stored; otherwise it has one element per Seq,
	// nil for the stored ones.
	Reasons []*event.Reason
	// Rejected says, beside Reasons, which ones can never be stored.
	Rejected []bool
	Where    []string // nil, or one element per Seq
}

// Inbox is where a user's actor is reached by those of its own process. There is
// one for every user that is live, far more than any cache holds, and a PID would
// lead there by way of three more places in memory. actor.Mailbox has this method.
type Inbox interface{ PostUserMessage(msg any) }

// Group is the events of one user that stand together in a batch.
type Group struct {
	User       Inbox
	Start, End int // in Write.Events
}
