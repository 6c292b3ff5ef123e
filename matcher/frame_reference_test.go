package matcher_test

import (
	"math"
	"slices"
	"strings"
)

// A slow engine for CRE rules, written from the description of how the reference engine behaves and from nothing else: no index, no timers,
// every line is looked at. Its known defects can be switched on, so that it can be shown where forewarn differs, and only there.

// refRule is a rule after its counts are written out.
type refRule struct {
	sequence bool
	window   int64
	slots    []refSlot
	negates  []refNegate
}

type refSlot struct {
	text string
	need int
}

type refNegate struct {
	text          string
	window, slide int64
	anchor        int
	absolute      bool
}

type refLine struct {
	at     int64
	text   string
	number int
}

// refDefects are what the reference engine does and forewarn does not.
type refDefects struct {
	lax      bool // a sequence without negate forgets its window and its order when its first event grows old
	loose    bool // with negate, what follows a counted slot may lie between its events
	overlook bool // a negate is not noted while a counted slot is not full
	eager    bool // a frame is decided by a line, and not when its time has passed
}

var asItIs = refDefects{lax: true, loose: true, overlook: true, eager: true}

// refEngine runs one rule.
type refEngine struct {
	refRule
	refDefects
	clock  int64
	queue  [][]refLine
	active int
	stamps [][]int64 // of each negate
	keep   int64
	back   int64
	frames [][]int
	crash  bool // the reference engine would have died
}

// reference returns the numbers of the lines of each frame, in the order in which they fire.
func reference(rule refRule, lines []refLine, d refDefects) *refEngine {
	e := &refEngine{refRule: rule, refDefects: d, clock: math.MinInt64, queue: make([][]refLine, len(rule.slots)), stamps: make([][]int64, len(rule.negates)), keep: rule.window}
	for _, n := range rule.negates {
		e.keep = max(e.keep, rule.window+n.window+n.slide)
		e.back = max(e.back, -n.slide)
	}
	for _, l := range lines {
		e.line(l)
	}
	if len(e.negates) > 0 {
		e.evaluate(math.MaxInt64)
	}
	return e
}

func (l refLine) has(text string) bool { return strings.Contains(l.text, text) }

func (e *refEngine) line(l refLine) {
	if len(e.slots) == 1 && e.slots[0].need == 1 && len(e.negates) == 0 {
		if l.has(e.slots[0].text) {
			e.frames = append(e.frames, []int{l.number})
		}
		return
	}
	if l.at < e.clock {
		return
	}
	if !e.eager && len(e.negates) > 0 && l.at > e.clock {
		e.evaluate(l.at)
	}
	e.clock = l.at
	switch {
	case e.sequence && len(e.negates) == 0 && e.lax:
		e.laxSequence(l)
	case e.sequence:
		e.strictSequence(l)
	case len(e.negates) == 0:
		e.plainSet(l)
	default:
		e.guardedSet(l)
	}
}

func (e *refEngine) isFull(i int) bool { return len(e.queue[i]) >= e.slots[i].need }

func (e *refEngine) allFull() bool {
	for i := range e.slots {
		if !e.isFull(i) {
			return false
		}
	}
	return true
}

func (e *refEngine) anyFull() bool {
	return slices.ContainsFunc(e.slots, func(s refSlot) bool { return e.isFull(slices.Index(e.slots, s)) })
}

func (e *refEngine) anything() bool {
	return slices.ContainsFunc(e.queue, func(q []refLine) bool { return len(q) > 0 })
}

func since(q []refLine, from int64) []refLine {
	return slices.DeleteFunc(slices.Clone(q), func(l refLine) bool { return l.at < from })
}

func (e *refEngine) plainSet(l refLine) {
	for i := range e.slots {
		e.queue[i] = since(e.queue[i], l.at-e.window)
		if l.has(e.slots[i].text) {
			e.queue[i] = append(e.queue[i], l)
		}
	}
	if e.allFull() {
		e.fire()
	}
}

// fire takes the first events of every slot.
func (e *refEngine) fire() {
	var frame []int
	for i, s := range e.slots {
		for _, l := range e.queue[i][:s.need] {
			frame = append(frame, l.number)
		}
		e.queue[i] = slices.Clone(e.queue[i][s.need:])
	}
	e.frames = append(e.frames, frame)
}

func (e *refEngine) laxSequence(l refLine) {
	if e.active > 0 && l.at-e.queue[0][0].at >= e.window {
		e.queue[0] = since(e.queue[0], l.at-e.window)
		e.laxTidy(e.active)
	}
	active := e.active
	for i := range active {
		if l.has(e.slots[i].text) {
			e.queue[i] = append(e.queue[i], l)
		}
	}
	if !l.has(e.slots[active].text) {
		return
	}
	e.queue[active] = append(e.queue[active], l)
	if !e.isFull(active) {
		return
	}
	if active < len(e.slots)-1 {
		e.active++
		return
	}
	e.fire()
	e.laxTidy(len(e.slots))
}

func (e *refEngine) laxTidy(upTo int) {
	e.active = 0
	if !e.isFull(0) {
		clear(e.queue[1:upTo])
		return
	}
	base := e.queue[0][e.slots[0].need-1].at
	e.active = 1
	for i := 1; i < upTo; i++ {
		e.queue[i] = since(e.queue[i], base)
		if !e.isFull(i) {
			clear(e.queue[i+1 : upTo])
			return
		}
		e.active++
	}
	e.active = min(e.active, len(e.slots)-1)
}

func (e *refEngine) discard(t int64) {
	for i, s := range e.slots {
		before := len(e.queue[i])
		if e.sequence && i > 0 {
			continue
		}
		e.queue[i] = since(e.queue[i], t-e.keep)
		if s.need > 1 && len(e.queue[i]) < before {
			e.crash = e.crash || !e.sequence
		}
	}
	if e.sequence {
		e.tidy()
	}
	for i := range e.stamps {
		e.stamps[i] = slices.DeleteFunc(e.stamps[i], func(s int64) bool { return s < t-e.keep-e.back })
	}
}

func (e *refEngine) note(l refLine) {
	for i, n := range e.negates {
		if l.has(n.text) {
			e.stamps[i] = append(e.stamps[i], l.at)
		}
	}
}

func (e *refEngine) guardedSet(l refLine) {
	if !e.allFull() {
		e.discard(l.at)
	}
	for i := range e.slots {
		if l.has(e.slots[i].text) {
			e.queue[i] = append(e.queue[i], l)
		}
	}
	if nothing := !e.anything() || e.overlook && !e.anyFull(); nothing && e.back == 0 {
		return
	}
	e.note(l)
	e.evaluate(e.now(l))
}

// now is what time it is when a line is looked at.
func (e *refEngine) now(l refLine) int64 {
	if e.eager {
		return l.at
	}
	return math.MinInt64
}

func (e *refEngine) strictSequence(l refLine) {
	if e.active < len(e.slots) {
		e.discard(l.at)
	}
	if len(e.queue[0]) == 0 && e.back == 0 && !l.has(e.slots[0].text) {
		return
	}
	active := e.active
	for i := range active {
		if l.has(e.slots[i].text) {
			e.queue[i] = append(e.queue[i], l)
		}
	}
	if active < len(e.slots) && l.has(e.slots[active].text) {
		e.queue[active] = append(e.queue[active], l)
		if e.isFull(active) {
			e.active++
		}
	}
	e.note(l)
	e.evaluate(e.now(l))
}

// tidy makes the slots of a sequence follow each other again.
func (e *refEngine) tidy() {
	e.active = 0
	if !e.isFull(0) {
		clear(e.queue[1:])
		return
	}
	for i := 1; i < len(e.slots) && e.isFull(i-1); i++ {
		last := e.queue[i-1][e.slots[i-1].need-1].at
		if e.loose {
			last = e.queue[i-1][0].at
		}
		e.queue[i] = since(e.queue[i], last)
		if !e.isFull(i) {
			clear(e.queue[i+1:])
		}
	}
	for e.active < len(e.slots) && e.isFull(e.active) {
		e.active++
	}
}

// place is where an event of a frame is held.
type refPlace struct{ slot, index int }

// evaluate decides complete frames, the oldest first.
func (e *refEngine) evaluate(now int64) {
	for e.complete() {
		var places []refPlace
		for i, s := range e.slots {
			for j := range s.need {
				places = append(places, refPlace{i, j})
			}
		}
		at := func(p refPlace) int64 { return e.queue[p.slot][p.index].at }
		if !e.sequence {
			slices.SortStableFunc(places, func(a, b refPlace) int {
				return int(max(-1, min(1, at(a)-at(b))))
			})
		}
		first, last := at(places[0]), at(places[len(places)-1])
		if last-first > e.window {
			e.remove(places[0])
			continue
		}
		killed, waits := false, false
		for i, n := range e.negates {
			from := at(places[n.anchor]) + n.slide
			wide := n.window
			if !n.absolute {
				wide += last - first
			}
			to := from + max(0, wide)
			if slices.ContainsFunc(e.stamps[i], func(s int64) bool { return from <= s && s <= to }) {
				killed = true
				e.remove(places[n.anchor])
				break
			}
			if to >= now {
				waits = true
				break
			}
		}
		switch {
		case killed:
		case waits:
			return
		default:
			e.fire()
			if e.sequence {
				e.tidy()
			}
		}
	}
}

func (e *refEngine) complete() bool {
	if e.sequence {
		return e.active == len(e.slots)
	}
	return e.allFull()
}

func (e *refEngine) remove(p refPlace) {
	e.queue[p.slot] = slices.Delete(slices.Clone(e.queue[p.slot]), p.index, p.index+1)
	if e.sequence {
		e.tidy()
	}
}
