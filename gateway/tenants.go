package gateway

import (
	"context"
	"fmt"
	"time"

	"sluice/event"
)

// Intake is one tenant's pipeline as the data port sees it. All methods may be
// called by many goroutines at once and never block on I/O.
type Intake interface {
	// Reserve takes n bytes of the tenant's budget, or says why not. What was
	// taken goes back by Release, or goes with the request by Submit.
	Reserve(n int) *event.Refusal
	// Release gives bytes back that were reserved and not submitted.
	Release(n int)
	// Submit hands the request over with its reservation (req.Reserved). The
	// receipt is refused once, or settled exactly once per event, whether or not
	// anybody waits for it. A pipeline that has begun to stop meanwhile refuses
	// it through the receipt.
	Submit(req event.Request) *event.Receipt
	// RetryAfter is when to come back, from the measured drain rate: at least
	// 1 s, jittered.
	RetryAfter() time.Duration
}

// Users tells what a user's actor knows; ok is false when it knows nothing.
type Users interface {
	Status(ctx context.Context, user string) (s event.UserStatus, ok bool, err error)
}

// Reader reads stored events. A page may hold fewer than q.Limit events and a
// cursor: a Reader bounds the bytes of a page by that.
type Reader interface {
	Read(ctx context.Context, q event.Query) (event.Page, error)
}

// Tenant is who owns a set of keys, and where its events go.
type Tenant struct {
	Name string
	// Keys are the SHA-256 of its keys. A key belongs to one tenant.
	Keys [][32]byte
	// DefaultAck is the level of a request that names none (zero: stored),
	// WeakestAck the weakest one it may name (zero: DefaultAck).
	DefaultAck, WeakestAck event.Ack

	Intake Intake
	Users  Users
	Reader Reader // nil: the tenant's sinks cannot be read
	// Fill appends the event as it was sent, with the given id and ts filled
	// in. Nil appends Data.
	Fill func(dst []byte, e *event.Event) []byte
}

// Limits bound one request. All are positive.
type Limits struct {
	MaxBody   int // bytes of a body, as sent and again after decompression
	MaxEvent  int // bytes of one event
	MaxEvents int // events of one request
	MaxDepth  int // nesting of one event
}

// table is everything a request looks up: immutable, replaced as a whole.
type table struct {
	limits Limits
	byKey  map[[32]byte]*Tenant
}

func newTable(limits Limits, tenants []Tenant) (*table, error) {
	if limits.MaxBody <= 0 || limits.MaxEvent <= 0 || limits.MaxEvents <= 0 || limits.MaxDepth <= 0 {
		return nil, fmt.Errorf("gateway: every limit must be positive: %+v", limits)
	}
	t := &table{limits: limits, byKey: make(map[[32]byte]*Tenant)}
	for i := range tenants {
		tenant := tenants[i]
		if tenant.Intake == nil || tenant.Users == nil {
			return nil, fmt.Errorf("gateway: tenant %q has no pipeline", tenant.Name)
		}
		if tenant.DefaultAck == 0 {
			tenant.DefaultAck = event.AckStored
		}
		if tenant.WeakestAck == 0 {
			tenant.WeakestAck = tenant.DefaultAck
		}
		if tenant.DefaultAck < tenant.WeakestAck {
			return nil, fmt.Errorf("gateway: tenant %q: its default ack %s is weaker than its weakest, %s",
				tenant.Name, tenant.DefaultAck, tenant.WeakestAck)
		}
		if tenant.Fill == nil {
			tenant.Fill = func(dst []byte, e *event.Event) []byte { return append(dst, e.Data...) }
		}
		for _, key := range tenant.Keys {
			if other := t.byKey[key]; other != nil && other.Name != tenant.Name {
				return nil, fmt.Errorf("gateway: tenants %q and %q have a key in common", other.Name, tenant.Name)
			}
			t.byKey[key] = &tenant
		}
	}
	return t, nil
}
