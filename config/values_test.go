package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Size
		err  string
	}{
		{"0", 0, ""},
		{"4096", 4096, ""},
		{"64MiB", 64 << 20, ""},
		{"64MB", 64_000_000, ""},
		{"1.5GiB", 3 << 29, ""},
		{"512 KiB", 512 << 10, ""},
		{"500kB", 500_000, ""},
		{"500KB", 500_000, ""},
		{"7B", 7, ""},
		{"1TiB", 1 << 40, ""},
		{"8Mb", 0, `did you mean "8MB"?`},
		{"8M", 0, `did you mean "8MiB"?`},
		{"8mib", 0, `did you mean "8MiB"?`},
		{"8 gib", 0, `did you mean "8GiB"?`},
		{"-1", 0, "want a size"},
		{"", 0, "want a size"},
		{"MiB", 0, "want a size"},
		{"1e3", 0, "want a size"},
		{"0x10", 0, "want a size"},
		{"1.5B", 0, "not a whole number"},
		{".5MiB", 0, "want a size"},
		{"99999999999999999999", 0, "larger than any"},
		{"9999999999TiB", 0, "larger than any"},
		{"٣MiB", 0, "want a size"},
	} {
		got, err := ParseSize(tc.in)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: got %d, %v; want %d, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want time.Duration
		err  string
	}{
		{"0", 0, ""},
		{"0s", 0, ""},
		{"5ms", 5 * time.Millisecond, ""},
		{"7d", 7 * day, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"1m30s", 90 * time.Second, ""},
		{"1.5h", 90 * time.Minute, ""},
		{"10us", 10 * time.Microsecond, ""},
		{"10µs", 10 * time.Microsecond, ""},
		{"", 0, "want a duration"},
		{"5", 0, `did you mean "5s"?`},
		{"5 ms", 0, `did you mean "5ms"?`},
		{"5 minutes", 0, `did you mean "5m"?`},
		{"2w", 0, `did you mean "14d"?`},
		{"5S", 0, `did you mean "5s"?`},
		{"-5s", 0, "want a duration"},
		{"s", 0, "want a duration"},
		{"1h-5m", 0, "want a duration"},
		{"999999999999h", 0, "longer than any"},
		{"200y", 0, "want a duration"},
	} {
		got, err := ParseDuration(tc.in)
		if time.Duration(got) != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: got %v, %v; want %v, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestWhatIsPrintedCanBeReadAgain(t *testing.T) {
	for _, s := range []Size{0, 1, 1000, 1 << 10, 3 << 20, 5 << 30, 1 << 40, 1<<40 + 1} {
		if got, err := ParseSize(s.String()); got != s || err != nil {
			t.Errorf("%d prints as %s, which reads as %d, %v", int64(s), s, got, err)
		}
	}
	for _, d := range []time.Duration{0, 1, time.Microsecond, 1500 * time.Millisecond, 90 * time.Second, time.Hour, day, 36 * time.Hour, 7 * day, 365 * day} {
		if got, err := ParseDuration(Duration(d).String()); time.Duration(got) != d || err != nil {
			t.Errorf("%v prints as %s, which reads as %v, %v", d, Duration(d), got, err)
		}
	}
	for in, want := range map[time.Duration]string{day: "24h", 7 * day: "7d", 5 * time.Minute: "5m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s"} {
		if got := Duration(in).String(); got != want {
			t.Errorf("%v prints as %s, want %s", in, got, want)
		}
	}
}

func TestKeyHash(t *testing.T) {
	h := HashKey("slk_x")
	if got, err := ParseKeyHash(h.String()); got != h || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "sha256:", "slk_x", strings.ToUpper(h.String()), h.String() + "0", h.String()[7:], "sha256:" + strings.Repeat("g", 64)} {
		if _, err := ParseKeyHash(bad); err == nil || bad != "" && bad != "sha256:" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	type holder struct{ Password Secret }
	v := holder{"hunter2"}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%s %q", v.Password, v.Password), string(text)} {
		if strings.Contains(got, "hunter2") {
			t.Errorf("it prints: %s", got)
		}
	}
	if v.Password.Reveal() != "hunter2" {
		t.Error("the secret is lost")
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"bytes", "byts", 1}, {"kitten", "sitting", 3}, {"window", "window", 0}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("%s → %s: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
