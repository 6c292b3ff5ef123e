package matcher

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// moment is when frames are looked at.
type moment struct {
	at    int64 // what fires now fires at this time
	now   int64 // all that came before this time was seen
	claim bool  // what was not seen must be known not to have been
}

// piece is a record of a complete frame, with its slot and its place in it.
type piece struct {
	held
	slot, place int
}

// decideFrames looks at complete frames, the oldest first, until one has to wait or there is none.
func (f *fold) decideFrames(p *folder, m moment) {
	r := f.frame
	r.due = never
	for r.filled(p.plan) {
		list := r.complete(p.plan)
		if first, last := list[0].time, list[len(list)-1].time; time.Duration(last-first) > p.Frame.Window {
			r.take(p.plan, list[:1])
			continue
		}
		switch anchor, due := f.against(p, list, m); {
		case anchor >= 0:
			r.take(p.plan, list[anchor:anchor+1])
		case due != never:
			r.due = max(due, m.at)
			return
		default:
			f.fireFrame(p, m.at, list)
			r.take(p.plan, list)
		}
	}
}

// complete returns the oldest records that make a frame, in the order of their times; those of one time are in the order of the slots.
func (r *frame) complete(p *plan) []piece {
	var list []piece
	for i := range r.slots {
		for j := range int(p.Stages[i].Count) {
			list = append(list, piece{r.slots[i][j], i, j})
		}
	}
	if !p.InOrder { // a sequence is in order
		slices.SortStableFunc(list, func(a, b piece) int { return cmp.Compare(a.time, b.time) })
	}
	return list
}

// take removes records of a frame from their slots.
func (r *frame) take(p *plan, list []piece) {
	for _, m := range slices.Backward(list) { // of one slot the last first, so that places stay true
		if m.place == 0 {
			r.drop(m.slot, 1)
		} else {
			r.slots[m.slot] = slices.Delete(r.slots[m.slot], m.place, m.place+1)
		}
	}
	if p.InOrder {
		r.align(p)
	}
}

// against looks for what speaks against a frame: the anchor of the first negate that was seen, or -1; and when the first negate that is
// not decided will be, or never.
func (f *fold) against(p *folder, list []piece, m moment) (anchor int, due int64) {
	length := time.Duration(list[len(list)-1].time - list[0].time)
	for i := range p.Frame.Negates {
		n := &p.Frame.Negates[i]
		from := after(list[n.Anchor].time, n.Slide)
		wide := n.Window
		if !n.Absolute {
			wide += length
		}
		to := after(from, max(wide, 0))
		switch {
		case f.frame.stamped(uint8(i), from, to):
			f.judged(verdict{claim: timerFrame, role: noRole, time: to, known: true})
			return n.Anchor, never
		case to >= m.now && m.now != never:
			return -1, to
		case m.claim && !f.claim(p, timerFrame, noRole, n.Kinds, to):
			return n.Anchor, never // what is unknown fires nothing
		}
	}
	return -1, never
}

// stamped reports whether a negate was met between two times.
func (r *frame) stamped(guard uint8, from, to int64) bool {
	first := sort.Search(len(r.stamps), func(i int) bool { return r.stamps[i].time >= from })
	for _, s := range r.stamps[first:] {
		if s.time > to {
			return false
		}
		if s.guard == guard {
			return true
		}
	}
	return false
}

// fireFrame opens an episode that is imminent at once, or counts on in the one that is open.
func (f *fold) fireFrame(p *folder, at int64, list []piece) {
	r := f.frame
	r.total++
	if p.keepAll {
		x := firing{number: r.total, time: at}
		for _, m := range list {
			x.records = append(x.records, m.id)
		}
		r.fired = append(r.fired, x)
	}
	if f.windows == nil {
		f.windows = make([]window, p.slots())
	}
	if f.open == nil {
		f.episodes++
		f.open = &episode{number: f.episodes, opened: list[0].time, seen: at, quiet: at, flaws: f.flaws}
		f.climbFrame(p, at, list)
	}
	for _, m := range list {
		f.open.meet(uint8(m.slot), &step{weight: 1, text: m.text})
	}
	f.see(at)
}

// climbFrame writes down when each stage was reached: with the last record of its slot. The last of them is when the frame fires.
func (f *fold) climbFrame(p *folder, at int64, list []piece) {
	e := f.open
	for i, m := range list {
		if m.place+1 < int(p.Stages[m.slot].Count) {
			continue
		}
		t := turn{m.time, uint8(m.slot), codeForming}
		if i == len(list)-1 {
			t.time, t.state = at, codeImminent
		}
		e.path = append(e.path, t)
		e.met = append(e.met, met{role: uint8(m.slot)})
		f.windows[m.slot].satisfied = true
	}
}

// endFrames decides what waits as if time had run out: no more records come.
func (f *fold) endFrames(p *folder, at int64) {
	if f.frame != nil && f.frame.due != never {
		f.decideFrames(p, moment{at: max(at, f.at), now: never})
	}
}

// idle says until when what a frame holds can matter.
func (r *frame) idle(p *plan) int64 {
	until := int64(longAgo)
	for _, s := range r.slots {
		if n := len(s); n > 0 {
			until = max(until, after(s[n-1].time, p.Frame.keep))
		}
	}
	if n := len(r.stamps); n > 0 {
		until = max(until, after(r.stamps[n-1].time, p.Frame.lookBack))
	}
	return until
}
