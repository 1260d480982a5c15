package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// driver returns gocql's configuration, for sessions in keyspace; an empty one
// sees no keyspace, and so works before there is one.
func (c *Cluster) driver(keyspace string) *gocql.ClusterConfig {
	cfg := c.cfg
	d := gocql.NewCluster(cfg.Hosts...)
	d.ProtoVersion = 4 // every Cassandra from 2.2; gocql 1.7 knows none above
	d.Port = cfg.Port
	d.Keyspace = keyspace
	d.Consistency = c.consistency
	d.Timeout, d.WriteTimeout = cfg.Timeout, cfg.Timeout
	d.ConnectTimeout = cfg.ConnectTimeout
	d.SocketKeepalive = 15 * time.Second
	d.DefaultIdempotence = true
	d.RetryPolicy = nil // the writer retries; gocql would, without regard to order
	// A node that is down is looked for once a second, and not waited for.
	d.ReconnectInterval = time.Second
	d.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: 50 * time.Millisecond}
	d.MaxWaitSchemaAgreement = 30 * time.Second
	d.Logger = debugLogger{c.log}
	d.QueryObserver, d.BatchObserver, d.ConnectObserver = observer{c}, observer{c}, observer{c}

	fallback := gocql.RoundRobinHostPolicy()
	if cfg.LocalDC != "" {
		fallback = gocql.DCAwareRoundRobinPolicy(cfg.LocalDC)
		// Not even as a fallback: LOCAL_QUORUM asked of another data centre is
		// that one's quorum.
		d.HostFilter = gocql.DataCentreHostFilter(cfg.LocalDC)
	}
	d.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(fallback, gocql.ShuffleReplicas())
	if cfg.Auth.User != "" {
		d.Authenticator = gocql.PasswordAuthenticator{Username: cfg.Auth.User, Password: cfg.Auth.Password}
	}
	if c.tls != nil {
		d.SslOpts = &gocql.SslOptions{Config: c.tls, EnableHostVerification: !c.tls.InsecureSkipVerify}
	}
	d.Dialer = stoppableDialer{c.ctx, cfg.dialer}
	if cfg.dialer == nil {
		d.Dialer = stoppableDialer{c.ctx, &net.Dialer{Timeout: cfg.ConnectTimeout, KeepAlive: d.SocketKeepalive}}
	}
	return d
}

// stoppableDialer gives up when the cluster is closed, which gocql alone would
// not.
type stoppableDialer struct {
	closed context.Context
	dialer gocql.Dialer
}

func (d stoppableDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.closed, cancel)()
	return d.dialer.DialContext(ctx, network, addr)
}

// Observation is one request to Cassandra, or one attempt to connect.
type Observation struct {
	Op      Op
	Rows    int // written; 0 for reads
	Took    time.Duration
	Attempt int // from 0; above only where the driver itself tried again
	Class   Class
}

// Op is what a request is for: a bounded set, fit for a label.
type Op string

// The operations.
const (
	OpWrite   Op = "write" // of events
	OpIndex   Op = "index" // of the index of buckets
	OpRead    Op = "read"
	OpProbe   Op = "probe"
	OpSchema  Op = "schema"
	OpConnect Op = "connect"
)

type opKey struct{}

func withOp(ctx context.Context, op Op) context.Context { return context.WithValue(ctx, opKey{}, op) }

// Observe makes f be called after each request and attempt to connect, from many
// goroutines; it must be quick. It replaces the f before it; nil ends it.
func (c *Cluster) Observe(f func(Observation)) {
	if f == nil {
		c.observe.Store(nil)
		return
	}
	c.observe.Store(&f)
}

// observer passes on what gocql observes, and keeps an eye on the session.
type observer struct{ c *Cluster }

func (o observer) note(ctx context.Context, rows int, start, end time.Time, attempt int, err error) {
	op, ok := ctx.Value(opKey{}).(Op)
	if !ok {
		return // the driver's own
	}
	class := OK
	if err != nil {
		class = classify(cutOff(ctx, err))
	}
	if op != OpSchema {
		o.c.health.note(class, end)
	}
	o.emit(Observation{op, rows, end.Sub(start), attempt, class})
}

// stranded takes in how a request ended that found no connection to leave by, which
// gocql tells no observer. It happens that a session never has one again.
func (c *Cluster) stranded(err error) {
	if errors.Is(err, gocql.ErrNoConnections) || errors.Is(err, gocql.ErrSessionClosed) {
		c.health.note(NoConnection, time.Now())
	}
}

func (o observer) emit(seen Observation) {
	if f := o.c.observe.Load(); f != nil {
		(*f)(seen)
	}
}

func (o observer) ObserveQuery(ctx context.Context, q gocql.ObservedQuery) {
	rows := 0
	if strings.HasPrefix(q.Statement, "INSERT") {
		rows = 1
	}
	o.note(ctx, rows, q.Start, q.End, q.Attempt, q.Err)
}

func (o observer) ObserveBatch(ctx context.Context, b gocql.ObservedBatch) {
	o.note(ctx, len(b.Statements), b.Start, b.End, b.Attempt, b.Err)
}

func (o observer) ObserveConnect(seen gocql.ObservedConnect) {
	if seen.Err != nil {
		o.c.refusal.Store(&seen.Err)
	}
	o.emit(Observation{OpConnect, 0, seen.End.Sub(seen.Start), 0, classify(seen.Err)})
}

// debugLogger is gocql's logger. What it says is of interest to who debugs
// gocql; operators read Probe and the log of Cluster.
type debugLogger struct{ log *slog.Logger }

func (l debugLogger) say(text string) {
	l.log.Debug(strings.TrimSpace(text), slog.String("from", "gocql"))
}

func (l debugLogger) enabled() bool { return l.log.Enabled(context.Background(), slog.LevelDebug) }

func (l debugLogger) Print(v ...any) {
	if l.enabled() {
		l.say(fmt.Sprint(v...))
	}
}

func (l debugLogger) Printf(format string, v ...any) {
	if l.enabled() {
		l.say(fmt.Sprintf(format, v...))
	}
}

func (l debugLogger) Println(v ...any) {
	if l.enabled() {
		l.say(fmt.Sprintln(v...))
	}
}
