package cassandra

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/sinktest"
)

// The tests in this file's company talk to a real Cassandra.

// realHost returns the node that tests use. Without it they fail, rather than
// pass for nothing.
func realHost(t testing.TB) string {
	t.Helper()
	return requireNode(t, cmp.Or(os.Getenv("SLUICE_TEST_CASSANDRA"), "127.0.0.11"))
}

func requireNode(t testing.TB, host string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Cassandra; skipped with -short")
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, "9042"), 5*time.Second)
	if err != nil {
		t.Fatalf("no Cassandra at %s:9042 (%v): run `make stack-up`, name another with SLUICE_TEST_CASSANDRA, or test with -short", host, err)
	}
	conn.Close()
	return host
}

var made atomic.Int64

// freshConfig returns a configuration with tables of its own, which are dropped
// when the test is over.
func freshConfig(t testing.TB, host string, auth ...Auth) Config {
	t.Helper()
	cfg := Config{
		Hosts: []string{host}, Keyspace: "sluice_test", CreateSchema: true,
		Table:       fmt.Sprintf("t%d_%d", os.Getpid(), made.Add(1)),
		Replication: Replication{Factor: 1},
	}
	if len(auth) > 0 {
		cfg.Auth = auth[0]
	}
	t.Cleanup(func() { dropTables(t, cfg) })
	return cfg
}

func dropTables(t testing.TB, cfg Config) {
	t.Helper()
	s := plainSession(t, cfg)
	defer s.Close()
	for _, table := range cfg.withDefaults().tables() {
		if err := s.Query("DROP TABLE IF EXISTS " + ident(cfg.Keyspace) + "." + ident(table.name)).Exec(); err != nil {
			t.Errorf("dropping %s: %v", table.name, err)
		}
	}
}

// plainSession is a session with none of this package's settings.
func plainSession(t testing.TB, cfg Config) *gocql.Session {
	t.Helper()
	d := gocql.NewCluster(cfg.Hosts...)
	d.ProtoVersion = 4
	d.Timeout = 20 * time.Second
	d.Logger = debugLogger{slog.New(slog.DiscardHandler)}
	if cfg.Auth.User != "" {
		d.Authenticator = gocql.PasswordAuthenticator{Username: cfg.Auth.User, Password: cfg.Auth.Password}
	}
	s, err := d.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens a cluster that is closed with the test.
func open(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	c, err := Open(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// testLog writes to t what an operator would read.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func TestContract(t *testing.T) {
	host := realHost(t)
	for _, by := range []string{ByShard, ByUser} {
		t.Run("partition_by_"+by, func(t *testing.T) {
			sinktest.Run(t, harness(t, host, by))
		})
	}
}

// harness gives each row a tenant of its own behind the tenant's name: that is as
// empty as new tables would be, and takes no schema change, of which each costs a
// node half a second.
func harness(t *testing.T, host, by string) sinktest.Harness {
	cfg := freshConfig(t, host)
	cfg.PartitionBy = by
	if err := open(t, cfg).ApplySchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sinktest.Harness{
		Order:    sinktest.ByTime,
		MaxEvent: 1 << 20,
		Oversize: 9 << 20, // dev/stack's nodes take mutations of 8 MiB
		Open: func(t *testing.T) sinktest.Place {
			prefix := fmt.Sprintf("row-%d-", made.Add(1))
			proxy := sinktest.NewProxy(t, net.JoinHostPort(host, "9042"))
			cfg := cfg
			cfg.dialer = throughProxy{proxy}
			// A cluster for all sinks of the row; made when the first is, which may be
			// while the other side is away.
			cluster := sync.OnceValue(func() *Cluster { return open(t, cfg) })
			return sinktest.Place{
				Sink: func(t *testing.T, tenant string) sinks.Sink {
					return renamed{cluster().Tenant(prefix+tenant, 0), prefix}
				},
				ReadBack: func(t *testing.T, tenant string) []event.Event { return readBack(t, cfg, prefix+tenant, tenant) },
				Faults:   proxy.Faults(),
			}
		},
	}
}

// renamed puts a prefix before the tenant of a query, and takes it off again.
type renamed struct {
	*Tenant
	prefix string
}

func (r renamed) Read(ctx context.Context, q event.Query) (event.Page, error) {
	q.Tenant = r.prefix + q.Tenant
	page, err := r.Tenant.Read(ctx, q)
	for i := range page.Events {
		page.Events[i].Tenant = strings.TrimPrefix(page.Events[i].Tenant, r.prefix)
	}
	return page, err
}

// throughProxy hides the proxy from gocql, which takes the port of the first
// connection to be that of every node.
type throughProxy struct{ proxy *sinktest.Proxy }

func (d throughProxy) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.proxy.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	remote, err := net.ResolveTCPAddr(network, addr)
	return proxied{conn, remote}, err
}

type proxied struct {
	net.Conn
	remote net.Addr
}

func (c proxied) RemoteAddr() net.Addr { return c.remote }

// readBack reads the whole table with a plain session, in the order of the keys
// of each partition, and those by bucket.
func readBack(t *testing.T, cfg Config, stored, tenant string) []event.Event {
	t.Helper()
	s := plainSession(t, cfg)
	defer s.Close()
	iter := s.Query("SELECT tenant, user, ts, id, type, received, data, bucket, writetime(data) FROM " +
		ident(cfg.Keyspace) + "." + ident(cfg.Table)).Iter()
	type row struct {
		event.Event
		bucket int64
	}
	var rows []row
	for {
		var r row
		var written int64
		if !iter.Scan(&r.Tenant, &r.User, &r.TS, &r.ID, &r.Type, &r.Received, &r.Data, &r.bucket, &written) {
			break
		}
		if written != r.Received {
			t.Errorf("event %q has write time %d, want that of receipt, %d", r.ID, written, r.Received)
		}
		if r.Tenant == stored {
			r.Tenant = tenant
			rows = append(rows, r)
		}
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.bucket, b.bucket) })
	var events []event.Event
	for _, r := range rows {
		events = append(events, r.Event)
	}
	return events
}
