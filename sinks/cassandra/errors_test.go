package cassandra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/gocql/gocql"
)

// requestError is an answer of the server with a code.
type requestError struct {
	code int
	text string
}

func (e requestError) Code() int       { return e.code }
func (e requestError) Message() string { return e.text }
func (e requestError) Error() string   { return e.text }

func TestClassify(t *testing.T) {
	made := func(text string) error { return fmt.Errorf("gocql: unable to create session: %s", text) }
	for _, tc := range []struct {
		name string
		err  error
		want Class
	}{
		{"no error", nil, OK},
		{"too few replicas are alive", requestError{gocql.ErrCodeUnavailable, ""}, Unavailable},
		{"a write that timed out", requestError{gocql.ErrCodeWriteTimeout, ""}, WriteTimeout},
		{"a read that timed out", requestError{gocql.ErrCodeReadTimeout, ""}, ReadTimeout},
		{"a write that failed", requestError{gocql.ErrCodeWriteFailure, ""}, Failure},
		{"a read that failed", requestError{gocql.ErrCodeReadFailure, ""}, Failure},
		{"a server error", requestError{gocql.ErrCodeServer, ""}, Failure},
		{"overload", requestError{gocql.ErrCodeOverloaded, ""}, Overloaded},
		{"a node that is starting", requestError{gocql.ErrCodeBootstrapping, ""}, Overloaded},
		{"an invalid request", requestError{gocql.ErrCodeInvalid, ""}, Invalid},
		{"a syntax error", requestError{gocql.ErrCodeSyntax, ""}, Invalid},
		{"no permission", requestError{gocql.ErrCodeUnauthorized, ""}, Unauthorized},
		{"bad credentials", requestError{gocql.ErrCodeCredentials, ""}, Credentials},
		{"a protocol error", requestError{gocql.ErrCodeProtocol, ""}, Other},
		{"an answer inside another error", fmt.Errorf("writing: %w", requestError{gocql.ErrCodeOverloaded, ""}), Overloaded},
		{"a caller that gave up", context.Canceled, Cancelled},
		{"a deadline", context.DeadlineExceeded, ClientTimeout},
		{"no answer", gocql.ErrTimeoutNoResponse, ClientTimeout},
		{"no connection", gocql.ErrNoConnections, NoConnection},
		{"no connection at the start", gocql.ErrNoConnectionsStarted, NoConnection},
		{"a closed connection", gocql.ErrConnectionClosed, NoConnection},
		{"a closed session", gocql.ErrSessionClosed, NoConnection},
		{"a refused connection", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, NoConnection},
		{"a cut connection", io.EOF, NoConnection},
		{"no streams", gocql.ErrNoStreams, Overloaded},
		{"a session refused for its password", made("unable to connect to initial hosts: Provided username u and/or password are incorrect"), Credentials},
		{"a session without a password", made("unable to connect to initial hosts: authentication required (using \"org.apache.cassandra.auth.PasswordAuthenticator\")"), Credentials},
		{"a session nobody answered", made("unable to connect to initial hosts: dial tcp 127.0.0.1:1: connect: connection refused"), NoConnection},
		{"something else", errors.New("what"), Other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := classify(tc.err); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestOnlyAnAnswerAboutTheDataRefusesIt(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"an invalid request", requestError{gocql.ErrCodeInvalid, "String didn't validate."}, true},
		{"a syntax error", requestError{gocql.ErrCodeSyntax, ""}, true},
		{"an oversized mutation", requestError{gocql.ErrCodeServer, "Rejected an oversized mutation (9437311/8388608) for keyspace: k."}, true},
		{"an oversized mutation of an older server", requestError{gocql.ErrCodeWriteFailure, "org.apache.cassandra.db.MutationExceededMaxSizeException"}, true},
		{"a value the driver cannot send", gocql.MarshalError("can not marshal"), true},
		{"a server error", requestError{gocql.ErrCodeServer, "java.lang.NullPointerException"}, false},
		{"a write timeout", requestError{gocql.ErrCodeWriteTimeout, ""}, false},
		{"no permission", requestError{gocql.ErrCodeUnauthorized, ""}, false},
		{"overload", requestError{gocql.ErrCodeOverloaded, ""}, false},
		{"a deadline", context.DeadlineExceeded, false},
		{"no connection", gocql.ErrNoConnections, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := refusesData(tc.err); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	cfg := Config{Hosts: []string{"db1", "db2"}, Auth: Auth{"ingest", "secret-word"}}.withDefaults()
	for _, tc := range []struct {
		name string
		err  error
		says string
	}{
		{"credentials name the user", errors.New("Provided username ingest and/or password are incorrect"), "refuses the credentials of user ingest: mend auth.user"},
		{"a missing table names the cure", &schemaError{true, []string{"there is no table sluice.events"}}, "run sluice schema apply, or set create_schema: true"},
		{"permissions name the grant", requestError{gocql.ErrCodeUnauthorized, "User ingest has no MODIFY"}, "GRANT SELECT and MODIFY ON KEYSPACE sluice"},
		{"nobody there names the hosts", gocql.ErrNoConnections, "no node answers at db1, db2"},
		{"lost replicas name the consistency", requestError{gocql.ErrCodeUnavailable, "Cannot achieve"}, "too few replicas are alive for QUORUM"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := explain(t.Context(), cfg, tc.err)
			if !strings.Contains(got.Error(), tc.says) || strings.Contains(got.Error(), "secret-word") {
				t.Errorf("says %q, want it to say %q", got, tc.says)
			}
			if !errors.Is(got, tc.err) {
				t.Errorf("%q does not wrap what happened", got)
			}
		})
	}
}

func TestACutConnectionIsNoCancellation(t *testing.T) {
	cut := explain(t.Context(), Config{}, context.Canceled)
	if errors.Is(cut, context.Canceled) || classify(cut) != NoConnection {
		t.Errorf("%v is of class %s", cut, classify(cut))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if up := explain(gone, Config{}, context.Canceled); !errors.Is(up, context.Canceled) {
		t.Errorf("%v hides that the caller gave up", up)
	}
}
