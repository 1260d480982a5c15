package cassandra

import (
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

// gocql's CreateSession and Close take no context, and either can hang for good:
// refreshDebouncer.stop waits for a goroutine that ends without telling when a
// lost control connection asks for a refresh at that moment, and a CreateSession
// that fails closes what it has. So nothing here waits for them without a bound;
// beyond it they are left to themselves. Their connections are closed by then.

var errDriverHangs = errors.New("cassandra: the driver does not come back from connecting")

// newSession makes a session in keyspace, with a number of connections to each
// node, whose requests are given up after timeout.
func (c *Cluster) newSession(keyspace string, connections int, timeout time.Duration) (*gocql.Session, error) {
	d := c.driver(keyspace)
	d.NumConns, d.Timeout = connections, timeout
	c.refusal.Store(nil)

	type result struct {
		session *gocql.Session
		err     error
	}
	made, abandoned := make(chan result), make(chan struct{})
	go func() {
		session, err := d.CreateSession()
		select {
		case made <- result{session, err}:
		case <-abandoned:
			if session != nil {
				session.Close()
			}
		}
	}()

	// Each host is dialled and greeted, one after the other; then the pools.
	patience := time.NewTimer(2 * time.Duration(len(c.cfg.Hosts)+1) * c.cfg.ConnectTimeout)
	defer patience.Stop()
	closed := c.ctx.Done()
	for {
		select {
		case r := <-made:
			if why := c.refusal.Load(); errors.Is(r.err, gocql.ErrNoConnectionsStarted) && why != nil {
				r.err = fmt.Errorf("%w: %w", r.err, *why) // gocql keeps it to itself
			}
			return r.session, r.err
		case <-closed: // ends dialling, but not a greeting that is under way
			closed = nil
			patience.Reset(c.cfg.ConnectTimeout)
		case <-patience.C:
			close(abandoned)
			return nil, errDriverHangs
		}
	}
}

// retire closes a session and waits for that, within bounds.
func (c *Cluster) retire(session *gocql.Session) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		session.Close()
	}()
	patience := time.NewTimer(c.cfg.ConnectTimeout)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
		c.log.Debug("cassandra: the driver does not come back from closing a session")
	}
}
