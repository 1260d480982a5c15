package cassandra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/gocql/gocql"
)

// Class is what kind of error a request met: a bounded set, fit for a label.
type Class string

// The classes.
const (
	OK            Class = "ok"
	Unavailable   Class = "unavailable"    // too few replicas are alive: nothing was written
	WriteTimeout  Class = "write_timeout"  // too few replicas answered in time: perhaps written
	ReadTimeout   Class = "read_timeout"   //
	Failure       Class = "failure"        // a replica failed
	Overloaded    Class = "overloaded"     // shed by the server, or still starting
	ClientTimeout Class = "client_timeout" // no answer within the attempt's timeout or the ctx
	Cancelled     Class = "cancelled"      // the caller gave up
	NoConnection  Class = "no_connection"  // none there, refused, or cut
	Credentials   Class = "credentials"    // refused
	Unauthorized  Class = "unauthorized"   // the user may not do this
	Invalid       Class = "invalid"        // refused for what it says: the data, or a table that is not there
	Other         Class = "other"
)

// classify says what kind of error err is.
func classify(err error) Class {
	var request gocql.RequestError
	var network net.Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &request):
		return classOfCode(request.Code())
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, gocql.ErrTimeoutNoResponse),
		errors.Is(err, gocql.ErrTooManyTimeouts):
		return ClientTimeout
	case errors.Is(err, gocql.ErrNoConnections), errors.Is(err, gocql.ErrNoConnectionsStarted),
		errors.Is(err, gocql.ErrConnectionClosed), errors.Is(err, gocql.ErrSessionClosed),
		errors.Is(err, net.ErrClosed), errors.As(err, &network), isCut(err):
		return NoConnection
	case errors.Is(err, gocql.ErrNoStreams):
		return Overloaded
	case errors.Is(err, gocql.ErrUnavailable):
		return Unavailable
	}
	return classOfText(err.Error())
}

func classOfCode(code int) Class {
	switch code {
	case gocql.ErrCodeUnavailable:
		return Unavailable
	case gocql.ErrCodeWriteTimeout, gocql.ErrCodeCASWriteUnknown:
		return WriteTimeout
	case gocql.ErrCodeReadTimeout:
		return ReadTimeout
	case gocql.ErrCodeWriteFailure, gocql.ErrCodeReadFailure, gocql.ErrCodeFunctionFailure,
		gocql.ErrCodeCDCWriteFailure, gocql.ErrCodeServer:
		return Failure
	case gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping:
		return Overloaded
	case gocql.ErrCodeCredentials:
		return Credentials
	case gocql.ErrCodeUnauthorized:
		return Unauthorized
	case gocql.ErrCodeInvalid, gocql.ErrCodeSyntax, gocql.ErrCodeConfig:
		return Invalid
	}
	return Other
}

// classOfText reads what gocql says of a session that could not be made, which
// is text only.
func classOfText(text string) Class {
	for _, known := range []struct {
		part  string
		class Class
	}{
		{"and/or password are incorrect", Credentials},
		{"authentication required", Credentials},
		{"unexpected authenticator", Credentials},
		{"i/o timeout", ClientTimeout},
		{"no response received", ClientTimeout},
		{"unable to connect to initial hosts", NoConnection},
		{"no connections were made", NoConnection},
		{"connection refused", NoConnection},
		{"failed to resolve any", NoConnection},
	} {
		if strings.Contains(text, known.part) {
			return known.class
		}
	}
	return Other
}

// isCut reports whether a connection ended under a request.
func isCut(err error) bool {
	text := err.Error()
	return text == "EOF" || text == "unexpected EOF" || strings.Contains(text, "heartbeat failed")
}

// refusesData reports whether err may be about what was written, so that no
// other attempt helps. Of a batch it does not say about which row, and a table
// that is missing or different looks the same: the caller finds out.
func refusesData(err error) bool {
	var request gocql.RequestError
	if !errors.As(err, &request) {
		return errors.As(err, new(gocql.MarshalError))
	}
	switch request.Code() {
	case gocql.ErrCodeInvalid, gocql.ErrCodeSyntax:
		return true
	}
	return isOversize(err)
}

// isOversize reports whether the server refused a mutation for its size, of
// which it has no error code.
func isOversize(err error) bool {
	text := err.Error()
	return strings.Contains(text, "MutationExceededMaxSize") || strings.Contains(text, "oversized mutation") ||
		strings.Contains(text, "too large for the maximum size")
}

// cutOff tells a connection that ended from a caller that gave up: gocql says
// context.Canceled to both, and who reads that of a ctx that is well is misled.
func cutOff(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return fmt.Errorf("%w (%s)", gocql.ErrConnectionClosed, err.Error())
	}
	return err
}

// explain puts err, which came of a request with ctx, into words for an operator,
// with what would be right. It holds no secrets: gocql does not print passwords.
func explain(ctx context.Context, cfg Config, err error) error {
	if err == nil {
		return nil
	}
	err = cutOff(ctx, err)
	var schema *schemaError
	if errors.As(err, &schema) {
		return err
	}
	hosts := strings.Join(cfg.Hosts, ", ")
	if text := err.Error(); strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") {
		return &explained{"cassandra: no TLS with " + hosts + ": mend tls.enabled, tls.ca_file, tls.server_name, or the nodes' certificates", err}
	}
	switch classify(err) {
	case Credentials:
		if cfg.Auth.User == "" {
			return &explained{"cassandra: " + hosts + " asks for credentials: set auth.user and auth.password", err}
		}
		return &explained{"cassandra: " + hosts + " refuses the credentials of user " + cfg.Auth.User + ": mend auth.user or auth.password", err}
	case Unauthorized:
		return &explained{"cassandra: user " + cfg.Auth.User + " may not do this: GRANT SELECT and MODIFY ON KEYSPACE " + cfg.Keyspace +
			" (and CREATE for create_schema)", err}
	case NoConnection:
		return &explained{"cassandra: no node answers at " + hosts, err}
	case Unavailable:
		return &explained{"cassandra: too few replicas are alive for " + strings.ToUpper(cfg.Consistency), err}
	case WriteTimeout, ReadTimeout:
		return &explained{"cassandra: too few replicas answered in time for " + strings.ToUpper(cfg.Consistency), err}
	case ClientTimeout:
		return &explained{"cassandra: no answer in time from " + hosts, err}
	case Cancelled:
		return &explained{"cassandra: given up", err}
	}
	return &explained{"cassandra: " + string(classify(err)), err}
}

// explained is an error behind an explanation.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text + ": " + e.err.Error() }
func (e *explained) Unwrap() error { return e.err }
