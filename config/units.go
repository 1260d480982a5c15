package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

// The units of a size: IEC ones are powers of 1024, SI ones of 1000.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a size such as 64MiB (1024²), 64MB (1000²) or 4096 (bytes).
// Fractions are allowed where they come to whole bytes.
func ParseSize(s string) (Size, error) {
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = strings.TrimRight(n, " "), u.bytes
			break
		}
	}
	if !decimal(number) {
		return 0, sizeError(s)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/unit {
			return 0, errors.New("larger than any size can be")
		}
		return Size(n * unit), nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f*float64(unit) >= math.MaxInt64 {
		return 0, errors.New("larger than any size can be")
	}
	bytes := f * float64(unit)
	if bytes != math.Trunc(bytes) {
		return 0, errors.New("not a whole number of bytes")
	}
	return Size(bytes), nil
}

func sizeError(s string) error {
	for _, u := range sizeUnits {
		for _, wrong := range []string{u.name, strings.TrimSuffix(u.name, "B"), strings.TrimSuffix(u.name, "iB")} {
			if wrong == "" || len(s) <= len(wrong) || !strings.EqualFold(s[len(s)-len(wrong):], wrong) {
				continue
			}
			if n := strings.TrimRight(s[:len(s)-len(wrong)], " "); decimal(n) {
				return &unitError{"a size such as 64MiB, 500kB or 4096", n + u.name}
			}
		}
	}
	return &unitError{want: "a size such as 64MiB, 500kB or 4096"}
}

// unitError is a value whose number or unit cannot be read.
type unitError struct{ want, suggestion string }

func (e *unitError) Error() string {
	if e.suggestion == "" {
		return "want " + e.want
	}
	return fmt.Sprintf("want %s (did you mean %q?)", e.want, e.suggestion)
}

// decimal reports whether s is digits, at most one point between them.
func decimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	return digits(whole) && (!point || digits(fraction))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String returns the size in the largest IEC unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// About returns the size to three digits, for people.
func (s Size) About() string {
	for _, u := range sizeUnits[:4] {
		if int64(s) >= u.bytes {
			return strconv.FormatFloat(float64(s)/float64(u.bytes), 'g', 3, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + " B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Duration is a span of time, never negative.
type Duration time.Duration

const day = 24 * time.Hour

var durationUnits = []struct {
	name string
	span time.Duration
}{
	{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"µs", time.Microsecond}, {"ns", 1},
}

// ParseDuration reads durations such as 5ms, 1m30s, 24h and 7d, a day being 24
// hours, and 0.
func ParseDuration(s string) (Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var sum time.Duration
	for rest := s; rest != "" || s == ""; {
		number, after := leading(rest, "0123456789.")
		unit, next := leading(after, "abcdefghijklmnopqrstuvwxyzµ")
		scale := durationUnit(unit)
		if !decimal(number) || scale == 0 {
			return 0, durationError(s, number, unit)
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || f*float64(scale)+float64(sum) >= math.MaxInt64 {
			return 0, errors.New("longer than any duration can be (292 years)")
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			sum += time.Duration(n) * scale
		} else {
			sum += time.Duration(math.Round(f * float64(scale)))
		}
		rest = next
	}
	return Duration(sum), nil
}

// leading cuts s after its first bytes that are in set.
func leading(s, set string) (string, string) {
	rest := strings.TrimLeft(s, set)
	return s[:len(s)-len(rest)], rest
}

func durationUnit(name string) time.Duration {
	for _, u := range durationUnits {
		if u.name == name {
			return u.span
		}
	}
	return 0
}

var durationWords = map[string]string{
	"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
	"hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "msec": "ms", "millis": "ms",
	"milliseconds": "ms", "usec": "us", "S": "s", "M": "m", "H": "h", "D": "d", "MS": "ms",
}

func durationError(s, number, unit string) error {
	e := &unitError{want: "a duration such as 5ms, 1m30s, 24h or 7d"}
	switch n, word := leading(s, "0123456789."); {
	case !decimal(n):
	case word == "":
		e.suggestion = s + "s"
	case strings.HasPrefix(word, " ") && durationUnit(strings.TrimSpace(word)) != 0:
		e.suggestion = n + strings.TrimSpace(word)
	case strings.TrimSpace(word) == "w":
		if w, err := strconv.Atoi(n); err == nil && w < 1e6 {
			e.suggestion = strconv.Itoa(7*w) + "d"
		}
	case durationWords[strings.TrimSpace(word)] != "":
		e.suggestion = n + durationWords[strings.TrimSpace(word)]
	}
	return e
}

// String returns the duration as it is written in a configuration, without
// units that are zero: 1m30s, 24h, 7d.
func (d Duration) String() string {
	switch t := time.Duration(d); {
	case t == 0:
		return "0"
	case t%day == 0 && t > day:
		return strconv.FormatInt(int64(t/day), 10) + "d"
	default:
		s := t.String()
		if strings.HasSuffix(s, "m0s") {
			s = s[:len(s)-2]
		}
		if strings.HasSuffix(s, "h0m") {
			s = s[:len(s)-2]
		}
		return s
	}
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
