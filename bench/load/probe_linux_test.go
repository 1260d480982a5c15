package load

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       stat
		ok         bool
	}{
		{"a process", "7 (java) S 3 7 7 0 -1 4194304 1 2 3 4 150 50 20 30 20 0 9 0 100 4096 12 18446744073709551615 1\n",
			stat{parent: 3, cpu: 2500 * time.Millisecond, rss: 12 * uint64(os.Getpagesize())}, true},
		{"a name with brackets and spaces", "7 (a) b (c)) S 3 7 7 0 -1 4194304 1 2 3 4 100 0 0 0 20 0 9 0 100 4096 1 18446744073709551615 1\n",
			stat{parent: 3, cpu: time.Second, rss: uint64(os.Getpagesize())}, true},
		{"cut short", "7 (java) S 3 7 7 0", stat{}, false},
		{"nothing", "", stat{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseStat([]byte(tc.text))
			if got != tc.want || (err == nil) != tc.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
