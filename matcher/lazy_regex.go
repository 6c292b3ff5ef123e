package matcher

import (
	"bytes"
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// lazyRegex tells whether an expression matches anywhere in a text, as [regexp.Regexp.Match] does, and about five times as fast. It is a
// deterministic automaton whose states are made when they are first met. It belongs to one goroutine.
//
// It is exact for ASCII. Of the bytes of other characters it knows only that some character is there, so where it finds a match
// after one of them it is not sure. Nor is it of expressions whose states are too many.
type lazyRegex struct {
	text     string
	steps    []patternStep
	asserts  []syntax.EmptyOp // of each step what must be true around it; 0 of those that take a byte
	start    uint32
	anchored bool   // it matches at the beginning of the text only
	prefix   []byte // every match begins with it, so what stands before the first one is skipped
	context  bool   // some assertion asks what stands before a place
	class    [256]uint8
	classes  int // and one more for the end of the text
	bytes    []byte

	next    []uint32
	states  []lazyState
	known   map[string]uint32
	key     []byte
	seen    []uint32 // marks of a walk
	walk    uint32
	flushes int
	size    int // about how many bytes it takes
}

// lazyState is the steps at which an expression is before what asks for nothing was followed, and what kind of byte came before.
type lazyState struct {
	steps  []uint32
	before byte
}

const (
	lazyUnknown   = 1<<32 - 1
	lazyMatch     = 1<<32 - 2
	lazyNever     = 1<<32 - 3
	lazyAnew      = 1<<32 - 4 // nothing is begun, and what begins it is a known text
	lazySpecial   = lazyAnew  // from here on: not a state
	maxLazyStates = 400
	maxLazySteps  = 3000
	maxFlushes    = 8
	lazyBase      = 1500 // bytes that each takes
)

// newLazyRegex makes the automaton of an expression. Of one that is unsound or too large it is never sure.
func newLazyRegex(text string) *lazyRegex {
	var prog *syntax.Prog
	re, err := syntax.Parse(text, syntax.Perl)
	if err == nil {
		prog, err = syntax.Compile(re.Simplify())
	}
	if err != nil || len(prog.Inst) > maxLazySteps {
		return &lazyRegex{text: text, flushes: maxFlushes, size: lazyBase}
	}
	r := &lazyRegex{text: text, start: uint32(prog.Start), anchored: prog.StartCond()&syntax.EmptyBeginText != 0}
	prefix, _ := prog.Prefix()
	r.prefix = []byte(prefix)
	for i := range prog.Inst {
		in := &prog.Inst[i]
		var needs syntax.EmptyOp
		if in.Op == syntax.InstEmptyWidth {
			needs = syntax.EmptyOp(in.Arg)
			r.context = true
		}
		r.steps, r.asserts = append(r.steps, newStep(in, 0, 0)), append(r.asserts, needs)
	}
	r.seen = make([]uint32, len(r.steps))
	r.classify()
	r.reset()
	return r
}

// classify makes one class of the bytes that nothing in the expression tells apart.
func (r *lazyRegex) classify() {
	var of [256]int
	count := 1
	divide := func(in func(b byte) bool) {
		number := map[[2]int]int{}
		for b := range 256 {
			k := [2]int{of[b], 0}
			if in(byte(b)) {
				k[1] = 1
			}
			if _, ok := number[k]; !ok {
				number[k] = len(number)
			}
			of[b] = number[k]
		}
		count = len(number)
	}
	divide(func(b byte) bool { return b >= utf8.RuneSelf })
	if r.context {
		divide(isWordByte)
		divide(func(b byte) bool { return b == '\n' })
	}
	done := map[[3]uint64]bool{}
	for i := range r.steps {
		s := &r.steps[i]
		if shape := [3]uint64{s.ascii[0], s.ascii[1], uint64(s.wide)}; s.kind == stepByte && !done[shape] {
			done[shape] = true
			divide(s.goesOn)
		}
	}
	r.classes = count
	r.bytes = make([]byte, count)
	for b := range 256 {
		r.class[b] = uint8(of[b])
		r.bytes[of[b]] = byte(b)
	}
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// What stands before a place.
const (
	beforeOther = iota
	beforeWord
	beforeLine // a new line
	beforeText // nothing
)

// kindOf says what kind of byte b is for the place after it.
func (r *lazyRegex) kindOf(b byte) byte {
	switch {
	case !r.context:
		return beforeOther
	case b == '\n':
		return beforeLine
	case isWordByte(b):
		return beforeWord
	}
	return beforeOther
}

// assertions returns what is true between what stands before and the next byte; end says that there is none.
func assertions(before byte, next byte, end bool) syntax.EmptyOp {
	r1, r2 := rune('.'), rune(-1)
	switch before {
	case beforeWord:
		r1 = 'a'
	case beforeLine:
		r1 = '\n'
	case beforeText:
		r1 = -1
	}
	if !end {
		if r2 = rune(next); next >= utf8.RuneSelf {
			r2 = '.'
		}
	}
	return syntax.EmptyOpContext(r1, r2)
}

// reset forgets all states but the first.
func (r *lazyRegex) reset() {
	r.next, r.states, r.known = r.next[:0], r.states[:0], map[string]uint32{}
	r.size = lazyBase + 84*len(r.steps)
	r.state([]uint32{r.start}, beforeText)
}

// state returns the offset of a state.
func (r *lazyRegex) state(steps []uint32, before byte) uint32 {
	r.key = append(r.key[:0], before)
	for _, s := range steps {
		r.key = binary.LittleEndian.AppendUint32(r.key, s)
	}
	if n, ok := r.known[string(r.key)]; ok {
		return n
	}
	n := uint32(len(r.states) * (r.classes + 1))
	r.states = append(r.states, lazyState{steps: steps, before: before})
	for range r.classes + 1 {
		r.next = append(r.next, lazyUnknown)
	}
	r.known[string(r.key)] = n
	r.size += 4*(r.classes+1) + 2*len(r.key) + 120
	return n
}

// follow returns what comes after a state by a byte of a class, or by the end of the text, which is the class after the last.
func (r *lazyRegex) follow(state uint32, class int) uint32 {
	from := r.states[int(state)/(r.classes+1)]
	end := class == r.classes
	var b byte
	if !end {
		b = r.bytes[class]
	}
	r.walk++
	var after []uint32
	matched := false
	truths := assertions(from.before, b, end)
	stack := slices.Clone(from.steps)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if r.seen[at] == r.walk {
			continue
		}
		r.seen[at] = r.walk
		switch s := &r.steps[at]; s.kind {
		case stepFork:
			stack = append(stack, s.out, s.other)
		case stepPass, stepBegin:
			if r.asserts[at]&^truths == 0 {
				stack = append(stack, s.out)
			}
		case stepByte:
			if !end && s.goesOn(b) {
				after = append(after, s.out)
				if b >= utf8.RuneSelf { // any number of bytes may make up the character
					after = append(after, at)
				}
			}
		case stepMatch:
			matched = true
		case stepFail:
		}
	}
	n := uint32(lazyNever)
	switch {
	case matched:
		n = lazyMatch
	case end:
	default:
		if !r.anchored {
			after = append(after, r.start)
		}
		if slices.Sort(after); len(r.prefix) > 0 && len(after) == 1 && after[0] == r.start {
			n = lazyAnew
		} else if len(after) > 0 {
			n = r.state(slices.Compact(after), r.kindOf(b))
		}
	}
	r.next[int(state)+class] = n
	return n
}

// match reports whether the expression matches somewhere in the text, and whether that is sure. It allocates nothing once its states are
// made.
func (r *lazyRegex) match(text []byte) (matched, sure bool) {
	if r.flushes >= maxFlushes {
		return false, false
	}
	i := bytes.Index(text, r.prefix)
	if i < 0 {
		return false, true
	}
	state := uint32(0)
	for {
		next := r.next
		for ; i < len(text); i++ {
			n := next[state+uint32(r.class[text[i]])]
			if n >= lazySpecial {
				break
			}
			state = n
		}
		class := r.classes
		if i < len(text) {
			class = int(r.class[text[i]])
		}
		n := r.next[int(state)+class]
		if n == lazyUnknown {
			n = r.follow(state, class)
		}
		switch n {
		case lazyMatch:
			return true, isASCII(text[:min(i+1, len(text))])
		case lazyNever:
			return false, true
		case lazyAnew:
			skip := bytes.Index(text[i+1:], r.prefix)
			if skip < 0 {
				return false, true
			}
			n, i = 0, i+skip
		}
		state = n
		i++
		if len(r.states) > maxLazyStates {
			state = r.flush(state)
		}
	}
}

// flush forgets all states but the one that is given. When that happens again and again nothing is sure any more.
func (r *lazyRegex) flush(state uint32) uint32 {
	r.flushes++
	at := r.states[int(state)/(r.classes+1)]
	r.reset()
	return r.state(at.steps, at.before)
}

// isASCII reports whether all bytes are below 0x80.
func isASCII(text []byte) bool {
	n, high := highStart(text)
	if high {
		return false
	}
	text = text[n:]
	for len(text) >= 64 {
		b := text[:64]
		x := binary.LittleEndian.Uint64(b) | binary.LittleEndian.Uint64(b[8:]) | binary.LittleEndian.Uint64(b[16:]) | binary.LittleEndian.Uint64(b[24:]) |
			binary.LittleEndian.Uint64(b[32:]) | binary.LittleEndian.Uint64(b[40:]) | binary.LittleEndian.Uint64(b[48:]) | binary.LittleEndian.Uint64(b[56:])
		if x&highBits != 0 {
			return false
		}
		text = text[64:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
