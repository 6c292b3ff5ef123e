package matcher

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// patternIndex finds, in one pass over a text, which of many expressions could match it. It serves conditions that have no
// literal worth looking for: each of them would have to be run on each line.
//
// All expressions together are one automaton over bytes, which promises too much: \b, $ and the insides of characters beyond
// ASCII are left out. Its states are made when they are first met: see automaton.
//
// Expressions belong to groups. A group is asked for by attributes (the component that speaks), or always, and the text of a record is
// run through an automaton of the groups that its attributes ask for: what is about RabbitMQ costs the lines of nginx nothing.
//
// The tables are without pointers: see textIndex.
type patternIndex struct {
	steps    []patternStep
	patterns []pattern
	groups   uint32

	everywhere uint32 // how many patterns every record is run through
}

// unscoped is the group of expressions that every record is run through.
const unscoped = 0

// pattern is one expression.
type pattern struct {
	start uint32 // its first step
	cond  uint32
	group uint32
	kinds uint32 // the kinds of record that can meet the condition, as bits 1<<Kind
}

// patternStep is a place in an expression.
type patternStep struct {
	ascii  [2]uint64 // stepByte: which bytes below 0x80 go on
	wide   uint32    // stepByte: 1 when bytes of characters beyond ASCII go on
	kind   stepKind
	out    uint32 // where to
	other  uint32 // stepFork: the other way
	number uint32 // the pattern
	far    uint32 // the fewest bytes that lead here
}

type stepKind uint32

const (
	stepFork  stepKind = iota
	stepPass           // what takes no byte
	stepBegin          // only at the beginning of a text
	stepByte
	stepMatch
	stepFail
)

const (
	maxPatternSteps = 2000    // of one expression; a larger one is run on each line instead
	maxSteps        = 500_000 // of all together
)

// add adds the expressions, of which any is enough for the condition. It reports false, and adds nothing, when they are too large.
func (x *patternIndex) add(patterns []string, p pattern) bool {
	steps, count := len(x.steps), len(x.patterns)
	for _, text := range patterns {
		prog := compilePattern(text)
		if prog == nil || len(x.steps)+len(prog.Inst) > maxSteps {
			x.steps, x.patterns = x.steps[:steps], x.patterns[:count]
			return false
		}
		base := uint32(len(x.steps))
		for i := range prog.Inst {
			x.steps = append(x.steps, newStep(&prog.Inst[i], base, uint32(len(x.patterns))))
		}
		p.start = base + uint32(prog.Start)
		x.measure(p.start, int(base))
		x.patterns = append(x.patterns, p)
	}
	x.groups = max(x.groups, p.group+1)
	if p.group == unscoped {
		x.everywhere++
	}
	return true
}

// compilePattern returns nil for an expression that is too large, or none.
func compilePattern(text string) *syntax.Prog {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || len(prog.Inst) > maxPatternSteps {
		return nil
	}
	return prog
}

// selects returns how many steps the expressions take, and false when they are too large or one of them matches every text.
func selects(patterns []string) (steps int, ok bool) {
	var try patternIndex
	if !try.add(patterns, pattern{}) {
		return 0, false
	}
	return len(try.steps), len(newAutomaton(&try, []uint32{unscoped}, &stepMarks{seen: make([]uint64, len(try.steps))}).always) == 0
}

// measure fills in how far the steps from base on are from the start.
func (x *patternIndex) measure(start uint32, base int) {
	const unknown = 1<<32 - 1
	for i := base; i < len(x.steps); i++ {
		x.steps[i].far = unknown
	}
	now, next := []uint32{start}, []uint32{}
	for far := uint32(0); len(now) > 0; far++ {
		for len(now) > 0 {
			s := &x.steps[now[len(now)-1]]
			now = now[:len(now)-1]
			if s.far <= far {
				continue
			}
			s.far = far
			switch s.kind {
			case stepFork:
				now = append(now, s.out, s.other)
			case stepPass, stepBegin:
				now = append(now, s.out)
			case stepByte:
				next = append(next, s.out)
			case stepMatch, stepFail:
			}
		}
		now, next = next, now
	}
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
		s.kind = stepByte
		if matchesWide(in) {
			s.wide = 1
		}
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
		return s.wide != 0
	}
	return s.ascii[b>>6]>>(b&63)&1 != 0
}
