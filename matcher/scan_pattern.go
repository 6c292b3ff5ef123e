package matcher

import (
	"slices"
	"unsafe"

	"github.com/forewarn/forewarn/collector/record"
)

// patternScan is the part of a scratch that runs a patternIndex.
type patternScan struct {
	index     *patternIndex
	marks     stepMarks
	seen      []uint64 // for each pattern the last record that it was found in, counted from the scratch's base
	known     []*automaton
	groups    []uint32 // those that the attributes of one set ask for
	ofSet     []*automaton
	stretches []stretch
	lanes     [4]patternLane
}

const (
	maxAutomata       = 32       // beyond that one automaton of all groups serves
	maxAutomataMemory = 64 << 20 // beyond that all are made anew
)

// stretch is a part of a batch's text that one automaton runs over: the texts of neighbouring records.
type stretch struct {
	automaton *automaton
	from, to  int
}

// patternLane is a stretch that is under way. Four go on at the same time, because each step has to wait for the one before.
type patternLane struct {
	from, to int
	state    uint32 // an offset in next
}

func (l *patternLane) left() int { return l.to - l.from }

// prepare makes s fit for x.
func (s *patternScan) prepare(x *patternIndex) {
	if s.index == x {
		return
	}
	*s = patternScan{index: x, marks: stepMarks{seen: make([]uint64, len(x.steps))}, seen: make([]uint64, len(x.patterns))}
}

// begin makes room for a batch.
func (s *patternScan) begin() {
	s.ofSet = s.ofSet[:0]
	size := 0
	for _, a := range s.known {
		a.restore()
		size += a.memory()
	}
	if size > maxAutomataMemory {
		s.known = nil
	}
}

// automatonOf returns the automaton of the groups, nil when there are none.
func (s *patternScan) automatonOf(groups []uint32) *automaton {
	if len(groups) == 0 {
		return nil
	}
	for _, a := range s.known {
		if slices.Equal(a.groups, groups) {
			return a
		}
	}
	if len(s.known) >= maxAutomata {
		if last := s.known[len(s.known)-1]; len(last.groups) == int(s.index.groups) {
			return last
		}
		groups = nil
		for g := range s.index.groups {
			groups = append(groups, g)
		}
	}
	a := newAutomaton(s.index, groups, &s.marks)
	s.known = append(s.known, a)
	return a
}

// runPatterns appends to s.candidates the conditions whose expressions could match a text of the batch, where its attributes ask for
// it.
func (s *Scratch) runPatterns(b *record.Batch) {
	p := &s.patterns
	p.stretches = p.stretches[:0]
	var last *automaton
	for i := range b.Len() {
		a := p.ofSet[b.AttrSet(i)]
		if a == nil || a.kinds>>b.Kind(i)&1 == 0 {
			last = nil
			continue
		}
		for _, n := range a.always {
			s.candidates = append(s.candidates, uint64(i)<<32|uint64(p.index.patterns[n].cond))
		}
		start, end := b.TextRange(i)
		if a != last {
			p.stretches = append(p.stretches, stretch{automaton: a, from: int(start)})
			last = a
		}
		p.stretches[len(p.stretches)-1].to = int(end)
	}
	for i := range p.stretches {
		if a := p.stretches[i].automaton; a != nil {
			s.runAutomaton(a, b, p.stretches[i:])
		}
	}
}

// leastSplit is the length from which on a stretch is divided among the lanes.
const leastSplit = 4 << 10

// runAutomaton runs over all stretches of an automaton, and takes them out of the list.
func (s *Scratch) runAutomaton(a *automaton, b *record.Batch, stretches []stretch) {
	lanes := &s.patterns.lanes
	*lanes = [4]patternLane{}
	work := laneWork{automaton: a, batch: b, stretches: stretches}
	for {
		least, open := 0, 0
		for i := range lanes {
			l := &lanes[i]
			if l.left() <= 0 && !work.take(l) {
				continue
			}
			open++
			if n := l.left(); least == 0 || n < least {
				least = n
			}
		}
		switch open {
		case 0:
			return
		case len(lanes):
			s.four(a, b, least)
		default:
			for i := range lanes {
				s.single(a, b, i)
			}
		}
	}
}

// laneWork hands out what is to be run over.
type laneWork struct {
	automaton *automaton
	batch     *record.Batch
	stretches []stretch
	rest      stretch
}

// take gives a lane more to do, and reports whether there was any.
func (w *laneWork) take(l *patternLane) bool {
	for w.rest.from >= w.rest.to {
		for len(w.stretches) > 0 && w.stretches[0].automaton != w.automaton {
			w.stretches = w.stretches[1:]
		}
		if len(w.stretches) == 0 {
			return false
		}
		w.rest, w.stretches[0].automaton = w.stretches[0], nil
		n := w.rest.to - w.rest.from
		w.automaton.read += n
		w.automaton.short += n
	}
	*l = patternLane{from: w.rest.from, to: w.rest.to}
	if n := l.left(); n > leastSplit { // a quarter, or what was left of one
		l.to = recordEnd(w.batch, l.from+max(n/4, leastSplit/2), l.to)
	}
	w.rest.from = l.to + 1
	return true
}

// recordEnd returns the end of the record at a place, or the limit.
func recordEnd(b *record.Batch, at, limit int) int {
	ends := b.TextEnds()
	return min(int(ends[search(ends, uint32(at))]), limit)
}

// stepper is what the inner loops need of an automaton and a text. They do without bounds checks, which take a third of the time: every
// state in next is one that the automaton made, so all of its row is there.
type stepper struct{ next, class, text unsafe.Pointer }

func (a *automaton) stepper(text []byte) stepper {
	return stepper{unsafe.Pointer(unsafe.SliceData(a.next)), unsafe.Pointer(&a.class), unsafe.Pointer(unsafe.SliceData(text))}
}

func (s *stepper) step(state uint32, at int) uint32 {
	class := *(*uint8)(unsafe.Add(s.class, *(*uint8)(unsafe.Add(s.text, at))))
	return *(*uint32)(unsafe.Add(s.next, (uintptr(state)+uintptr(class))*4))
}

// four goes n bytes on in all lanes, or less when it has to make a state or something matches.
func (s *Scratch) four(a *automaton, b *record.Batch, n int) {
	lanes := &s.patterns.lanes
	m := a.stepper(b.Text())
	p0, p1, p2, p3 := lanes[0].from, lanes[1].from, lanes[2].from, lanes[3].from
	s0, s1, s2, s3 := lanes[0].state, lanes[1].state, lanes[2].state, lanes[3].state
	i, marked := 0, uint32(0)
	for ; i < n; i++ {
		n0, n1, n2, n3 := m.step(s0, p0+i), m.step(s1, p1+i), m.step(s2, p2+i), m.step(s3, p3+i)
		if marked = (n0 | n1 | n2 | n3) & 1; marked != 0 {
			break
		}
		s0, s1, s2, s3 = n0>>1, n1>>1, n2>>1, n3>>1
	}
	for k, state := range [4]uint32{s0, s1, s2, s3} {
		lanes[k].state = state
		lanes[k].from += i
	}
	if marked != 0 {
		for k := range lanes {
			s.step(a, b, k)
		}
	}
}

// single goes to the end in one lane.
func (s *Scratch) single(a *automaton, b *record.Batch, k int) {
	l := &s.patterns.lanes[k]
	for l.left() > 0 {
		m := a.stepper(b.Text())
		state, at, to := l.state, l.from, l.to
		for ; at < to; at++ {
			n := m.step(state, at)
			if n&1 != 0 {
				break
			}
			state = n >> 1
		}
		l.state, l.from = state, at
		if at < to {
			s.step(a, b, k)
		}
	}
}

// step goes one byte on in one lane, making the state if it has to.
func (s *Scratch) step(a *automaton, b *record.Batch, k int) {
	l := &s.patterns.lanes[k]
	if l.left() <= 0 {
		return
	}
	class := a.class[b.Text()[l.from]]
	n := a.next[l.state+uint32(class)]
	if n == noState {
		var ok bool
		if n, ok = a.follow(l.state, class); !ok {
			if a.read < enoughRead && a.limit > 2 {
				s.cut(a, b)
				return
			}
			s.forget(a)
			n, _ = a.follow(l.state, class)
		}
	}
	if n&1 != 0 {
		s.matched(a, b, l.from, a.out[int(n>>1)/a.classes])
	}
	l.from++
	l.state = n >> 1
}

// cut shortens the expressions; the lanes begin their records anew.
func (s *Scratch) cut(a *automaton, b *record.Batch) {
	a.cut()
	ends := b.TextEnds()
	for i := range s.patterns.lanes {
		l := &s.patterns.lanes[i]
		l.state = 0
		if l.left() <= 0 {
			continue
		}
		start := 0
		if rec := search(ends, uint32(l.from)); rec > 0 {
			start = int(ends[rec-1]) + 1
		}
		l.from = min(l.from, start)
	}
}

// forget drops all states but those that the lanes are in.
func (s *Scratch) forget(a *automaton) {
	lanes := &s.patterns.lanes
	var sets, outs [len(lanes)][]uint32
	for i := range lanes {
		sets[i], outs[i] = a.sets[int(lanes[i].state)/a.classes], a.out[int(lanes[i].state)/a.classes]
	}
	a.forget()
	for i := range lanes {
		lanes[i].state = a.state(sets[i], outs[i]) >> 1
	}
}

// matched adds the candidates of patterns that match at a place.
func (s *Scratch) matched(a *automaton, b *record.Batch, at int, patterns []uint32) {
	rec := search(b.TextEnds(), uint32(at))
	now := s.text.base + uint64(rec)
	for _, n := range patterns {
		if s.patterns.seen[n] != now {
			s.patterns.seen[n] = now
			s.candidates = append(s.candidates, uint64(rec)<<32|uint64(a.index.patterns[n].cond))
		}
	}
}
