package config

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/event"
)

// pagePath is the page that is made of the doc comments of this package.
const pagePath = "../docs/configuration.md"

// TestConfigurationPageIsUpToDate makes the page anew and compares. With
// -update it writes it.
func TestConfigurationPageIsUpToDate(t *testing.T) {
	p := page{docs: fieldDocs(t)}
	p.write(t)
	if *update {
		if err := os.WriteFile(pagePath, p.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, p.Bytes()) {
		t.Errorf("%s is not what the structs say; `go generate ./config` writes it", pagePath)
	}
}

// page is docs/configuration.md while it is written.
type page struct {
	bytes.Buffer
	docs map[string]string // by Type.Field
}

func (p *page) write(t *testing.T) {
	head, err := os.ReadFile("testdata/page/head.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("testdata/page/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.Write(head)
	p.WriteString("## Every key\n\n")
	c := builtin()
	p.section(t, 3, "top level", reflect.ValueOf(c).Elem())
	p.section(t, 3, "data", reflect.ValueOf(c.Data))
	p.section(t, 3, "admin", reflect.ValueOf(c.Admin))
	p.WriteString("### sinks.\\<name\\>\n\nEvery sink has these keys, and those of its kind below.\n\n")
	common := commonSink("")
	p.section(t, 0, "sinks.<name>", reflect.ValueOf(common))
	for _, kind := range sinkKinds {
		s, _ := builtinSink(kind)
		p.section(t, 4, "sinks.<name> with kind: "+kind, s.own())
	}
	p.WriteString("### tenants.\\<name\\> and defaults\n\n")
	p.section(t, 0, "tenants.<name>", reflect.ValueOf(c.Defaults))
	p.WriteString("## An example with every key\n\n```yaml\n" + string(example) + "```\n")
}

// section writes the keys of the struct v, and then those of the structs in it.
func (p *page) section(t *testing.T, level int, title string, v reflect.Value) {
	if level > 0 {
		fmt.Fprintf(p, "%s %s\n\n", strings.Repeat("#", level), strings.NewReplacer("<", "\\<", ">", "\\>").Replace(title))
	}
	p.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	p.rows(t, "", v)
	p.WriteString("\n")
}

func (p *page) rows(t *testing.T, prefix string, v reflect.Value) {
	for f, field := range v.Fields() {
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		doc := p.docs[v.Type().Name()+"."+f.Name]
		if doc == "" {
			t.Errorf("%s.%s has no doc comment", v.Type().Name(), f.Name)
		}
		sections := []any{Data{}, Admin{}, Tenant{}, map[string]Sink{}, map[string]Tenant{}}
		own := slices.ContainsFunc(sections, func(s any) bool { return reflect.TypeOf(s) == f.Type })
		_, linger := field.Interface().(Linger)
		if field.Kind() == reflect.Struct && !own && !linger {
			fmt.Fprintf(p, "| `%s` | | | %s |\n", prefix+key, cell(doc))
			p.rows(t, prefix+key+".", field)
			continue
		}
		fmt.Fprintf(p, "| `%s` | %s | %s | %s |\n", prefix+key, kindOf(t, f.Type), defaultOf(field, own), cell(doc))
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func kindOf(t *testing.T, typ reflect.Type) string {
	switch reflect.Zero(typ).Interface().(type) {
	case Size:
		return "size"
	case Duration, *Duration:
		return "duration"
	case Linger:
		return "`auto` or duration"
	case Secret:
		return "text, secret"
	case Names:
		return "name or list of names"
	case []KeyHash:
		return "list of hashes"
	case []string:
		return "list"
	case map[string]int:
		return "names with numbers"
	case event.Ack:
		return "level"
	}
	switch typ.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	case reflect.String:
		return "text"
	case reflect.Struct, reflect.Map:
		return "see below"
	}
	t.Errorf("no word for %v", typ)
	return ""
}

func defaultOf(v reflect.Value, own bool) string {
	if own || v.Kind() == reflect.Pointer {
		return ""
	}
	switch s := fmt.Sprint(shownValue(v)); s {
	case "", "[]":
		return ""
	default:
		return "`" + strings.Trim(s, "[]") + "`"
	}
}

// fieldDocs reads the doc comments of all fields, each as one line.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	fset := token.NewFileSet()
	for _, name := range []string{"config.go", "sink.go", "tenant.go"} {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					docs[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
			return false
		})
	}
	return docs
}
