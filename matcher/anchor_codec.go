package matcher

import "slices"

func (x *textIndex) appendTo(w *flatWriter) {
	putSlice(w, x.blob)
	putSlice(w, x.words)
	putSlice(w, x.conds)
	w.putNumber(uint64(len(x.tiers)))
	for i := range x.tiers {
		t := &x.tiers[i]
		w.putNumber(uint64(t.shape))
		w.putNumber(uint64(t.gate))
		putSlice(w, t.bitmap)
		putSlice(w, t.slots)
		putSlice(w, t.nodes)
		putSlice(w, t.refs)
		putSlice(w, t.marks)
		putSlice(w, t.edges)
		putSlice(w, t.edgeIn)
	}
}

func (x *textIndex) read(r *flatReader, conditions uint32) {
	x.blob, x.words, x.conds = getSlice[byte](r), getSlice[word](r), getSlice[uint32](r)
	r.check(!slices.ContainsFunc(x.conds, func(c uint32) bool { return c >= conditions }), "a literal leads to no condition")
	r.check(!slices.ContainsFunc(x.words, func(w word) bool {
		return !inside(w.start, w.end, len(x.blob)) || !inside(w.conds.first, w.conds.end, len(x.conds)) || w.conds.first == w.conds.end
	}), "a literal lies outside, or leads to no condition")
	count := r.number()
	r.check(count <= tiers, "there are too many tiers")
	for range count {
		if r.err != nil {
			return
		}
		x.tiers = append(x.tiers, readTier(r, x.words))
	}
}

// inside reports whether a range lies in a table of n elements.
func inside(first, end uint32, n int) bool { return first <= end && uint64(end) <= uint64(n) }

func readTier(r *flatReader, words []word) (t tier) {
	number := r.number()
	if r.check(number < tiers, "there is no such tier"); r.err != nil {
		return t
	}
	shapes := tierShapes()
	t = shapes[number]
	t.gate = uint8(r.number())
	t.bitmap, t.slots, t.nodes = getSlice[uint64](r), getSlice[slot](r), getSlice[node](r)
	t.refs, t.marks, t.edges, t.edgeIn = getSlice[ref](r), getSlice[mark](r), getSlice[edge](r), getSlice[uint64](r)
	size := len(t.bitmap) * 64
	r.check(size >= minBitmap && isPower(size), "a bitmap has a wrong size")
	t.shift = uint(64 - log2(size))
	leads := func(to target) bool {
		return to.isRef() && int(to.number()) < len(t.refs) || !to.isRef() && int(to.number()) < len(t.nodes)
	}
	r.check(isPower(len(t.slots)) && slices.ContainsFunc(t.slots, func(s slot) bool { return s.to == 0 }) &&
		!slices.ContainsFunc(t.slots, func(s slot) bool { return s.to != 0 && (s.to>>2 == 0 || !leads(target(s.to>>2-1))) }), "the table of windows is not sound")
	r.check(len(t.edges) == 0 || isPower(len(t.edges)) && isPower(len(t.edgeIn)) && slices.ContainsFunc(t.edges, func(e edge) bool { return e.to == 0 }) &&
		!slices.ContainsFunc(t.edges, func(e edge) bool { return e.to != 0 && !leads(target(e.to-1)) }), "the table of marks is not sound")
	r.check(!slices.ContainsFunc(t.nodes, func(n node) bool {
		return !inside(n.refs, n.refsEnd, len(t.refs)) || !inside(n.marks, n.marksEnd, len(t.marks))
	}), "a run leads outside")
	r.check(!slices.ContainsFunc(t.refs, func(f ref) bool {
		return uint64(f.word) >= uint64(len(words)) || uint64(f.offset)+uint64(t.run()) > uint64(words[f.word].end-words[f.word].start)
	}), "a run leads to no literal")
	r.check(!slices.ContainsFunc(t.marks, func(m mark) bool { return m.bytes != 4 && m.bytes != 8 }), "a mark is not sound")
	return t
}

func isPower(n int) bool { return n > 0 && n&(n-1) == 0 }

func (x *patternIndex) appendTo(w *flatWriter) {
	putSlice(w, x.steps)
	putSlice(w, x.patterns)
	w.putNumber(uint64(x.groups))
}

func (x *patternIndex) read(r *flatReader, conditions uint32) {
	x.steps, x.patterns = getGrowing[patternStep](r), getGrowing[pattern](r)
	groups := r.number()
	r.check(groups <= uint64(conditions)+1, "there are too many groups")
	x.groups = uint32(groups)
	inSteps := func(n uint32) bool { return uint64(n) < uint64(len(x.steps)) }
	r.check(!slices.ContainsFunc(x.steps, func(s patternStep) bool {
		return s.kind > stepFail || !inSteps(s.out) || s.kind == stepFork && !inSteps(s.other) || uint64(s.number) >= uint64(len(x.patterns))
	}), "a step leads outside")
	for i := range x.patterns {
		p := &x.patterns[i]
		r.check(inSteps(p.start) && p.cond < conditions && p.group < x.groups, "an expression leads outside")
		if p.group == unscoped {
			x.everywhere++
		}
	}
}
