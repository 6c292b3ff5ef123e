package collector

import (
	"encoding/binary"

	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// filter finds where a secret is announced. Nearly all texts announce none, so this is what redaction costs.
//
// A mark (password, AKIA, @) is looked for by four of its bytes, its anchor. The anchors are in eight buckets; which of them may begin at a place is told by
// package teddy or, where the processor can't do that, by [pairs]. What is left then, a few places in a thousand, is looked up in a table of the anchors, and
// the mark is compared. Chance hits are possible before that, misses are not.
type filter struct {
	marks   []mark
	buckets [teddy.Buckets][]int // numbers of marks
	tables  teddy.Tables
	pairs   *pairs                // nil where teddy is used
	heads   [1 << headBits]uint16 // the first anchor of four bytes of a hash, plus one
	firsts  [256]uint16           // the first anchor of a short mark with a first byte, plus one
	links   []link
}

// headBits makes the table so large that nine of ten chance hits end at an empty head.
const headBits = 10

// link is an anchor, and the next one of its hash or first byte, plus one.
type link struct {
	anchor

	next uint16
}

// mark is a piece of text that announces a secret.
type mark struct {
	text string // in lower case when fold is set
	fold bool
	at   int // where in text its anchor begins; build chooses it
	rule rule
	own  uint64 // for a pattern of the owner: its bit
	body body   // for what follows a token's mark
}

// rule finds the secret that a mark at [start, end) of text announces, at or behind floor. from is negative when there is none. floor
// may be inside the mark, or right behind it.
type rule func(text []byte, m *mark, start, end, floor int) (from, to int)

// anchor is how a mark is looked for: (x|fold)&mask == want holds for the four bytes x, lowest first, that begin at its at. Behind the end of a short
// mark may be any bytes.
type anchor struct {
	want, mask, fold uint32
	mark             uint16
}

// placed is a mark that stands in a text.
type placed struct {
	start int
	at    int // where its anchor begins: they are found in this order
	mark  uint16
}

// add takes a mark of at least one byte. When all are added, they are built.
func (f *filter) add(m mark) { f.marks = append(f.marks, m) }

// appendPlaced appends the marks that stand in text, in the order of their anchors. places is memory that it may use, and returns.
func (f *filter) appendPlaced(dst []placed, places []uint32, text []byte) ([]placed, []uint32) {
	if places = f.appendPlaces(places[:0], text); len(places) > 0 {
		dst = f.compare(dst, places, text)
	}
	return dst, places
}

// appendPlaces appends the places where an anchor may begin, each once and in their order.
func (f *filter) appendPlaces(dst []uint32, text []byte) []uint32 {
	if f.pairs != nil {
		return f.pairs.appendPlaces(dst, text)
	}
	blocks := teddy.Blocks(0, len(text))
	dst = f.tables.AppendPlaces(dst, text, 0, blocks)
	// The rest is copied to where there is something behind it to read.
	var rest [2*teddy.Block + teddy.Run]byte
	from := blocks * teddy.Block
	n, before := copy(rest[:], text[from:]), len(dst)
	dst = f.tables.AppendPlaces(dst, rest[:], 0, (n+teddy.Block-1)/teddy.Block)
	for i := before; i < len(dst); i++ {
		if dst[i] += uint32(from); int(dst[i]) >= len(text) {
			return dst[:i]
		}
	}
	return dst
}

// compare appends the marks that do stand where one may.
func (f *filter) compare(dst []placed, places []uint32, text []byte) []placed {
	for _, p := range places {
		x := load4(text, int(p))
		if i := f.firsts[byte(x)]; i != 0 {
			dst = f.follow(dst, i, x, text, int(p))
		}
		if i := f.heads[headOf(x)]; i != 0 {
			dst = f.follow(dst, i, x, text, int(p))
		}
	}
	return dst
}

// follow appends the marks of a chain of links that stand in text with their anchors at p, where the bytes x are.
func (f *filter) follow(dst []placed, i uint16, x uint32, text []byte, p int) []placed {
	for i != 0 {
		a := &f.links[i-1]
		i = a.next
		if (x|a.fold)&a.mask != a.want {
			continue
		}
		if m := &f.marks[a.mark]; m.stands(text, p-m.at) {
			dst = append(dst, placed{p - m.at, p, a.mark})
		}
	}
	return dst
}

// headOf hashes four bytes, the cases of letters alike.
func headOf(x uint32) uint32 { return (x | 0x20202020) * 0x9e3779b1 >> (32 - headBits) }

// load4 reads four bytes; what is behind the end is 0.
func load4(text []byte, i int) uint32 {
	if i+4 <= len(text) {
		return binary.LittleEndian.Uint32(text[i:])
	}
	var rest [4]byte
	copy(rest[:], text[i:])
	return binary.LittleEndian.Uint32(rest[:])
}

// stands reports whether the mark stands at a place of text, which may be before its beginning. A short mark of a token must have something of the
// token behind it.
func (m *mark) stands(text []byte, start int) bool {
	if start < 0 || len(text)-start < len(m.text) {
		return false
	}
	for k := range len(m.text) {
		c := text[start+k]
		if m.fold && c-'A' <= 'Z'-'A' {
			c |= 0x20
		}
		if c != m.text[k] {
			return false
		}
	}
	for k := start + len(m.text); k <= start+teddy.Run && m.body.is != nil; k++ {
		if k == len(text) || !m.body.is(text[k]) {
			return false
		}
	}
	return true
}
