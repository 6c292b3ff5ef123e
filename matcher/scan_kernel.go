package matcher

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The inner loop of a scan: nothing else touches every byte. It does one load, one multiplication and one look-up for each
// window, and one branch for each eight of them. Bounds are checked once, at the start; with checks inside it takes half as long again.

// appendPositions appends the positions in [from, to) at which a window is in the bitmap. from is a multiple of the stride,
// and eight bytes from every position on are readable: to is at most len(text)-7. With gather, vector instructions do most of it; they must be there.
func (t *tier) appendPositions(dst []uint32, text []byte, from, to int, gather bool) []uint32 {
	if to > len(text)-7 || from < 0 || len(t.bitmap) != 1<<(64-t.shift)/64 {
		return dst // it can't be: find keeps the first two, build the third
	}
	in := lane{text: unsafe.Pointer(unsafe.SliceData(text)), bitmap: unsafe.Pointer(unsafe.SliceData(t.bitmap)), mask: t.mask(), shift: t.shift & 63}
	if gather && t.stride == 4 {
		dst, from = in.gather(dst, t.window, from, to)
	}
	switch {
	case t.stride == 4 && t.window == 8:
		return in.scan8(dst, from, to)
	case t.stride == 4:
		return in.scan4(dst, from, to)
	case t.stride == 2:
		return in.scan2(dst, from, to)
	}
	return in.scan1(dst, from, to)
}

// lane is what the loops need of a tier and a text.
type lane struct {
	text, bitmap unsafe.Pointer
	mask         uint64
	shift        uint
}

func (l *lane) load(p int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(l.text, p))[:]) | foldMask
}

// has returns a word whose lowest bit says whether the window is in the bitmap.
func (l *lane) has(folded uint64) uint64 {
	h := folded * mulHash >> (l.shift & 63)
	return *(*uint64)(unsafe.Add(l.bitmap, h>>6<<3)) >> (h & 63)
}

func (l *lane) scan8(dst []uint32, from, to int) []uint32 {
	w := *l // a copy of its own stays in registers
	p := from
	for ; p+28 < to; p += 32 {
		b0, b1, b2, b3 := w.has(w.load(p)), w.has(w.load(p+4)), w.has(w.load(p+8)), w.has(w.load(p+12))
		b4, b5, b6, b7 := w.has(w.load(p+16)), w.has(w.load(p+20)), w.has(w.load(p+24)), w.has(w.load(p+28))
		if (b0|b1|b2|b3|b4|b5|b6|b7)&1 != 0 {
			dst = appendSet(dst, p, 4, b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4|b5&1<<5|b6&1<<6|b7&1<<7)
		}
	}
	return w.rest(dst, p, to, 4)
}

// scan4 takes two windows of four bytes from each load.
func (l *lane) scan4(dst []uint32, from, to int) []uint32 {
	w := *l // a copy of its own stays in registers
	const low = 1<<32 - 1
	p := from
	for ; p+28 < to; p += 32 {
		x0, x1, x2, x3 := w.load(p), w.load(p+8), w.load(p+16), w.load(p+24)
		b0, b1, b2, b3 := w.has(x0&low), w.has(x0>>32), w.has(x1&low), w.has(x1>>32)
		b4, b5, b6, b7 := w.has(x2&low), w.has(x2>>32), w.has(x3&low), w.has(x3>>32)
		if (b0|b1|b2|b3|b4|b5|b6|b7)&1 != 0 {
			dst = appendSet(dst, p, 4, b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4|b5&1<<5|b6&1<<6|b7&1<<7)
		}
	}
	return w.rest(dst, p, to, 4)
}

// scan2 takes three windows of two or three bytes from each load.
func (l *lane) scan2(dst []uint32, from, to int) []uint32 {
	w := *l // a copy of its own stays in registers
	p, mask := from, w.mask
	for ; p+10 < to; p += 12 {
		x0, x1 := w.load(p), w.load(p+6)
		b0, b1, b2 := w.has(x0&mask), w.has(x0>>16&mask), w.has(x0>>32&mask)
		b3, b4, b5 := w.has(x1&mask), w.has(x1>>16&mask), w.has(x1>>32&mask)
		if (b0|b1|b2|b3|b4|b5)&1 != 0 {
			dst = appendSet(dst, p, 2, b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4|b5&1<<5)
		}
	}
	return w.rest(dst, p, to, 2)
}

func (l *lane) scan1(dst []uint32, from, to int) []uint32 {
	w := *l // a copy of its own stays in registers
	p, mask := from, w.mask
	for ; p+5 < to; p += 6 {
		x := w.load(p)
		b0, b1, b2 := w.has(x&mask), w.has(x>>8&mask), w.has(x>>16&mask)
		b3, b4, b5 := w.has(x>>24&mask), w.has(x>>32&mask), w.has(x>>40&mask)
		if (b0|b1|b2|b3|b4|b5)&1 != 0 {
			dst = appendSet(dst, p, 1, b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4|b5&1<<5)
		}
	}
	return w.rest(dst, p, to, 1)
}

func (l *lane) rest(dst []uint32, p, to, stride int) []uint32 {
	for ; p < to; p += stride {
		dst = appendSet(dst, p, stride, l.has(l.load(p)&l.mask)&1)
	}
	return dst
}

// appendSet appends the positions whose bits are set: mostly one is.
func appendSet(dst []uint32, p, stride int, set uint64) []uint32 {
	for ; set != 0; set &= set - 1 {
		dst = append(dst, uint32(p+bits.TrailingZeros64(set)*stride))
	}
	return dst
}
