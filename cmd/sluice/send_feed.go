package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"

	"sluice/event"
)

// readAll reads the inputs one after another into the lanes.
func (s *sender) readAll(ctx context.Context) {
	for _, in := range s.inputs {
		if in.track.complete() {
			continue // by an earlier run
		}
		read := s.readFile
		if !in.regular {
			read = s.readStream
		}
		err := read(ctx, in)
		switch {
		case err == nil:
			in.track.finish()
		case ctx.Err() != nil:
			return
		default:
			s.report.broken(in, err)
		}
	}
}

// readFile reads a file to its end. It looks at ctx after it has read: when
// nothing but the end was left, the file is read to its end.
func (s *sender) readFile(ctx context.Context, in *sendInput) error {
	r, format, err := in.open(s.cmd.Format, int(s.cmd.MaxEvent), in.track.at)
	if err != nil {
		return err
	}
	defer r.close()
	in.track.opened(format == event.NDJSON)
	for {
		e, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.take(ctx, in, e, format)
		}
		if err != nil {
			return err
		}
	}
}

// readStream is readFile for a terminal or a pipe, of which every read may wait
// for ever and none can be interrupted. Another goroutine does them; when ctx is
// over it is left behind, and ends after the read that it is at.
func (s *sender) readStream(ctx context.Context, in *sendInput) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	type result struct {
		e      readEvent
		format event.Format
		err    error
	}
	results := make(chan result)
	go func() {
		r, format, err := in.open(s.cmd.Format, int(s.cmd.MaxEvent), startAt{})
		if err == nil {
			defer r.close()
		}
		for {
			var e readEvent
			if err == nil {
				e, err = r.next()
			}
			select {
			case results <- result{e, format, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case got := <-results:
			if got.err == io.EOF {
				return nil
			}
			if got.err == nil {
				got.err = s.take(ctx, in, got.e, got.format)
			}
			if got.err != nil {
				return got.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take hands one event to its lane, unless it has its result already.
func (s *sender) take(ctx context.Context, in *sendInput, e readEvent, format event.Format) error {
	t := in.track
	n := t.at.Event
	next := startAt{n + 1, e.nextLine, e.nextOffset}
	if t.final(n) {
		s.report.skipped.Add(1)
		t.passed(next)
		return nil
	}
	item := &sendItem{in: in, n: n, start: startAt{n, e.line, e.offset}, data: e.data, format: format}
	if e.data == nil {
		t.read(item, next)
		s.report.notAccepted(item, "rejected", event.CodeEventTooLarge,
			fmt.Sprintf("the event is larger than %d bytes (--max-event) and was not sent", s.cmd.MaxEvent))
		return nil
	}
	user := s.look(item)
	if item.id == "" && t.wasDoubts.has(n) {
		t.read(item, next)
		s.report.notAccepted(item, "failed", event.CodeOutcomeUnknown,
			"it was sent before without an id, and whether it is stored is not known: sending it again could store it twice")
		return nil
	}
	item.weight = min(int64(len(item.data))+256, maxHeld)
	if err := s.held.Acquire(ctx, item.weight); err != nil {
		return err
	}
	t.read(item, next)
	select {
	case s.lanes[maphash.String(s.seed, user)%uint64(len(s.lanes))] <- item:
		return nil
	case <-ctx.Done():
		return ctx.Err() // it stays open
	}
}

// look finds the user and the id of an event, and gives it an id if that was
// asked for. What is not an event has neither: the gateway says what is wrong.
func (s *sender) look(item *sendItem) (user string) {
	raws, _, _ := s.parser.Parse(item.data, event.JSON)
	if len(raws) != 1 {
		return ""
	}
	item.id = raws[0].GivenID()
	if id := raws[0].ID.Kind; s.cmd.AssignIDs && (id == event.Absent || id == event.Null) {
		assigned := s.assignedID(item)
		// Fields without TS: only the id is filled in.
		filled := event.Fill(make([]byte, 0, len(item.data)+64), &event.Event{ID: assigned, Data: item.data}, event.Fields{ID: s.fields.ID})
		if len(filled) > len(item.data) {
			item.data, item.id = filled, assigned
		}
	}
	return raws[0].User.Text
}

// assignedID makes a UUIDv8 (RFC 9562 section 5.8) from what the event is and
// where it is from, so that it is the same when the file is sent again.
func (s *sender) assignedID(item *sendItem) string {
	h := sha256.New()
	if item.in.head != "" {
		h.Write([]byte(item.in.head))
	} else {
		h.Write(s.runID[:])
	}
	h.Write(binary.BigEndian.AppendUint64(nil, item.n))
	h.Write(item.data)
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	x := hex.EncodeToString(b)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
