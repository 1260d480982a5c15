package event

import "errors"

// Query asks for a user's events in a time range.
type Query struct {
	Tenant string
	User   string
	From   int64  // event time in ms since the Unix epoch, inclusive; 0 is the beginning
	To     int64  // exclusive; 0 is the end
	Type   string // empty: every type
	Limit  int    // at least 1
	Cursor string // of the page before; empty for the first
	Desc   bool   // newest first
}

// Page is one page of a query, sorted by (TS, ID) in the order asked for.
type Page struct {
	Events []Event
	Next   string // cursor of the next page; empty at the end
}

// ErrBadCursor says that a Query's Cursor is not one that a Page returned for
// the same range and order.
var ErrBadCursor = errors.New("event: cursor is not one of this query")

// UserStatus is what a user's actor knows. The counts are of this process and
// start with its first event or its reactivation.
type UserStatus struct {
	User       string
	FirstSeen  int64 // ms since the Unix epoch, time of receipt
	LastSeen   int64
	Accepted   uint64
	Duplicates uint64
	Rejected   uint64 // refused by the user's cap
	Failed     uint64
	InFlight   int
	WindowIDs  int   // ids in the dedupe window
	WindowFrom int64 // ms since the Unix epoch: the oldest id in the window; 0 when it is empty
}
