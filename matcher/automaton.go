package matcher

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// automaton runs the expressions of some groups of a patternIndex, deterministically: a state is the set of steps at which they are.
// States are made when they are first met, and their memory is bounded: when there are too many all are forgotten. Expressions whose
// states grow without end are cut short, which promises more and needs fewer states. It belongs to a scratch.
type automaton struct {
	index   *patternIndex
	groups  []uint32 // sorted
	kinds   uint32   // the kinds of record that can meet one of its conditions, as bits 1<<Kind
	always  []uint32 // the patterns that match any text: nothing is run for them
	limit   uint32   // steps that are this many bytes from the start count as a match
	class   [256]uint8
	classes int
	bytes   []byte     // one byte of each class
	begins  []uint32   // the steps that are reached at the beginning of a text, and only there
	first   [][]uint32 // for each class the steps that a byte of it leads to from the starts of all expressions
	found   [][]uint32 // and the patterns that match by that

	next  []uint32 // for each state and class of bytes the state that follows, as an offset<<1; the lowest bit: something matches
	sets  [][]uint32
	out   [][]uint32 // for each state the patterns that match when it is entered
	known map[string]uint32
	key   []byte
	size  int // of all sets
	read  int // bytes since all states were last forgotten
	short int // bytes since the expressions were cut short
	marks *stepMarks
}

// stepMarks remember which steps a walk has seen. All automata of a scratch share them.
type stepMarks struct {
	seen []uint64
	now  uint64
}

const (
	noState   = 1<<32 - 1
	maxStates = 4000
	maxSizes  = 4 << 20 // steps in all sets
	noLimit   = 1<<32 - 1
	// enoughRead is how many bytes must be read before all states may be made anew: making one takes as long as reading some
	// thousand bytes.
	enoughRead = 4 << 20
	// longShort is how many bytes an automaton that was cut short reads before the whole expressions are tried again.
	longShort = 1 << 30
)

func newAutomaton(x *patternIndex, groups []uint32, marks *stepMarks) *automaton {
	a := &automaton{index: x, groups: slices.Clone(groups), limit: noLimit, marks: marks}
	for i := range x.patterns {
		if slices.Contains(groups, x.patterns[i].group) {
			a.kinds |= x.patterns[i].kinds
		}
	}
	a.classify()
	a.reset()
	return a
}

// classify makes one class of the bytes that no step tells apart. The new line, which ends a text, has one of its own.
func (a *automaton) classify() {
	of := make([]int, 256)
	of['\n'] = 1
	count := 2
	number := map[[2]int]int{}
	done := map[[3]uint64]bool{}
	for i := range a.index.steps {
		s := &a.index.steps[i]
		shape := [3]uint64{s.ascii[0], s.ascii[1], uint64(s.wide)}
		if s.kind != stepByte || done[shape] || !slices.Contains(a.groups, a.index.patterns[s.number].group) {
			continue
		}
		done[shape] = true
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
	a.classes = count
	a.bytes = make([]byte, count)
	for b := range 256 {
		a.class[b] = uint8(of[b])
		a.bytes[of[b]] = byte(b)
	}
}

// reset computes what follows from the limit, and forgets all states.
func (a *automaton) reset() {
	x := a.index
	a.always = a.always[:0]
	var starts, begins []uint32
	for i := range x.patterns {
		p := &x.patterns[i]
		if !slices.Contains(a.groups, p.group) {
			continue
		}
		steps, matched := a.closure([]uint32{p.start}, true)
		if len(matched) > 0 {
			a.always = append(a.always, uint32(i))
			continue
		}
		anywhere, _ := a.closure([]uint32{p.start}, false)
		starts = append(starts, anywhere...)
		for _, at := range steps {
			if !slices.Contains(anywhere, at) {
				begins = append(begins, at)
			}
		}
	}
	slices.Sort(begins)
	a.begins = begins
	a.first, a.found = make([][]uint32, a.classes), make([][]uint32, a.classes)
	for c, b := range a.bytes {
		a.first[c], a.found[c] = a.closure(a.through(nil, starts, b), false)
	}
	a.forget()
}

// through appends the steps that a byte leads to.
func (a *automaton) through(dst, from []uint32, b byte) []uint32 {
	for _, at := range from {
		if s := &a.index.steps[at]; s.goesOn(b) {
			dst = append(dst, s.out)
			if b >= utf8.RuneSelf { // any number of bytes may make up the character
				dst = append(dst, at)
			}
		}
	}
	return dst
}

// closure returns the steps that can be reached from the given ones without a byte and that take a byte, sorted, and the patterns that
// match there.
func (a *automaton) closure(from []uint32, begin bool) (steps, matched []uint32) {
	a.marks.now++
	stack := slices.Clone(from)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if a.marks.seen[at] == a.marks.now {
			continue
		}
		a.marks.seen[at] = a.marks.now
		s := &a.index.steps[at]
		if s.far >= a.limit && s.kind != stepFail {
			matched = append(matched, s.number)
			continue
		}
		switch s.kind {
		case stepFork:
			stack = append(stack, s.out, s.other)
		case stepPass:
			stack = append(stack, s.out)
		case stepBegin:
			if begin {
				stack = append(stack, s.out)
			}
		case stepByte:
			steps = append(steps, at)
		case stepMatch:
			matched = append(matched, s.number)
		case stepFail:
		}
	}
	slices.Sort(steps)
	slices.Sort(matched)
	return steps, slices.Compact(matched)
}

// forget drops all states but the one at the beginning of a text, which is the first.
func (a *automaton) forget() {
	a.next, a.sets, a.out, a.size, a.read = a.next[:0], a.sets[:0], a.out[:0], 0, 0
	a.known = make(map[string]uint32)
	a.state(a.begins, nil)
}

// state returns the offset and mark of the state with these steps beside the starts, which it keeps.
func (a *automaton) state(set, out []uint32) uint32 {
	a.key = a.key[:0]
	for _, at := range set {
		a.key = binary.LittleEndian.AppendUint32(a.key, at)
	}
	a.key = binary.LittleEndian.AppendUint32(a.key, noState)
	for _, n := range out {
		a.key = binary.LittleEndian.AppendUint32(a.key, n)
	}
	if n, ok := a.known[string(a.key)]; ok {
		return n
	}
	n := uint32(len(a.sets)*a.classes) << 1
	if len(out) > 0 {
		n |= 1
	}
	a.sets, a.out = append(a.sets, set), append(a.out, out)
	a.size += len(set) + len(out)
	for range a.classes {
		a.next = append(a.next, noState)
	}
	a.known[string(a.key)] = n
	return n
}

// follow makes the state that comes after the state at offset by a byte of the class. ok is false when there is no room for
// it: all states must be forgotten first.
func (a *automaton) follow(offset uint32, class uint8) (next uint32, ok bool) {
	if len(a.sets) >= maxStates || a.size >= maxSizes {
		return 0, false
	}
	b := a.bytes[class]
	own, found := a.closure(a.through(nil, a.sets[int(offset)/a.classes], b), false)
	own, found = merge(own, a.first[class]), merge(found, a.found[class])
	if b == '\n' { // it may be the end of a record: the next begins
		own = merge(own, a.begins)
	}
	n := a.state(own, found)
	a.next[int(offset)+int(class)] = n
	return n, true
}

// cut makes the automaton promise more, so that it has fewer states. With the shortest limit a state depends on the last byte
// only, and there is always room for all.
func (a *automaton) cut() {
	const longest, shortest = 16, 2
	a.limit = max(shortest, min(longest, a.limit*2/3))
	a.short = 0
	a.reset()
}

// restore tries the whole expressions again after a long time.
func (a *automaton) restore() {
	if a.limit != noLimit && a.short > longShort {
		a.limit = noLimit
		a.reset()
	}
}

// memory is about how many bytes the states take.
func (a *automaton) memory() int { return 4*len(a.next) + 8*a.size + 128*len(a.sets) }

// merge returns the union of two sorted lists. It may return one of them.
func merge(a, b []uint32) []uint32 {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}
