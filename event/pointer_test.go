package event

import (
	"fmt"
	"strings"
	"testing"
)

func TestFieldsAreFoundByPointer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields Fields
		event  string
		want   string // id, type, user, ts
	}{
		{"at the top", DefaultFields(), `{"id":"i","type":"t","user":"u","ts":5}`, `String:i String:t String:u Number:5`},
		{"in any order, between others", DefaultFields(), `{"x":{"id":"no"},"ts":1,"user":"u","y":[1,{"type":"no"}],"type":"t","id":"i","z":0}`, `String:i String:t String:u Number:1`},
		{"absent", DefaultFields(), `{"x":1}`, `Absent: Absent: Absent: Absent:`},
		{"of every kind", DefaultFields(), `{"id":null,"type":true,"user":{},"ts":[]}`, `Null: Bool: Object: Array:`},
		{"with escapes in the name", DefaultFields(), `{"us\u0065r":"u","\u0069\u0064":"i","ty\u0070e":"t"}`, `String:i String:t String:u Absent:`},
		{"with escapes in the value", DefaultFields(), `{"user":"a\"b\\\u00e9\n","id":"\\","type":"\\\""}`, "String:\\ String:\\\" String:a\"b\\é\n Absent:"},
		{"below members", Fields{"/meta/id", "/meta/type", "/dev/user/name", "/ts"}, `{"meta":{"x":[1,2],"type":"t","id":"i"},"dev":{"user":{"name":"u"}},"ts":1}`, `String:i String:t String:u Number:1`},
		{"below a member that is a scalar", Fields{"/meta/id", "/type", "/user", "/ts"}, `{"meta":1,"type":"t","user":"u"}`, `Absent: String:t String:u Absent:`},
		{"below a member that is empty", Fields{"/meta/id", "/type", "/user", "/ts"}, `{"meta":{},"type":"t","user":"u"}`, `Absent: String:t String:u Absent:`},
		{"in arrays", Fields{"/d/0/id", "/d/1/0", "/d/2", "/ts"}, `{"d":[{"id":"i"},["t"],"u",4],"ts":1}`, `String:i String:t String:u Number:1`},
		{"past the end of an array", Fields{"/d/3", "/type", "/user", "/ts"}, `{"d":[1,2,3],"type":"t"}`, `Absent: String:t Absent: Absent:`},
		{"in an empty array", Fields{"/d/0", "/type", "/user", "/ts"}, `{"d":[],"type":"t"}`, `Absent: String:t Absent: Absent:`},
		{"under a digit that is a name", Fields{"/d/0", "/01", "/user", "/ts"}, `{"d":{"0":"i"},"01":"t"}`, `String:i String:t Absent: Absent:`},
		{"never at an index with a leading zero", Fields{"/d/01", "/d/+1", "/d/-", "/d/ 1"}, `{"d":[1,2,3]}`, `Absent: Absent: Absent: Absent:`},
		{"two at one place", Fields{"/k", "/type", "/k", "/ts"}, `{"k":"x","type":"t"}`, `String:x String:t String:x Absent:`},
		{"one inside the other", Fields{"/a", "/a/b", "/a/b/c", "/ts"}, `{"a":{"b":{"c":"u"}},"ts":1}`, `Object: Object: String:u Number:1`},
		{"under names with slashes and tildes", Fields{"/a~1b", "/a~0b", "/~01", "/ts"}, `{"a/b":"i","a~b":"t","~1":"u"}`, `String:i String:t String:u Absent:`},
		{"under the empty name", Fields{"/", "/a/", "/user", "/ts"}, `{"":"i","a":{"":"t"}}`, `String:i String:t Absent: Absent:`},
		{"under names of other scripts", Fields{"/größe", "/日", "/user", "/ts"}, `{"größe":"i","\u65e5":"t"}`, `String:i String:t Absent: Absent:`},
		{"as numbers of 400 digits", DefaultFields(), `{"id":` + strings.Repeat("7", 400) + `}`, `Number:` + strings.Repeat("7", 400) + ` Absent: Absent: Absent:`},
		{"through white space", DefaultFields(), " { \"id\" :\n\"i\" , \"x\" : [ 1 , { } ] ,\t\"user\" : 7 } ", `String:i Absent: Number:7 Absent:`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newTestParser(t, tc.fields, Limits{MaxEvent: 1 << 16, MaxEvents: 10, MaxDepth: 64})
			for _, body := range []string{tc.event, "[{}," + tc.event + "]"} {
				raws, rejects, refusal := p.Parse([]byte(body), JSON)
				if refusal != nil || len(rejects) > 0 {
					t.Fatal(rejects, refusal)
				}
				r := raws[len(raws)-1]
				kinds := [...]string{"Absent", "Null", "Bool", "Number", "String", "Object", "Array"}
				got := ""
				for _, v := range []Value{r.ID, r.Type, r.User, r.TS} {
					got += fmt.Sprintf(" %s:%s", kinds[v.Kind], v.Text)
				}
				if got[1:] != tc.want {
					t.Errorf("got  %s\nwant %s", got[1:], tc.want)
				}
			}
		})
	}
}

func TestBadPointersAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		fields     Fields
	}{
		{"an empty one", `fields.id: the JSON Pointer is empty`, Fields{"", "/type", "/user", "/ts"}},
		{"one without a slash", `fields.user: "user" is not a JSON Pointer: it has to start with "/"`, Fields{"/id", "/type", "user", "/ts"}},
		{"one with a bad escape", `fields.ts: "/t~2" is not a JSON Pointer`, Fields{"/id", "/type", "/user", "/t~2"}},
		{"one that ends with a tilde", `fields.type: "/t~" is not a JSON Pointer`, Fields{"/id", "/t~", "/user", "/ts"}},
		{"one that is not UTF-8", `fields.type: "/\xff" is not a JSON Pointer`, Fields{"/id", "/\xff", "/user", "/ts"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewParser(tc.fields, testLimits())
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s…", err, tc.want)
			}
		})
	}
}
