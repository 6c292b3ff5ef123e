package matcher

import (
	"math/bits"
	"slices"
)

// flatWord is a literal of the text's index.
type flatWord struct{ start, size, first, end uint32 }

func (x *textIndex) appendTo(w *flatWriter) {
	var text []byte
	words := make([]flatWord, len(x.words))
	for i := range x.words {
		from := &x.words[i]
		words[i] = flatWord{uint32(len(text)), uint32(len(from.text)), from.conds.first, from.conds.end}
		if from.fold {
			words[i].size |= foldBit
		}
		text = append(text, from.text...)
	}
	putSlice(w, text)
	putSlice(w, words)
	putSlice(w, x.conds)
	w.putNumber(uint64(len(x.tiers)))
	for i := range x.tiers {
		t := &x.tiers[i]
		w.putNumber(uint64(slices.IndexFunc(allShapes(), func(s tier) bool { return s.window == t.window && s.stride == t.stride })))
		w.putNumber(uint64(t.gate))
		putSlice(w, t.bitmap)
		putSlice(w, t.slots)
		putSlice(w, t.refs)
	}
}

func allShapes() []tier {
	s := tierShapes()
	return s[:]
}

func (x *textIndex) read(r *flatReader, conditions uint32) {
	text := getSlice[byte](r)
	words := getSlice[flatWord](r)
	x.conds = getSlice[uint32](r)
	r.check(!slices.ContainsFunc(x.conds, func(c uint32) bool { return c >= conditions }), "a literal leads to no condition")
	if r.err == nil {
		x.words = make([]word, 0, len(words))
	}
	for _, from := range words {
		size := from.size &^ foldBit
		if uint64(from.start)+uint64(size) > uint64(len(text)) || from.first > from.end || uint64(from.end) > uint64(len(x.conds)) {
			r.fail("a literal lies outside")
		}
		if r.err != nil {
			return
		}
		x.words = append(x.words, word{viewString(text[from.start : from.start+size]), from.size&foldBit != 0, condSet{from.first, from.end}})
	}
	count := r.number()
	r.check(count <= tiers, "there are too many tiers")
	for range count {
		if r.err != nil {
			return
		}
		x.tiers = append(x.tiers, readTier(r, len(x.words)))
	}
}

func readTier(r *flatReader, words int) (t tier) {
	number := r.number()
	if r.check(number < tiers, "there is no such tier"); r.err != nil {
		return t
	}
	t = allShapes()[number]
	t.gate = uint8(r.number())
	t.bitmap, t.slots, t.refs = getSlice[uint64](r), getSlice[slot](r), getSlice[ref](r)
	size := len(t.bitmap) * 64
	r.check(size >= minBitmap && size&(size-1) == 0, "a bitmap has a wrong size")
	t.shift = uint(64 - bits.Len(uint(size-1)))
	free := false
	for i := range t.slots {
		s := &t.slots[i]
		free = free || s.first == s.end
		r.check(s.first <= s.end && uint64(s.end) <= uint64(len(t.refs)), "a window leads outside")
	}
	r.check(free && len(t.slots)&(len(t.slots)-1) == 0, "the table of windows is not sound")
	r.check(!slices.ContainsFunc(t.refs, func(f ref) bool { return uint64(f.word) >= uint64(words) }), "a window leads to no literal")
	return t
}

// flatStep is a patternStep.
type flatStep struct {
	ascii              [2]uint64
	out, other, number uint32
	kind               stepKind
	wide               uint8
	_                  [2]uint8
}

func (x *patternIndex) appendTo(w *flatWriter) {
	steps := make([]flatStep, len(x.steps))
	for i := range x.steps {
		s := &x.steps[i]
		steps[i] = flatStep{ascii: s.ascii, out: s.out, other: s.other, number: s.number, kind: s.kind}
		if s.wide {
			steps[i].wide = 1
		}
	}
	putSlice(w, steps)
	putSlice(w, x.starts)
	putSlice(w, x.begins)
	putSlice(w, x.conds)
	putSlice(w, x.class[:])
	putSlice(w, x.bytes)
}

func (x *patternIndex) read(r *flatReader, conditions uint32) {
	steps := getSlice[flatStep](r)
	x.starts, x.begins, x.conds = getSlice[uint32](r), getSlice[uint32](r), getSlice[uint32](r)
	class := getSlice[uint8](r)
	x.bytes = getSlice[byte](r)
	x.classes = len(x.bytes)
	for _, s := range steps {
		x.steps = append(x.steps, patternStep{kind: s.kind, ascii: s.ascii, wide: s.wide != 0, out: s.out, other: s.other, number: s.number})
		inSteps := func(n uint32) bool { return uint64(n) < uint64(len(steps)) }
		r.check(s.kind <= stepFail && inSteps(s.out) && inSteps(s.other) && (s.kind != stepMatch || uint64(s.number) < uint64(len(x.conds))), "a step leads outside")
	}
	r.check(len(class) == len(x.class) && len(x.bytes) <= len(x.class), "the classes of bytes are not sound")
	if r.err != nil {
		return
	}
	copy(x.class[:], class)
	outside := func(n uint32) bool { return uint64(n) >= uint64(len(steps)) }
	r.check(!slices.ContainsFunc(x.starts, outside) && !slices.ContainsFunc(x.begins, outside), "a step is not there")
	r.check(!slices.ContainsFunc(x.conds, func(c uint32) bool { return c >= conditions }), "an expression leads to no condition")
	r.check(len(x.conds) == 0 || !slices.ContainsFunc(class, func(c uint8) bool { return int(c) >= len(x.bytes) }), "a class is not there")
}
