package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/event"
	"sluice/messages"
)

// TestLanes plays scripts at lanes with batches of three events or ten bytes. A
// letter appends an event of one byte to the lane and key of its case: a–z to
// lane 1, A–Z to lane 2, and with ' behind it to the other key of its lane; a *
// behind it makes it six bytes. "!" flushes, "1" and "2" end what is under way in
// a lane, "~" ages the newest batch. What leaves is written batch by batch.
func TestLanes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		linger time.Duration
		script string
		want   string
	}{
		{"nothing leaves before a flush", -1, "ab", ""},
		{"empty batches never leave", -1, "!1!", ""},
		{"an idle lane sends what it has", -1, "a!", "a"},
		{"a flush takes all that came before it", -1, "ab!", "ab"},
		{"a busy lane gathers until it is free", -1, "a!bc!1!", "a bc"},
		{"a batch is closed by its events", -1, "a!bcde!1!1!", "a bcd e"},
		{"a batch is closed by its bytes", -1, "a!b*c*!1!1!", "a b c"},
		{"an event larger than a batch goes alone", -1, "a*b*!1!", "a b"},
		{"lanes do not wait for each other", -1, "a!bA!", "a A"},
		{"a lane has one batch under way whatever its keys", -1, "ab'!c!1!1!", "a b' c"},
		{"events of two keys are two batches", -1, "ab'a!1!", "aa b'"},
		{"an end that is not awaited is ignored", -1, "1a!", "a"},
		{"with linger a batch waits", time.Hour, "ab!", ""},
		{"with linger a full batch does not wait", time.Hour, "abc!", "abc"},
		{"with linger age closes a batch", time.Hour, "ab~!", "ab"},
		{"with linger a stale age is ignored", time.Hour, "abc~!d!", "abc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := playLanes(tc.linger, tc.script); got != tc.want {
				t.Errorf("%q left as %q, want %q", tc.script, got, tc.want)
			}
		})
	}
}

func playLanes(linger time.Duration, script string) string {
	l := newLanes(BatchPolicy{MaxEvents: 3, MaxBytes: 10, Linger: linger})
	user := messages.User{Place: "u"}
	var left []string
	away := map[uint32]uint64{}
	for i := 0; i < len(script); i++ {
		switch c := script[i]; c {
		case '!':
			l.flush(func(b *batch) {
				away[b.Lane] = b.Seq
				s := ""
				for _, e := range b.Events {
					s += e.ID
				}
				left = append(left, s)
			})
		case '1', '2':
			lane := uint32(c - '0')
			l.done(messages.BatchDone{Lane: lane, Seq: away[lane]})
			delete(away, lane)
		case '~':
			l.aged(1, l.seq)
		default:
			m := messages.Append{User: user, Lane: 1, Key: 1}
			if c < 'a' {
				m.Lane, m.Key = 2, 2
			}
			e := event.Event{ID: string(c), Data: []byte{c}}
			for ; i+1 < len(script) && strings.ContainsRune("'*", rune(script[i+1])); i++ {
				if script[i+1] == '*' {
					e.Data = make([]byte, 6)
					continue
				}
				m.Key += 10
				e.ID += "'"
			}
			m.Items = []messages.Item{{Event: e}}
			l.append(m)
		}
	}
	return strings.Join(left, " ")
}

func TestABatchKnowsWhoseEventsItHolds(t *testing.T) {
	l := newLanes(BatchPolicy{MaxEvents: 10, MaxBytes: 100, Linger: -1})
	ann, bob := messages.User{Place: "ann"}, messages.User{Place: "bob"}
	add := func(u messages.User, seqs ...uint64) {
		m := messages.Append{User: u}
		for _, s := range seqs {
			m.Items = append(m.Items, messages.Item{Seq: s, Where: s == 7})
		}
		l.append(m)
	}
	add(ann, 1, 2)
	add(ann, 3)
	add(bob, 7)
	add(ann, 4)
	l.flush(func(b *batch) {
		got := ""
		for _, g := range b.Groups {
			got += fmt.Sprint(g.User.Place, ":")
			for _, s := range b.Seqs[g.Start:g.End] {
				got += string(rune('0' + s))
			}
			got += " "
		}
		if got != "ann:123 bob:7 ann:4 " || !b.Where {
			t.Errorf("groups %q, where asked: %v", got, b.Where)
		}
	})
}
