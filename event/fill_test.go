package event

import (
	"testing"
	"time"
)

func TestFill(t *testing.T) {
	const when = "2025-07-14T09:31:22.418Z"
	nested := Fields{ID: "/meta/id", Type: "/type", User: "/user", TS: "/meta/time/ts"}
	inArray := Fields{ID: "/d/0/id", Type: "/type", User: "/user", TS: "/d/1/x/ts"}
	for _, tc := range []struct {
		name   string
		fields Fields
		data   string
		want   string
	}{
		{"nothing is missing", DefaultFields(), `{"ts":1,"id":2}`, `{"ts":1,"id":2}`},
		{"id and ts are missing", DefaultFields(), `{"user":"u"}`, `{"user":"u","id":"new \"id\"","ts":"` + when + `"}`},
		{"id is missing", DefaultFields(), `{"user":"u","ts":5}`, `{"user":"u","ts":5,"id":"new \"id\""}`},
		{"ts is missing", DefaultFields(), `{"id":"i","user":"u"}`, `{"id":"i","user":"u","ts":"` + when + `"}`},
		{"null is replaced", DefaultFields(), `{"id":null,"user":"u","ts": null }`, `{"id":"new \"id\"","user":"u","ts": "` + when + `" }`},
		{"an empty object gets its first member", DefaultFields(), `{}`, `{"id":"new \"id\"","ts":"` + when + `"}`},
		{"white space stays", DefaultFields(), "{ \"a\" : 1\n}", "{ \"a\" : 1,\"id\":\"new \\\"id\\\"\",\"ts\":\"" + when + "\"\n}"},
		{"a name with escapes is there", DefaultFields(), `{"\u0069d":"i","t\u0073":1}`, `{"\u0069d":"i","t\u0073":1}`},
		{"a name below another does not count", DefaultFields(), `{"x":{"id":1,"ts":1}}`, `{"x":{"id":1,"ts":1},"id":"new \"id\"","ts":"` + when + `"}`},
		{"objects on the way are made", nested, `{"a":1}`, `{"a":1,"meta":{"id":"new \"id\"","time":{"ts":"` + when + `"}}}`},
		{"objects on the way are used", nested, `{"meta":{"time":{}},"a":1}`, `{"meta":{"time":{"ts":"` + when + `"},"id":"new \"id\""},"a":1}`},
		{"something else in the way stays", nested, `{"meta":"m"}`, `{"meta":"m"}`},
		{"null in the way stays", nested, `{"meta":null}`, `{"meta":null}`},
		{"elements that are there are used", inArray, `{"d":[{},{"x":{}}]}`, `{"d":[{"id":"new \"id\""},{"x":{"ts":"` + when + `"}}]}`},
		{"elements are not made", inArray, `{"d":[{"id":1}]}`, `{"d":[{"id":1}]}`},
		{"arrays are not made", inArray, `{}`, `{}`},
		{"a pointer that is none fills nothing", Fields{ID: "", TS: "ts"}, `{}`, `{}`},
		{"two fields at one place are filled once", Fields{ID: "/k", TS: "/k"}, `{}`, `{"k":"new \"id\""}`},
		{"a field inside another is left out", Fields{ID: "/k", TS: "/k/ts"}, `{}`, `{"k":"new \"id\""}`},
		{"names are escaped", Fields{ID: `/a"b~1`, TS: "/ts"}, `{"ts":1}`, `{"ts":1,"a\"b/":"new \"id\""}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ms, _ := parseRFC3339(when)
			e := Event{ID: `new "id"`, TS: ms, Data: []byte(tc.data)}
			if got := string(Fill([]byte("before "), &e, tc.fields)); got != "before "+tc.want {
				t.Errorf("got  %s\nwant before %s", got, tc.want)
			}
			if string(e.Data) != tc.data {
				t.Errorf("the event was changed to %s", e.Data)
			}
		})
	}
}

func TestFilledFieldsAreReadBack(t *testing.T) {
	l := Limits{MaxEvent: 1 << 16, MaxEvents: 10, MaxDepth: 64, MaxSkew: time.Minute}
	p, v := newTestParser(t, DefaultFields(), l), NewValidator("acme", DefaultFields(), l)
	raws, _, _ := p.Parse([]byte(`{"type":"t","user":"u"}`), JSON)
	first, _ := v.Validate(&raws[0], received)
	raws, _, _ = p.Parse(Fill(nil, &first, DefaultFields()), JSON)
	second, bad := v.Validate(&raws[0], received+5_000_000)
	if bad != nil || first.ID != second.ID || first.TS != second.TS {
		t.Errorf("sent %+v\nread %+v %v", first, second, bad)
	}
}
