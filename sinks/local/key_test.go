package local

import (
	"bytes"
	"cmp"
	"math"
	"testing"

	"pgregory.net/rapid"

	"sluice/event"
)

func anyEvent(t *rapid.T, label string) event.Event {
	text := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 2, 'a', 'b', 0xff, 0x10ffff}), 0, 4, -1)
	return event.Event{
		Tenant: text.Draw(t, label+" tenant"), User: text.Draw(t, label+" user"), ID: text.Draw(t, label+" id"),
		TS: rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3)).Draw(t, label+" ts"),
	}
}

// TestKeysSortAsTheirParts: the order of keys is that of (tenant, bucket, user,
// ts, id), and a key reads back as what it was made of.
func TestKeysSortAsTheirParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.SampledFrom([]int64{1, 2, 3_600_000}).Draw(t, "width")
		a, b := anyEvent(t, "a"), anyEvent(t, "b")
		bucketA, bucketB := bucketOf(a.TS, width), bucketOf(b.TS, width)
		keyA, keyB := appendEvent(nil, bucketA, &a), appendEvent(nil, bucketB, &b)
		want := cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(bucketA, bucketB),
			cmp.Compare(a.User, b.User), cmp.Compare(a.TS, b.TS), cmp.Compare(a.ID, b.ID))
		if got := bytes.Compare(keyA, keyB); got != want {
			t.Fatalf("keys of %+v and %+v compare as %d, their parts as %d", a, b, got, want)
		}
		k, err := parseEvent(keyA)
		if err != nil || k != (eventKey{a.Tenant, bucketA, a.User, a.TS, a.ID}) {
			t.Fatalf("the key of %+v reads as %v, %v", a, k, err)
		}
		prefix := appendUser(nil, a.Tenant, bucketA, a.User)
		inside := bytes.Compare(prefix, keyB) <= 0 && bytes.Compare(keyB, after(prefix)) < 0
		if same := a.Tenant == b.Tenant && bucketA == bucketB && a.User == b.User; inside != same {
			t.Fatalf("%+v is in the range of the user of %+v: %v", b, a, inside)
		}
	})
}

func TestBucketOf(t *testing.T) {
	for _, tc := range []struct{ ts, width, want int64 }{
		{0, 10, 0}, {9, 10, 0}, {10, 10, 1}, {-1, 10, -1}, {-10, 10, -1}, {-11, 10, -2},
		{math.MinInt64, 1, math.MinInt64}, {math.MaxInt64, 1, math.MaxInt64}, {math.MinInt64, 10, math.MinInt64/10 - 1},
	} {
		if got := bucketOf(tc.ts, tc.width); got != tc.want {
			t.Errorf("bucketOf(%d, %d) = %d, want %d", tc.ts, tc.width, got, tc.want)
		}
	}
}

// FuzzReadEvent: no bytes on disk panic, and what is read is what is written.
func FuzzReadEvent(f *testing.F) {
	e := event.Event{Tenant: "acme", User: "u\x00", ID: "i", Type: "t", TS: -5, Received: 9, Data: []byte(`{}`)}
	key := appendEvent(nil, -1, &e)
	value := make([]byte, valueSize(&e))
	putValue(value, key, &e)
	f.Add(key, value)
	f.Add([]byte{kindEvent, 'a', 0}, value)
	f.Add(key, value[:valueHead])
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e, err := readEvent(key, value)
		if err != nil {
			return
		}
		again := make([]byte, valueSize(&e))
		k, _ := parseEvent(key)
		if putValue(again, key, &e); !bytes.Equal(again, value) || !bytes.Equal(appendEvent(nil, k.bucket, &e), key) {
			t.Errorf("%x, %x reads as %+v, which is written as %x", key, value, e, again)
		}
	})
}
