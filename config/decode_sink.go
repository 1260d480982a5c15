package config

import (
	"reflect"
	"strings"
)

var sinkKinds = []string{KindLocal, KindKafka, KindCassandra}

// own returns the settings of the sink's kind.
func (s *Sink) own() reflect.Value {
	switch s.Kind {
	case KindLocal:
		return reflect.ValueOf(s.Local).Elem()
	case KindKafka:
		return reflect.ValueOf(s.Kafka).Elem()
	default:
		return reflect.ValueOf(s.Cassandra).Elem()
	}
}

func (d *decoder) sinks(path string, n *node, into *map[string]Sink) {
	*into = map[string]Sink{}
	d.named(path, n, func(sub, name string, value *node) {
		(*into)[name] = d.sink(sub, value)
	})
}

// sink decodes one sink. Without a kind that exists the zero Sink comes back
// and the path counts as failed, so that nothing more is said about it.
func (d *decoder) sink(path string, n *node) Sink {
	if n.kind == null {
		d.report.add(path, n.at, "no kind; want kind: local, kafka or cassandra")
		return Sink{}
	}
	if !d.expect(path, n, mapping, "settings such as {kind: local}") {
		return Sink{}
	}
	for _, e := range n.entries {
		if e.key != "kind" {
			continue
		}
		if e.value == nil || e.value.kind != scalar {
			d.report.add(path, e.at, "kind: want "+orList(sinkKinds))
			return Sink{}
		}
		s, ok := builtinSink(e.value.text)
		if !ok {
			d.report.add(path, e.value.at, "no such kind of sink"+didYouMean(e.value.literal, sinkKinds))
			return Sink{}
		}
		d.keys(path, n, reflect.ValueOf(&s).Elem(), s.own())
		return s
	}
	d.report.add(path, d.places[path], "no kind; want kind: local, kafka or cassandra")
	return Sink{}
}

// hint says what an unknown key may have been meant to be: a key like it, the
// same key one level off, or one of those that are there.
func hint(path, key string, names []string) string {
	guess := didYouMean(key, names)
	if strings.HasPrefix(guess, " (did") {
		return guess
	}
	if owner := owner(path, key); owner != "" {
		return "; it is a key of " + owner
	}
	return guess
}

// owner returns whose key it is: of another kind of sink, the top, a tenant.
func owner(path, key string) string {
	if strings.HasPrefix(path, "sinks.") && strings.Count(path, ".") == 1 {
		var owners []string
		for _, kind := range sinkKinds {
			if s, _ := builtinSink(kind); hasKey(s.own().Type(), key) {
				owners = append(owners, kind)
			}
		}
		if len(owners) > 0 {
			return orList(owners) + " sinks"
		}
	}
	for _, place := range []struct {
		name string
		t    reflect.Type
	}{
		{"the top level", reflect.TypeFor[Config]()},
		{"data", reflect.TypeFor[Data]()},
		{"admin", reflect.TypeFor[Admin]()},
		{"a tenant", reflect.TypeFor[Tenant]()},
		{"a tenant's budget", reflect.TypeFor[Budget]()},
		{"a tenant's batch", reflect.TypeFor[Batch]()},
		{"a tenant's users.dedupe", reflect.TypeFor[Dedupe]()},
	} {
		if hasKey(place.t, key) {
			return place.name
		}
	}
	return ""
}

func hasKey(t reflect.Type, key string) bool {
	for f := range t.Fields() {
		if k := f.Tag.Get("yaml"); k == key && k != "-" {
			return true
		}
	}
	return false
}
