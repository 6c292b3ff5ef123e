package matcher

import (
	"slices"

	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// blockSize is how much text all tiers go over before the next: it stays in the second-level cache for all of them, and the look-ups of
// a block are many enough to overlap.
const blockSize = 64 << 10

// padding is how many bytes behind a text are readable.
const padding = 8

// near is longer than any literal of the wide tier: what makes it wide may lie outside of the block in which it is found.
const near = 16

// textScan is the part of a scratch that a textIndex needs.
type textScan struct {
	positions []uint32
	hashes    []uint64 // of the windows at the positions
	visits    []visit
	looks     []look
	stands    []stand
	read      uint32              // what was read ahead of its use, so that it is read
	seen      [textParts][]uint64 // for each literal of each part the last record that it was found in, counted from base
	base      uint64
}

// textParts are the indexes that a program may have: of the literals that were compiled, and of those that were added since.
const textParts = 1 + len(additions{}.text)

// textPass is one look at the windows of a text for a tier of all parts. Were each part looked for by itself, a single word that was added
// would make the scan half as fast.
type textPass struct {
	tier   // its bitmap has the windows of all parts; of tables it has none
	parts  []textPart
	teddy  *teddy.Tables // in place of the bitmap, where it is faster
	gather bool          // windows are looked up eight at a time
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

// look is a look at a mark.
type look struct {
	hash uint64
	mark uint32
	run  int32
}

// stand is a word that probably stands in the text.
type stand struct{ word, from uint32 }

// findLiterals appends to s.candidates each pair of a record and a condition whose literal is in the record's text.
func (p *Program) findLiterals(text []byte, ends []uint32, s *Scratch) {
	if len(p.passes) == 0 || len(text) == 0 {
		return
	}
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
				s.text.positions = t.scanVector(t.teddy, s.text.positions, padded, from, to)
			} else {
				s.text.positions = t.appendPositions(s.text.positions, padded, from, to, t.gather)
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

// follow turns the positions into visits of nodes. Most look-ups miss the cache, so it goes over lists, again and again: each time it reads
// what the next time will need, so that the misses of many come together.
func (t *tier) follow(text []byte, s *textScan) {
	s.visits, s.hashes = s.visits[:0], s.hashes[:0]
	mask, slots := uint64(len(t.slots)-1), t.slots
	windowMask := t.mask()
	var read uint32
	for _, p := range s.positions {
		h := hashWindow(load8(text, int(p)) & windowMask)
		s.hashes = append(s.hashes, h)
		read += slots[h>>32&mask].tag
	}
	for i, p := range s.positions {
		h := s.hashes[i]
		for i := h >> 32 & mask; slots[i].to != 0; i = (i + 1) & mask {
			if slots[i].tag == tagOf(h) {
				s.visits = append(s.visits, visit{target(slots[i].to>>2 - 1), int32(p) - int32(slots[i].to&3)})
			}
		}
	}
	for from := 0; from < len(s.visits); { // the list grows
		some := s.visits[from:]
		from = len(s.visits)
		for _, v := range some {
			if v.to.isRef() {
				read += t.refs[v.to.number()].check
			} else {
				read += t.nodes[v.to.number()].marks
			}
		}
		if len(t.edges) > 0 {
			read += t.branch(some, text, s)
		}
	}
	s.read = read
}

// branch follows the marks of nodes.
func (t *tier) branch(visits []visit, text []byte, s *textScan) (read uint32) {
	s.looks = s.looks[:0]
	for _, v := range visits {
		if v.to.isRef() {
			continue
		}
		n := &t.nodes[v.to.number()]
		for m := n.marks; m < n.marksEnd; m++ {
			at := int(v.run) + int(t.marks[m].at)
			if at < 0 || at > len(text)-8 {
				continue
			}
			h := hashMark(m, load8(text, at)&maskOf(int(t.marks[m].bytes)))
			read += uint32(t.edgeIn[h>>32&uint64(64*len(t.edgeIn)-1)>>6])
			s.looks = append(s.looks, look{h, m, v.run})
		}
	}
	mask := uint64(len(t.edges) - 1)
	likely := s.looks[:0]
	for _, l := range s.looks {
		if t.hasEdge(l.hash) {
			read += t.edges[l.hash&mask].tag
			likely = append(likely, l)
		}
	}
	for _, l := range likely {
		for k := l.hash & mask; t.edges[k].to != 0; k = (k + 1) & mask {
			if t.edges[k].tag != uint32(l.hash>>32) {
				continue
			}
			// A node's marks come after those that lead to it: a forged index, or a chance tag, must not lead in a circle.
			if to := target(t.edges[k].to - 1); to.isRef() || t.nodes[to.number()].marks > l.mark {
				s.visits = append(s.visits, visit{to, l.run})
			}
		}
	}
	return read
}

// compare compares the literals that the visits lead to with the text.
func (p *textPart) compare(text []byte, ends []uint32, s *Scratch) {
	x, t := p.index, p.tier
	checked := t.checked()
	s.text.stands = s.text.stands[:0]
	var read uint32
	for _, v := range s.text.visits {
		first := v.to.number()
		end := first + 1
		if !v.to.isRef() {
			n := &t.nodes[first]
			first, end = n.refs, n.refsEnd
		}
		for i := first; i < end; i++ {
			r := &t.refs[i]
			from := int(v.run) - int(r.offset)
			end := from + int(r.size)
			if from < 0 || end > len(text)-padding || int(r.size) < checked || checkOf(text, from, end, checked) != r.check {
				continue
			}
			read += x.words[r.word].start
			s.text.stands = append(s.text.stands, stand{r.word, uint32(from)})
		}
	}
	for _, m := range s.text.stands {
		w := &x.words[m.word]
		read += uint32(x.blob[w.start]) + x.conds[w.conds.first] + uint32(s.text.seen[p.number][m.word])
	}
	s.text.read = read
	for _, m := range s.text.stands {
		w := &x.words[m.word]
		from := int(m.from)
		if end := from + int(w.end-w.start); end <= len(text) && x.is(w, text[from:end]) {
			p.found(m.word, from, ends, s)
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
