package sinks

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strings"

	"sluice/event"
)

// A cursor is base64url, unpadded, of
//
//	version 1 (1 byte) │ checksum (8) │ TS (8) │ ID (the rest)
//
// where TS and ID are those of the last event of a page and the checksum is
// FNV-1a over them and over what a cursor is bound to: tenant, user, type and
// order. The range is not part of it, because a range that ends now ends later
// for the next page. It tells mistakes apart, it is no protection from forgery:
// whoever may send a cursor may read the whole range anyway.
const cursorVersion = 1

var cursorText = base64.RawURLEncoding.Strict()

// NextCursor returns the cursor of the page that follows the event last.
func NextCursor(q *event.Query, last *event.Event) string {
	b := make([]byte, 17, 17+len(last.ID))
	b[0] = cursorVersion
	binary.BigEndian.PutUint64(b[1:], cursorSum(q, last.TS, last.ID))
	binary.BigEndian.PutUint64(b[9:], uint64(last.TS))
	return cursorText.EncodeToString(append(b, last.ID...))
}

// AfterCursor returns the time and id of the last event of the page before. It
// fails with event.ErrBadCursor when q.Cursor is not of a page of q. Only for a
// q with a Cursor.
func AfterCursor(q *event.Query) (ts int64, id string, err error) {
	const longest = 17 + 128 // an id has at most 128 bytes
	if len(q.Cursor) > cursorText.EncodedLen(longest) {
		return 0, "", event.ErrBadCursor
	}
	b, err := cursorText.DecodeString(q.Cursor)
	if err != nil || strings.ContainsAny(q.Cursor, "\r\n") || // which base64 skips
		len(b) < 17 || b[0] != cursorVersion {
		return 0, "", event.ErrBadCursor
	}
	ts, id = int64(binary.BigEndian.Uint64(b[9:])), string(b[17:])
	outside := q.From != 0 && ts < q.From || q.To != 0 && ts >= q.To
	if outside || binary.BigEndian.Uint64(b[1:]) != cursorSum(q, ts, id) {
		return 0, "", event.ErrBadCursor
	}
	return ts, id, nil
}

func cursorSum(q *event.Query, ts int64, id string) uint64 {
	h := fnv.New64a()
	for _, s := range []string{q.Tenant, q.User, q.Type, id} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	var end [9]byte
	binary.BigEndian.PutUint64(end[:], uint64(ts))
	if q.Desc {
		end[8] = 1
	}
	h.Write(end[:])
	return h.Sum64()
}
