package local

import (
	"hash/maphash"
	"sync"
)

// known remembers which bucket records are durable, so that they are not
// written again with each event. It forgets: a record written twice is the same.
//
// Two generations bound it: when the young one is full it becomes the old one.
type known struct {
	seeds [2]maphash.Seed

	mu         sync.Mutex
	young, old map[bucketKey]struct{}
}

// bucketKey is 128 bits of hash of (tenant, user, bucket), under secret seeds: a
// false hit, which would hide a user's bucket from long ranges, is as good as
// impossible.
type bucketKey [2]uint64

const knownSize = 64 << 10 // of a generation, some 3 MiB

func newKnown() *known {
	return &known{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		young: map[bucketKey]struct{}{},
	}
}

func (k *known) key(tenant, user string, bucket int64) (b bucketKey) {
	var scratch [512]byte
	text := appendInt(appendBuckets(scratch[:0], tenant, user), bucket)
	for i := range b {
		b[i] = maphash.Bytes(k.seeds[i], text)
	}
	return b
}

func (k *known) has(b bucketKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.young[b]; ok {
		return true
	}
	_, ok := k.old[b]
	if ok {
		k.insert(b)
	}
	return ok
}

func (k *known) add(all []bucketKey) {
	if len(all) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range all {
		k.insert(b)
	}
}

func (k *known) insert(b bucketKey) {
	if len(k.young) >= knownSize {
		k.old, k.young = k.young, make(map[bucketKey]struct{}, knownSize)
	}
	k.young[b] = struct{}{}
}

// clear forgets everything: buckets were deleted.
func (k *known) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.young, k.old = map[bucketKey]struct{}{}, nil
}
