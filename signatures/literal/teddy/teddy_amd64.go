package teddy

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// Available reports whether the processor has the instructions (AVX2). Without them [Tables.AppendPlaces] must not be called.
func Available() bool { return cpu.X86.HasAVX2 }

// findBlocks looks at blocks of 32 bytes, and three bytes beyond the last, and sets in out the bits of the places where a run may begin. It needs AVX2.
//
//go:noescape
func findBlocks(text *byte, blocks int, tables *Tables, out *uint32)

// AppendPlaces appends the places in [from, from+blocks*Block) where a run may begin, in their order. There may be at most [Blocks] blocks; more
// are not looked at at all.
func (t *Tables) AppendPlaces(dst []uint32, text []byte, from, blocks int) []uint32 {
	if from < 0 || blocks > Blocks(from, len(text)) {
		return dst // it can't be: the caller counts them with Blocks
	}
	var masks [round]uint32
	for blocks > 0 {
		n := min(blocks, len(masks))
		findBlocks((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(text)), from)), n, t, &masks[0])
		for i, m := range masks[:n] {
			if m != 0 {
				dst = appendBits(dst, from+Block*i, m)
			}
		}
		from, blocks = from+Block*n, blocks-n
	}
	return dst
}

// round is how many blocks are looked at before what was found is taken up.
const round = 64
