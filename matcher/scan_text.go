package matcher

import (
	"encoding/binary"
	"slices"
)

// blockSize is how much text all tiers go over before the next: it stays in the second-level cache for all of them, and the look-ups of
// a block are many enough to overlap.
const blockSize = 64 << 10

// near is longer than any literal of the wide tier: what makes it wide may lie outside of the block in which it is found.
const near = 16

// textScan is the part of a scratch that a textIndex needs.
type textScan struct {
	positions []uint32
	visits    []visit
	seen      [textParts][]uint64 // for each literal of each part the last record that it was found in, counted from base
	base      uint64
}

// textParts are the indexes that a program may have: of the literals that were compiled, and of those that were added since.
const textParts = 1 + len(additions{}.text)

// textPass is one look at the windows of a text for a tier of all parts. Were each part looked for by itself, a single word that was added
// would make the scan half as fast.
type textPass struct {
	tier  // its bitmap has the windows of all parts; of tables it has none
	parts []textPart
	teddy *teddy // in place of the bitmap, where it is faster
}

type textPart struct {
	index  *textIndex
	tier   *tier
	number int // in textScan.seen
}

// passesOf returns the passes over the indexes. It reads them only.
func passesOf(indexes [textParts]*textIndex) (passes []textPass) {
	for shape := range tiers {
		var p textPass
		for number, x := range indexes {
			for i := range x.tiers {
				if t := &x.tiers[i]; int(t.shape) == shape {
					p.join(t)
					p.parts = append(p.parts, textPart{x, t, number})
				}
			}
		}
		if len(p.parts) == 1 {
			p.teddy = newTeddy(p.parts[0].index, p.parts[0].tier)
		}
		if len(p.parts) > 0 {
			passes = append(passes, p)
		}
	}
	return passes
}

// join adds the windows of a tier.
func (p *textPass) join(t *tier) {
	if len(p.parts) == 0 {
		p.tier = tier{shape: t.shape, window: t.window, stride: t.stride, wide: t.wide, gate: t.gate, shift: t.shift, bitmap: t.bitmap}
		return
	}
	p.gate &= t.gate // it is 0 where each batch needs the tier
	p.bitmap = slices.Clone(p.bitmap)
	for _, h := range t.windows {
		p.bitmap[h>>p.shift>>6] |= 1 << (h >> p.shift & 63)
	}
}

// visit is what the text led to.
type visit struct {
	to  target
	run int32 // where the run begins
}

// findLiterals appends to s.candidates each pair of a record and a condition whose literal is in the record's text.
func (p *Program) findLiterals(text []byte, ends []uint32, s *Scratch) {
	if len(p.passes) == 0 || len(text) == 0 {
		return
	}
	const padding = 8
	if cap(text)-len(text) < padding { // batches promise it; texts from elsewhere may not have it
		text = slices.Grow(text, padding)
	}
	padded := text[:len(text)+padding]
	for from := 0; from < len(text); from += blockSize {
		for i := range p.passes {
			t := &p.passes[i]
			if t.gate != 0 && s.gates&t.gate == 0 || t.wide != 0 && isASCII(text[max(0, from-near):min(from+blockSize+near, len(text))]) {
				continue
			}
			to := min(from+blockSize, len(text)-t.window+1)
			if to <= from {
				continue
			}
			if s.text.positions = s.text.positions[:0]; t.teddy != nil {
				s.text.positions = t.teddy.scan(&t.tier, s.text.positions, padded, from, to)
			} else {
				s.text.positions = t.appendPositions(s.text.positions, padded, from, to)
			}
			if len(s.text.positions) == 0 {
				continue
			}
			for _, part := range t.parts {
				part.tier.follow(padded, &s.text)
				part.compare(padded, ends, s)
			}
		}
	}
}

// follow turns the positions into visits of nodes. It goes over them in lists, so that the look-ups, most of which miss the cache,
// overlap.
func (t *tier) follow(text []byte, s *textScan) {
	s.visits = s.visits[:0]
	mask, slots := uint64(len(t.slots)-1), t.slots
	windowMask := t.mask()
	for _, p := range s.positions {
		h := hashWindow(load8(text, int(p)) & windowMask)
		for i := h >> 32 & mask; slots[i].to != 0; i = (i + 1) & mask {
			if slots[i].tag == tagOf(h) {
				s.visits = append(s.visits, visit{target(slots[i].to>>2 - 1), int32(p) - int32(slots[i].to&3)})
			}
		}
	}
	if len(t.edges) == 0 {
		return
	}
	for i := 0; i < len(s.visits); i++ { // the list grows
		if v := s.visits[i]; !v.to.isRef() {
			t.branch(v, text, s)
		}
	}
}

// branch follows the marks of a node.
func (t *tier) branch(v visit, text []byte, s *textScan) {
	mask := uint64(len(t.edges) - 1)
	n := &t.nodes[v.to.number()]
	for m := n.marks; m < n.marksEnd; m++ {
		at := int(v.run) + int(t.marks[m].at)
		if at < 0 || at > len(text)-8 {
			continue
		}
		h := hashMark(m, load8(text, at)&maskOf(int(t.marks[m].bytes)))
		if !t.hasEdge(h) {
			continue
		}
		for k := h & mask; t.edges[k].to != 0; k = (k + 1) & mask {
			if t.edges[k].tag != uint32(h>>32) {
				continue
			}
			// A node's marks come after those that lead to it: a forged index, or a chance tag, must not lead in a circle.
			if to := target(t.edges[k].to - 1); to.isRef() || t.nodes[to.number()].marks > m {
				s.visits = append(s.visits, visit{to, v.run})
			}
		}
	}
}

// compare compares the literals that the visits lead to with the text.
func (p *textPart) compare(text []byte, ends []uint32, s *Scratch) {
	x, t := p.index, p.tier
	mask := t.checkMask()
	for _, v := range s.text.visits {
		first := v.to.number()
		end := first + 1
		if !v.to.isRef() {
			n := &t.nodes[first]
			first, end = n.refs, n.refsEnd
		}
		for i := first; i < end; i++ {
			r := &t.refs[i]
			q := int(v.run) + int(r.at)
			if q < 0 || q+4 > len(text) || (binary.LittleEndian.Uint32(text[q:])|foldMask32)&mask != r.check {
				continue
			}
			from := int(v.run) - int(r.offset)
			w := &x.words[r.word]
			if end := from + int(w.end-w.start); from < 0 || end > len(text) || !x.is(w, text[from:end]) {
				continue
			}
			p.found(r.word, from, ends, s)
		}
	}
}

// found adds the candidates of a literal that stands at from, if it lies inside one record.
func (p *textPart) found(number uint32, from int, ends []uint32, s *Scratch) {
	w := &p.index.words[number]
	rec := search(ends, uint32(from))
	if rec == len(ends) || from+int(w.end-w.start) > int(ends[rec]) {
		return
	}
	now := s.text.base + uint64(rec)
	seen := &s.text.seen[p.number][number]
	if *seen == now {
		return
	}
	*seen = now
	for _, c := range p.index.conds[w.conds.first:w.conds.end] {
		s.candidates = append(s.candidates, uint64(rec)<<32|uint64(c))
	}
}

// is compares a literal with a text of its length.
func (x *textIndex) is(w *word, text []byte) bool {
	if w.fold != 0 {
		return equalFold(text, viewString(x.text(w)))
	}
	return string(text) == string(x.text(w))
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
