package event

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// received is when the events of these tests came in, in microseconds.
var received = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro() + 250_789

func validate(t *testing.T, body string) (Event, *Reason) {
	t.Helper()
	l := Limits{MaxEvent: 1 << 16, MaxEvents: 10, MaxDepth: 64, MaxSkew: time.Minute}
	raws, rejects, refusal := newTestParser(t, DefaultFields(), l).Parse([]byte(body), JSON)
	if refusal != nil || len(rejects) > 0 {
		t.Fatal(rejects, refusal)
	}
	return NewValidator("acme", DefaultFields(), l).Validate(&raws[0], received)
}

func TestValidate(t *testing.T) {
	digits128 := strings.Repeat("8", 128)
	for _, tc := range []struct {
		name string
		body string
		want string // id user type, or code: message
	}{
		{"strings are taken as they are", `{"id":"i","type":"t","user":"u"}`, "i u t"},
		{"integers are taken by their digits", `{"id":12,"type":"t","user":-34}`, "12 -34 t"},
		{"minus zero is zero", `{"id":-0,"type":"t","user":0}`, "0 0 t"},
		{"the longest integer is kept digit by digit", `{"id":` + digits128 + `,"type":"t","user":"u"}`, digits128 + " u t"},
		{"escapes are resolved", `{"id":"\u0069","type":"\t","user":"\ud83d\ude00"}`, "i 😀 \t"},
		{"the longest fields are taken", `{"id":"` + strings.Repeat("i", 128) + `","type":"` + strings.Repeat("t", 128) + `","user":"` + strings.Repeat("u", 256) + `"}`,
			strings.Repeat("i", 128) + " " + strings.Repeat("u", 256) + " " + strings.Repeat("t", 128)},
		{"type is required", `{"user":"u"}`, "missing_field /type: want a string at /type, got nothing"},
		{"user is required", `{"type":"t"}`, "missing_field /user: want a string or an integer at /user, got nothing"},
		{"null is the same as nothing", `{"type":"t","user":null}`, "missing_field /user: want a string or an integer at /user, got null"},
		{"type is no integer", `{"type":1,"user":"u"}`, "invalid_field /type: want a string at /type, got the number 1"},
		{"user is no fraction", `{"type":"t","user":1.5}`, "invalid_field /user: want a string or an integer at /user, got the number 1.5"},
		{"user is no power of ten", `{"type":"t","user":1e3}`, "invalid_field /user: want a string or an integer at /user, got the number 1e3"},
		{"id is no boolean", `{"id":true,"type":"t","user":"u"}`, "invalid_field /id: want a string or an integer at /id, got a boolean"},
		{"id is no object", `{"id":{},"type":"t","user":"u"}`, "invalid_field /id: want a string or an integer at /id, got an object"},
		{"user is no array", `{"id":"i","type":"t","user":["u"]}`, "invalid_field /user: want a string or an integer at /user, got an array"},
		{"user is not empty", `{"type":"t","user":""}`, "invalid_field /user: want 1 to 256 bytes at /user, got an empty string"},
		{"id is not empty", `{"id":"","type":"t","user":"u"}`, "invalid_field /id: want 1 to 128 bytes at /id, got an empty string"},
		{"lengths are in bytes", `{"type":"t","user":"` + strings.Repeat("é", 129) + `"}`, "invalid_field /user: want 1 to 256 bytes at /user, got 258 bytes"},
		{"an integer can be too long", `{"id":` + digits128 + `1,"type":"t","user":"u"}`, "invalid_field /id: want 1 to 128 bytes at /id, got 129 bytes"},
		{"a type can be too long", `{"type":"` + strings.Repeat("t", 129) + `","user":"u"}`, "invalid_field /type: want 1 to 128 bytes at /type, got 129 bytes"},
		{"NUL has no place in a key", `{"type":"t","user":"a\u0000b"}`, `invalid_field /user: want text without the character U+0000 at /user, got the string "a\x00b"`},
		{"what is quoted is cut and escaped", `{"type":"t","user":"u","ts":"` + strings.Repeat(`\n`, 100) + `"}`,
			`invalid_field /ts: want an RFC 3339 time or integer milliseconds since 1970 at /ts, got the string "` + strings.Repeat(`\n`, 64) + `"…`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, bad := validate(t, tc.body)
			got := e.ID + " " + e.User + " " + e.Type
			if bad != nil {
				got = bad.Code + " " + bad.Pointer + ": " + bad.Message
				if bad.Stage != StageValidator || e.Data != nil {
					t.Errorf("stage %q, event %+v", bad.Stage, e)
				}
			} else if e.Tenant != "acme" || e.Received != received || string(e.Data) != tc.body {
				t.Errorf("event %+v", e)
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestValidateTime(t *testing.T) {
	const now = "2026-03-01T12:00:00.25Z"
	for _, tc := range []struct {
		name, id, ts string
		want         string // RFC 3339, or code
	}{
		{"RFC 3339", `"i"`, `"2025-07-14T09:31:22Z"`, "2025-07-14T09:31:22Z"},
		{"an offset is taken off", `"i"`, `"2025-07-14T09:31:22.5+02:30"`, "2025-07-14T07:01:22.5Z"},
		{"a fraction of any length is cut to milliseconds", `"i"`, `"2025-07-14T09:31:22.4189999999999999Z"`, "2025-07-14T09:31:22.418Z"},
		{"integer milliseconds", `"i"`, `1752485482418`, "2025-07-14T09:31:22.418Z"},
		{"negative milliseconds are before 1970", `"i"`, `-1`, "1969-12-31T23:59:59.999Z"},
		{"the first time there is", `"i"`, `"0000-01-01T00:00:00Z"`, "0000-01-01T00:00:00Z"},
		{"before the first", `"i"`, `"0000-01-01T00:00:00+00:01"`, "invalid_field"},
		{"after the last", `"i"`, `253402300800000`, "invalid_field"},
		{"the last is in the future", `"i"`, `253402300799999`, "future_ts"},
		{"as far ahead as the clocks may differ", `"i"`, `"2026-03-01T12:01:00.250Z"`, "2026-03-01T12:01:00.25Z"},
		{"further ahead", `"i"`, `"2026-03-01T12:01:00.251Z"`, "future_ts"},
		{"a number that is no integer", `"i"`, `1752485482418.5`, "invalid_field"},
		{"a number with 400 digits", `"i"`, strings.Repeat("1", 400), "invalid_field"},
		{"a date alone", `"i"`, `"2025-07-14"`, "invalid_field"},
		{"a time without a zone", `"i"`, `"2025-07-14T09:31:22"`, "invalid_field"},
		{"an object", `"i"`, `{}`, "invalid_field"},
		{"absent: the time of receipt", `"i"`, ``, now},
		{"null: the time of receipt", `"i"`, `null`, now},
		{"absent without an id: the time of receipt", `null`, ``, now},
		{"absent: the time in a UUIDv7", `"0197f3a2-7c4e-7b1a-9d3e-5f6a7b8c9d0e"`, ``, "2025-07-10T09:20:01.614Z"},
		{"absent: the time in a UUIDv7 of capitals", `"0197F3A2-7C4E-7B1A-9D3E-5F6A7B8C9D0E"`, ``, "2025-07-10T09:20:01.614Z"},
		{"absent: a UUIDv4 holds no time", `"0197f3a2-7c4e-4b1a-9d3e-5f6a7b8c9d0e"`, ``, now},
		{"absent: a UUID of another variant holds no time", `"0197f3a2-7c4e-7b1a-cd3e-5f6a7b8c9d0e"`, ``, now},
		{"absent: something of a UUID's length holds no time", `"0197f3a2-7c4e-7b1a-9d3e-5f6a7b8c9d0g"`, ``, now},
		{"absent: the time in a ULID", `"01ARZ3NDEKTSV4RRFFQ69G5FAV"`, ``, "2016-07-30T23:54:10.259Z"},
		{"absent: the time in a ULID of small letters", `"01arz3ndektsv4rrffq69g5fav"`, ``, "2016-07-30T23:54:10.259Z"},
		{"absent: a counter of 26 digits is not taken for a time", `"00000000000000000000000042"`, ``, now},
		{"absent: an id from the future is not believed", `"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"`, ``, now},
		{"absent: a word of a ULID's length holds no time", `"01arz3ndektsv4rrffq69g5fau"`, ``, now},
		{"ts wins over the id", `"01ARZ3NDEKTSV4RRFFQ69G5FAV"`, `0`, "1970-01-01T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ts := ""
			if tc.ts != "" {
				ts = `,"ts":` + tc.ts
			}
			e, bad := validate(t, `{"type":"t","user":"u","id":`+tc.id+ts+`}`)
			got := e.Time().Format(time.RFC3339Nano)
			if bad != nil {
				got = bad.Code
			}
			if got != tc.want {
				t.Errorf("got %s, want %s (%+v)", got, tc.want, bad)
			}
		})
	}
	_, bad := validate(t, `{"type":"t","user":"u","ts":"2026-03-01T14:00:00Z"}`)
	if want := `want a time at most 1m0s ahead of the gateway's clock at /ts, got the string "2026-03-01T14:00:00Z", which is 2h0m0s ahead`; bad == nil || bad.Message != want {
		t.Errorf("got %+v", bad)
	}
}

func TestIDsThatAreGiven(t *testing.T) {
	l := Limits{MaxEvent: 1 << 16, MaxEvents: 10, MaxDepth: 64}
	v := NewValidator("acme", DefaultFields(), l)
	raw := Raw{Type: Value{String, "t"}, User: Value{String, "u"}}
	var ids []string
	for i := range 3000 {
		e, bad := v.Validate(&raw, received+int64(i/1000)) // three requests
		if bad != nil {
			t.Fatal(bad)
		}
		if ms, ok := idTime(e.ID); !ok || ms != e.TS || ms != received/1000 {
			t.Fatalf("%s is not a UUIDv7 of the time of receipt", e.ID)
		}
		ids = append(ids, e.ID)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not ascend in the order they were made")
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 3000 {
		t.Error("an id was given twice")
	}
	other, _ := NewValidator("acme", DefaultFields(), l).Validate(&raw, received)
	if slices.Contains(ids, other.ID) {
		t.Error("two validators gave the same id")
	}
}

func TestIDsOfAFullCounterStartAgain(t *testing.T) {
	s := newIDSource()
	s.time, s.tail = received, 1<<62-1
	first := s.next(received)
	if s.tail >= 1<<61 || first[19] < '8' || first[19] > 'b' {
		t.Errorf("%s: tail %x", first, s.tail)
	}
}

func TestGivenID(t *testing.T) {
	for _, tc := range []struct {
		name string
		id   Value
		want string
	}{
		{"a string", Value{String, "i"}, "i"},
		{"an integer", Value{Number, "7"}, "7"},
		{"nothing", Value{}, ""},
		{"one that is too long to repeat", Value{String, strings.Repeat("i", 129)}, ""},
		{"one that is none", Value{Number, "1.5"}, ""},
	} {
		if got := (&Raw{ID: tc.id}).GivenID(); got != tc.want {
			t.Errorf("%s: got %q", tc.name, got)
		}
	}
}

func TestParseRFC3339(t *testing.T) {
	for _, tc := range []struct {
		in, want string
	}{
		{"2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
		{"2024-06-01t01:02:03z", "2024-06-01T01:02:03Z"},
		{"2024-06-01 01:02:03.1-00:00", "2024-06-01T01:02:03.1Z"},
		{"2024-06-01T01:02:03-23:59", "2024-06-02T01:01:03Z"},
		{"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"2023-02-29T00:00:00Z", ""},
		{"1900-02-29T00:00:00Z", ""},
		{"2024-04-31T00:00:00Z", ""},
		{"2024-00-01T00:00:00Z", ""},
		{"2024-13-01T00:00:00Z", ""},
		{"2024-01-00T00:00:00Z", ""},
		{"2024-01-01T24:00:00Z", ""},
		{"2024-01-01T00:60:00Z", ""},
		{"2024-01-01T00:00:61Z", ""},
		{"2024-01-01T00:00:00.Z", ""},
		{"2024-01-01T00:00:00,5Z", ""},
		{"2024-01-01T00:00:00+24:00", ""},
		{"2024-01-01T00:00:00+00:60", ""},
		{"2024-01-01T00:00:00+0000", ""},
		{"2024-01-01T00:00:00Zulu", ""},
		{"2024-1-1T00:00:00Z      ", ""},
		{"+024-01-01T00:00:00Z", ""},
		{"", ""},
	} {
		ms, ok := parseRFC3339(tc.in)
		got := ""
		if ok {
			got = time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
		}
		if got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
	// Every day of 800 years, against the standard library.
	for d := time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2400; d = d.AddDate(0, 0, 1) {
		if ms, ok := parseRFC3339(d.Format(time.RFC3339)); !ok || ms != d.UnixMilli() {
			t.Fatalf("%v: got %d", d, ms)
		}
	}
}
