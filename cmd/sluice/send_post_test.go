package main

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	const (
		ours   = "Wed, 02 Jan 2013 12:00:00 GMT"
		theirs = "Wed, 02 Jan 2013 15:00:00 GMT" // of a clock three hours fast
	)
	for _, tc := range []struct {
		name, value, date string
		want              time.Duration
	}{
		{"none is no wait", "", "", 0},
		{"seconds", "7", "", 7 * time.Second},
		{"no seconds", "0", "", 0},
		{"a date, by our clock where the answer tells no time", "Wed, 02 Jan 2013 12:00:30 GMT", "", 30 * time.Second},
		{"a date, by the clock of who wrote it", "Wed, 02 Jan 2013 15:00:30 GMT", theirs, 30 * time.Second},
		{"a date in the layout of RFC 850", "Wednesday, 02-Jan-13 12:00:30 GMT", ours, 30 * time.Second},
		{"a date in the layout of C's asctime", "Wed Jan  2 12:00:30 2013", ours, 30 * time.Second},
		{"a date with a Date that is none", "Wed, 02 Jan 2013 12:00:30 GMT", "yesterday", 30 * time.Second},
		{"a date that is over is no wait", "Wed, 02 Jan 2013 11:59:00 GMT", ours, 0},
		{"a date that is long over is no wait", "Mon, 01 Jan 0001 00:00:00 GMT", ours, 0},
		{"a date in a far future is ten minutes", "Fri, 31 Dec 9999 23:59:59 GMT", ours, maxRetryAfter},
		{"many seconds are ten minutes", "86400", "", maxRetryAfter},
		{"more seconds than there are numbers are ten minutes", "99999999999999999999999999", "", maxRetryAfter},
		{"a negative number is nonsense", "-7", "", 0},
		{"a fraction is nonsense", "1.5", "", 0},
		{"words are nonsense", "soon", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now, err := http.ParseTime(ours)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			h.Set("Retry-After", tc.value)
			if tc.date != "" {
				h.Set("Date", tc.date)
			}
			if got := retryAfter(h, now); got != tc.want {
				t.Errorf("Retry-After %q is a wait of %v, want %v", tc.value, got, tc.want)
			}
		})
	}
}
