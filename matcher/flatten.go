package matcher

import (
	"errors"
	"math"
	"slices"
)

// flattener lays expressions out at the end of a program's tables. It shares words and matches that it has met before.
type flattener struct {
	tests
	word  map[string]uint32 // the number of each word
	equal map[uint32]uint32 // the match that is nothing but equality with a word
	regex map[string]uint32
}

// errTooLarge is met when a table outgrows its numbers, at some hundred million conditions.
var errTooLarge = errors.New("the set of signatures is too large for one program")

func newFlattener(t tests) flattener {
	return flattener{tests: t, word: map[string]uint32{}, equal: map[uint32]uint32{}, regex: map[string]uint32{}}
}

// add lays e out and returns the number of its node.
func (f *flattener) add(e *expr) uint32 {
	at := uint32(len(f.nodes))
	f.nodes = append(f.nodes, testNode{op: e.op})
	n := testNode{op: e.op}
	switch e.op {
	case opKind:
		n.kind = e.kind
	case opAttr:
		n.a, n.b = f.addWord(e.key), f.addMatch(e.match)
		if e.absentOK {
			n.absentOK = 1
		}
	case opPath:
		n.a = f.addWord(e.key)
	case opValue:
		n.a = f.addLimits(e.above, e.below)
	case opText:
		n.a = uint32(len(f.literals))
		for _, l := range e.literals {
			w := f.words[f.addWord(l.Text)]
			ref := literalRef(w)
			if l.Fold {
				ref.size |= foldBit
			}
			f.literals = append(f.literals, ref)
		}
		n.b = uint32(len(f.literals))
	case opAny, opAll, opNot, opLine:
		for i := range e.kids {
			f.add(&e.kids[i])
		}
	case opField:
		n.a = uint32(len(f.fields))
		t := fieldTest{name: f.addWord(e.key), match: none, limit: none}
		if e.match != nil {
			t.match = f.addMatch(e.match)
		}
		if e.above != nil || e.below != nil {
			t.limit = f.addLimits(e.above, e.below)
		}
		f.fields = append(f.fields, t)
	case opRegex:
		n.a = f.addRegex(e.key)
	case opJQ:
		n.a = f.jqs.add(e.key)
	case opCEL:
		n.a = f.cels.add(e.key)
	}
	n.end = uint32(len(f.nodes))
	f.nodes[at] = n
	return at
}

func (f *flattener) addWord(w string) uint32 {
	if n, ok := f.word[w]; ok {
		return n
	}
	n := uint32(len(f.words))
	f.words = append(f.words, wordRef{uint32(len(f.bytes)), uint32(len(w))})
	f.bytes = append(f.bytes, w...)
	f.word[w] = n
	return n
}

func (f *flattener) addRegex(text string) uint32 {
	if n, ok := f.regex[text]; ok {
		return n
	}
	n := f.regexes.add(text)
	f.regex[text] = n
	return n
}

func (f *flattener) addMatch(m *match) uint32 {
	words := slices.Concat(m.equals, m.not, m.contains, m.prefix, m.suffix)
	simple := len(words) == 1 && len(m.equals) == 1 && m.regex == "" && !m.fold
	if simple {
		if n, ok := f.equal[f.addWord(words[0])]; ok {
			return n
		}
	}
	n := uint32(len(f.matchers))
	x := matcher{
		first: uint32(len(f.lists)), equals: uint32(len(m.equals)), not: uint32(len(m.not)), contains: uint32(len(m.contains)),
		prefix: uint32(len(m.prefix)), suffix: uint32(len(m.suffix)), regex: none,
	}
	for _, w := range words {
		f.lists = append(f.lists, f.addWord(w))
	}
	if m.regex != "" {
		x.regex = f.addRegex(m.regex)
	}
	if m.fold {
		x.fold = 1
	}
	f.matchers = append(f.matchers, x)
	if simple {
		f.equal[f.addWord(words[0])] = n
	}
	return n
}

func (f *flattener) addLimits(above, below *float64) uint32 {
	var l limitPair
	if above != nil {
		l.above, l.hasAbove = *above, 1
	}
	if below != nil {
		l.below, l.hasBelow = *below, 1
	}
	f.limits = append(f.limits, l)
	return uint32(len(f.limits) - 1)
}

// full reports whether a table is about to outgrow its numbers. One condition is far smaller than the room that this leaves.
func (f *flattener) full() bool {
	const room = 1 << 26
	return len(f.bytes) > math.MaxUint32-room || len(f.nodes) > math.MaxUint32-room || f.regexes.full(room)
}
