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

// User is a user whose events are under way, as its shard knows it: Place is the
// shard's own, and opaque to everybody else.
type User struct {
	Place any
	Shard uint8
}

// Group is the events of one user that stand together in a batch.
type Group struct {
	User       User
	Start, End int32 // in Write.Events
}

// Written tells a shard what became of a batch in one sink. It is one message for
// all users of the shard: their own mailboxes are as many cold lines of memory. Groups
// of other shards are in it too, who hear of them by a message of their own. All of
// it is read only.
type Written struct {
	Shard  uint8
	Groups []Group
	Seqs   []uint64 // by index into the batch, like all that follows
	// Reasons is nil when all were stored; an element is nil for a stored one.
	Reasons []*event.Reason
	// Rejected says, beside Reasons, which ones can never be stored.
	Rejected []bool
	Where    []string // nil: nobody asked
}
