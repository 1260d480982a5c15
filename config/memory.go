package config

// bytesPerEvent is what one event in flight costs besides the bytes of its
// body, as an upper estimate: the structs on the way, with their share of
// mailboxes and batches.
const bytesPerEvent = 1 << 10

// MemoryPart is the most memory that one tenant's settings allow it.
type MemoryPart struct {
	InFlight Size // budget.bytes, and what budget.events cost besides
	Users    Size // users.memory
}

// MemoryOf returns the tenant's part.
func MemoryOf(t Tenant) MemoryPart {
	return MemoryPart{
		InFlight: t.Budget.Bytes + Size(t.Budget.Events)*bytesPerEvent,
		Users:    t.Users.Memory,
	}
}

// MemoryBound returns the most bytes that the configuration lets the tenants
// hold, whatever the sinks do. The process needs some 200 MiB more.
func MemoryBound(c *Config) Size {
	var sum Size
	for _, t := range c.Tenants {
		part := MemoryOf(t)
		sum += part.InFlight + part.Users
	}
	return sum
}
