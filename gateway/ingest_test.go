package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/event"
)

// TestIngest is what a well-behaved client sees.
func TestIngest(t *testing.T) {
	p := start(t, nil)
	array := "[" + oneEvent + "," + strings.Replace(oneEvent, "e-1", "e-2", 1) + "]"
	lines := oneEvent + "\n\n" + strings.Replace(oneEvent, "e-1", "e-2", 1) + "\n"
	for _, tc := range []struct {
		name, line, head, body string
		status                 int
		want                   string
	}{
		{"one event is stored", "POST /v1/events", "", oneEvent, 200,
			`{"ack":"stored","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"e-1"}`},
		{"an event without an id is told the one it got", "POST /v1/events", "", `{"type":"a","user":"u"}`, 200,
			`{"ack":"stored","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"given-0"}`},
		{"an array is as many events", "POST /v1/events", "", array, 200,
			`{"ack":"stored","accepted":2,"duplicates":0,"rejected":0,"failed":0}`},
		{"NDJSON is an event a line", "POST /v1/events", "Content-Type: application/x-ndjson", lines, 200,
			`{"ack":"stored","accepted":2,"duplicates":0,"rejected":0,"failed":0}`},
		{"NDJSON has other names", "POST /v1/events", "Content-Type: Application/JSONL; charset=UTF-8", lines, 200,
			`{"ack":"stored","accepted":2,"duplicates":0,"rejected":0,"failed":0}`},
		{"a chunked body is read", "POST /v1/events", "Transfer-Encoding: chunked", "5\r\n" + oneEvent[:5] + "\r\n" + "23;ext=1\r\n" + oneEvent[5:] + "\r\n0\r\n\r\n", 200,
			`{"ack":"stored","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"e-1"}`},
		{"the level may be said", "POST /v1/events?ack=stored", "", oneEvent, 200,
			`{"ack":"stored","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"e-1"}`},
		{"received is a 202", "POST /v1/events?ack=received", "X-Api-Key: " + laxKey, oneEvent, 202,
			`{"ack":"received","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"e-1"}`},
		{"receipts say where each event is", "POST /v1/events?receipts=1", "", array, 200,
			`{"ack":"stored","accepted":2,"duplicates":0,"rejected":0,"failed":0,"receipts":[` +
				`{"index":0,"id":"e-1","outcome":"stored","where":"topic/0/0"},{"index":1,"id":"e-2","outcome":"stored","where":"topic/0/1"}]}`},
		{"Basic has the key as user name", "POST /v1/events", "Authorization: Basic dGhlLWtleS1vZi1hY21lOg==", oneEvent, 200,
			`{"ack":"stored","accepted":1,"duplicates":0,"rejected":0,"failed":0,"id":"e-1"}`},
		{"an id comes back as JSON whatever it holds", "POST /v1/events", "", `{"id":"\"\u0001\ud83d\ude00\\"}`, 200,
			"{\"ack\":\"stored\",\"accepted\":1,\"duplicates\":0,\"rejected\":0,\"failed\":0,\"id\":\"\\\"\\u0001😀\\\\\"}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.do(tc.line, tc.head, tc.body)
			a.want(t, tc.status, "")
			if string(a.body) != tc.want {
				t.Errorf("answered %s\nwant     %s", a.body, tc.want)
			}
			if got := a.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
}

// TestOutcomes is the table of outcome.go, row by row.
func TestOutcomes(t *testing.T) {
	ok, dup := ofFate(event.Stored), ofFate(event.Duplicate)
	many := make([]event.Outcome, maxErrors+5)
	for i := range many {
		many[i] = rejected(event.CodeMissingField)
	}
	for _, tc := range []struct {
		name   string
		fate   func(event.Request) ([]event.Outcome, *event.Refusal)
		status int
		want   string // within the body
	}{
		{"a duplicate is a success", outcomesOf(dup), 200, `{"ack":"stored","accepted":0,"duplicates":1,`},
		{"new ones and duplicates are a success", outcomesOf(ok, dup), 200, `"accepted":1,"duplicates":1,`},
		{"what was journaled instead is a 202 that says so", outcomesOf(ok, ofFate(event.Journaled)), 202, `{"ack":"journaled","accepted":2,`},
		{"what was received is a 202", outcomesOf(ofFate(event.Received)), 202, `{"ack":"received","accepted":1,`},
		{"some rejected is a 207", outcomesOf(ok, rejected(event.CodeSchemaViolation)), 207,
			`"accepted":1,"duplicates":0,"rejected":1,"failed":0,"errors":[{"index":1,"id":"r","outcome":"rejected","code":"schema_violation","stage":"validator","pointer":"/props/price","message":"want number, got string"}]}`},
		{"some failed is a 207", outcomesOf(dup, failed(event.CodeSinkUnavailable)), 207,
			`"errors":[{"index":1,"id":"f","outcome":"failed","code":"sink_unavailable","stage":"writer","message":"it did not answer"}]}`},
		{"a single malformed event is a 400", outcomesOf(rejected(event.CodeInvalidJSON)), 400, `"code":"invalid_json"`},
		{"lines of which none is JSON are a 400", outcomesOf(rejected(event.CodeInvalidJSON), rejected(event.CodeNotAnObject)), 400, `"code":"invalid_json","errors":[{"index":0,`},
		{"too deep is a 400 that says the limit", outcomesOf(rejected(event.CodeTooDeep)), 400, `"limit":{"name":"max_depth","value":64}`},
		{"too large an event is a 413 that says the limit", outcomesOf(rejected(event.CodeEventTooLarge)), 413, `"code":"event_too_large","limit":{"name":"max_event","value":262144}`},
		{"all rejected is a 422", outcomesOf(rejected(event.CodeMissingField), rejected(event.CodeFutureTS)), 422, `"detail":"2 events were rejected; errors says why.","code":"validation_failed","errors":[`},
		{"some malformed and the rest rejected is a 422", outcomesOf(rejected(event.CodeMissingField), rejected(event.CodeInvalidJSON)), 422, `"code":"validation_failed"`},
		{"all over their user's cap is a 429", outcomesOf(failed(event.CodeUserLimit), failed(event.CodeUserLimit)), 429, `"code":"user_limit","scope":"user","retry_after_ms":1300`},
		{"over the cap or rejected is a 429", outcomesOf(failed(event.CodeUserLimit), rejected(event.CodeMissingField)), 429, `"scope":"user"`},
		{"all failed is a 503", outcomesOf(failed(event.CodeQuarantined)), 503, `"code":"quarantined","retry_after_ms":1300,"errors":[`},
		{"failed in more than one way is a 503", outcomesOf(failed(event.CodeQuarantined), failed(event.CodeStopped)), 503, `"code":"sink_unavailable"`},
		{"failed or rejected is a 503: the failed are worth another try", outcomesOf(failed(event.CodeSinkUnavailable), rejected(event.CodeMissingField)), 503, `"code":"sink_unavailable"`},
		{"an event without a reason is not silent", outcomesOf(event.Outcome{Fate: event.Failed}), 503, `"code":"internal"`},
		{"the errors listed are bounded, the rest counted", outcomesOf(many...), 422, `"errors_omitted":5}`},
		{"refused as malformed is a 400", refusalOf(event.Refusal{Kind: event.Malformed, Reason: event.Reason{Code: event.CodeNoEvents, Message: "the array is empty"}}), 400, `"detail":"the array is empty","code":"no_events"`},
		{"refused as too large is a 413", refusalOf(event.Refusal{Kind: event.TooLarge, LimitName: "max_events", Limit: 10000, Reason: event.Reason{Code: event.CodeTooManyEvents, Message: "the body holds more than 10000 events"}}), 413, `"limit":{"name":"max_events","value":10000}`},
		{"refused as busy is a 429", refusalOf(event.Refusal{Kind: event.Busy, Scope: "rate", RetryAfter: 2500e6, Reason: event.Reason{Code: event.CodeRateLimited, Message: "slower"}}), 429, `"scope":"rate","retry_after_ms":2500`},
		{"refused as unavailable is a 503", refusalOf(event.Refusal{Kind: event.Unavailable, Reason: event.Reason{Code: event.CodeSinkUnavailable, Message: "the sink is away"}}), 503, `"code":"sink_unavailable","retry_after_ms":1300`},
		{"a refusal of no kind is a 500", refusalOf(event.Refusal{Reason: event.Reason{Message: "secret"}}), 500, `"code":"internal"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, func(p *port, _ *Options) { p.intake.fate = tc.fate })
			a := p.do("POST /v1/events", "", oneEvent)
			a.want(t, tc.status, "")
			if !strings.Contains(string(a.body), tc.want) {
				t.Errorf("answered %.600s\nwant it to hold %s", a.body, tc.want)
			}
			if tc.status == 429 || tc.status == 503 {
				want := "2"
				if strings.Contains(tc.want, "2500") {
					want = "3"
				}
				if got := a.Header.Get("Retry-After"); got != want {
					t.Errorf("Retry-After is %s, want %s: whole seconds, rounded up", got, want)
				}
			}
		})
	}
}

// TestRequestOwnsItsBody sends requests over one connection, whose buffers the
// server uses again, and looks at the first body after the others.
func TestRequestOwnsItsBody(t *testing.T) {
	p := start(t, func(p *port, _ *Options) { p.intake.hold = true })
	bodies := []string{oneEvent, `{"id":"` + strings.Repeat("x", 30_000) + `"}`, `{"id":"e-9","type":"other","user":"u-2"}`}
	c := p.dial()
	for i, body := range bodies {
		c.send(request("POST /v1/events", "", body))
		eventually(t, "the request arrives", func() bool { return p.intake.submits.Load() == int64(i+1) })
		p.intake.mu.Lock()
		k := p.intake.kept[i]
		p.intake.mu.Unlock()
		settle(k.req, k.receipt, nil)
		c.receive().want(t, 200, "")
	}
	p.intake.mu.Lock()
	defer p.intake.mu.Unlock()
	for i, k := range p.intake.kept {
		if string(k.req.Body) != bodies[i] {
			t.Errorf("body %d now reads %.60q", i, k.req.Body)
		}
		if k.req.Reserved != len(bodies[i]) || k.req.Received.IsZero() {
			t.Errorf("request %d reserved %d bytes at %v", i, k.req.Reserved, k.req.Received)
		}
	}
	p.intake.kept = nil
}

func TestObserveTellsEveryAnswer(t *testing.T) {
	p := start(t, nil)
	p.do("POST /v1/events", "", oneEvent).want(t, 200, "")
	p.do("POST /v1/events", "Authorization: Bearer "+otherKey, oneEvent).want(t, 401, CodeUnknownKey)
	p.do("POST /v1/events", "Bad Name: x", oneEvent).want(t, 400, CodeBadRequest)
	eventually(t, "three answers are observed", func() bool { return len(p.observed()) == 3 })
	want := []observation{{"acme", 200, len(oneEvent)}, {"", 401, 0}, {"", 400, 0}}
	for i, o := range p.observed() {
		if o != want[i] {
			t.Errorf("observed %+v, want %+v", o, want[i])
		}
	}
}

func TestAppendStringIsJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x1f\x7f", "é😀\u2028", "a\xff\xfeb", "\xed\xa0\x80"} {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, ""); strings.ReplaceAll(back, "\ufffd", "") != want {
			t.Errorf("%q came back as %q", s, back)
		}
	}
}
