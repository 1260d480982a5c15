package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"sluice/event"
)

const (
	valueVersion = 1
	valueHead    = 1 + 4 + 8 // version, CRC, received
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func valueSize(e *event.Event) int {
	return valueHead + uvarintLen(uint64(len(e.Type))) + len(e.Type) + len(e.Data)
}

func uvarintLen(n uint64) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], n)
}

// putValue writes the value of e, stored under key, into v, which has
// valueSize(e) bytes.
func putValue(v, key []byte, e *event.Event) {
	v[0] = valueVersion
	binary.BigEndian.PutUint64(v[5:], uint64(e.Received))
	n := valueHead + binary.PutUvarint(v[valueHead:], uint64(len(e.Type)))
	n += copy(v[n:], e.Type)
	copy(v[n:], e.Data)
	binary.BigEndian.PutUint32(v[1:], sum(key, v))
}

func sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[5:])
}

// readEvent returns the event stored as key and value, sharing memory with
// neither.
func readEvent(key, value []byte) (event.Event, error) {
	k, err := parseEvent(key)
	if err != nil {
		return event.Event{}, fmt.Errorf("local: record %x: %w", key, err)
	}
	damaged := func(why string) (event.Event, error) {
		return event.Event{}, &DamageError{Key: k.String(), Why: why}
	}
	if len(value) < valueHead {
		return damaged(fmt.Sprintf("its value has %d bytes", len(value)))
	}
	if value[0] != valueVersion {
		return damaged(fmt.Sprintf("its version is %d, want %d", value[0], valueVersion))
	}
	if got, want := sum(key, value), binary.BigEndian.Uint32(value[1:]); got != want {
		return damaged(fmt.Sprintf("its CRC is %08x, want %08x", got, want))
	}
	length, n := binary.Uvarint(value[valueHead:])
	rest := value[valueHead+max(n, 0):]
	if n <= 0 || length > uint64(len(rest)) {
		return damaged("the length of its type is wrong")
	}
	return event.Event{
		Tenant: k.tenant, User: k.user, ID: k.id, TS: k.ts,
		Received: int64(binary.BigEndian.Uint64(value[5:])),
		Type:     string(rest[:length]),
		Data:     append([]byte(nil), rest[length:]...),
	}, nil
}

// DamageError says that a record is there and is not what was written.
type DamageError struct {
	Key string // for people: tenant, user, ts, id
	Why string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("local: the event of %s is damaged on disk: %s", e.Key, e.Why)
}

// IsDamage reports whether err says that a stored record is damaged.
func IsDamage(err error) bool {
	var d *DamageError
	return errors.As(err, &d)
}
