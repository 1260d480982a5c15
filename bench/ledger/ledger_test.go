package ledger

import (
	"testing"
	"unsafe"
)

func TestParse(t *testing.T) {
	l := &Ledger{Run: "5eed", Conns: [][]Entry{make([]Entry, 3), make([]Entry, 12)}}
	for _, tc := range []struct {
		name, id string
		conn, n  int
		ok       bool
	}{
		{"an id of the run", "5eed-1-11", 1, 11, true},
		{"the first one", "5eed-0-0", 0, 0, true},
		{"another run's is not", "feed-0-0", 0, 0, false},
		{"an event that was not sent is not", "5eed-0-3", 0, 0, false},
		{"a connection that there was not is not", "5eed-2-0", 0, 0, false},
		{"leading zeros are not how ids are written", "5eed-0-01", 0, 0, false},
		{"signs are not", "5eed-0-+1", 0, 0, false},
		{"a part is missing", "5eed-0", 0, 0, false},
		{"a part is empty", "5eed--1", 0, 0, false},
		{"a part too many", "5eed-0-1-2", 0, 0, false},
		{"nothing", "", 0, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, n, ok := l.Parse(tc.id)
			if conn != tc.conn || n != tc.n || ok != tc.ok {
				if ok != tc.ok || tc.ok {
					t.Errorf("%q: got %d, %d, %v, want %d, %d, %v", tc.id, conn, n, ok, tc.conn, tc.n, tc.ok)
				}
			}
			if ok && l.ID(conn, n) != tc.id {
				t.Errorf("ID(%d, %d) is %q, not %q", conn, n, l.ID(conn, n), tc.id)
			}
		})
	}
}

func TestAnEntryTakesEightBytes(t *testing.T) {
	if got := unsafe.Sizeof(Entry{}); got > 8 {
		t.Errorf("it takes %d", got)
	}
}

func TestEveryOutcomeHasAName(t *testing.T) {
	for o := Unsent; o <= Unknown; o++ {
		if o.String() == "" || o.String()[0] == 'o' {
			t.Errorf("%d is %q", o, o)
		}
	}
}
