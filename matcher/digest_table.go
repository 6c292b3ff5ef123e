package matcher

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// digestTable finds entries by their short digests: an open-addressed table of their numbers plus 1.
type digestTable struct{ slots []uint32 }

// newDigestTable makes a table of the entries from a number on.
func newDigestTable(entries []row, from int) digestTable {
	n := len(entries) - from
	if n == 0 {
		return digestTable{}
	}
	t := digestTable{slots: make([]uint32, 1<<bits.Len(uint(n+n/2)))}
	mask := uint64(len(t.slots) - 1)
	for i := from; i < len(entries); i++ {
		at := entries[i].short() & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = uint32(i + 1)
	}
	return t
}

// find returns the number of the entry with a short digest, unless it is to be skipped.
func (t *digestTable) find(entries []row, digest uint64, skip func(uint32) bool) (uint32, bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for at := digest & mask; t.slots[at] != 0; at = (at + 1) & mask {
		if n := t.slots[at] - 1; entries[n].short() == digest && !skip(n) {
			return n, true
		}
	}
	return 0, false
}

// digestSum is the sum of the digests of a set of signatures, modulo 2^256. So signatures can come and go one by one, and the order
// makes no difference.
type digestSum [4]uint64

func (s *digestSum) add(d [32]byte) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(d[8*i:]), carry)
	}
}

func (s *digestSum) remove(d [32]byte) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], binary.LittleEndian.Uint64(d[8*i:]), borrow)
	}
}

// text is the digest of a set of n signatures with this sum.
func (s *digestSum) text(n int) string {
	b := binary.LittleEndian.AppendUint64(nil, uint64(n))
	for _, x := range s {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func hashID(id string) uint64 { return xxhash.Sum64String(id) }
