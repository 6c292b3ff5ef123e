package matcher

import (
	"encoding/binary"
	"math/bits"
)

// textIndex finds literals in the contiguous text of a batch.
//
// A literal of n bytes contains, wherever it lies, a window of w bytes that begins at a multiple of the stride, if
// n >= w+stride-1. So it is enough to look at one window every stride bytes. Each literal is filed under one run of w+stride-1 bytes of
// it, and that run under the stride windows in it; the runs are chosen so that few of them, and rare ones, serve all literals (see
// cover). A window is hashed by one multiplication into a bitmap that fits the first two caches; the few that are in it are looked up
// in an exact table, which leads to the node of the run. What the literals of a node do not share tells them apart (see grow), and
// what is left is compared with the text.
//
// Windows are folded by |0x20, which merges a few more characters than letters; the comparison decides.
//
// All tables are without pointers, so that they cost the garbage collector nothing and are stored as they are.
type textIndex struct {
	blob  []byte // the texts of the words
	words []word
	conds []uint32
	tiers []tier
}

// word is a literal with the conditions that it anchors.
type word struct {
	start, end uint32 // its text in the blob, in lower case when fold is set
	conds      condSet
	fold       uint32 // 1 when it is compared without case
}

const (
	tiers         = 6
	firstDearTier = 2 // from here on a pass over the text takes twice as long, or more
	wideTier      = 5
)

// tierShapes are the windows that tiers use, for the longest literals first. The longer the window the rarer its chance hits,
// and the longer the stride the faster the scan.
func tierShapes() [tiers]tier {
	return [...]tier{
		{shape: 0, window: 8, stride: 4},
		{shape: 1, window: 4, stride: 4},
		{shape: 2, window: 3, stride: 2},
		{shape: 3, window: 2, stride: 2},
		{shape: 4, window: 2, stride: 1},
		{shape: wideTier, window: 2, stride: 1, wide: 1},
	}
}

// tierOf returns the number of the tier that a literal is in. Short ones with a byte beyond ASCII are looked for only where there is any.
func tierOf(text string) int {
	shapes := tierShapes()
	for i := range shapes[:wideTier] {
		if len(text) < shapes[i].run() {
			continue
		}
		if i >= firstDearTier && !isASCII(viewBytes(text)) {
			return wideTier
		}
		return i
	}
	return wideTier - 1
}

// isDear reports whether a pass over the text for such a literal takes long.
func isDear(text string) bool { t := tierOf(text); return t >= firstDearTier && t != wideTier }

// tier finds the literals of one class of lengths.
type tier struct {
	shape          uint8 // its number in tierShapes
	window, stride int
	wide           uint8 // 1: its literals have bytes beyond ASCII
	gate           uint8 // the bit that says that a batch needs it; 0 when each batch does

	shift   uint     // the bits of the hash that are dropped for the bitmap
	bitmap  []uint64 // its length is a power of two
	slots   []slot   // an open-addressed table by window, which may be in it more than once; its length is a power of two
	nodes   []node
	refs    []ref
	marks   []mark
	edges   []edge   // an open-addressed table by the hash of a mark; its length is a power of two, or 0
	windows []uint64 // the hashes of all windows; only of what is added to a program: see textPass
	edgeIn  []uint64 // a bitmap of what is in edges: most of what is looked up is not, and a bitmap stays in the cache
}

// edgeBits is how many bits of the bitmap each edge has.
const edgeBits = 16

// hasEdge reports whether an edge with this hash may be there.
func (t *tier) hasEdge(h uint64) bool {
	h = h >> 32 & uint64(64*len(t.edgeIn)-1)
	return t.edgeIn[h>>6]>>(h&63)&1 != 0
}

// run is the length of the text that has a window at each of stride neighbouring places, so that one of them is looked at.
func (t *tier) run() int { return t.window + t.stride - 1 }

// checked is how many bytes at each end of a literal a ref's check is of: at most four, and no more than the shortest literal has.
func (t *tier) checked() int { return min(t.run(), 4) }

// checkOf makes a ref's check of the ends of the text in [from, end), whose length is at least that of a run. Four bytes behind each place in it
// must be readable.
func checkOf(text []byte, from, end, checked int) uint32 {
	mask := uint32(maskOf(checked))
	first, last := load4(text, from)&mask, load4(text, end-checked)&mask
	return first*0x9E3779B1 ^ last*0x85EBCA77
}

// load4 returns 4 folded bytes. They must be readable.
func load4(text []byte, p int) uint32 { return binary.LittleEndian.Uint32(text[p:p+4]) | foldMask32 }

// mask is of a word of 8 bytes what belongs to the window.
func (t *tier) mask() uint64 { return maskOf(t.window) }

func maskOf(n int) uint64 { return 1<<(8*n) - 1 }

// slot leads from a window to a node. It is free when to is 0. The hash is enough: what it confuses the comparison refuses, and short slots
// stay in the second-level cache.
type slot struct {
	tag uint32 // see tagOf
	to  uint32 // the target + 1, and in the lowest two bits where in the run the window begins
}

// target is the number of a node, or of a ref where there is only one literal: most have few literals, and each table on the way is a miss
// of the cache.
type target uint32

func toNode(n uint32) target { return target(n << 1) }
func toRef(n uint32) target  { return target(n<<1 | 1) }

func (t target) isRef() bool    { return t&1 != 0 }
func (t target) number() uint32 { return uint32(t) >> 1 }

// node is a run, or a run and some text at known places around it, with the literals that have all of it.
type node struct {
	refs, refsEnd   uint32 // the literals to compare
	marks, marksEnd uint32 // where to look for what tells the others apart
}

// ref is a literal of a node. What it begins and ends with is known here by a hash: most of what shares a run with a literal is not
// the literal, and shows it there, without the look-ups that a comparison needs.
type ref struct {
	word, offset uint32 // offset of the run in the word
	size         uint32 // of the word
	check        uint32 // see checkOf
}

// mark is a place, counted from a run, whose bytes tell literals of a node apart.
type mark struct {
	at    int32
	bytes uint32 // how many: 8 or 4
}

// edge leads from what stands at a mark to a target. It is free when to is 0.
type edge struct {
	tag uint32 // the upper half of the hash
	to  uint32 // the target + 1
}

const (
	foldMask   = 0x2020202020202020
	foldMask32 = 0x20202020
	mulHash    = 0x9E3779B97F4A7C15
	// bitsPerWindow, and up to twice as many, keep chance hits of the bitmap below 1 %: each costs a mispredicted branch and a cold look-up. A
	// bitmap of twice the size has half as many, and loses more by leaving the cache.
	bitsPerWindow = 96
	maxBitmap     = 1 << 23 // bits: 1 MiB, what a second-level cache holds
	minBitmap     = 1 << 18 // 32 KiB, what a first-level cache holds
)

// load8 returns 8 folded bytes. They must be readable.
func load8(text []byte, p int) uint64 { return binary.LittleEndian.Uint64(text[p:p+8]) | foldMask }

// windowAt returns the folded window at p. Eight bytes from p on must be readable.
func (t *tier) windowAt(text []byte, p int) uint64 { return load8(text, p) & t.mask() }

func hashWindow(w uint64) uint64 { return w * mulHash }

// tagOf is what a slot keeps of a hash. The lower half of a product says nothing of the window's last bytes, so it is not that alone.
func tagOf(hash uint64) uint32 { return uint32(hash ^ hash>>32) }

// hashMark mixes the mark's number into what stands there.
func hashMark(number uint32, bytes uint64) uint64 {
	h := (bytes ^ uint64(number+1)*0xD6E8FEB86659FD93) * mulHash
	return h ^ h>>29
}

// text returns the text of a word.
func (x *textIndex) text(w *word) []byte { return x.blob[w.start:w.end] }

// textIndexer collects literals for a textIndex.
type textIndexer struct {
	literals []indexed
	number   map[indexedText]int
	always   [tiers]bool // tiers that each batch needs
	keep     bool        // the hashes of windows
	off      switches
}

// tierOf is the number of the tier that a literal goes to.
func (x *textIndexer) tierOf(text string) int {
	if x.off&offLong != 0 {
		return wideTier - 1
	}
	return tierOf(text)
}

type indexedText struct {
	text string
	fold bool
}

type indexed struct {
	indexedText
	conds []uint32
}

// add files a condition under a literal, and returns the number of its tier. Of a gated condition it is known which
// attributes its records have.
func (x *textIndexer) add(a *anchor, cond uint32, gated bool) int {
	if x.number == nil {
		x.number = map[indexedText]int{}
	}
	w := indexedText{text: a.value, fold: a.fold}
	n, ok := x.number[w]
	if !ok {
		n = len(x.literals)
		x.number[w] = n
		x.literals = append(x.literals, indexed{indexedText: w})
	}
	x.literals[n].conds = append(x.literals[n].conds, cond)
	t := x.tierOf(a.value)
	x.always[t] = x.always[t] || !gated
	return t
}

// index builds the tables. The sketch says what is rare.
func (x *textIndexer) index(rare *sketch) textIndex {
	var out textIndex
	var byTier [tiers][]uint32
	for n := range x.literals {
		l := &x.literals[n]
		w := word{start: uint32(len(out.blob)), conds: condSet{first: uint32(len(out.conds))}}
		if l.fold {
			w.fold = 1
		}
		out.blob = append(out.blob, l.text...)
		out.conds = append(out.conds, l.conds...)
		w.end, w.conds.end = uint32(len(out.blob)), uint32(len(out.conds))
		out.words = append(out.words, w)
		i := x.tierOf(l.text)
		byTier[i] = append(byTier[i], uint32(n))
	}
	padded := append(out.blob, make([]byte, 8)...)
	shapes := tierShapes()
	for i, words := range byTier {
		if len(words) == 0 {
			continue
		}
		t := &shapes[i]
		if !x.always[i] {
			t.gate = 1 << i
		}
		p := planter{tier: t, words: out.words, text: padded, keep: x.keep, flat: x.off&offMarks != 0}
		p.plant(cover(t, words, out.words, padded, rare))
		out.tiers = append(out.tiers, *t)
	}
	return out
}

// power returns the least power of two that is at least n, and least.
func power(n, least int) int { return 1 << bits.Len(uint(max(n, least)-1)) }
