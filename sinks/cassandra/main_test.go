package cassandra

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gocql 1.7: stop hands a word to flusher, which may have seen stopped and
		// gone; who then asks for a refresh waits for one that never comes. It takes
		// a control connection that is lost in the very moment of closing.
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*refreshDebouncer).stop"),
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*Session).refreshRing"),
		// Somebody else's keyspace changed as the session was closed: gocql goes on
		// asking the closed connection until MaxWaitSchemaAgreement is over.
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*Conn).awaitSchemaAgreement"),
	)
}
