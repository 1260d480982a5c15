package actors

import (
	"github.com/zeebo/xxh3"
)

// mark is one id in a dedupe window: 96 bits of its hash, and when it was
// stored. With 96 bits two different ids of one user do not meet.
type mark struct {
	hash uint64
	more uint32
	at   uint32 // seconds since the Unix epoch
}

// markOf returns the mark of id, at no time yet.
func markOf(id string) mark {
	h := xxh3.HashString128(id)
	return mark{hash: h.Lo, more: uint32(h.Hi)}
}

func (m mark) same(o mark) bool { return m.hash == o.hash && m.more == o.more }

// window remembers the ids of one user that were stored lately: at most size of
// them, the oldest making room, and none for longer than it is told to expire.
//
// The marks stand in a ring in the order in which they came; small windows are
// searched as they are, larger ones by an open-addressing table of ring places.
//
//	ring:  [ . . 5 6 7 8 . . ]     head = 2, len = 4
//	table: hash(mark) ──▶ entry, linear probing
//
// The windows of many users are together far larger than the caches, so what
// counts is how many lines of memory a look-up touches: an entry knows enough of
// its mark to leave the ring alone.
type window struct {
	ring  []mark
	table []entry // nil while the ring is at most tableFrom long
	head  int32
	len   int32
	since uint32 // when the oldest mark was stored: known without touching the ring
}

// entry is a place in the ring, with what tells most other marks from the one
// there and how far from its home slot it was pushed. 0 is a free slot.
//
//	31    26 25   20 19                0
//	[ tag   | pushed | place + 1        ]
type entry uint32

const (
	placeBits  = 20 // max_ids is at most a million
	pushedBits = 6
	// pushedFar is a distance that does not fit: the ring has the mark.
	pushedFar = 1<<pushedBits - 1
)

func entryOf(m mark, place int32, pushed int) entry {
	return entry(m.tag()<<(placeBits+pushedBits) | uint32(min(pushed, pushedFar))<<placeBits | uint32(place+1))
}

// tag is of bits of the hash that have no part in the home slot.
func (m mark) tag() uint32 { return uint32(m.hash >> 58) }

func (e entry) tag() uint32  { return uint32(e) >> (placeBits + pushedBits) }
func (e entry) place() int32 { return int32(e&(1<<placeBits-1)) - 1 }

// at returns e as an entry that stands pushed slots behind its home.
func (e entry) at(pushed int) entry {
	return e&^(pushedFar<<placeBits) | entry(min(pushed, pushedFar))<<placeBits
}

const (
	tableFrom = 16 // ring places from which a table is worth its memory
	markBytes = 16
)

// bytes is the memory that the window holds.
func (w *window) bytes() int {
	if w.table == nil {
		return len(w.ring) * markBytes
	}
	return len(w.ring)*markBytes + len(w.table)*4
}

// full reports whether the next mark makes the window grow, or drop one.
func (w *window) full() bool { return int(w.len) == len(w.ring) }

// has reports whether id's mark is in the window.
func (w *window) has(m mark) bool {
	if w.table == nil {
		for i := range w.len {
			if w.ring[w.place(i)].same(m) {
				return true
			}
		}
		return false
	}
	_, found := w.find(m)
	return found
}

// add puts m, which is not in the window, at its end. The window holds at most
// size marks, size at least 1.
func (w *window) add(m mark, size int) {
	if w.full() {
		if int(w.len) < size {
			w.grow(size)
		} else {
			w.drop()
		}
	}
	at := w.place(w.len)
	w.ring[at] = m
	if w.len++; w.len == 1 {
		w.since = m.at
	}
	if w.table != nil {
		w.link(m, at)
	}
}

// link enters m, which is at a place of the ring and not in the table.
func (w *window) link(m mark, place int32) {
	t := w.table
	mask := len(t) - 1
	pushed := 0
	for t[(int(m.hash)+pushed)&mask] != 0 {
		pushed++
	}
	t[(int(m.hash)+pushed)&mask] = entryOf(m, place, pushed)
}

// expire drops the marks that are older than since, in seconds since the epoch.
func (w *window) expire(since uint32) {
	if w.len == 0 || w.since >= since {
		return
	}
	for w.len > 0 && w.since < since {
		w.drop()
	}
	if w.len == 0 {
		*w = window{}
	}
}

// oldest returns when the oldest mark was stored, 0 when there is none.
func (w *window) oldest() uint32 {
	if w.len == 0 {
		return 0
	}
	return w.since
}

// place returns where in the ring the ith mark from the oldest stands.
func (w *window) place(i int32) int32 {
	i += w.head
	if n := int32(len(w.ring)); i >= n {
		i -= n
	}
	return i
}

// drop forgets the oldest mark.
func (w *window) drop() {
	if w.table != nil {
		if slot, found := w.find(w.ring[w.head]); found {
			w.unlink(slot)
		}
	}
	w.head = w.place(1)
	if w.len--; w.len > 0 {
		w.since = w.ring[w.head].at
	}
}

// grow doubles the ring, up to size, and builds the table once it pays.
func (w *window) grow(size int) {
	ring := make([]mark, min(max(1, 2*len(w.ring)), size))
	for i := range w.len {
		ring[i] = w.ring[w.place(i)]
	}
	w.ring, w.head = ring, 0
	if len(ring) <= tableFrom {
		return
	}
	slots := 1
	for slots < 2*len(ring) {
		slots *= 2
	}
	w.table = make([]entry, slots)
	for i := range w.len {
		w.link(ring[i], i)
	}
}

// find returns the slot of m in the table.
func (w *window) find(m mark) (slot int, found bool) {
	t, tag := w.table, m.tag()
	mask := len(t) - 1
	for slot = int(m.hash) & mask; t[slot] != 0; slot = (slot + 1) & mask {
		if e := t[slot]; e.tag() == tag && w.ring[e.place()].same(m) {
			return slot, true
		}
	}
	return slot, false
}

// unlink frees a slot and moves up what linear probing had pushed behind it
// (Knuth, The Art of Computer Programming 6.4, algorithm R).
func (w *window) unlink(slot int) {
	t := w.table
	mask := len(t) - 1
	hole := slot
	for at := (slot + 1) & mask; t[at] != 0; at = (at + 1) & mask {
		pushed := w.pushed(at)
		if gap := (at - hole) & mask; pushed >= gap {
			t[hole] = t[at].at(pushed - gap)
			hole = at
		}
	}
	t[hole] = 0
}

// pushed returns how far behind its home slot the entry at slot stands.
func (w *window) pushed(slot int) int {
	t := w.table
	if n := int(t[slot]>>placeBits) & pushedFar; n < pushedFar {
		return n
	}
	return (slot - int(w.ring[t[slot].place()].hash)) & (len(t) - 1)
}
