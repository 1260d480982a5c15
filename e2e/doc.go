// Package e2e tests the built binary as its users meet it: started as a process
// with a configuration file, talked to over HTTP, stopped with signals, and read
// back with clients that share no code with sluice (kcat, Cassandra's Python
// driver). It has nothing but tests.
//
// They need the servers of `make stack-up`; -short leaves those tests out.
//
//	SLUICE_TEST_KAFKA       broker, 127.0.0.1:19092
//	SLUICE_TEST_KAFKA_SASL  the same broker's port that wants a login, 127.0.0.1:19093
//	SLUICE_TEST_CASSANDRA   node, 127.0.0.11
//	SLUICE_TEST_CASSANDRA_AUTH  node that wants a login, 127.0.0.12
//	SLUICE_TEST_BINARY      a binary to test instead of building one
//	SLUICE_LONG=1           a minute of overload, with a table of what happened
package e2e
