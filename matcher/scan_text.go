package matcher

import (
	"encoding/binary"
	"slices"
)

// blockSize is how much text all tiers go over before the next: it stays in the first-level cache for all of them.
const blockSize = 16 << 10

// near is longer than any literal of the wide tier: what makes it wide may lie outside of the block in which it is found.
const near = 16

// textScan is the part of a scratch that a textIndex needs.
type textScan struct {
	positions []uint32
	visits    []visit
	seen      []uint64 // for each literal the last record that it was found in, counted from base
	base      uint64
}

// visit is a node that the text led to.
type visit struct {
	node uint32
	run  int32 // where the run begins
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
			if t.gate != 0 && s.gates&t.gate == 0 || t.wide != 0 && isASCII(text[max(0, from-near):min(from+blockSize+near, len(text))]) {
				continue
			}
			to := min(from+blockSize, len(text)-t.window+1)
			if to <= from {
				continue
			}
			s.text.positions = t.appendPositions(s.text.positions[:0], padded, from, to)
			if len(s.text.positions) == 0 {
				continue
			}
			t.follow(padded, &s.text)
			x.compare(t, padded, ends, s)
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
				s.visits = append(s.visits, visit{slots[i].to>>2 - 1, int32(p) - int32(slots[i].to&3)})
			}
		}
	}
	if len(t.edges) == 0 {
		return
	}
	mask = uint64(len(t.edges) - 1)
	for i := 0; i < len(s.visits); i++ { // the list grows
		v := s.visits[i]
		n := &t.nodes[v.node]
		for m := n.marks; m < n.marksEnd; m++ {
			at := int(v.run) + int(t.marks[m].at)
			if at < 0 || at > len(text)-8 {
				continue
			}
			h := hashMark(m, load8(text, at)&maskOf(int(t.marks[m].bytes)))
			if !t.hasEdge(h) {
				continue
			}
			for k := h & mask; t.edges[k].node != 0; k = (k + 1) & mask {
				if t.edges[k].hash == h {
					if child := t.edges[k].node - 1; t.nodes[child].marks > m { // it always is, or a forged index could lead in a circle
						s.visits = append(s.visits, visit{child, v.run})
					}
					break
				}
			}
		}
	}
}

// compare compares the literals of the visited nodes with the text.
func (x *textIndex) compare(t *tier, text []byte, ends []uint32, s *Scratch) {
	mask := t.checkMask()
	for _, v := range s.text.visits {
		n := &t.nodes[v.node]
		for i := n.refs; i < n.refsEnd; i++ {
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
			x.found(r.word, from, ends, s)
		}
	}
}

// found adds the candidates of a literal that stands at from, if it lies inside one record.
func (x *textIndex) found(number uint32, from int, ends []uint32, s *Scratch) {
	w := &x.words[number]
	rec := search(ends, uint32(from))
	if rec == len(ends) || from+int(w.end-w.start) > int(ends[rec]) {
		return
	}
	now := s.text.base + uint64(rec)
	if s.text.seen[number] == now {
		return
	}
	s.text.seen[number] = now
	for _, c := range x.conds[w.conds.first:w.conds.end] {
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
