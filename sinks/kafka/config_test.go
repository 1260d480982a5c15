package kafka

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigMistakesAreSaid(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Brokers: []string{"127.0.0.1:9092"}, Topic: "events.{tenant}"}
	for _, tc := range []struct {
		name string
		make func(c *Config)
		want string // empty: no mistake
	}{
		{"the least that is needed", func(*Config) {}, ""},
		{"everything", func(c *Config) {
			c.Compression, c.CreateTopics, c.Partitions, c.Replication = "zstd", true, 12, 3
			c.Timeout, c.MaxRecordBytes, c.ClientID = 5*time.Second, 1<<20, "me"
			c.TLS = TLS{Enabled: true, ServerName: "kafka", InsecureSkipVerify: true}
			c.SASL = SASL{"SCRAM-SHA-512", "u", "p"}
		}, ""},
		{"no brokers", func(c *Config) { c.Brokers = nil }, `name at least one, such as "127.0.0.1:9092"`},
		{"a broker without a port", func(c *Config) { c.Brokers = []string{"kafka"} }, `"kafka" is not host:port`},
		{"a broker with port 0", func(c *Config) { c.Brokers = []string{"kafka:0"} }, "port from 1 to 65535"},
		{"no topic", func(c *Config) { c.Topic = "" }, "topic: it is empty"},
		{"a topic with a space", func(c *Config) { c.Topic = "raw events" }, `holds ' '`},
		{"an unknown placeholder", func(c *Config) { c.Topic = "events.{user}" }, `holds '{'`},
		{"too long a topic", func(c *Config) { c.Topic = strings.Repeat("x", 250) }, "longer than 249"},
		{"a dot for a topic", func(c *Config) { c.Topic = "." }, "not a topic name"},
		{"an unknown compression", func(c *Config) { c.Compression = "brotli" }, "none of none, gzip, snappy, lz4, zstd"},
		{"negative partitions", func(c *Config) { c.Partitions = -1 }, "partitions: -1"},
		{"too large a replication", func(c *Config) { c.Replication = 5000 }, "replication: 5000"},
		{"a negative timeout", func(c *Config) { c.Timeout = -1 }, "timeout: -1ns"},
		{"a negative record limit", func(c *Config) { c.MaxRecordBytes = -1 }, "max record bytes: -1"},
		{"an unknown mechanism", func(c *Config) { c.SASL = SASL{"GSSAPI", "u", "p"} }, `mechanism "GSSAPI" is none of`},
		{"a user without a mechanism", func(c *Config) { c.SASL.User = "u" }, "without a mechanism"},
		{"a mechanism without a password", func(c *Config) { c.SASL = SASL{"PLAIN", "u", ""} }, "wants user and password"},
		{"a ca file without tls", func(c *Config) { c.TLS.CAFile = empty }, "not enabled"},
		{"a ca file that is not there", func(c *Config) { c.TLS = TLS{Enabled: true, CAFile: "/nowhere.pem"} }, "ca file: open /nowhere.pem"},
		{"a ca file that is none", func(c *Config) { c.TLS = TLS{Enabled: true, CAFile: empty} }, "holds no PEM certificate"},
		{"a certificate without its key", func(c *Config) { c.TLS = TLS{Enabled: true, CertFile: empty} }, "go together"},
		{"a certificate that is none", func(c *Config) { c.TLS = TLS{Enabled: true, CertFile: empty, KeyFile: empty} }, "cert file " + empty},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := good
			tc.make(&cfg)
			c, err := Open(cfg, nil)
			switch {
			case tc.want == "" && err != nil:
				t.Fatalf("Open: %v", err)
			case tc.want == "":
				if err := c.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			case err == nil || !strings.Contains(err.Error(), tc.want):
				t.Fatalf("Open: %v, want it to say %q", err, tc.want)
			case cfg.SASL.Password != "" && strings.Contains(err.Error(), `"`+cfg.SASL.Password+`"`):
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	_, err := Open(Config{Brokers: []string{"x"}, Compression: "y", Partitions: -1}, nil)
	if n := strings.Count(err.Error(), "kafka: "); n != 4 {
		t.Errorf("%d mistakes were said of four: %v", n, err)
	}
}
