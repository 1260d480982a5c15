package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// conn is one connection of sarama's that can be cut at any moment, whatever
// sarama is waiting for on it: sarama itself takes no context.
type conn struct {
	broker *sarama.Broker
	dialer *dialer
}

// connectTimeout bounds the making of a connection, TLS and SASL included: brokers
// are near, and a hung one must not hold up the question to the next.
const connectTimeout = 5 * time.Second

var errSlow = errors.New("it took too long to answer")

// connect opens a connection to the broker at addr, with TLS and SASL as
// configured, and returns when it is ready. The error is for an operator.
func (c *Cluster) connect(ctx context.Context, addr string) (*conn, error) {
	ctx, done := context.WithTimeoutCause(ctx, min(connectTimeout, c.cfg.Timeout), errSlow)
	defer done()
	dialing, cancel := context.WithCancel(c.ctx)
	d := &dialer{dial: c.cfg.dial, ctx: dialing, cancel: cancel}
	conf := *c.conf
	conf.Net.Proxy.Enable = true // the one way to hand sarama a dialer
	conf.Net.Proxy.Dialer = d

	opened := &conn{broker: sarama.NewBroker(addr), dialer: d}
	defer context.AfterFunc(ctx, opened.cut)()
	err := opened.broker.Open(&conf)
	if err == nil {
		_, err = opened.broker.Connected() // waits for dial, TLS and SASL
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx) // says more than what the cut looked like
	}
	if err != nil {
		opened.close()
		return nil, explain(addr, c.cfg, err)
	}
	return opened, nil
}

// cut ends whatever waits on the connection, with an error. It never blocks.
func (c *conn) cut() { c.dialer.cut() }

// close cuts the connection and waits for sarama's goroutines on it.
func (c *conn) close() {
	c.cut()
	_ = c.broker.Close() // it reports what cut has done
}

// dialer dials for one sarama.Broker and keeps hold of the connection.
type dialer struct {
	dial   dialFunc
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	isCut bool
	made  net.Conn
}

// Dial implements proxy.Dialer.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	made, err := d.dial(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isCut {
		made.Close()
		return nil, net.ErrClosed
	}
	d.made = made
	return made, nil
}

func (d *dialer) cut() {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isCut = true
	if d.made != nil {
		d.made.Close()
	}
}

// explain turns what went wrong on the connection to addr into words for an
// operator: what, where, and what would be right.
func explain(addr string, cfg Config, err error) error {
	var (
		kerr    sarama.KError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		record  tls.RecordHeaderError
		netErr  net.Error
	)
	switch {
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("kafka: broker %s refused the credentials of user %q (%s): check sasl user and password: %w",
			addr, cfg.SASL.User, cfg.SASL.Mechanism, err)
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		return fmt.Errorf("kafka: broker %s does not offer sasl mechanism %s: %w", addr, cfg.SASL.Mechanism, err)
	case errors.Is(err, sarama.ErrIllegalSASLState):
		return fmt.Errorf("kafka: broker %s does not want sasl on this port: %w", addr, err)
	case errors.As(err, &kerr):
		return fmt.Errorf("kafka: broker %s: %w", addr, err)
	case errors.As(err, &unknown), errors.As(err, &name):
		return fmt.Errorf("kafka: broker %s: its certificate is not trusted (see tls ca_file and server_name): %w", addr, err)
	case errors.As(err, &record):
		return fmt.Errorf("kafka: broker %s does not speak TLS on this port: switch tls off or use its TLS port: %w", addr, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("kafka: broker %s closed the connection (%s): %w", addr, security(cfg), err)
	case errors.Is(err, errSlow), errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("kafka: broker %s did not answer in time: %w", addr, err)
	default:
		return fmt.Errorf("kafka: broker %s is not reachable: %w", addr, err)
	}
}

// security says how we spoke, for the error of a broker that hung up: most
// often its port wants another protocol.
func security(cfg Config) string {
	switch {
	case cfg.TLS.Enabled && cfg.SASL.Mechanism != "":
		return "does this port want TLS and sasl " + cfg.SASL.Mechanism + ", as configured?"
	case cfg.TLS.Enabled:
		return "does this port want TLS without sasl, as configured?"
	case cfg.SASL.Mechanism != "":
		return "does this port want sasl " + cfg.SASL.Mechanism + " without TLS, as configured?"
	}
	return "does this port want neither TLS nor sasl, as configured?"
}

// isCredentials reports an error that every broker of the cluster would give.
func isCredentials(err error) bool {
	return errors.Is(err, sarama.ErrSASLAuthenticationFailed) ||
		errors.Is(err, sarama.ErrUnsupportedSASLMechanism) ||
		errors.Is(err, sarama.ErrClusterAuthorizationFailed)
}
