package matcher

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// textIndex finds literals in the contiguous text of a batch.
//
// A literal of n bytes contains, wherever it lies, a window of w bytes that begins at a multiple of the stride, if
// n >= w+stride-1. So it is enough to look at one window every stride bytes. Each literal is filed under the stride windows that
// begin in one chosen, rare part of it. A window is hashed by one multiplication into a bitmap that fits the first two
// caches; the few that are in it are looked up in an exact table, and the literals found there are compared with the text.
//
// Windows are folded by |0x20, which merges a few more characters than letters; the comparison decides.
type textIndex struct {
	words []word
	conds []uint32
	tiers []tier
}

// word is a literal with the conditions that it anchors.
type word struct {
	text  string // in lower case when fold is set
	fold  bool
	conds condSet
}

const (
	tiers         = 5
	firstDearTier = 2 // from here on a pass over the text takes twice as long, or more
)

// tierShapes are the windows that tiers use, for the longest literals first. The longer the window the rarer its chance hits,
// and the longer the stride the faster the scan.
func tierShapes() [tiers]tier {
	return [...]tier{
		{window: 8, stride: 4, mask: 1<<64 - 1, check: 1<<32 - 1},
		{window: 4, stride: 4, mask: 1<<32 - 1, check: 1<<32 - 1},
		{window: 3, stride: 2, mask: 1<<24 - 1, check: 1<<32 - 1},
		{window: 2, stride: 2, mask: 1<<16 - 1, check: 1<<24 - 1},
		{window: 2, stride: 1, mask: 1<<16 - 1, check: 1<<16 - 1},
	}
}

// tierOf returns the number of the tier that literals of n bytes are in.
func tierOf(n int) int {
	shapes := tierShapes()
	for i := range shapes {
		if n >= shapes[i].window+shapes[i].stride-1 {
			return i
		}
	}
	return len(shapes) - 1
}

// tier finds the literals of one class of lengths.
type tier struct {
	window, stride int
	mask           uint64 // of a word, what belongs to the window
	check          uint32 // the same of the bytes that a ref keeps
	gate           uint8  // the bit that says that a batch needs it; 0 when each batch does

	shift  uint     // the bits of the hash that are dropped for the bitmap
	bitmap []uint64 // its length is a power of two
	slots  []slot   // an open-addressed table by window
	refs   []ref
}

// slot is the entry of one window. It is free when first == end.
type slot struct {
	window     uint64
	first, end uint32 // in refs
}

// ref is a literal that has a window at an offset. A few bytes of the literal, as far from the window as possible, are kept here:
// most of what shares a window with a literal is not the literal, and shows it there, without the look-ups that a comparison needs.
type ref struct {
	word, offset uint32
	check        uint32 // folded
	at           int32  // where these bytes are, counted from the window
}

const (
	foldMask   = 0x2020202020202020
	foldMask32 = 0x20202020
	mulHash    = 0x9E3779B97F4A7C15

	// bitsPerWindow keeps chance hits of the bitmap below 1 %: each costs a mispredicted branch and a cold look-up.
	bitsPerWindow = 128
	maxBitmap     = 1 << 23 // bits: 1 MiB, what a second-level cache holds
	minBitmap     = 1 << 12

	// blockSize is how much text all tiers go over before the next: it stays in the first-level cache for all of them.
	blockSize = 16 << 10
)

// windowAt returns the folded window at p. Eight bytes from p on must be readable.
func (t *tier) windowAt(text []byte, p int) uint64 {
	return (binary.LittleEndian.Uint64(text[p:p+8]) | foldMask) & t.mask
}

func hashWindow(w uint64) uint64 { return w * mulHash }

// lookup returns the range of refs of a window.
func (t *tier) lookup(w uint64) (first, end uint32) {
	mask := uint64(len(t.slots) - 1)
	for i := hashWindow(w) >> 32 & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.first == s.end || s.window == w {
			return s.first, s.end
		}
	}
}

// find appends to s.candidates each pair of a record and a condition whose literal is in the record's text.
func (x *textIndex) find(text []byte, ends []uint32, s *Scratch) {
	if len(x.tiers) == 0 || len(text) == 0 {
		return
	}
	const padding = 8
	if cap(text)-len(text) < padding { // batches promise it; texts from elsewhere may not have it
		text = slices.Grow(text, padding)
	}
	padded := text[:len(text)+padding]
	for from := 0; from < len(text); from += blockSize {
		for i := range x.tiers {
			t := &x.tiers[i]
			if t.gate != 0 && s.gates&t.gate == 0 {
				continue
			}
			to := min(from+blockSize, len(text)-t.window+1)
			if to <= from {
				continue
			}
			s.positions = t.appendPositions(s.positions[:0], padded, from, to)
			if len(s.positions) > 0 {
				x.resolve(t, padded, ends, s)
			}
		}
	}
}

// resolve compares the literals that s.positions hint at.
func (x *textIndex) resolve(t *tier, text []byte, ends []uint32, s *Scratch) {
	rec, start, end := 0, 0, -1 // the record of the last position: positions only grow
	for _, at := range s.positions {
		p := int(at)
		first, last := t.lookup(t.windowAt(text, p))
		for i := first; i < last; i++ {
			r := &t.refs[i]
			if q := p + int(r.at); q < 0 || q+4 > len(text) || (binary.LittleEndian.Uint32(text[q:])|foldMask32)&t.check != r.check {
				continue
			}
			if p > end {
				if rec = search(ends, uint32(p)); rec == len(ends) {
					return
				}
				start, end = 0, int(ends[rec])
				if rec > 0 {
					start = int(ends[rec-1]) + 1
				}
			}
			now := s.base + uint64(rec)
			from := p - int(r.offset)
			if w := &x.words[r.word]; s.seen[r.word] != now && from >= start && from+len(w.text) <= end && w.is(text[from:from+len(w.text)]) {
				s.seen[r.word] = now
				for _, c := range x.conds[w.conds.first:w.conds.end] {
					s.candidates = append(s.candidates, uint64(rec)<<32|uint64(c))
				}
			}
		}
	}
}

// is compares the literal with a text of its length.
func (w *word) is(text []byte) bool {
	if w.fold {
		return equalFold(text, w.text)
	}
	return string(text) == w.text
}

// search returns the first index whose end is >= p.
func search(ends []uint32, p uint32) int {
	lo, hi := 0, len(ends)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if ends[mid] < p {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// textIndexer collects literals for a textIndex.
type textIndexer struct {
	words  []word
	conds  [][]uint32
	number map[word]int
	always [tiers]bool // tiers that each batch needs
}

// add files a condition under a literal, and returns the number of its tier. Of a gated condition it is known which
// attributes its records have.
func (x *textIndexer) add(a *anchor, cond uint32, gated bool) int {
	if x.number == nil {
		x.number = map[word]int{}
	}
	w := word{text: a.value, fold: a.fold}
	n, ok := x.number[w]
	if !ok {
		n = len(x.words)
		x.number[w] = n
		x.words, x.conds = append(x.words, w), append(x.conds, nil)
	}
	x.conds[n] = append(x.conds[n], cond)
	t := tierOf(len(a.value))
	x.always[t] = x.always[t] || !gated
	return t
}

// index builds the tables. The sketch says which windows are rare.
func (x *textIndexer) index(rare *sketch) textIndex {
	var out textIndex
	shapes := tierShapes()
	var byTier [tiers]map[uint64][]ref
	for n, w := range x.words {
		w.conds.first = uint32(len(out.conds))
		out.conds = append(out.conds, x.conds[n]...)
		w.conds.end = uint32(len(out.conds))
		out.words = append(out.words, w)

		i := tierOf(len(w.text))
		if byTier[i] == nil {
			byTier[i] = map[uint64][]ref{}
		}
		file(&shapes[i], byTier[i], w.text, uint32(n), rare)
	}
	for i, windows := range byTier {
		if windows != nil {
			if !x.always[i] {
				shapes[i].gate = 1 << i
			}
			shapes[i].build(windows)
			out.tiers = append(out.tiers, shapes[i])
		}
	}
	return out
}

// file files a literal under the windows of its rarest part.
func file(t *tier, windows map[uint64][]ref, text string, n uint32, rare *sketch) {
	padded := append([]byte(text), make([]byte, 8)...)
	best, offset := 0.0, -1
	for o := 0; o+t.window+t.stride-1 <= len(text); o++ {
		score := rare.commonness(padded[o : o+t.window+t.stride-1])
		for k := range t.stride { // many literals under one window are all compared
			score += float64(bits.Len(uint(len(windows[t.windowAt(padded, o+k)]))))
		}
		if offset < 0 || score < best {
			best, offset = score, o
		}
	}
	far := max(0, len(text)-4)
	if offset > len(text)-offset-t.window {
		far = 0
	}
	check := (binary.LittleEndian.Uint32(padded[far:]) | foldMask32) & t.check
	for k := range t.stride {
		w := t.windowAt(padded, offset+k)
		windows[w] = append(windows[w], ref{word: n, offset: uint32(offset + k), check: check, at: int32(far - offset - k)})
	}
}

// build makes the tables of a tier.
func (t *tier) build(windows map[uint64][]ref) {
	size := minBitmap
	for size < maxBitmap && size < bitsPerWindow*len(windows) {
		size *= 2
	}
	t.shift = uint(64 - bits.Len(uint(size-1)))
	t.bitmap = make([]uint64, size/64)
	slots := 4
	for slots < 2*len(windows) {
		slots *= 2
	}
	t.slots = make([]slot, slots)
	for w, refs := range windows {
		h := hashWindow(w)
		b := h >> t.shift
		t.bitmap[b>>6] |= 1 << (b & 63)
		i := h >> 32 & uint64(slots-1)
		for t.slots[i].first != t.slots[i].end {
			i = (i + 1) & uint64(slots-1)
		}
		first := uint32(len(t.refs))
		t.refs = append(t.refs, refs...)
		t.slots[i] = slot{w, first, uint32(len(t.refs))}
	}
}
