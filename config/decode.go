package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sluice/event"
)

// A decoder sets the fields of the structs from nodes. It goes on after a
// mistake, so that all of them are reported.
type decoder struct {
	report *report
	tree   *tree
	places map[string]mark // of every key that the file sets
}

// Keys that the contract names and this version does not have yet.
var notYet = map[reflect.Type][]string{
	reflect.TypeFor[Tenant](): {"schemas", "journal"},
}

// config decodes the whole file. Tenants come last, because they start from
// the defaults, wherever those stand. It reports false for what is no
// configuration at all.
func (d *decoder) config(root *node, c *Config) bool {
	if root.kind != mapping && root.kind != null {
		d.report.add("", root.at, "want keys such as data, sinks and tenants, got "+root.kind.String())
		return false
	}
	first, last := *root, *root
	first.entries, last.entries = nil, nil
	for _, e := range root.entries {
		if e.key == "tenants" {
			last.entries = append(last.entries, e)
		} else {
			first.entries = append(first.entries, e)
		}
	}
	d.keys("", &first, reflect.ValueOf(c).Elem())
	for _, e := range last.entries {
		d.places["tenants"] = e.at
		if e.value != nil {
			d.tenants(e.value, c)
		}
	}
	return true
}

func (d *decoder) tenants(n *node, c *Config) {
	c.Tenants = map[string]Tenant{}
	d.named("tenants", n, func(path, name string, value *node) {
		t := c.Defaults
		d.value(path, value, reflect.ValueOf(&t).Elem())
		c.Tenants[name] = t
	})
}

// named calls each with the entries of a mapping from names to settings.
func (d *decoder) named(path string, n *node, each func(path, name string, value *node)) {
	if !d.expect(path, n, mapping, "names with their settings") {
		return
	}
	for _, e := range n.entries {
		sub := join(path, e.key)
		d.places[sub] = e.at
		if !validName(e.key) {
			d.report.add(sub, e.at, "not a name: want 1 to 64 letters, digits, and . _ - after the first")
			continue
		}
		if e.value != nil && d.tree.visit(1, e.at) {
			each(sub, e.key, e.value)
		}
	}
}

func validName(s string) bool {
	for i, r := range s {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-", r)) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// keys decodes the entries of n into the fields of the structs.
func (d *decoder) keys(path string, n *node, structs ...reflect.Value) {
	fields := map[string]reflect.Value{}
	var names, later []string
	for _, s := range structs {
		later = append(later, notYet[s.Type()]...)
		for f, v := range s.Fields() {
			if key := f.Tag.Get("yaml"); key != "" && key != "-" {
				fields[key] = v
				names = append(names, key)
			}
		}
	}
	for _, e := range n.entries {
		sub := join(path, e.key)
		d.places[sub] = e.at
		field, ok := fields[e.key]
		switch {
		case slices.Contains(later, e.key):
			d.report.add(sub, e.at, e.key+": not supported by this version")
		case !ok:
			d.report.add(sub, e.at, "unknown key"+hint(path, e.key, names))
		case e.value != nil && d.tree.visit(1, e.at):
			d.value(sub, e.value, field)
		}
	}
}

// value decodes n into v.
func (d *decoder) value(path string, n *node, v reflect.Value) {
	switch target := v.Addr().Interface().(type) {
	case *Size:
		scalarInto(d, path, n, target, "a size such as 64MiB", ParseSize)
	case *Duration:
		scalarInto(d, path, n, target, "a duration such as 5ms or 24h", ParseDuration)
	case **Duration:
		var dur Duration
		if scalarInto(d, path, n, &dur, "a duration such as 24h or 7d", ParseDuration) {
			*target = &dur
		}
	case *Linger:
		scalarInto(d, path, n, target, "auto, or a duration such as 5ms", ParseLinger)
	case *KeyHash:
		scalarInto(d, path, n, target, "sha256: and 64 hex digits", ParseKeyHash)
	case *Secret:
		scalarInto(d, path, n, target, "text", func(s string) (Secret, error) { return Secret(s), nil })
	case *event.Ack:
		scalarInto(d, path, n, target, "stored or received", parseAck)
	case *Names:
		d.names(path, n, target)
	case *map[string]Sink:
		d.sinks(path, n, target)
	default:
		d.plain(path, n, v)
	}
}

// plain decodes what is of Go's own types.
func (d *decoder) plain(path string, n *node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if d.expect(path, n, mapping, "keys with values") {
			d.keys(path, n, v)
		}
	case reflect.Bool:
		var b bool
		if scalarInto(d, path, n, &b, "true or false", parseBool) {
			v.SetBool(b)
		}
	case reflect.Int:
		var i int
		if scalarInto(d, path, n, &i, "a whole number", parseInt) {
			v.SetInt(int64(i))
		}
	case reflect.String:
		d.text(path, n, v)
	case reflect.Slice:
		if !d.expect(path, n, sequence, "a list, such as [a, b]") {
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			if sub := fmt.Sprintf("%s[%d]", path, i); item != nil && d.tree.visit(1, item.at) {
				d.places[sub] = item.at
				d.value(sub, item, list.Index(i))
			}
		}
		v.Set(list)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		d.named(path, n, func(sub, name string, value *node) {
			element := reflect.New(v.Type().Elem()).Elem()
			d.value(sub, value, element)
			m.SetMapIndex(reflect.ValueOf(name), element)
		})
		v.Set(m)
	default:
		panic("config: no decoder for " + v.Type().String()) // a field of a new type; the example has every key
	}
}

// text decodes a string. An unquoted 123, true or 1.5 is not one in YAML.
func (d *decoder) text(path string, n *node, v reflect.Value) {
	if !d.expect(path, n, scalar, "text") {
		return
	}
	if n.plain && !n.env && notText(n.literal) {
		d.report.add(path, n.at, fmt.Sprintf("want text, got the number or bool %s; put it in quotes if it is meant", n.literal))
		return
	}
	v.SetString(n.text)
}

func notText(s string) bool {
	_, number := strconv.ParseFloat(s, 64)
	_, boolean := parseBool(s)
	return number == nil || boolean == nil
}

// names decodes one name or a list of them.
func (d *decoder) names(path string, n *node, v *Names) {
	switch n.kind {
	case scalar:
		var one string
		d.text(path, n, reflect.ValueOf(&one).Elem())
		*v = Names{one}
	default:
		var list []string
		d.plain(path, n, reflect.ValueOf(&list).Elem())
		*v = list
	}
}

// expect reports whether n is of the kind that is wanted, and reports it if it
// is not. Settings without any (`tls:` and nothing behind it) are no mistake.
func (d *decoder) expect(path string, n *node, kind nodeKind, want string) bool {
	switch {
	case n.kind == kind:
		return true
	case n.kind == null && kind == mapping:
		return false
	case n.kind == null:
		d.report.add(path, n.at, "no value; want "+want+", or leave the key out")
	default:
		d.report.add(path, n.at, "want "+want+", got "+n.kind.String())
	}
	return false
}

// scalarInto decodes n with parse, whose error is said together with the value
// unless that is a secret or came from the environment.
func scalarInto[T any](d *decoder, path string, n *node, into *T, want string, parse func(string) (T, error)) bool {
	if !d.expect(path, n, scalar, want) {
		return false
	}
	v, err := parse(n.text)
	if err == nil {
		if _, number := any(v).(int); number && !n.plain && !n.env {
			err = fmt.Errorf("want %s without quotes", want)
		}
		if _, boolean := any(v).(bool); boolean && !n.plain && !n.env {
			err = fmt.Errorf("want %s without quotes", want)
		}
	}
	if err != nil {
		d.report.add(path, n.at, err.Error()+got(v, n))
		return false
	}
	*into = v
	return true
}

func got(v any, n *node) string {
	switch v.(type) {
	case KeyHash, Secret:
		return ""
	}
	if n.env {
		return fmt.Sprintf(", and that is not what %s holds", shorten(n.literal))
	}
	return fmt.Sprintf(", got %q", shorten(n.text))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	return false, fmt.Errorf("want true or false")
}

func parseInt(s string) (int, error) {
	i, err := strconv.Atoi(s)
	negative := strings.TrimPrefix(s, "-")
	switch {
	case !digits(negative) || len(negative) > 1 && negative[0] == '0':
		return 0, fmt.Errorf("want a whole number")
	case err != nil || i > math.MaxInt32 || i < math.MinInt32:
		return 0, fmt.Errorf("too large a number; the limit is %d", math.MaxInt32)
	}
	return i, nil
}

func parseAck(s string) (event.Ack, error) {
	a, ok := event.ParseAck(s)
	switch {
	case !ok:
		return 0, fmt.Errorf("no such level%s", didYouMean(s, []string{"stored", "received"}))
	case a == event.AckJournaled:
		return 0, fmt.Errorf("journaled: not supported by this version; want stored or received")
	}
	return a, nil
}
