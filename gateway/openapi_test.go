package gateway

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is docs/openapi.yaml, and what the tests have seen of it.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by JSON Pointer
	seen    map[string]bool               // "get /v1/users/{user} 404"
}

var openAPI = sync.OnceValues(func() (*contract, error) {
	text, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		return nil, err
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := &contract{doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(),
		schemas: make(map[string]*jsonschema.Schema), seen: make(map[string]bool)}
	c.compiler.AssertFormat()
	return c, c.compiler.AddResource("openapi.json", doc)
})

// at returns the object at a JSON Pointer, following a $ref there. The pointer
// returned is where it is.
func (c *contract) at(pointer string) (map[string]any, string) {
	var v any = c.doc
	for _, key := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, pointer
		}
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
	}
	m, _ := v.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		return c.at(strings.TrimPrefix(ref, "#"))
	}
	return m, pointer
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

func (c *contract) validate(pointer string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.schemas[pointer]
	if s == nil {
		var err error
		if s, err = c.compiler.Compile("openapi.json#" + pointer); err != nil {
			return err
		}
		c.schemas[pointer] = s
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// template is the documented path that target belongs to, "" when none.
func template(target string) string {
	path, _, _ := strings.Cut(target, "?")
	switch r, _ := locate([]byte(path)); r {
	case theEvents:
		return "/v1/events"
	case userStatus:
		return "/v1/users/{user}"
	case userEvents:
		return "/v1/users/{user}/events"
	}
	return ""
}

// checkDocumented holds one answer against the document: its status, the
// headers it owes, its media type and its schema.
func checkDocumented(t testing.TB, sent string, a *answer) {
	t.Helper()
	c, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.SplitN(sent, " ", 3)
	path := template(fields[min(1, len(fields)-1)])
	method := strings.ToLower(fields[0])
	op, at := c.at("/paths/" + escapePointer(path) + "/" + method)
	if path == "" || op == nil {
		c.undocumented(t, sent, path, a)
		return
	}
	response, where := c.at(fmt.Sprintf("%s/responses/%d", at, a.StatusCode))
	if response == nil {
		response, where = c.at(at + "/responses/default")
	} else {
		c.mu.Lock()
		c.seen[fmt.Sprintf("%s %s %d", method, path, a.StatusCode)] = true
		c.mu.Unlock()
	}
	if response == nil {
		t.Errorf("%s %s answered %d, which is not documented: %s", method, path, a.StatusCode, a.body)
		return
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		h, _ := c.at(where + "/headers/" + name)
		if h["required"] == true && a.Header.Get(name) == "" {
			t.Errorf("%s: %d has no %s, which is documented as required", sent, a.StatusCode, name)
		}
	}
	if method == "head" || a.StatusCode == 204 {
		return
	}
	media := a.Header.Get("Content-Type")
	content, _ := response["content"].(map[string]any)
	if content[media] == nil {
		t.Errorf("%s %s %d has Content-Type %q, which is not documented", method, path, a.StatusCode, media)
		return
	}
	if media == typeNDJSON {
		return
	}
	if err := c.validate(where+"/content/"+escapePointer(media)+"/schema", a.body); err != nil {
		t.Errorf("%s %s %d: %v: %s", method, path, a.StatusCode, err, a.body)
	}
}

// undocumented is for paths and methods that are not there: they have few
// answers, and 405 names the methods that are documented.
func (c *contract) undocumented(t testing.TB, sent, path string, a *answer) {
	t.Helper()
	switch a.StatusCode {
	case 204: // OPTIONS *
		return
	case 400, 404, 408, 414, 431, 503:
	case 405:
		var documented []string
		item, _ := c.at("/paths/" + escapePointer(path))
		for method := range item {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method))
			}
		}
		allowed := strings.Split(a.Header.Get("Allow"), ", ")
		slices.Sort(documented)
		slices.Sort(allowed)
		if !slices.Equal(documented, allowed) {
			t.Errorf("%s: Allow is %v, documented are %v", sent, allowed, documented)
		}
	default:
		t.Errorf("%s answered %d", sent, a.StatusCode)
	}
	if !strings.HasPrefix(sent, "HEAD") {
		if err := c.validate("/components/schemas/Problem", a.body); err != nil {
			t.Errorf("%s: %v: %s", sent, err, a.body)
		}
	}
}

// undelivered returns an error that lists what is documented and no test has
// seen. It is nil where not all tests were run.
func undelivered() error {
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return nil
		}
	}
	c, err := openAPI()
	if err != nil {
		return err
	}
	var missing []string
	for path, item := range c.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			responses, _ := op.(map[string]any)
			if responses == nil {
				continue
			}
			for status := range responses["responses"].(map[string]any) {
				if key := method + " " + path + " " + status; status != "default" && !c.seen[key] {
					missing = append(missing, key)
				}
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("documented in openapi.yaml, and no test has seen it:\n  %s", strings.Join(missing, "\n  "))
	}
	return nil
}

// TestEveryOperationCanFail sees to the statuses that each operation has for
// reasons that are not its own.
func TestEveryOperationCanFail(t *testing.T) {
	p := start(t, func(p *port, _ *Options) { p.store.status = threeStatuses })
	hasty := start(t, func(_ *port, o *Options) { o.HeaderTimeout = time.Second })
	long := strings.Repeat("x", 9000)
	for _, line := range []string{"POST /v1/events", "GET /v1/users/u", "GET /v1/users/u/events"} {
		p.do(line+"?x="+long, "", "").want(t, 414, CodeURITooLong)
		p.do(line, "X-Long: "+long, "").want(t, 431, CodeHeadersTooLarge)
		p.do(line, "No-Key: 1", "").want(t, 401, CodeMissingKey)
		c := hasty.dial()
		c.send(line + " HTTP/1.1\r\nHost: a\r\n")
		c.receive().want(t, 408, CodeClientTooSlow)
	}
	p.do("GET /v1/users/panic", "", "").want(t, 500, CodeInternal)
	p.do("HEAD /v1/users/known", "", "").want(t, 200, "")
	p.do("HEAD /v1/users/other", "", "").want(t, 404, "")
}

// TestContractIsWhole: the document and the code name the same codes and
// parameters, and every reference leads somewhere.
func TestContractIsWhole(t *testing.T) {
	c, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	problem, _ := c.at("/components/schemas/Problem/properties/code")
	var documented []string
	for _, code := range problem["enum"].([]any) {
		documented = append(documented, code.(string))
	}
	if codes := slices.Sorted(maps.Keys(titles)); !slices.Equal(codes, documented) {
		t.Errorf("codes of the server\n%v\ncodes documented\n%v", codes, documented)
	}
	for pointer, want := range map[string]string{
		"/paths/~1v1~1events/post":               ingestParams,
		"/paths/~1v1~1users~1{user}~1events/get": eventsParams,
	} {
		op, _ := c.at(pointer)
		for _, p := range op["parameters"].([]any) {
			p := p.(map[string]any)
			if name := p["name"].(string); p["in"] == "query" && !slices.Contains(strings.Fields(strings.ReplaceAll(want, ",", "")), name) {
				t.Errorf("%s documents the parameter %s, known are %s", pointer, name, want)
			}
		}
	}
	refs(c.doc, func(ref string) {
		if m, _ := c.at(strings.TrimPrefix(ref, "#")); m == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
}

func refs(v any, visit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			visit(ref)
		}
		for _, x := range v {
			refs(x, visit)
		}
	case []any:
		for _, x := range v {
			refs(x, visit)
		}
	}
}

// TestGuideIsWhole: docs/http.md names every code, status, path and header.
func TestGuideIsWhole(t *testing.T) {
	text, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	for code := range titles {
		if !strings.Contains(guide, "`"+code+"`") {
			t.Errorf("docs/http.md does not explain the code %s", code)
		}
	}
	c, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		if !strings.Contains(guide, path) {
			t.Errorf("docs/http.md does not have %s", path)
		}
		for _, op := range item.(map[string]any) {
			responses, _ := op.(map[string]any)
			if responses == nil {
				continue
			}
			for status := range responses["responses"].(map[string]any) {
				if status != "default" && !strings.Contains(guide, status) {
					t.Errorf("docs/http.md does not have the status %s", status)
				}
			}
		}
	}
	// Every example is an answer that the document allows.
	for i, block := range strings.Split(guide, "```json\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		var errs []error
		for _, schema := range []string{"Answer", "Problem", "Page", "User"} {
			errs = append(errs, c.validate("/components/schemas/"+schema, []byte(block)))
		}
		if !slices.Contains(errs, nil) {
			t.Errorf("example %d of docs/http.md is no answer of the server: %v\n%s", i+1, errs, block)
		}
	}
}
