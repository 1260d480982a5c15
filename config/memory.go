package config

// What one event in flight and one user cost besides the bytes of bodies, as
// upper estimates: the structs on the way with their share of mailboxes and
// batches; an idle user actor; an id in a dedupe window.
const (
	bytesPerEvent = 1 << 10
	bytesPerUser  = 1 << 10
	bytesPerID    = 32
)

// MemoryPart is one part of a memory bound.
type MemoryPart struct {
	Tenant string `json:"tenant"`
	Bodies Size   `json:"bodies_bytes"` // of requests in flight
	Events Size   `json:"events_bytes"` // what events in flight cost besides
	Users  Size   `json:"users_bytes"`  // users in memory, all dedupe windows full
}

// Sum returns the whole part.
func (p MemoryPart) Sum() Size { return p.Bodies + p.Events + p.Users }

// MemoryOf returns the most memory that the tenant's settings allow it.
func MemoryOf(name string, t Tenant) MemoryPart {
	return MemoryPart{
		Tenant: name,
		Bodies: t.Budget.Bytes,
		Events: Size(t.Budget.Events) * bytesPerEvent,
		Users:  Size(t.Users.MaxLive) * (bytesPerUser + Size(t.Users.Dedupe.MaxIDs)*bytesPerID),
	}
}

// MemoryBound returns the most bytes that the configuration lets the tenants
// hold, whatever the sinks do. The process needs some 200 MiB more.
func MemoryBound(c *Config) Size {
	var sum Size
	for name, t := range c.Tenants {
		sum += MemoryOf(name, t).Sum()
	}
	return sum
}
