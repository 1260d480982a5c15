package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
)

// verdict is what a broker's answer to a record batch means.
type verdict uint8

const (
	// stored: the batch is in the log, by this attempt or an earlier one.
	stored verdict = iota + 1
	// unsure: the batch may be stored, or the broker says that it is not, whose word
	// is not needed: the same bytes under the same sequence find out.
	unsure
	// moved: as unsure, and where we believe the leader to be is out of date. The
	// old leader may have passed the batch on before it lost its office.
	moved
	// restart: the leader does not hold the batch, and wants no sequence we could
	// name: the producer starts again at 0 in a new epoch. The leader has lost what
	// it knew of the producer (retention, a truncated log); had it stored the batch,
	// it would know at least that.
	restart
	// fenced: the producer id is somebody else's by now. Nothing is said about an
	// earlier attempt.
	fenced
	// tooLarge: some record or all together are over the broker's limit.
	tooLarge
	// invalid: some record is one that the topic does not take.
	invalid
)

// judge returns what an error code in the answer to a Produce request means.
// The codes are Kafka's (org.apache.kafka.common.protocol.Errors); one that is
// not listed here, or newer than this list, is unsure.
func judge(code sarama.KError) verdict {
	switch code {
	case sarama.ErrNoError, sarama.ErrDuplicateSequenceNumber:
		return stored

	case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge:
		return tooLarge
	case sarama.ErrInvalidRecord, sarama.ErrInvalidTimestamp:
		return invalid

	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID:
		return restart
	case sarama.ErrInvalidProducerEpoch, sarama.ErrProducerFenced, sarama.ErrInvalidProducerIDMapping:
		return fenced

	case sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrUnknownTopicOrPartition,
		sarama.ErrReplicaNotAvailable, sarama.ErrBrokerNotAvailable, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrKafkaStorageError, sarama.ErrListenerNotFound,
		codeUnknownTopicID, codeInconsistentTopicID:
		return moved
	}
	return unsure
}

// Codes of Kafka's that sarama has no name for.
const (
	codeUnknownTopicID      sarama.KError = 100
	codeInconsistentTopicID sarama.KError = 103
)

// produceError is a broker's no to a record batch.
type produceError struct {
	topic     string
	partition int32
	addr      string
	code      sarama.KError
	text      string // what the broker added, may be empty
	user      string // ours
}

func (e *produceError) Unwrap() error { return e.code }

func (e *produceError) Error() string {
	where := fmt.Sprintf("kafka: broker %s, %s/%d", e.addr, e.topic, e.partition)
	why := fmt.Sprintf("%v (code %d)", e.code, int16(e.code))
	if e.text != "" {
		why += ": " + e.text
	}
	switch e.code {
	case sarama.ErrTopicAuthorizationFailed:
		return fmt.Sprintf("%s: user %q may not write to the topic: grant it WRITE: %s", where, e.user, why)
	case sarama.ErrClusterAuthorizationFailed:
		return fmt.Sprintf("%s: user %q may not write idempotently: grant it IDEMPOTENT_WRITE on the cluster: %s", where, e.user, why)
	case sarama.ErrUnknownTopicOrPartition:
		return fmt.Sprintf("%s: does not exist: create the topic or set create_topics: true: %s", where, why)
	case sarama.ErrUnsupportedCompressionType:
		return fmt.Sprintf("%s: the broker does not know this compression: choose another: %s", where, why)
	}
	return where + ": " + why
}
