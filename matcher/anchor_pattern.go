package matcher

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// patternIndex finds, in one pass over a text, which of many expressions could match it. It serves conditions that have no
// literal to look for, only a component: on lines that do not say who wrote them each of those would have to be run.
//
// All expressions together are one automaton over bytes, which promises too much: \b, $ and the insides of characters beyond
// ASCII are left out. Its states are made when they are first met: see patternScan.
type patternIndex struct {
	steps   []patternStep
	starts  []uint32 // steps from which an expression can go on anywhere
	begins  []uint32 // and at the beginning of a text
	conds   []uint32 // the condition of each expression
	class   [256]uint8
	classes int
	bytes   []byte // one byte of each class
}

// patternStep is a place in an expression.
type patternStep struct {
	kind   stepKind
	ascii  [2]uint64 // stepByte: which bytes below 0x80 go on
	wide   bool      // stepByte: bytes of characters beyond ASCII go on
	out    uint32    // where to
	other  uint32    // stepFork: the other way
	number uint32    // stepMatch: which expression matches
}

type stepKind uint8

const (
	stepFork  stepKind = iota
	stepPass           // what takes no byte
	stepBegin          // only at the beginning of a text
	stepByte
	stepMatch
	stepFail
)

const (
	maxPatternSteps = 2000   // of one expression; a larger one is run on each line instead
	maxSteps        = 40_000 // of all together
)

// add adds the expressions, of which any is enough for the condition. It reports false, and adds nothing, when they are too large.
func (x *patternIndex) add(patterns []string, cond uint32) bool {
	before, conds := len(x.steps), len(x.conds)
	starts := len(x.begins)
	for _, p := range patterns {
		re, err := syntax.Parse(p, syntax.Perl)
		var prog *syntax.Prog
		if err == nil {
			prog, err = syntax.Compile(re.Simplify())
		}
		if err != nil || len(prog.Inst) > maxPatternSteps || len(x.steps)+len(prog.Inst) > maxSteps {
			x.steps, x.conds, x.begins = x.steps[:before], x.conds[:conds], x.begins[:starts]
			return false
		}
		base := uint32(len(x.steps))
		for i := range prog.Inst {
			x.steps = append(x.steps, newStep(&prog.Inst[i], base, uint32(len(x.conds))))
		}
		x.begins = append(x.begins, base+uint32(prog.Start))
		x.conds = append(x.conds, cond)
	}
	return true
}

func newStep(in *syntax.Inst, base, number uint32) patternStep {
	s := patternStep{out: in.Out + base, number: number}
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		s.kind, s.other = stepFork, in.Arg+base
	case syntax.InstCapture, syntax.InstNop:
		s.kind = stepPass
	case syntax.InstEmptyWidth:
		s.kind = stepPass
		if syntax.EmptyOp(in.Arg)&syntax.EmptyBeginText != 0 {
			s.kind = stepBegin
		}
	case syntax.InstMatch:
		s.kind = stepMatch
	case syntax.InstFail:
		s.kind = stepFail
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		s.kind, s.wide = stepByte, matchesWide(in)
		for r := range rune(utf8.RuneSelf) {
			if in.MatchRune(r) {
				s.ascii[r>>6] |= 1 << (r & 63)
			}
		}
	}
	return s
}

// matchesWide reports whether the instruction matches a character beyond ASCII, or an invalid byte.
func matchesWide(in *syntax.Inst) bool {
	if in.Op == syntax.InstRuneAny || in.Op == syntax.InstRuneAnyNotNL {
		return true
	}
	for _, r := range in.Rune { // the ends of ranges, or one character
		if r >= utf8.RuneSelf {
			return true
		}
		if len(in.Rune) == 1 && syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				if f >= utf8.RuneSelf {
					return true
				}
			}
		}
	}
	return false
}

// goesOn reports whether b leads on from a stepByte.
func (s *patternStep) goesOn(b byte) bool {
	if b >= utf8.RuneSelf {
		return s.wide
	}
	return s.ascii[b>>6]>>(b&63)&1 != 0
}

// finish prepares the index for use: bytes that no step tells apart become one class.
func (x *patternIndex) finish() {
	if len(x.steps) == 0 {
		return
	}
	of := make([]int, 256)
	number := map[[2]int]int{}
	count := 1
	for i := range x.steps {
		s := &x.steps[i]
		if s.kind != stepByte {
			continue
		}
		clear(number)
		n := 0
		for b := range 256 {
			k := [2]int{of[b], 0}
			if s.goesOn(byte(b)) {
				k[1] = 1
			}
			c, ok := number[k]
			if !ok {
				c = n
				number[k] = c
				n++
			}
			of[b] = c
		}
		count = n
	}
	x.classes = count
	x.bytes = make([]byte, count)
	for b := range 256 {
		x.class[b] = uint8(of[b])
		x.bytes[of[b]] = byte(b)
	}
	at := slices.Clone(x.begins)
	x.begins = x.closure(at, true)
	x.starts = x.closure(at, false)
}

// closure returns the steps that can be reached from the given ones without a byte, sorted: those that take a byte, and matches.
func (x *patternIndex) closure(from []uint32, begin bool) []uint32 {
	var out []uint32
	seen := map[uint32]bool{}
	stack := slices.Clone(from)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		switch s := &x.steps[at]; s.kind {
		case stepFork:
			stack = append(stack, s.out, s.other)
		case stepPass:
			stack = append(stack, s.out)
		case stepBegin:
			if begin {
				stack = append(stack, s.out)
			}
		case stepByte, stepMatch:
			out = append(out, at)
		case stepFail:
		}
	}
	slices.Sort(out)
	return out
}
