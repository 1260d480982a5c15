package cassandra

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks"
)

// authHost returns the node that asks for a password and speaks TLS to who
// wants it, cassandra/cassandra.
func authHost(t *testing.T) string {
	t.Helper()
	return requireNode(t, cmp.Or(os.Getenv("SLUICE_TEST_CASSANDRA_AUTH"), "127.0.0.12"))
}

// stackCA is the certificate that signed the node's.
func stackCA(t *testing.T) string {
	t.Helper()
	path := cmp.Or(os.Getenv("SLUICE_CASSANDRA_AUTH_CA"), filepath.Join("..", "..", ".cache", "stack", "tls", "ca.pem"))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the CA of the node with TLS is not there (%v): run `make stack-up`, or say where it is with SLUICE_CASSANDRA_AUTH_CA", err)
	}
	return path
}

func TestCredentials(t *testing.T) {
	good := Auth{"cassandra", "cassandra"}
	base := freshConfig(t, authHost(t), good)
	for _, tc := range []struct {
		name   string
		change func(*Config)
		says   string // empty: works
	}{
		{"the right password is taken", func(c *Config) {}, ""},
		{"a wrong password is said, and whose", func(c *Config) { c.Auth.Password = "wrong-secret" }, "refuses the credentials of user cassandra: mend auth.user or auth.password"},
		{"a missing password is said", func(c *Config) { c.Auth = Auth{} }, "asks for credentials: set auth.user and auth.password"},
		{"TLS with the right CA is taken", func(c *Config) { c.TLS = TLS{Enabled: true, CAFile: stackCA(t)} }, ""},
		{"TLS that checks nothing is taken", func(c *Config) { c.TLS = TLS{Enabled: true, InsecureSkipVerify: true} }, ""},
		{"a certificate of an unknown CA is refused", func(c *Config) { c.TLS = TLS{Enabled: true} }, "no TLS with " + base.Hosts[0] + ": mend tls.enabled, tls.ca_file"},
		{"a certificate of another name is refused", func(c *Config) {
			c.TLS = TLS{Enabled: true, CAFile: stackCA(t), ServerName: "db.example.com"}
		}, "not db.example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := base
			tc.change(&cfg)
			tenant := open(t, cfg).Tenant("acme", 0)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := tenant.Probe(ctx)
			if tc.says == "" {
				if err != nil {
					t.Fatalf("the probe says %v", err)
				}
				mustWrite(t, tenant, testEvents("u", 3))
				page, err := tenant.Read(ctx, event.Query{Tenant: "acme", User: "u", Limit: 10})
				if err != nil || len(page.Events) != 3 {
					t.Errorf("read %d events, %v", len(page.Events), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("the probe says %v, want %q", err, tc.says)
			}
			if err := tenant.Write(ctx, &sinks.Batch{Events: testEvents("u", 1)}); err == nil || sinks.IsPermanent(err) {
				t.Errorf("Write: %v, want a retryable error", err)
			}
		})
	}
}

// TestAUserWhoMayNotWrite: what an operator forgot to grant can be granted, so
// it is retried, and said.
func TestAUserWhoMayNotWrite(t *testing.T) {
	cfg := freshConfig(t, authHost(t), Auth{"cassandra", "cassandra"})
	if err := open(t, cfg).ApplySchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin := plainSession(t, cfg)
	defer admin.Close()
	role := "reader_" + cfg.Table
	for _, cql := range []string{
		"CREATE ROLE " + role + " WITH PASSWORD = 'p' AND LOGIN = true",
		"GRANT SELECT ON KEYSPACE " + cfg.Keyspace + " TO " + role,
	} {
		if err := admin.Query(cql).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	defer admin.Query("DROP ROLE " + role).Exec()
	cfg.Auth, cfg.CreateSchema = Auth{role, "p"}, false
	tenant := open(t, cfg).Tenant("acme", 0)
	if err := tenant.Probe(t.Context()); err != nil {
		t.Fatalf("the probe says %v", err)
	}
	err := tenant.Write(t.Context(), &sinks.Batch{Events: testEvents("u", 2)})
	if err == nil || sinks.IsPermanent(err) || !strings.Contains(err.Error(), "GRANT SELECT and MODIFY ON KEYSPACE "+cfg.Keyspace) {
		t.Errorf("Write: %v", err)
	}
}
