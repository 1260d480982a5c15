package event

import (
	"bytes"
	"testing"
	"time"
)

// benchEvent has 511 bytes, its fields first, as most senders write them.
var benchEvent = []byte(`{"id":"0197f3a2-7c4e-7b1a-9d3e-5f6a7b8c9d0e","type":"order.created","user":"customer-184467","ts":"2025-07-14T09:31:22.418Z","source":"web-checkout","session":"b2f1c6d8e9a04f7c","props":{"order":"ord_8812734","currency":"EUR","total":129.95,"items":[{"sku":"SKU-1182","qty":1,"price":79.95},{"sku":"SKU-0931","qty":2,"price":25.00}],"coupon":null,"gift":false},"context":{"ip":"203.0.113.77","locale":"de-DE","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0","screen":[2560,1440]}}`)

// BenchmarkParseAndValidate takes events from a body to what a user actor gets.
func BenchmarkParseAndValidate(b *testing.B) {
	bare := bytes.Replace(benchEvent, []byte(`"id":"0197f3a2-7c4e-7b1a-9d3e-5f6a7b8c9d0e",`), nil, 1)
	bare = bytes.Replace(bare, []byte(`"ts":"2025-07-14T09:31:22.418Z",`), nil, 1)
	hundred := bytes.Repeat(append(bytes.Clone(benchEvent), '\n'), 100)
	array := append(append([]byte("["), bytes.ReplaceAll(bytes.TrimSpace(hundred), []byte("\n"), []byte(","))...), ']')
	for _, bm := range []struct {
		name   string
		body   []byte
		format Format
		events int
	}{
		{"one object", benchEvent, JSON, 1},
		{"one object without id and ts", bare, JSON, 1},
		{"array of 100", array, JSON, 100},
		{"NDJSON of 100", hundred, NDJSON, 100},
	} {
		b.Run(bm.name, func(b *testing.B) {
			limits := Limits{MaxEvent: 256 << 10, MaxEvents: 10_000, MaxDepth: 64, MaxSkew: time.Minute}
			p, err := NewParser(DefaultFields(), limits)
			if err != nil {
				b.Fatal(err)
			}
			v := NewValidator("acme", DefaultFields(), limits)
			received := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
			b.SetBytes(int64(len(bm.body)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				raws, _, refusal := p.Parse(bm.body, bm.format)
				if refusal != nil || len(raws) != bm.events {
					b.Fatal(refusal, len(raws))
				}
				for i := range raws {
					if _, bad := v.Validate(&raws[i], received); bad != nil {
						b.Fatal(bad)
					}
				}
				n += len(raws)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
		})
	}
}
