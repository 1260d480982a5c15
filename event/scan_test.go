package event

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func newScanner() *scanner { return &scanner{seed: maphash.MakeSeed()} }

// TestScannerTakesWhatIsOrdinary: whatever it gives up on is not wrong, but slow,
// so that it takes what most events look like is worth a test.
func TestScannerTakesWhatIsOrdinary(t *testing.T) {
	root, err := compileFields(Fields{ID: "/id", Type: "/meta/type", User: "/user", TS: "/list/0"})
	if err != nil {
		t.Fatal(err)
	}
	wide := "{"
	for i := range 64 {
		wide += `"member-` + strings.Repeat("x", i) + `":0,`
	}
	wide += `"last":0}`
	for _, tc := range []struct {
		name, event string
		taken       bool
	}{
		{"an empty object", `{}`, true},
		{"the event of the benchmark", string(benchEvent), true},
		{"white space everywhere", " { \"a\" :\t[ 1 , 2 ]\r\n, \"b\" : { } } ", true},
		{"every kind of value", `{"a":"","b":-0.5e+10,"c":true,"d":false,"e":null,"f":[],"g":[{}],"h":0}`, true},
		{"text beyond ASCII", `{"name":"Zoë 日本 😀","größe":1}`, true},
		{"escapes in values", `{"a":"\" \\ \/ \b\f\n\r\t \u00e9"}`, true},
		{"sixty-five members", wide, true},
		{"a number of 400 digits", `{"a":` + strings.Repeat("9", 400) + `}`, true},
		{"thirty-two levels", strings.Repeat(`{"a":`, 31) + `{}` + strings.Repeat(`}`, 31), true},
		{"thirty-three levels", strings.Repeat(`{"a":`, 32) + `{}` + strings.Repeat(`}`, 32), false},
		{"a pair of surrogates", `{"a":"\ud83d\ude00"}`, false},
		{"an escape in a name", `{"\u0061":1}`, false},
		{"a pointer into an array", `{"list":[1]}`, false},
		{"a name twice", `{"a":1,"b":2,"a":3}`, false},
		{"a name twice, further down", `{"x":[{"a":{"b":1,"b":1}}]}`, false},
		{"a long name twice", `{"a-very-long-member-name":1,"a-very-long-member-name":1}`, false},
		{"not UTF-8", "{\"a\":\"\xff\"}", false},
		{"a lone surrogate", `{"a":"\udc00"}`, false},
		{"a control character", "{\"a\":\"\n\"}", false},
		{"a leading zero", `{"a":01}`, false},
		{"a number without digits after the point", `{"a":1.}`, false},
		{"a number without digits of its exponent", `{"a":1e+}`, false},
		{"a trailing comma", `{"a":1,}`, false},
		{"no comma", `{"a":1"b":2}`, false},
		{"no colon", `{"a" 1}`, false},
		{"no end", `{"a":[1,2`, false},
		{"a string without end", `{"a":"`, false},
		{"half a literal", `{"a":tru}`, false},
		{"half an escape", `{"a":"\u00`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := []byte(tc.event)
			end := newScanner().scan(text, skipSpace(text, 0), root, 64)
			if (end != gaveUp) != tc.taken {
				t.Fatalf("the scanner returned %d", end)
			}
			if tc.taken && skipSpace(text, end) != len(text) {
				t.Errorf("it stopped at %d of %d", end, len(text))
			}
		})
	}
}

// FuzzScan holds the scanner against the library: what it takes is strict JSON, and
// it finds the fields that a walk over the library's value finds.
func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Add(benchEvent)
	root, err := compileFields(fuzzFields)
	if err != nil {
		f.Fatal(err)
	}
	s := newScanner()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 || text[0] != '{' {
			return
		}
		end := s.scan(text, 0, root, 6)
		if end == gaveUp {
			return
		}
		d := jsontext.NewDecoder(bytes.NewReader(text[:end]))
		v, err := d.ReadValue()
		if err != nil || len(v) != end {
			t.Fatalf("%q was taken; the library says %v of %d bytes", text[:end], err, len(v))
		}
		if depth(text[:end]) > 6 {
			t.Fatalf("%q is too deep", text[:end])
		}
		var want finder
		want.find(v, root)
		if s.values != want.values {
			t.Fatalf("%q: got %v, want %v", text[:end], s.values, want.values)
		}
	})
}
