package matcher

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasTeddy reports whether the processor can run teddyBlocks.
func hasTeddy() bool { return cpu.X86.HasAVX2 }

// teddyBlocks looks at blocks of 32 bytes, and three bytes beyond the last, and sets in out the bits of the places where a run may begin. It needs AVX2.
//
//go:noescape
func teddyBlocks(text *byte, blocks int, tables *[4][2][16]byte, out *uint32)

// positions appends the places in [from, from+32*blocks) where a run may begin. 35 bytes from the last block on are readable.
func (t *teddy) positions(dst []uint32, text []byte, from, blocks int) []uint32 {
	if need := from + 32*blocks + 3; from < 0 || need > len(text) {
		return dst // it can't be: scan sees to it
	}
	var masks [teddyRound]uint32
	for blocks > 0 {
		n := min(blocks, len(masks))
		teddyBlocks((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(text)), from)), n, &t.tables, &masks[0])
		for i, m := range masks[:n] {
			if m != 0 {
				dst = appendBits(dst, from+32*i, m)
			}
		}
		from, blocks = from+32*n, blocks-n
	}
	return dst
}

// teddyRound is how many blocks are looked at before what was found is taken up.
const teddyRound = 64
