// Package kafka stores events in Kafka topics.
//
// # Records
//
// An event is one record: the key is its user, the value its own bytes, the
// record's timestamp its time of receipt, and the headers, all of them text, are
//
//	id        the event's id
//	tenant    the tenant it belongs to
//	type      the event's type
//	ts        its time, decimal milliseconds since the Unix epoch
//	received  its time of receipt, decimal microseconds since the Unix epoch
//
// The timestamp is not the event's own time, because Kafka counts a topic's
// retention from it: an event of last month would be confirmed, and deleted
// minutes later. The brokers also refuse times that are far ahead.
//
// # Partitions and order
//
// The partition is the Java client's: murmur2 of the key, modulo the number of
// the topic's partitions. That number is read from the cluster once and stays
// until a restart: partitions added later are not used before, because moving a
// user to another partition would break the promise of order.
//
// Lanes are those partitions. A sink that is asked for one before the cluster
// has answered takes Config.Partitions for their number and keeps it; when the
// topic then has another number, a batch spans several partitions, which is
// right but slower, and a warning says so. Probe the sink before using it, and
// that does not happen.
//
// # Once
//
// Every pair of lane and partition is an idempotent producer of its own, with
// at most one batch under way (see stream). A batch whose fate is not known is
// sent again as the very same bytes under the same sequence, so that the broker
// recognises it. Two limits are Kafka's: a broker forgets a producer that has
// not written for producer.id.expiration.ms (a day), so a batch retried after
// more than that can be stored twice; and a topic that loses acknowledged
// records by an unclean election has lost them.
//
// # Connections
//
// A tenant has its own connection to each broker that leads one of its
// partitions, so that a tenant whose requests are slow delays nobody else's. On
// each, one request is under way, and the batches that arrive meanwhile leave
// together in the next (see link). Metadata, topics and probes use short-lived
// connections shared by all tenants of a Cluster.
package kafka
