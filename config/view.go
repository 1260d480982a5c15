package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
)

// View is a configuration without its secrets, to be shown.
type View struct{ doc yaml.MapSlice }

// Redacted returns what is in force: every knob with its value, inherited or
// default ones included. Secrets that are set read [redacted], and of a key's
// hash the first eight digits remain, enough to tell which it is.
func (c *Config) Redacted() View {
	return View{fieldsOf(reflect.ValueOf(c).Elem())}
}

// YAML returns the view in the order of the documentation.
func (v View) YAML() ([]byte, error) { return yaml.Marshal(v.doc) }

// MarshalJSON implements json.Marshaler.
func (v View) MarshalJSON() ([]byte, error) { return json.Marshal(unordered(v.doc)) }

func unordered(v any) any {
	doc, ok := v.(yaml.MapSlice)
	if !ok {
		return v
	}
	m := make(map[string]any, len(doc))
	for _, item := range doc {
		m[item.Key.(string)] = unordered(item.Value)
	}
	return m
}

// fieldsOf returns the keys of the struct v with their values.
func fieldsOf(v reflect.Value) yaml.MapSlice {
	doc := yaml.MapSlice{}
	for f, field := range v.Fields() {
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" || field.Kind() == reflect.Pointer && field.IsNil() {
			continue
		}
		doc = append(doc, yaml.MapItem{Key: key, Value: shownValue(field)})
	}
	return doc
}

func shownValue(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case Sink:
		doc := fieldsOf(v)
		if x.Kind != "" {
			doc = append(doc, fieldsOf(x.own())...)
		}
		return doc
	case KeyHash:
		return x.String()[:len(keyPrefix)+8] + "…"
	case encoding.TextMarshaler:
		text, _ := x.MarshalText() // ours, which never fail
		return string(text)
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return shownValue(v.Elem())
	case reflect.Struct:
		return fieldsOf(v)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = shownValue(v.Index(i))
		}
		return list
	case reflect.Map:
		doc := yaml.MapSlice{}
		names := slices.Sorted(maps.Keys(keysOf(v)))
		for _, name := range names {
			doc = append(doc, yaml.MapItem{Key: name, Value: shownValue(v.MapIndex(reflect.ValueOf(name)))})
		}
		return doc
	}
	return v.Interface()
}

func keysOf(v reflect.Value) map[string]struct{} {
	names := map[string]struct{}{}
	for _, k := range v.MapKeys() {
		names[k.String()] = struct{}{}
	}
	return names
}
