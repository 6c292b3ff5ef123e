package matcher

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// patternScan is the part of a scratch that runs a patternIndex: a deterministic automaton whose states are made when they are
// first met. A state is the set of steps at which the expressions are. Its memory is bounded: when there are too many states
// all are forgotten, and a text that makes that happen again and again is not run at all.
type patternScan struct {
	index *patternIndex
	next  []uint32 // for each state and class of bytes the state that follows, as an offset<<1; the lowest bit: something matches
	sets  [][]uint32
	out   [][]uint32 // for each state the expressions that match when it is entered
	known map[string]uint32
	seen  []uint64
	key   []byte
	made  int // how many states were made in this batch
}

const (
	noState   = 1<<32 - 1
	maxStates = 4000
	maxMade   = 2000 // a batch: making a state takes as long as stepping through some thousand bytes
)

// prepare makes s fit for x.
func (s *patternScan) prepare(x *patternIndex) {
	if s.index == x {
		return
	}
	*s = patternScan{index: x, seen: make([]uint64, len(x.conds))}
	s.forget()
}

// forget drops all states but the one at the beginning of a text, which is the first.
func (s *patternScan) forget() {
	s.next, s.sets, s.out = s.next[:0], s.sets[:0], s.out[:0]
	s.known = make(map[string]uint32)
	s.state(slices.Clone(s.index.begins))
}

// state returns the offset and mark of the state with these steps, which it keeps.
func (s *patternScan) state(set []uint32) uint32 {
	s.key = s.key[:0]
	for _, at := range set {
		s.key = binary.LittleEndian.AppendUint32(s.key, at)
	}
	if n, ok := s.known[string(s.key)]; ok {
		return n
	}
	var out []uint32
	for _, at := range set {
		if st := &s.index.steps[at]; st.kind == stepMatch {
			out = append(out, st.number)
		}
	}
	n := uint32(len(s.sets)*s.index.classes) << 1
	if len(out) > 0 {
		n |= 1
	}
	s.sets, s.out = append(s.sets, set), append(s.out, out)
	for range s.index.classes {
		s.next = append(s.next, noState)
	}
	s.known[string(s.key)] = n
	return n
}

// follow makes the state that comes after the state at offset by a byte of the class. It returns noState when it had
// to make too many.
func (s *patternScan) follow(offset uint32, class uint8) uint32 {
	x := s.index
	b := x.bytes[class]
	set := s.sets[int(offset)/x.classes]
	var reached []uint32
	take := func(at uint32) {
		st := &x.steps[at]
		if st.kind == stepByte && st.goesOn(b) {
			reached = append(reached, st.out)
			if b >= utf8.RuneSelf { // any number of bytes may make up the character
				reached = append(reached, at)
			}
		}
	}
	for _, at := range set {
		take(at)
	}
	for _, at := range x.starts {
		take(at)
	}
	reached = x.closure(reached, false)
	if s.made++; s.made > maxMade {
		return noState
	}
	if len(s.sets) >= maxStates {
		s.forget()
		return s.state(reached)
	}
	n := s.state(reached)
	s.next[int(offset)+int(class)] = n
	return n
}

// run appends to s.candidates the conditions whose expressions could match the text of record rec. now is a number that no
// earlier record had.
func (s *Scratch) run(x *patternIndex, text []byte, rec int, now uint64) {
	p := &s.patterns
	if p.made > maxMade {
		s.allPatterns(x, rec)
		return
	}
	state := uint32(0)
	if len(p.out[0]) > 0 {
		s.matched(x, 0, rec, now)
	}
	for _, b := range text {
		class := x.class[b]
		n := p.next[int(state)+int(class)]
		if n&1 == 0 {
			state = n >> 1
			continue
		}
		if n == noState {
			if n = p.follow(state, class); n == noState {
				s.allPatterns(x, rec)
				return
			}
		}
		state = n >> 1
		if n&1 != 0 {
			s.matched(x, int(state)/x.classes, rec, now)
		}
	}
}

func (s *Scratch) matched(x *patternIndex, state, rec int, now uint64) {
	for _, number := range s.patterns.out[state] {
		if s.patterns.seen[number] != now {
			s.patterns.seen[number] = now
			s.candidates = append(s.candidates, uint64(rec)<<32|uint64(x.conds[number]))
		}
	}
}

func (s *Scratch) allPatterns(x *patternIndex, rec int) {
	for _, c := range x.conds {
		s.candidates = append(s.candidates, uint64(rec)<<32|uint64(c))
	}
}
