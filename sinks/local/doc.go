// Package local is the embedded sink: one Pebble store in one directory for all
// tenants of a process, synced before it answers, and read back by user and
// time.
//
// # Format on disk, version 1
//
// The directory is Pebble's, plus the file LOCK. The first byte of a key is the
// kind of its record:
//
//	00 "format"                          → "1"
//	00 "bucket"                          → width of a bucket in ms, in decimal digits
//	00 "probe"                           → time of the last probe, nothing depends on it
//	01 tenant bucket user ts id          → an event
//	02 tenant user bucket                → empty: the user has, or had, events in the bucket
//
// Parts are encoded so that the order of keys is the order of their parts, and
// no part can be taken for the beginning of another:
//
//	tenant, user   the bytes, 00 written as 00 FF, ended by 00 01
//	bucket         8 bytes, big endian, sign bit flipped: floor(ts / width)
//	ts             8 bytes, big endian, sign bit flipped: ms since the Unix epoch
//	id             the bytes; it is the last part and needs no end
//
// So the events of a user are contiguous within a bucket, in the order of
// (ts, id), and a range within a bucket is one seek. Kind 02 says which buckets
// a user has, so that a long range visits those and no others. It is written
// together with the event; it may outlive its events, never the reverse.
//
// The value of an event is
//
//	01 │ CRC-32C (4 bytes) │ received, µs (8) │ length of type (uvarint) │ type │ data
//
// big endian, where the CRC is over the key and over the value behind the CRC.
// A record whose CRC is wrong fails the Read that meets it, naming the key.
//
// An event written again has the same key and replaces itself. Expiry deletes
// the whole bucket of a tenant as one range.
//
// # Memory
//
// The block cache (Config.Cache, 32 MiB), memtables (four of Config.MemTable,
// 16 MiB each, then writes wait), and what is being written and read:
// at most maxWrites batches, and pageBytes a Read.
//
// # When the disk fails
//
// Pebble ends the process, or panics with its locks held, when its log or its
// manifest cannot be written. Here it never learns of it: see fence.
package local
