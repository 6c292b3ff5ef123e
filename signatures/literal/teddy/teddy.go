// Package teddy finds runs of four bytes with vector instructions. For each of four neighbouring bytes two look-ups of 16 entries, one by its
// lower half and one by its upper, say which of eight buckets of runs may have it there; where a bucket is left over after the fourth, one of its
// runs may begin. It needs no memory and looks at 32 places at once: 10 to 20 GB/s of text, where tables in memory need a look-up for every two or four
// bytes. Each run more makes chance hits more frequent, so it is for some tens of them, and hits must be compared. The idea is that of
// Hyperscan's literal matcher of this name.
//
// The matcher looks for short literals with it, redaction for what announces a secret.
package teddy

import "math/bits"

const (
	// Run is how many bytes of a run are looked at.
	Run = 4
	// Block is how many places are looked at together.
	Block = 32
	// Buckets is how many groups of runs are told from each other.
	Buckets = 8
)

// Tables say which runs are looked for. The zero Tables find nothing. They are not to be changed while they are used.
type Tables [Run][2][16]byte

// Add lets a run of a bucket have a byte at one of its places. A bucket finds every run that can be put together from the bytes that its runs have
// at each place, and from the halves of these: alike runs should share one.
func (t *Tables) Add(bucket, place int, b byte) {
	t[place][0][b&15] |= 1 << bucket
	t[place][1][b>>4] |= 1 << bucket
}

// Buckets returns the buckets, as bits, that find a run. The run's first byte is the lowest.
func (t *Tables) Buckets(run uint32) uint8 {
	b0, b1, b2, b3 := run&0xff, run>>8&0xff, run>>16&0xff, run>>24
	return t[0][0][b0&15] & t[0][1][b0>>4] & t[1][0][b1&15] & t[1][1][b1>>4] &
		t[2][0][b2&15] & t[2][1][b2>>4] & t[3][0][b3&15] & t[3][1][b3>>4]
}

// Blocks returns how many whole blocks may be looked at from a place on, of a text with so many bytes.
func Blocks(from, size int) int { return max(0, (size-from-(Run-1))/Block) }

// appendBits appends the places whose bits are set.
func appendBits(dst []uint32, at int, set uint32) []uint32 {
	for ; set != 0; set &= set - 1 {
		dst = append(dst, uint32(at+bits.TrailingZeros32(set)))
	}
	return dst
}
