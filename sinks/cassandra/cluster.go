package cassandra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

// Cluster is the connection to one Cassandra cluster, keyspace and table. It is
// shared by the sinks of all tenants that Tenant makes, and may be used by many
// goroutines at once.
//
// One goroutine, connect, makes the session and replaces it:
//
//	connecting ─(session made, schema in order)─▶ connected
//	connecting ─(an error)─▶ waiting ─(backoff over | Probe asks)─▶ connecting
//	connected ─(no answers for sickFor)─▶ connecting, the old session stays meanwhile
//
// Close ends it.
type Cluster struct {
	cfg         Config
	consistency gocql.Consistency
	layout      layout
	cql         statements
	tls         *tls.Config
	log         *slog.Logger
	health      health
	observe     atomic.Pointer[func(Observation)]
	probes      atomic.Uint64
	refusal     atomic.Pointer[error] // of the last connection that could not be made

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	again  chan struct{} // asks for an attempt now; holds one
	ended  chan struct{} // closed when connect has returned
	// leftovers are sessions on their way out, and calls whose ctx was over first.
	leftovers sync.WaitGroup

	applying sync.Mutex // held while tables are made; never together with mu

	mu      sync.Mutex
	session *gocql.Session // nil until connected
	// generation counts sessions and differences in the schema: what was known of
	// the tables before may not hold any more.
	generation uint64
	err        error         // of the last attempt to connect
	attempt    chan struct{} // closed when the attempt under way, or the next one, is over
	trying     bool
}

// Open returns the cluster that cfg describes and begins to connect to it. The
// error is about cfg alone and names everything that is wrong with it: a cluster
// that is away, refuses the credentials or lacks the tables is connected to as
// soon as it can be, and Probe says why it cannot.
func Open(cfg Config, log *slog.Logger) (*Cluster, error) {
	cfg = cfg.withDefaults()
	tlsConfig, tlsErr := cfg.TLS.config()
	if err := errors.Join(cfg.validate(), tlsErr); err != nil {
		return nil, err
	}
	consistency, err := parseConsistency(cfg.Consistency)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{
		cfg: cfg, consistency: consistency, layout: cfg.layout(), cql: cfg.statements(), tls: tlsConfig,
		log:     log.With("keyspace", cfg.Keyspace, "table", cfg.Table),
		again:   make(chan struct{}, 1),
		ended:   make(chan struct{}),
		attempt: make(chan struct{}),
		trying:  true,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.connect()
	return c, nil
}

const minBackoff, maxBackoff = 200 * time.Millisecond, 5 * time.Second

// connect is the goroutine that keeps the session.
func (c *Cluster) connect() {
	defer close(c.ended)
	backoff := minBackoff
	for {
		session, err := c.dial()
		if c.ctx.Err() != nil {
			if session != nil {
				c.retire(session)
			}
			return
		}
		c.settle(session, err)
		if err == nil {
			backoff = minBackoff
			if !c.wait(nil) {
				return
			}
			continue
		}
		timer := time.NewTimer(backoff/2 + rand.N(backoff/2))
		ok := c.wait(timer.C)
		timer.Stop()
		if !ok {
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// wait returns when another attempt is due, false when there is none any more.
func (c *Cluster) wait(backoff <-chan time.Time) bool {
	select {
	case <-c.ctx.Done():
		return false
	case <-backoff:
	case <-c.again:
	}
	c.mu.Lock()
	c.trying = true
	c.mu.Unlock()
	return true
}

// settle ends an attempt: a session is put in the place of the one before, an
// error leaves that one, which may yet recover.
func (c *Cluster) settle(session *gocql.Session, err error) {
	c.mu.Lock()
	old, before := c.session, c.err
	c.err = err
	if err == nil {
		if old != nil && c.health.well() { // it has recovered meanwhile: requests are under way on it
			old, session = session, old
		}
		c.session = session
		c.generation++
	}
	close(c.attempt)
	c.attempt = make(chan struct{})
	c.trying = false
	c.mu.Unlock()

	c.health.watch(c.tryAgain)
	switch {
	case err == nil && old != nil:
		c.leftovers.Go(func() { c.retire(old) }) // what is under way on it fails and is retried
		c.log.Info("cassandra: connected again")
	case err == nil:
		c.log.Info("cassandra: connected")
	case before == nil || before.Error() != err.Error():
		c.log.Warn("cassandra: not connected; trying again", "error", err)
	}
}

// tryAgain asks for an attempt to connect, without waiting for it.
func (c *Cluster) tryAgain() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// dial makes a session on a schema that is in order.
func (c *Cluster) dial() (*gocql.Session, error) {
	check, patience := checkSchema, c.cfg.Timeout
	if c.cfg.CreateSchema {
		check, patience = c.applyAlone, schemaTimeout
	}
	admin, err := c.newSession("", 1, patience)
	if err != nil {
		return nil, explain(c.ctx, c.cfg, err)
	}
	defer c.leftovers.Go(func() { c.retire(admin) })
	ctx, cancel := context.WithTimeout(withOp(c.ctx, OpSchema), schemaTimeout)
	defer cancel()
	if err := check(ctx, admin, c.cfg); err != nil {
		return nil, explain(ctx, c.cfg, err)
	}
	// Routing by token needs a session of the keyspace, and gocql makes none
	// before there is one.
	session, err := c.newSession(c.cfg.Keyspace, 2, c.cfg.Timeout)
	return session, explain(c.ctx, c.cfg, err)
}

// schemaTimeout bounds the making of tables: a busy node takes its time for one.
const schemaTimeout = time.Minute

var errClosed = errors.New("cassandra: closed")

// connected returns the session and its generation. Before the first one it
// waits for the attempt that is under way, and returns why it failed.
func (c *Cluster) connected(ctx context.Context) (*gocql.Session, uint64, error) {
	for waited := false; ; waited = true {
		c.mu.Lock()
		session, generation, err, trying, attempt := c.session, c.generation, c.err, c.trying, c.attempt
		c.mu.Unlock()
		switch {
		case c.ctx.Err() != nil:
			return nil, 0, errClosed
		case session != nil:
			return session, generation, nil
		case err != nil && (waited || !trying):
			return nil, 0, err
		}
		select {
		case <-attempt:
		case <-c.ctx.Done():
		case <-ctx.Done():
			if err == nil {
				err = errors.New("cassandra: not connected yet")
			}
			return nil, 0, fmt.Errorf("%w (%w)", err, ctx.Err())
		}
	}
}

// outdated makes everybody forget what they know of the tables.
func (c *Cluster) outdated() {
	c.mu.Lock()
	c.generation++
	c.mu.Unlock()
}

// applyAlone is applySchema, once at a time.
func (c *Cluster) applyAlone(ctx context.Context, s *gocql.Session, cfg Config) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	return applySchema(ctx, s, cfg)
}

// ApplySchema makes the keyspace and the tables that are missing, waits until
// all nodes agree on them, and returns what differs where they are already
// there. It can be called at any time and any number of times, but should be by
// one process at a time.
func (c *Cluster) ApplySchema(ctx context.Context) error {
	done := make(chan error, 1)
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return errClosed
	}
	c.leftovers.Go(func() { // because making a session takes no ctx
		admin, err := c.newSession("", 1, schemaTimeout)
		if err == nil {
			defer c.retire(admin)
			err = c.applyAlone(withOp(ctx, OpSchema), admin, c.cfg)
		}
		done <- explain(ctx, c.cfg, err)
	})
	c.mu.Unlock()
	select {
	case err := <-done:
		if err == nil {
			c.tryAgainUnlessConnected()
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("cassandra: applying the schema: %w", ctx.Err())
	}
}

// tryAgainUnlessConnected ends the backoff of a cluster that was never connected.
func (c *Cluster) tryAgainUnlessConnected() {
	c.mu.Lock()
	due := c.session == nil && !c.trying
	c.trying = c.trying || due // so that connected waits for what it brings
	c.mu.Unlock()
	if due {
		c.tryAgain()
	}
}

// Close ends all connections, within ctx; what does not end by then ends by
// itself a little later. The sinks of all tenants are closed with it.
func (c *Cluster) Close(ctx context.Context) error {
	c.mu.Lock() // so that leftovers do not grow from nothing while they are waited for
	c.cancel()
	c.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-c.ended // and with it the last one to set c.session
		if c.session != nil {
			c.retire(c.session)
		}
		c.leftovers.Wait()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cassandra: closing the connections: %w", ctx.Err())
	}
}
