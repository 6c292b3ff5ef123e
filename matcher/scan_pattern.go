package matcher

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/forewarn/forewarn/collector/record"
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

// follow makes the state that comes after the state at offset by a byte of the class. ok is false when there is no room for
// it: all states must be forgotten first.
func (s *patternScan) follow(offset uint32, class uint8) (next uint32, ok bool) {
	if len(s.sets) >= maxStates {
		return 0, false
	}
	x := s.index
	b := x.bytes[class]
	var reached []uint32
	for _, from := range [2][]uint32{s.sets[int(offset)/x.classes], x.starts} {
		for _, at := range from {
			if st := &x.steps[at]; st.kind == stepByte && st.goesOn(b) {
				reached = append(reached, st.out)
				if b >= utf8.RuneSelf { // any number of bytes may make up the character
					reached = append(reached, at)
				}
			}
		}
	}
	s.made++
	n := s.state(x.closure(reached, false))
	s.next[int(offset)+int(class)] = n
	return n, true
}

// patternLane is a text that is under way. Four go on at the same time, because each step has to wait for the one before.
type patternLane struct {
	text  []byte // what is left of it
	state uint32 // an offset in next
	rec   int
}

// runPatterns appends to s.candidates the conditions whose expressions could match a text of the batch, where its attributes ask for
// it.
func (s *Scratch) runPatterns(x *patternIndex, b *record.Batch) {
	s.patterns.made = 0
	var lanes [4]patternLane
	next := 0
	for {
		open, least := 0, 0
		for i := range lanes {
			l := &lanes[i]
			for len(l.text) == 0 && next < b.Len() {
				s.begin(x, l, b, next)
				next++
			}
			if len(l.text) > 0 && (least == 0 || len(l.text) < least) {
				least = len(l.text)
			}
			if len(l.text) > 0 {
				open++
			}
		}
		switch {
		case s.patterns.made > maxMade:
			for i := range lanes {
				if len(lanes[i].text) > 0 {
					s.allPatterns(x, lanes[i].rec)
				}
				lanes[i].text = nil
			}
			if next == b.Len() {
				return
			}
		case open == 0:
			return
		case open == len(lanes):
			s.four(x, &lanes, least)
		default:
			for i := range lanes {
				s.single(x, &lanes, i)
			}
		}
	}
}

// begin puts the text of a record into a lane, if an expression could match it.
func (s *Scratch) begin(x *patternIndex, l *patternLane, b *record.Batch, rec int) {
	if s.setGates[b.AttrSet(rec)]&(1<<gatePatterns) == 0 {
		return
	}
	if s.patterns.made > maxMade {
		s.allPatterns(x, rec)
		return
	}
	start, end := b.TextRange(rec)
	*l = patternLane{text: b.Text()[start:end], rec: rec}
	if len(s.patterns.out[0]) > 0 {
		s.matched(x, l)
	}
}

// four goes n bytes on in all lanes, or less when it has to make a state.
func (s *Scratch) four(x *patternIndex, lanes *[4]patternLane, n int) {
	next := s.patterns.next
	t0, t1, t2, t3 := lanes[0].text[:n], lanes[1].text[:n], lanes[2].text[:n], lanes[3].text[:n]
	s0, s1, s2, s3 := lanes[0].state, lanes[1].state, lanes[2].state, lanes[3].state
	i := 0
	var marked uint32
	for ; i < n; i++ {
		n0, n1 := next[s0+uint32(x.class[t0[i]])], next[s1+uint32(x.class[t1[i]])]
		n2, n3 := next[s2+uint32(x.class[t2[i]])], next[s3+uint32(x.class[t3[i]])]
		if marked = (n0 | n1 | n2 | n3) & 1; marked != 0 {
			break
		}
		s0, s1, s2, s3 = n0>>1, n1>>1, n2>>1, n3>>1
	}
	for k, state := range [4]uint32{s0, s1, s2, s3} {
		lanes[k].state, lanes[k].text = state, lanes[k].text[i:]
	}
	if marked != 0 {
		for k := range lanes {
			s.step(x, lanes, k)
		}
	}
}

// single goes to the end of the text in one lane.
func (s *Scratch) single(x *patternIndex, lanes *[4]patternLane, k int) {
	l := &lanes[k]
	for len(l.text) > 0 && s.patterns.made <= maxMade {
		next, state, i := s.patterns.next, l.state, 0
		for ; i < len(l.text); i++ {
			n := next[state+uint32(x.class[l.text[i]])]
			if n&1 != 0 {
				break
			}
			state = n >> 1
		}
		l.state, l.text = state, l.text[i:]
		if len(l.text) > 0 {
			s.step(x, lanes, k)
		}
	}
}

// step goes one byte on in one lane, making the state if it has to.
func (s *Scratch) step(x *patternIndex, lanes *[4]patternLane, k int) {
	l, p := &lanes[k], &s.patterns
	class := x.class[l.text[0]]
	n := p.next[l.state+uint32(class)]
	if n == noState {
		var ok bool
		if n, ok = p.follow(l.state, class); !ok {
			s.forget(lanes)
			n, _ = p.follow(l.state, class)
		}
	}
	l.text, l.state = l.text[1:], n>>1
	if n&1 != 0 {
		s.matched(x, l)
	}
}

// forget drops all states but those that the lanes are in.
func (s *Scratch) forget(lanes *[4]patternLane) {
	p := &s.patterns
	var sets [len(lanes)][]uint32
	for i := range lanes {
		sets[i] = p.sets[int(lanes[i].state)/p.index.classes]
	}
	p.forget()
	for i := range lanes {
		lanes[i].state = p.state(sets[i]) >> 1
	}
}

// matched adds the candidates of the state that the lane is in.
func (s *Scratch) matched(x *patternIndex, l *patternLane) {
	now := s.text.base + uint64(l.rec)
	for _, number := range s.patterns.out[int(l.state)/x.classes] {
		if s.patterns.seen[number] != now {
			s.patterns.seen[number] = now
			s.candidates = append(s.candidates, uint64(l.rec)<<32|uint64(x.conds[number]))
		}
	}
}

func (s *Scratch) allPatterns(x *patternIndex, rec int) {
	for _, c := range x.conds {
		s.candidates = append(s.candidates, uint64(rec)<<32|uint64(c))
	}
}
