package matcher

import (
	"maps"
	"slices"
)

const (
	maxDirect = 6   // literals of a node that are compared one after the other
	maxMarks  = 6   // of a node: each is a look-up whenever the node is met
	maxReach  = 120 // bytes from a run to a mark
	maxDepth  = 6
)

// planter builds the tables of a tier.
type planter struct {
	tier  *tier
	words []word
	text  []byte // their texts, with padding
	edges map[uint64]target
	keep  bool // the hashes of windows
	flat  bool // no marks
}

// plant makes a node for each bunch, and what leads there.
func (p *planter) plant(bunches []bunch) {
	t := p.tier
	p.edges = map[uint64]target{}
	windows := make([]entry, 0, len(bunches)*t.stride)
	for i := range bunches {
		b := &bunches[i]
		to := p.target(b.refs)
		at := int(p.words[b.word].start + b.offset)
		for d := range t.stride {
			windows = append(windows, entry{hashWindow(t.windowAt(p.text, at+d)), uint32(to+1)<<2 | uint32(d)})
		}
		if !to.isRef() {
			p.grow(to.number(), b.refs, nil)
		}
	}
	p.tables(windows)
}

// target makes a ref of one literal, and an empty node for more.
func (p *planter) target(refs []site) target {
	t := p.tier
	if len(refs) == 1 {
		t.refs = append(t.refs, p.ref(refs[0]))
		return toRef(uint32(len(t.refs) - 1))
	}
	t.nodes = append(t.nodes, node{})
	return toNode(uint32(len(t.nodes) - 1))
}

// entry is a window by its hash, and where it leads to.
type entry struct {
	hash uint64
	to   uint32
}

// tables fills the open-addressed tables.
func (p *planter) tables(windows []entry) {
	t := p.tier
	size := power(min(bitsPerWindow*len(windows), maxBitmap), minBitmap)
	t.bitmap = make([]uint64, size/64)
	t.shift = uint(64 - log2(size))
	t.slots = make([]slot, power(2*len(windows), 4))
	for _, w := range windows {
		if p.keep {
			t.windows = append(t.windows, w.hash)
		}
		t.bitmap[w.hash>>t.shift>>6] |= 1 << (w.hash >> t.shift & 63)
		i := w.hash >> 32 & uint64(len(t.slots)-1)
		for t.slots[i].to != 0 {
			i = (i + 1) & uint64(len(t.slots)-1)
		}
		t.slots[i] = slot{tagOf(w.hash), w.to}
	}
	if len(p.edges) == 0 {
		return
	}
	t.edges = make([]edge, power(2*len(p.edges), 4))
	t.edgeIn = make([]uint64, power(edgeBits*len(p.edges), 64)/64)
	mask := uint64(len(t.edges) - 1)
	for _, h := range slices.Sorted(maps.Keys(p.edges)) {
		b := h >> 32 & uint64(64*len(t.edgeIn)-1)
		t.edgeIn[b>>6] |= 1 << (b & 63)
		i := h & mask
		for t.edges[i].to != 0 {
			i = (i + 1) & mask
		}
		t.edges[i] = edge{uint32(h >> 32), uint32(p.edges[h] + 1)}
	}
}

func log2(power int) int {
	n := 0
	for 1<<n < power {
		n++
	}
	return n
}

// grow gives the node its literals: a few directly, many by what stands around the run. used are the marks that led here.
func (p *planter) grow(n uint32, refs []site, used []mark) {
	t := p.tier
	var direct []site
	if len(refs) <= maxDirect || len(used) >= maxDepth || p.flat {
		direct, refs = refs, nil
	}
	var marks []mark
	var groups []map[uint64][]site
	for len(refs) > 0 && len(marks) < maxMarks {
		m, split := p.best(refs, used)
		if len(split) == 0 {
			break
		}
		marks, groups = append(marks, m), append(groups, split)
		refs = slices.DeleteFunc(slices.Clone(refs), func(r site) bool { _, ok := p.at(r, m); return ok })
	}
	direct = append(slices.Clip(direct), refs...)
	number := uint32(len(t.marks))
	t.marks = append(t.marks, marks...)
	t.nodes[n].marks, t.nodes[n].marksEnd = number, uint32(len(t.marks))
	type branch struct {
		kids []site
		mark mark
		node uint32
	}
	var branches []branch
	for i, split := range groups {
		for _, text := range slices.Sorted(maps.Keys(split)) {
			h := hashMark(number+uint32(i), text)
			if _, taken := p.edges[h]; taken { // two texts of one hash cannot both lead on
				direct = append(direct, split[text]...)
				continue
			}
			p.edges[h] = p.target(split[text])
			if !p.edges[h].isRef() {
				branches = append(branches, branch{split[text], marks[i], p.edges[h].number()})
			}
		}
	}
	t.nodes[n].refs = uint32(len(t.refs))
	for _, r := range direct {
		t.refs = append(t.refs, p.ref(r))
	}
	t.nodes[n].refsEnd = uint32(len(t.refs))
	for _, b := range branches {
		p.grow(b.node, b.kids, append(slices.Clip(used), b.mark))
	}
}

// ref makes the ref of a literal.
func (p *planter) ref(r site) ref {
	w := &p.words[r.word]
	return ref{word: r.word, offset: r.offset, size: w.end - w.start, check: checkOf(p.text, int(w.start), int(w.end), p.tier.checked())}
}

// at returns the folded bytes of a literal at a mark, if it has them.
func (p *planter) at(r site, m mark) (bytes uint64, ok bool) {
	w := &p.words[r.word]
	from := int(r.offset) + int(m.at)
	if from < 0 || from+int(m.bytes) > int(w.end-w.start) {
		return 0, false
	}
	return load8(p.text, int(w.start)+from) & maskOf(int(m.bytes)), true
}

// best returns the mark that divides the literals into the most groups, and the groups. It is none when nothing divides them.
func (p *planter) best(refs []site, used []mark) (mark, map[uint64][]site) {
	var best mark
	most := 0
	seen := map[uint64]struct{}{}
	sample := refs
	if len(sample) > maxSampled {
		sample = make([]site, maxSampled)
		for i := range sample {
			sample[i] = refs[i*len(refs)/maxSampled]
		}
	}
	for _, size := range [...]uint32{8, 4} {
		for at := int32(-maxReach); at <= maxReach; at++ {
			m := mark{at, size}
			if slices.Contains(used, m) || at >= 0 && int(at)+int(size) <= p.tier.run() {
				continue
			}
			clear(seen)
			for _, r := range sample {
				if b, ok := p.at(r, m); ok {
					seen[b] = struct{}{}
				}
			}
			if len(seen) > most {
				best, most = m, len(seen)
			}
		}
	}
	if most < 2 {
		return mark{}, nil
	}
	groups := map[uint64][]site{}
	for _, r := range refs {
		if b, ok := p.at(r, best); ok {
			groups[b] = append(groups[b], r)
		}
	}
	return best, groups
}

// maxSampled is how many literals of a node are looked at when its marks are chosen.
const maxSampled = 256
