package matcher

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// vectors reports whether the processor has what the functions of this file need (AVX2).
func vectors() bool { return cpu.X86.HasAVX2 }

// gather8 looks up windows of 8 bytes, four bytes apart, 8 in each block of 32 bytes and 4 bytes beyond the last block. It sets in masks a bit for each
// window, the lowest first, that says whether it is in the bitmap: a byte a block.
//
//go:noescape
func gather8(text *byte, blocks int, bitmap *uint64, shift uint, masks *uint64)

// gather4 is gather8 for windows of 4 bytes. It reads nothing beyond the last block.
//
//go:noescape
func gather4(text *byte, blocks int, bitmap *uint64, shift uint, masks *uint64)

// highBytes reports whether a byte of the blocks, of 128 bytes each, is beyond ASCII.
//
//go:noescape
func highBytes(text *byte, blocks int) bool

const (
	gatherBlock = 32
	gatherRound = 256 // blocks that are looked up before what was found is taken up
	wordBlocks  = 8   // blocks in a word of masks
)

// gather is appendPositions with vector instructions, and returns how far it came: what is less than 256 bytes is left. Only for a stride of 4.
func (l *lane) gather(dst []uint32, window, from, to int) (found []uint32, at int) {
	var masks [gatherRound / wordBlocks]uint64
	for blocks := (to - from) / gatherBlock &^ (wordBlocks - 1); blocks > 0; {
		n := min(blocks, gatherRound)
		if text := (*byte)(unsafe.Add(l.text, from)); window == 8 {
			gather8(text, n, (*uint64)(l.bitmap), l.shift, &masks[0])
		} else {
			gather4(text, n, (*uint64)(l.bitmap), l.shift, &masks[0])
		}
		for _, m := range masks[:n/wordBlocks] {
			for ; m != 0; m &= m - 1 {
				dst = append(dst, uint32(from+4*bits.TrailingZeros64(m)))
			}
			from += wordBlocks * gatherBlock
		}
		blocks -= n
	}
	return dst, from
}

const highBlock = 128

// highStart looks at the beginning of a text, of which less than 128 bytes are left, for bytes beyond ASCII.
func highStart(text []byte) (size int, high bool) {
	n := len(text) / highBlock
	if n == 0 || !vectors() {
		return 0, false
	}
	return n * highBlock, highBytes(unsafe.SliceData(text), n)
}
