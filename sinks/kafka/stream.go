package kafka

import "math"

// stream is one idempotent producer for one partition: the sequence of batches
// that a lane sends there. A lane has at most one batch under way, so a stream
// has at most one whose fate is not known.
//
// States, by what the next new batch gets:
//
//	fresh      pid < 0: a producer id is asked for, epoch and sequence are 0
//	open       undecided nil: the next sequence
//	undecided  its batch may be in the log: resent as it is until that is known;
//	           a batch that is another one means that it was given up, and gets
//	           sequence 0 of the next epoch, behind which the broker refuses
//	           whatever of the old one is still on its way
//
// Invariant: a sequence is only ever used for other bytes when the broker is
// known not to have stored the first ones.
//
// A stream is owned by the Write that has its lane.
type stream struct {
	partition int32
	pid       int64
	epoch     int16
	next      int32
	fenced    bool // somebody else has the producer id: the next epoch needs another
	undecided *part
}

// admit settles what is undecided from a batch that was given up, before p is
// sent.
func (s *stream) admit(p *part) {
	old := s.undecided
	if old == nil || old == p {
		return
	}
	s.undecided = nil
	if old.underway {
		select {
		case <-old.send.done:
			// The answer came after its Write had gone.
			old.underway = false
			old.send.learn(s)
			if old.send.err == nil && judge(old.send.code) == stored {
				s.advance(old)
				return
			}
		default:
		}
	}
	s.renew()
}

// stamp gives p the next sequence.
func (s *stream) stamp(p *part) {
	p.batch.ProducerID, p.batch.ProducerEpoch, p.batch.FirstSequence = s.pid, s.epoch, s.next
	p.stamped = true
}

// holds reports whether p's stamp is of the epoch in force.
func (s *stream) holds(p *part) bool {
	return p.batch.ProducerID == s.pid && p.batch.ProducerEpoch == s.epoch
}

// advance counts p as stored.
func (s *stream) advance(p *part) {
	s.next = sequenceAfter(p.batch.FirstSequence, int32(p.n))
	s.undecided = nil
}

// sequenceAfter adds n to a sequence, which wraps around from the greatest int32
// to 0 (org.apache.kafka.common.record.DefaultRecordBatch.incrementSequence).
func sequenceAfter(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

// renew begins a new epoch at sequence 0. Nobody has to be asked: the broker
// takes a greater epoch of an idempotent producer as it comes (KIP-360).
func (s *stream) renew() {
	if s.pid < 0 || s.fenced || s.epoch == math.MaxInt16 {
		s.forget()
		return
	}
	s.epoch++
	s.next = 0
}

// forget gives the producer id up.
func (s *stream) forget() { s.pid, s.epoch, s.next, s.fenced = -1, 0, 0, false }
