package messages

import (
	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
)

// Append hands events of one user and one partition to a batcher. Items are
// read only: the batchers of several sinks share them.
type Append struct {
	User  User
	Lane  uint32 // sinks.Partition
	Key   uint64
	Items []Item
}

// Flush makes a batcher send what it may. It is sent by the batcher to itself,
// so that it comes behind the Appends that are waiting already.
type Flush struct{}

// Linger tells a batcher that the batch with number Seq of a lane is as old as
// a batch may get. A stale one is ignored.
type Linger struct {
	Lane uint32
	Seq  uint64
}

// Write hands a batch to a writer. Seq tells batches of one batcher apart.
type Write struct {
	Batcher *actor.PID
	Seq     uint64
	Lane    uint32
	Key     uint64
	Events  []event.Event
	Seqs    []uint64 // Item.Seq of each event
	Groups  []Group
	Where   bool // at least one sender asks where its event was stored
}

// BatchDone tells a batcher that every event of the batch has its outcome: the
// lane is free. Spent gives the memory of the batch back for the next one.
type BatchDone struct {
	Lane  uint32
	Seq   uint64
	Spent []event.Event // of length 0, cleared
}
