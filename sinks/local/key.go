package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/event"
)

// Kinds of records; see the package comment for all layouts.
const (
	kindMeta   = 0x00
	kindEvent  = 0x01
	kindBucket = 0x02
)

const signBit = 1 << 63

// appendText appends s so that the encodings sort as the strings do and none is
// a prefix of another.
func appendText(key []byte, s string) []byte {
	for i := range len(s) {
		key = append(key, s[i])
		if s[i] == 0 {
			key = append(key, 0xff)
		}
	}
	return append(key, 0, 1)
}

// cutText reads what appendText wrote, and returns what is behind it.
func cutText(key []byte) (s string, rest []byte, ok bool) {
	var out []byte
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 || i+1 >= len(key) {
			return "", nil, false
		}
		out = append(out, key[:i]...)
		escape := key[i+1]
		key = key[i+2:]
		switch escape {
		case 1:
			return string(out), key, true
		case 0xff:
			out = append(out, 0)
		default:
			return "", nil, false
		}
	}
}

func appendInt(key []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(n)^signBit)
}

func cutInt(key []byte) (n int64, rest []byte, ok bool) {
	if len(key) < 8 {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(key) ^ signBit), key[8:], true
}

// appendTenant appends the prefix of every event of a tenant, appendUser that
// of a user's events in one bucket.
func appendTenant(key []byte, tenant string) []byte {
	return appendText(append(key, kindEvent), tenant)
}

func appendUser(key []byte, tenant string, bucket int64, user string) []byte {
	return appendText(appendInt(appendTenant(key, tenant), bucket), user)
}

func appendEvent(key []byte, bucket int64, e *event.Event) []byte {
	return append(appendInt(appendUser(key, e.Tenant, bucket, e.User), e.TS), e.ID...)
}

// appendBuckets appends the prefix of every bucket record of a user.
func appendBuckets(key []byte, tenant, user string) []byte {
	return appendText(appendText(append(key, kindBucket), tenant), user)
}

// eventKey is what the key of an event says.
type eventKey struct {
	tenant string
	bucket int64
	user   string
	ts     int64
	id     string
}

var errKey = errors.New("the key is not one of an event")

func parseEvent(key []byte) (k eventKey, err error) {
	if len(key) == 0 || key[0] != kindEvent {
		return k, errKey
	}
	rest := key[1:]
	var ok [4]bool
	k.tenant, rest, ok[0] = cutText(rest)
	k.bucket, rest, ok[1] = cutInt(rest)
	k.user, rest, ok[2] = cutText(rest)
	k.ts, rest, ok[3] = cutInt(rest)
	if ok != [4]bool{true, true, true, true} {
		return eventKey{}, errKey
	}
	k.id = string(rest)
	return k, nil
}

func (k eventKey) String() string {
	return fmt.Sprintf("tenant %q, user %q, ts %d, id %q", k.tenant, k.user, k.ts, k.id)
}

// after returns the first key behind every key that begins with prefix. A
// prefix here begins with its kind, so it is never all FF.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// bucketOf is floor(ts / width), both in ms.
func bucketOf(ts, width int64) int64 {
	n := ts / width
	if ts%width < 0 {
		n--
	}
	return n
}
