package kafka

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"sluice/event"
)

func TestMurmur2IsJavas(t *testing.T) {
	// org.apache.kafka.common.utils.UtilsTest.testMurmur2, and sarama's list.
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
		"":    275646681, "foo": 597841616, "bar": 988958145, "baz": 1973573280,
	} {
		if got := int32(murmur2(key)); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartitionIsTheOneOfTheJavaClient(t *testing.T) {
	javas := sarama.NewMurmur2Partitioner("events")
	for _, key := range []string{"21", "foobar", "u", "Zoë", "\x00\xff", strings.Repeat("long", 64)} {
		for _, n := range []int32{1, 2, 3, 6, 12, 1000} {
			want, err := javas.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, n)
			if got := partitionOf(key, n); err != nil || got != want {
				t.Errorf("partitionOf(%q, %d) = %d, want %d (%v)", key, n, got, want, err)
			}
		}
	}
}

func TestJudgeKnowsEveryCode(t *testing.T) {
	want := map[sarama.KError]verdict{
		0: stored, 46: stored,
		3: moved, 5: moved, 6: moved, 8: moved, 9: moved, 56: moved, 72: moved, 74: moved, 75: moved, 100: moved, 103: moved,
		45: restart, 59: restart,
		47: fenced, 49: fenced, 90: fenced,
		10: tooLarge, 18: tooLarge,
		32: invalid, 87: invalid,
	}
	for code := sarama.KError(-1); code <= 140; code++ {
		w, named := want[code]
		if !named {
			w = unsure // 19, not enough replicas, and codes that nobody has looked at alike
		}
		if got := judge(code); got != w {
			t.Errorf("judge(%d: %v) = %d, want %d", int16(code), code, got, w)
		}
	}
}

func TestRefusalSaysWhatWouldBeRight(t *testing.T) {
	for code, want := range map[sarama.KError]string{
		sarama.ErrTopicAuthorizationFailed:   `kafka: broker b:1, events/3: user "eve" may not write to the topic: grant it WRITE`,
		sarama.ErrClusterAuthorizationFailed: `grant it IDEMPOTENT_WRITE on the cluster`,
		sarama.ErrUnknownTopicOrPartition:    `create the topic or set create_topics: true`,
		sarama.ErrUnsupportedCompressionType: `choose another`,
		sarama.ErrNotEnoughReplicas:          `(code 19): as the broker said`,
	} {
		err := &produceError{topic: "events", partition: 3, addr: "b:1", code: code, user: "eve", text: "as the broker said"}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("code %d: %q does not say %q", int16(code), err, want)
		}
	}
}

func TestSequencesWrapAround(t *testing.T) {
	for _, tc := range []struct{ from, n, want int32 }{
		{0, 1, 1}, {5, 500, 505},
		{math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 2, 5, 2},
	} {
		if got := sequenceAfter(tc.from, tc.n); got != tc.want {
			t.Errorf("sequenceAfter(%d, %d) = %d, want %d", tc.from, tc.n, got, tc.want)
		}
	}
}

func TestStreamRenews(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    stream
		want stream
	}{
		{"the next epoch starts at 0", stream{pid: 5, epoch: 1, next: 70}, stream{pid: 5, epoch: 2}},
		{"the last epoch is followed by another producer", stream{pid: 5, epoch: math.MaxInt16, next: 70}, stream{pid: -1}},
		{"a fenced one is followed by another producer", stream{pid: 5, epoch: 3, next: 70, fenced: true}, stream{pid: -1}},
		{"one without a producer id stays so", stream{pid: -1}, stream{pid: -1}},
	} {
		if tc.s.renew(); tc.s != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, tc.s, tc.want)
		}
	}
}

// TestRecordsAreReused fills one records with batches of several sizes: nothing
// of an earlier batch may be left.
func TestRecordsAreReused(t *testing.T) {
	events := []event.Event{
		{User: "a", ID: "1", Tenant: "t", Type: "x", TS: 5, Received: 7, Data: []byte("one")},
		{User: "b", ID: "2", Tenant: "t", Type: "y", TS: -6, Received: 8},
		{User: "c", ID: "3", Tenant: "t", Type: "z", TS: 9, Received: 9, Data: []byte("three")},
	}
	var r records
	for _, pick := range [][]int{nil, {1}, {2, 0}, nil} {
		r.fill(events, pick, sarama.CompressionNone)
		want := pick
		if want == nil {
			want = []int{0, 1, 2}
		}
		if len(r.batch.Records) != len(want) || r.batch.LastOffsetDelta != int32(len(want)-1) {
			t.Fatalf("%d records, last delta %d, want %d", len(r.batch.Records), r.batch.LastOffsetDelta, len(want))
		}
		for i, at := range want {
			rec, e := r.batch.Records[i], events[at]
			var values []string
			for _, h := range rec.Headers {
				values = append(values, string(h.Key)+"="+string(h.Value))
			}
			wantHeaders := []string{"id=" + e.ID, "tenant=t", "type=" + e.Type,
				"ts=" + map[int64]string{5: "5", -6: "-6", 9: "9"}[e.TS], "received=" + map[int64]string{7: "7", 8: "8", 9: "9"}[e.Received]}
			if string(rec.Key) != e.User || string(rec.Value) != string(e.Data) || rec.Value == nil || !slices.Equal(values, wantHeaders) {
				t.Errorf("pick %v: record %d is %q %q %q, want of %+v", pick, i, rec.Key, rec.Value, values, e)
			}
			if got := r.batch.FirstTimestamp.UnixMilli() + rec.TimestampDelta.Milliseconds(); got != recordTime(&e) {
				t.Errorf("pick %v: record %d has time %d, want %d", pick, i, got, recordTime(&e))
			}
		}
		if !r.release() {
			t.Error("a small batch is not kept")
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.fill(events, nil, 0); r.release() }); n > 0 {
		t.Errorf("filling again allocates %v times", n)
	}
}

func TestOnlyBatchesThatGainByItAreCompressed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes int
		want  sarama.CompressionCodec
	}{
		{"a single small event is sent as it is", 500, sarama.CompressionNone},
		{"a batch of some size is compressed", compressFrom, sarama.CompressionZSTD},
	} {
		var r records
		r.fill([]event.Event{{User: "u", Data: make([]byte, tc.bytes)}}, nil, sarama.CompressionZSTD)
		if r.batch.Codec != tc.want {
			t.Errorf("%s: got %v", tc.name, r.batch.Codec)
		}
	}
}
