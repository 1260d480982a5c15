package cassandra

import (
	"testing"
	"time"
)

// TestHealth plays requests at a health: a letter is how one ended (o answered,
// r refused, t no answer, n no connection, c given up), a second after the one
// before; + is another half of sickFor. S is where it is taken to be sick: sickFor is 5 s, reached
// with the sixth in a row.
func TestHealth(t *testing.T) {
	class := map[rune]Class{'o': OK, 'r': Invalid, 't': ClientTimeout, 'n': NoConnection, 'c': Cancelled}
	for _, tc := range []struct{ name, script, want string }{
		{"failures for long enough are a sickness", "nnnnnnn", "nnnnnSn"},
		{"many at once are none yet", "tttt", "tttt"},
		{"few over a long time are none", "n++n++n", "n++n++n"},
		{"an answer makes well", "nnnnnonnnnn", "nnnnnonnnnn"},
		{"a refusal is an answer", "tttttrttttt", "tttttrttttt"},
		{"what was given up shows nothing", "nncnncnn", "nncnncSn"},
		{"it is said once", "nnnnnnnnnn", "nnnnnSnnnn"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h health
			sick := false
			h.watch(func() { sick = true })
			now, got := time.Unix(0, 0), ""
			for _, r := range tc.script {
				if r == '+' {
					now = now.Add(sickFor / 2)
					got += "+"
					continue
				}
				now = now.Add(time.Second)
				sick = false
				h.note(class[r], now)
				if sick {
					r = 'S'
				}
				got += string(r)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
