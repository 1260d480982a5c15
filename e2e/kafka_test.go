package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// oneTopic is a configuration of one tenant, acme, on one topic, which is made.
const oneTopic = ports + `
sinks: {bus: {kind: kafka, brokers: ["BROKER"], topic: TOPIC, create_topics: true, partitions: 6, replication: 1}}
tenants: {acme: {keys: [KEY(acme)]}}
`

// ontoTopic starts a gateway that writes a new topic.
func ontoTopic(t *testing.T) (c *client, topic string) {
	t.Helper()
	topic = unique()
	p := serveReady(t, configure(t, oneTopic, "BROKER", kafkaAddr(t), "TOPIC", topic))
	return p.as("acme"), topic
}

func TestKafkaGetsEveryEventByteForByte(t *testing.T) {
	t.Parallel()
	c, topic := ontoTopic(t)
	events := []string{
		`{"id":"plain","type":"view","user":"ann","ts":1767323045678}`,
		`{ "user" : "bob" ,	"type":"blanks", "id": "blanks", "ts":"2026-01-02T03:04:05.678+00:00" }`,
		`{"id":"escapes","type":"v\u0069ew","user":"\u00e4\ud83d\ude00","ts":1767323045678,"s":"\/\b\f\n\r\t\"\\"}`,
		`{"id":"utf8","type":"view","user":"日本","ts":1767323045678,"s":"ß€😀\u0000"}`,
		`{"id":"numbers","type":"view","user":"ann","ts":1767323045678,"n":[-0,1E400,0.10,` + strings.Repeat("9", 400) + `]}`,
		`{"id":12345678901234567890,"type":"view","user":42,"ts":1767323045678}`,
		`{"id":"early","type":"view","user":"ann","ts":-86400000}`,
		`{"id":"nested","type":"view","user":"ann","ts":1767323045678,"a":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`,
	}
	before := time.Now().UnixMicro()
	receipts := c.store(t, events...).Receipts
	// The same as an array: what is between its elements belongs to no event.
	arrayed := `{"id":"arrayed", "type":"view","user":"ann" ,"ts":1767323045678 }`
	if a := c.post(t, "", asJSON, " [ "+arrayed+" ]\n"); a.status != 200 {
		t.Fatalf("got %v", a)
	}
	timeless := `{"type":"view","user":"ann"}`
	given := c.store(t, timeless).ID
	after := time.Now().UnixMicro()

	found := make(map[string]record)
	for _, r := range readKafka(t, topic) {
		if _, twice := found[r.Headers["id"]]; twice {
			t.Errorf("%s is there twice", r.Headers["id"])
		}
		found[r.Headers["id"]] = r
	}
	for _, want := range []struct{ value, key, id, kind, ts string }{
		{events[0], "ann", "plain", "view", "1767323045678"},
		{events[1], "bob", "blanks", "blanks", "1767323045678"},
		{events[2], "ä😀", "escapes", "view", "1767323045678"},
		{events[3], "日本", "utf8", "view", "1767323045678"},
		{events[4], "ann", "numbers", "view", "1767323045678"},
		{events[5], "42", "12345678901234567890", "view", "1767323045678"},
		{events[6], "ann", "early", "view", "-86400000"},
		{events[7], "ann", "nested", "view", "1767323045678"},
		{arrayed, "ann", "arrayed", "view", "1767323045678"},
		{timeless, "ann", given, "view", ""},
	} {
		r := found[want.id]
		if r.Value != want.value || r.Key != want.key {
			t.Errorf("%s: the record is %q with key %q, want %q with key %q", want.id, r.Value, r.Key, want.value, want.key)
		}
		h := r.Headers
		received, err := strconv.ParseInt(h["received"], 10, 64)
		if len(h) != 5 || h["tenant"] != "acme" || h["type"] != want.kind || err != nil || received < before || received > after {
			t.Errorf("%s: headers are %v; it was received from %d to %d", want.id, h, before, after)
		}
		if want.ts == "" {
			want.ts = strconv.FormatInt(received/1000, 10)
		}
		if h["ts"] != want.ts {
			t.Errorf("%s: the header ts is %s, want %s", want.id, h["ts"], want.ts)
		}
	}
	if len(found) != 10 {
		t.Errorf("%d records, want 10", len(found))
	}
	for _, receipt := range receipts {
		if r := found[receipt.ID]; receipt.Where != r.where() || receipt.Outcome != "stored" {
			t.Errorf("the receipt of %s says %s at %s, it is at %s", receipt.ID, receipt.Outcome, receipt.Where, r.where())
		}
	}
}

// TestKafkaPartitionsAreThoseOfOtherClients compares with where librdkafka puts
// the same keys when it is told to do as Java does.
func TestKafkaPartitionsAreThoseOfOtherClients(t *testing.T) {
	t.Parallel()
	c, topic := ontoTopic(t)
	var events, lines []string
	for i := range 200 {
		key := strings.Repeat(string(rune('a'+i%26)), i%7+1) + strconv.Itoa(i)
		events = append(events, fmt.Sprintf(`{"id":"%d","type":"t","user":"%s"}`, i, key))
		lines = append(lines, key+"|kcat")
	}
	c.store(t, events...)
	kcat := exec.CommandContext(t.Context(), "kcat", "-P", "-b", kafkaAddr(t), "-t", topic, "-K", "|", "-X", "topic.partitioner=murmur2")
	kcat.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := kcat.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v\n%s", err, out)
	}
	ours, theirs, used := make(map[string]int), make(map[string]int), make(map[int]bool)
	for _, r := range readKafka(t, topic) {
		if r.Value == "kcat" {
			theirs[r.Key] = r.Partition
		} else {
			ours[r.Key] = r.Partition
			used[r.Partition] = true
		}
	}
	for key, p := range theirs {
		if q, ok := ours[key]; !ok || q != p {
			t.Errorf("%s is in partition %d, others put it into %d", key, q, p)
		}
	}
	if len(theirs) != 200 || len(used) != 6 {
		t.Errorf("%d keys in %d partitions, want 200 in 6", len(theirs), len(used))
	}
}

func TestKafkaKeepsTheOrderOfEachUser(t *testing.T) {
	t.Parallel()
	c, topic := ontoTopic(t)
	l := newLedger()
	stop := l.sendUntil(c, streams("user", 12), 60, func(_ []*entry, a *answer, err error) { t.Errorf("got %v, %v", a, err) })
	l.awaitAcked(t, 3000)
	stop()
	records := readKafka(t, topic)
	if beyond := l.compare(t, byID(records)); beyond != 0 {
		t.Errorf("%d events are there that were not acknowledged", beyond)
	}
	last, partition := make(map[string]int), make(map[string]int)
	slices.SortFunc(records, func(a, b record) int { return int(a.Offset - b.Offset) })
	for _, r := range records {
		e := l.events[r.Headers["id"]]
		if before, ok := last[r.Key]; ok && (e.seq <= before || r.Partition != partition[r.Key]) {
			t.Fatalf("%s: event %d comes after %d, in partition %d after %d", r.Key, e.seq, before, r.Partition, partition[r.Key])
		}
		last[r.Key], partition[r.Key] = e.seq, r.Partition
	}
}

func TestADuplicateIsASuccessAndInTheTopicOnce(t *testing.T) {
	t.Parallel()
	c, topic := ontoTopic(t)
	event := func(id, user string) string { return fmt.Sprintf(`{"id":"%s","type":"t","user":"%s"}`, id, user) }
	expect := func(what string, a *answer, accepted, duplicates int) {
		t.Helper()
		if a.status != 200 || a.Ack != "stored" || a.Accepted != accepted || a.Duplicates != duplicates {
			t.Errorf("%s: want %d accepted and %d duplicates, got %v", what, accepted, duplicates, a)
		}
	}
	in := event("1", "ann") + "\n" + event("1", "ann") + "\n" + event("2", "ann") + "\n" + event("1", "bob")
	expect("inside one request, where another user's id is another event", c.post(t, "", asNDJSON, in), 3, 1)
	expect("across requests", c.post(t, "", asJSON, event("1", "ann")), 0, 1)
	a := c.post(t, "?receipts=1", asNDJSON, event("3", "ann")+"\n"+event("2", "ann"))
	expect("beside a new one", a, 1, 1)
	if len(a.Receipts) != 2 || a.Receipts[0].Outcome != "stored" || a.Receipts[1].Outcome != "duplicate" {
		t.Errorf("the receipts are %+v", a.Receipts)
	}

	var mu sync.Mutex
	var accepted, duplicates int
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range 20 {
				a, err := c.send("", asJSON, event(fmt.Sprintf("race-%d", i), "eve"))
				if err != nil || a.status != 200 {
					t.Errorf("got %v, %v", a, err)
					return
				}
				mu.Lock()
				accepted += a.Accepted
				duplicates += a.Duplicates
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if accepted != 20 || duplicates != 300 {
		t.Errorf("16 senders at once: %d accepted and %d duplicates, want 20 and 300", accepted, duplicates)
	}
	if records := readKafka(t, topic); len(records) != 24 {
		t.Errorf("%d records are in the topic, want 24", len(records))
	}
}
