package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// exampleEnvironment is what the example of the page finds.
func exampleEnvironment(name string) (string, bool) {
	if name == "KAFKA_PASSWORD" {
		return "hunter2-kafka", true
	}
	return "", false
}

// loadExample loads the example of the page in a folder with the files it names.
func loadExample(t *testing.T) *Config {
	t.Helper()
	dir := t.TempDir()
	cert, key := selfSigned(t)
	text, err := os.ReadFile("testdata/page/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"sluice.yaml":         text,
		"tls/sluice.pem":      cert,
		"tls/sluice.key":      key,
		"tls/ca.pem":          cert,
		"secrets/admin-token": []byte("hunter2-token\n"),
		"secrets/kafka":       []byte("  hunter2-edge \n"),
		"secrets/cassandra":   []byte("hunter2-cassandra"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "sluice.yaml"), exampleEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestTheExampleLoads(t *testing.T) {
	c := loadExample(t)
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"no warnings", len(c.Warnings()), 0},
		{"a secret from the environment", c.Sinks["bus"].Kafka.SASL.Password.Reveal(), "hunter2-kafka"},
		{"a secret from a file is trimmed", c.Sinks["edge"].Kafka.SASL.Password.Reveal(), "hunter2-edge"},
		{"another", c.Sinks["store"].Cassandra.Auth.Password.Reveal(), "hunter2-cassandra"},
		{"the admin token", c.Admin.Token.Reveal(), "hunter2-token"},
		{"a default for a variable", c.Sinks["edge"].Kafka.Brokers[0], "localhost:9092"},
		{"an inherited pointer", c.Tenants["sensors"].Fields.ID, "/id"},
		{"an own pointer", c.Tenants["sensors"].Fields.User, "/meta/device"},
		{"paths start at the file", filepath.IsAbs(c.Dir) && filepath.IsAbs(c.Data.TLS.CertFile), true},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

// TestTheExampleHasEveryKey walks the structs: a key that is not in the example
// is one that nobody finds.
func TestTheExampleHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/page/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{} // Type.key
	var walk func(typ reflect.Type, v any)
	walk = func(typ reflect.Type, v any) {
		m, _ := v.(map[string]any)
		switch typ {
		case reflect.TypeFor[map[string]Sink]():
			for _, s := range m {
				kind := s.(map[string]any)["kind"].(string)
				sink, _ := builtinSink(kind)
				walk(reflect.TypeFor[Sink](), s)
				walk(sink.own().Type(), s)
			}
			return
		case reflect.TypeFor[map[string]Tenant]():
			for _, tenant := range m {
				walk(reflect.TypeFor[Tenant](), tenant)
			}
			return
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for f := range typ.Fields() {
			key := f.Tag.Get("yaml")
			if value, ok := m[key]; ok {
				used[typ.Name()+"."+key] = true
				walk(f.Type, value)
			}
		}
	}
	walk(reflect.TypeFor[Config](), doc)
	for _, typ := range []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Data](), reflect.TypeFor[ServerTLS](), reflect.TypeFor[Admin](),
		reflect.TypeFor[Sink](), reflect.TypeFor[Retry](), reflect.TypeFor[Circuit](), reflect.TypeFor[Local](),
		reflect.TypeFor[Kafka](), reflect.TypeFor[SASL](), reflect.TypeFor[Cassandra](), reflect.TypeFor[Replication](),
		reflect.TypeFor[Auth](), reflect.TypeFor[ClientTLS](), reflect.TypeFor[Tenant](), reflect.TypeFor[AckPolicy](),
		reflect.TypeFor[Fields](), reflect.TypeFor[Pools](), reflect.TypeFor[Budget](), reflect.TypeFor[Rate](),
		reflect.TypeFor[Batch](), reflect.TypeFor[Users](), reflect.TypeFor[Dedupe](), reflect.TypeFor[Supervision](),
		reflect.TypeFor[Backoff](),
	} {
		for f := range typ.Fields() {
			if key := f.Tag.Get("yaml"); key != "" && key != "-" && !used[typ.Name()+"."+key] {
				t.Errorf("the example does not show %s.%s", typ.Name(), key)
			}
		}
	}
}

func TestRedacted(t *testing.T) {
	c := loadExample(t)
	view := c.Redacted()
	asYAML, err := view.YAML()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{"YAML": string(asYAML), "JSON": string(asJSON)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "e3b0c44298fc1c14") {
			t.Errorf("the %s shows a secret:\n%s", form, text)
		}
		for _, want := range []string{"[redacted]", "sha256:e3b0c442…", "64MiB", "LOCAL_QUORUM", "events.{tenant}", "give_up", "7d"} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s does not show %s", form, want)
			}
		}
	}
	var parsed struct {
		Tenants map[string]struct {
			Budget struct{ Bytes string }
			Sink   []string
		}
		Sinks map[string]struct{ Kind, Topic string }
	}
	if err := json.Unmarshal(asJSON, &parsed); err != nil {
		t.Fatal(err)
	}
	if parsed.Tenants["shop"].Budget.Bytes != "256MiB" || parsed.Sinks["bus"].Kind != "kafka" || parsed.Sinks["bus"].Topic == "" {
		t.Errorf("got %+v", parsed)
	}
	if c.Sinks["bus"].Kafka.SASL.Password.Reveal() != "hunter2-kafka" {
		t.Error("showing the configuration changed it")
	}
}

func TestMemoryBound(t *testing.T) {
	c := Default()
	one := 64<<20 + 65536*Size(1<<10) + 128<<20
	if got := MemoryBound(c); got != one {
		t.Errorf("got %s, want %s", got, one)
	}
	c.Tenants["second"] = c.Tenants["demo"]
	if got := MemoryBound(c); got != 2*one {
		t.Errorf("two tenants: got %s, want %s", got, 2*one)
	}
}

// TestTheDefaultConfigurationIsValid writes the default as a file would have it.
func TestTheDefaultConfigurationIsValid(t *testing.T) {
	want := Default()
	demo := want.Tenants["demo"]
	demo.Keys = []KeyHash{HashKey("k")}
	want.Tenants["demo"] = demo
	got := mustParse(t, `{sinks: {local: {kind: local}}, tenants: {demo: {keys: ["`+HashKey("k").String()+`"], sink: local}}}`)
	want.Dir = "data" // the loader cleans it
	got.warnings = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestWarnings(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"an admin port for everybody", `admin: {listen: ":8081"}`, "asks for no token"},
		{"a sink that is not used", `sinks: {a: {kind: local}, b: {kind: local}}`, "no tenant writes to it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustParse(t, tc.text+"\ntenants: {x: {keys: [\""+hashA+"\"], sink: "+map[bool]string{true: "a", false: "local"}[strings.Contains(tc.text, "sinks")]+"}}\n")
			w := c.Warnings()
			if len(w) != 1 || !strings.Contains(w[0].Message, tc.want) || w[0].Line != 1 || w[0].Excerpt == "" {
				t.Errorf("got %v", w)
			}
		})
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{filepath.Join(dir, "no"): "no such file", dir: "is a folder"} {
		if _, err := Load(path, exampleEnvironment); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
