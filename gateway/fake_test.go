package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/event"
)

// fakeIntake is a pipeline of one function: it counts its budget and settles
// what it is given at once, unless the test keeps it.
type fakeIntake struct {
	budget int64 // bytes; 0: no limit

	used, peak atomic.Int64
	submits    atomic.Int64

	mu      sync.Mutex
	refusal *event.Refusal // of Reserve
	fate    func(req event.Request) ([]event.Outcome, *event.Refusal)
	hold    bool // settle nothing by itself
	kept    []kept
	last    event.Request
}

type kept struct {
	req     event.Request
	receipt *event.Receipt
}

func (f *fakeIntake) Reserve(n int) *event.Refusal {
	f.mu.Lock()
	refusal := f.refusal
	f.mu.Unlock()
	if refusal != nil {
		return refusal
	}
	used := f.used.Add(int64(n))
	if f.budget > 0 && used > f.budget {
		f.used.Add(int64(-n))
		return &event.Refusal{Kind: event.Busy, Scope: "tenant",
			Reason: event.Reason{Code: event.CodeNoCredits, Stage: event.StageGateway, Message: "The tenant's budget is in use."}}
	}
	for {
		peak := f.peak.Load()
		if used <= peak || f.peak.CompareAndSwap(peak, used) {
			return nil
		}
	}
}

func (f *fakeIntake) Release(n int) { f.used.Add(int64(-n)) }

// ReleaseBytes and ReleaseEvents implement event.Credits.
func (f *fakeIntake) ReleaseBytes(n int) { f.Release(n) }
func (f *fakeIntake) ReleaseEvents(int)  {}

func (f *fakeIntake) RetryAfter() time.Duration { return 1300 * time.Millisecond }

func (f *fakeIntake) Submit(req event.Request) *event.Receipt {
	receipt := event.NewReceipt(req.Ack, f, req.Reserved)
	f.submits.Add(1)
	f.mu.Lock()
	f.last = req
	fate, hold := f.fate, f.hold
	if hold {
		f.kept = append(f.kept, kept{req, receipt})
	}
	f.mu.Unlock()
	if !hold {
		settle(req, receipt, fate)
	}
	return receipt
}

// settleKept settles everything that was held back.
func (f *fakeIntake) settleKept() {
	f.mu.Lock()
	all := f.kept
	f.kept = nil
	f.mu.Unlock()
	for _, k := range all {
		settle(k.req, k.receipt, nil)
	}
}

func settle(req event.Request, receipt *event.Receipt, fate func(event.Request) ([]event.Outcome, *event.Refusal)) {
	if fate == nil {
		fate = storeAll
	}
	outcomes, refusal := fate(req)
	if refusal != nil {
		receipt.Refuse(refusal)
		return
	}
	receipt.Expect(len(outcomes))
	for i, o := range outcomes {
		receipt.Settle(i, o)
	}
}

// storeAll is the fate of a pipeline in good order.
func storeAll(req event.Request) ([]event.Outcome, *event.Refusal) {
	docs, refusal := split(req)
	if refusal != nil {
		return nil, refusal
	}
	outcomes := make([]event.Outcome, len(docs))
	for i, doc := range docs {
		var e struct{ ID string }
		_ = json.Unmarshal(doc, &e)
		if e.ID == "" {
			e.ID = fmt.Sprintf("given-%d", i)
		}
		outcomes[i] = event.Outcome{ID: e.ID, Fate: event.Stored}
		if req.Ack == event.AckReceived {
			outcomes[i].Fate = event.Received
		}
		if req.Where {
			outcomes[i].Where = fmt.Sprintf("topic/0/%d", i)
		}
	}
	return outcomes, nil
}

func split(req event.Request) ([]json.RawMessage, *event.Refusal) {
	malformed := func(code, message string) *event.Refusal {
		return &event.Refusal{Kind: event.Malformed, Reason: event.Reason{Code: code, Stage: event.StageParser, Message: message}}
	}
	var docs []json.RawMessage
	switch {
	case req.Format == event.NDJSON:
		for _, line := range bytes.Split(req.Body, []byte{'\n'}) {
			if len(bytes.TrimSpace(line)) > 0 {
				docs = append(docs, line)
			}
		}
		if len(docs) == 0 {
			return nil, malformed(event.CodeEmptyBody, "the body holds blank lines only")
		}
	case bytes.HasPrefix(bytes.TrimSpace(req.Body), []byte{'['}):
		if json.Unmarshal(req.Body, &docs) != nil {
			return nil, malformed(event.CodeInvalidJSON, "not JSON at byte 1")
		}
		if len(docs) == 0 {
			return nil, malformed(event.CodeNoEvents, "the array is empty")
		}
	default:
		if !json.Valid(req.Body) {
			return nil, malformed(event.CodeInvalidJSON, "not JSON at byte 1")
		}
		docs = []json.RawMessage{req.Body}
	}
	return docs, nil
}

// outcomesOf is the fate of any body: these outcomes.
func outcomesOf(outcomes ...event.Outcome) func(event.Request) ([]event.Outcome, *event.Refusal) {
	return func(event.Request) ([]event.Outcome, *event.Refusal) { return outcomes, nil }
}

func refusalOf(f event.Refusal) func(event.Request) ([]event.Outcome, *event.Refusal) {
	return func(event.Request) ([]event.Outcome, *event.Refusal) { return nil, &f }
}

func rejected(code string) event.Outcome {
	return event.Outcome{ID: "r", Fate: event.Rejected, Reason: &event.Reason{Code: code, Stage: event.StageValidator,
		Pointer: "/props/price", Message: "want number, got string"}}
}

func failed(code string) event.Outcome {
	return event.Outcome{ID: "f", Fate: event.Failed, Reason: &event.Reason{Code: code, Stage: event.StageWriter, Message: "it did not answer"}}
}

func ofFate(f event.Fate) event.Outcome { return event.Outcome{ID: "a", Fate: f} }

// fakeStore is Users and Reader from functions.
type fakeStore struct {
	status func(user string) (event.UserStatus, bool, error)
	read   func(ctx context.Context, q event.Query) (event.Page, error)
}

func (f *fakeStore) Status(_ context.Context, user string) (event.UserStatus, bool, error) {
	if f.status == nil {
		return event.UserStatus{}, false, nil
	}
	return f.status(user)
}

func (f *fakeStore) Read(ctx context.Context, q event.Query) (event.Page, error) {
	return f.read(ctx, q)
}

const (
	testKey  = "the-key-of-acme"
	laxKey   = "the-key-of-lax" // may be weaker than stored, cannot be read
	otherKey = "nobody's-key"
)

// acme and lax are the tenants of a test.
func (p *port) tenants() []Tenant {
	return []Tenant{
		{Name: "acme", Keys: [][32]byte{sha256.Sum256([]byte(testKey))}, Intake: p.intake, Users: p.store, Reader: p.store,
			Fill: func(dst []byte, e *event.Event) []byte { return append(dst, e.Data...) }},
		{Name: "lax", Keys: [][32]byte{sha256.Sum256([]byte(laxKey))}, WeakestAck: event.AckReceived, Intake: p.intake, Users: p.store},
	}
}

// eventually waits until ok is true, and fails the test when it does not
// become so in ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond) // a poll, not an assumption
	}
}
