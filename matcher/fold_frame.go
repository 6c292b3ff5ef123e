package matcher

import (
	"slices"

	"github.com/forewarn/forewarn/signatures"
)

// maxHeld is how many records a slot of a frame keeps; the oldest go, which is counted. It is more than any stage's count.
const maxHeld = 16384

// maxHeldText is how many of them keep their evidence, besides the newest.
const maxHeldText = 32

// maxNegateStamps is how many times of negates are kept.
const maxNegateStamps = 4096

// frame is what a fold keeps of a signature with a frame: the records that are not used up, one slot for each stage, and the times
// of those that meet a negate. README.md says what they become.
type frame struct {
	slots  [][]held
	active int     // order sequence: how many of the first slots are filled, in order
	stamps []stamp // of negates
	due    int64   // when the complete frame that waits can be decided; never without one
	total  uint64  // how often it fired
	fired  []firing
}

// held is a record that waits in a slot.
type held struct {
	time int64
	id   uint64
	text evidence
}

// firing is a complete frame. It is kept only for a tracker that is asked for them.
type firing struct {
	number  uint64
	time    int64
	records []uint64
}

func newFrame(p *plan) *frame {
	return &frame{slots: make([][]held, len(p.Stages)), due: never}
}

func (r *frame) clone() *frame {
	if r == nil {
		return nil
	}
	c := *r
	c.slots = slices.Clone(r.slots)
	for i := range c.slots {
		c.slots[i] = slices.Clone(c.slots[i])
	}
	c.stamps, c.fired = slices.Clone(r.stamps), nil
	return &c
}

// holds reports whether any record is kept.
func (r *frame) holds() bool {
	return slices.ContainsFunc(r.slots, func(s []held) bool { return len(s) > 0 })
}

// filled reports whether every slot has what it needs, in order where there is one.
func (r *frame) filled(p *plan) bool {
	if p.InOrder {
		return r.active == len(r.slots)
	}
	for i := range r.slots {
		if !r.enough(p, i) {
			return false
		}
	}
	return true
}

func (r *frame) enough(p *plan, slot int) bool {
	return len(r.slots[slot]) >= int(p.Stages[slot].Count)
}

// line folds one record into the frame.
func (f *fold) line(p *folder, h *kept) {
	if f.frame == nil {
		f.frame = newFrame(p.plan)
	}
	r := f.frame
	if !r.filled(p.plan) {
		r.forget(p.plan, h.time)
	}
	if p.InOrder && len(r.slots[0]) == 0 && p.Frame.lookBack == 0 && h.on&1 == 0 {
		return // nothing of what it could be about has begun
	}
	f.put(p, h)
	if p.Frame.lookBack > 0 || r.holds() { // a negate before the first record says nothing
		f.stampNegates(p, h)
	}
	// Whether something was absent is decided when its time has passed, and never by a record: one of the same instant may follow.
	f.decideFrames(p, moment{at: h.time, now: longAgo})
}

// put keeps a record in every slot that wants it. In a sequence those are the slots that are filled, for frames to come, and the
// next one: a record fills at most one slot.
func (f *fold) put(p *folder, h *kept) {
	r := f.frame
	reached := len(r.slots)
	if p.InOrder {
		reached = r.active
	}
	for role := range eachRole(h.on & (1<<reached - 1)) {
		f.hold(int(role), h)
	}
	if reached < len(r.slots) && h.on&(1<<reached) != 0 {
		if f.hold(reached, h); r.enough(p.plan, reached) {
			r.active++
		}
	}
	full := false
	for i := range r.slots {
		if over := len(r.slots[i]) - maxHeld; over > 0 {
			r.drop(i, over)
			f.lose(p)
			full = true
		}
	}
	if full && p.InOrder {
		r.align(p.plan)
	}
}

func (f *fold) hold(slot int, h *kept) {
	s := f.frame.slots[slot]
	if n := len(s) - 1; n >= maxHeldText {
		s[n].text = 0
	}
	f.frame.slots[slot] = append(s, held{h.time, h.id, h.text})
}

func (f *fold) stampNegates(p *folder, h *kept) {
	r := f.frame
	for role := range eachRole(h.on & p.negates) {
		r.stamps = append(r.stamps, stamp{role - RoleUnless, h.time})
	}
	if over := len(r.stamps) - maxNegateStamps; over > 0 {
		r.stamps = slices.Delete(r.stamps, 0, over)
		f.lose(p)
	}
}

// forget drops what no frame that ends at t or later can hold.
func (r *frame) forget(p *plan, t int64) {
	from := after(t, -p.Frame.keep)
	if p.InOrder {
		if n := older(r.slots[0], from); n > 0 {
			r.drop(0, n)
			r.align(p)
		}
	} else {
		for i := range r.slots {
			r.drop(i, older(r.slots[i], from))
		}
	}
	from = after(from, -p.Frame.lookBack)
	n := 0
	for n < len(r.stamps) && r.stamps[n].time < from {
		n++
	}
	r.stamps = slices.Delete(r.stamps, 0, n)
}

// older counts the records before a time.
func older(s []held, from int64) int {
	n := 0
	for n < len(s) && s[n].time < from {
		n++
	}
	return n
}

// drop forgets the first n records of a slot.
func (r *frame) drop(slot, n int) {
	if r.slots[slot] = r.slots[slot][n:]; len(r.slots[slot]) == 0 {
		r.slots[slot] = nil // so that the memory is not held
	}
}

// align makes the slots of a sequence follow each other again after records of them are gone: what a slot holds from before the one
// that fills the slot before it is dropped, and so is all that comes after a slot that is not filled.
func (r *frame) align(p *plan) {
	r.active = 0
	base := int64(longAgo)
	for i := range r.slots {
		if r.active < i {
			r.slots[i] = nil
			continue
		}
		r.drop(i, older(r.slots[i], base))
		if r.enough(p, i) {
			base = r.slots[i][p.Stages[i].Count-1].time
			r.active++
		}
	}
}

// fits reports whether a frame that was read is one of the plan's.
func (r *frame) fits(p *plan) bool {
	switch {
	case r == nil:
		return true
	case p.Frame == nil, len(r.slots) != len(p.Stages), r.active < 0, r.active > len(r.slots), r.active > 0 && !p.InOrder:
		return false
	}
	for i := range r.active {
		if !r.enough(p, i) {
			return false
		}
	}
	return (r.due == never) != r.filled(p)
}

// missing says how far the slot of a stage is.
func (r *frame) missing(p *plan, slot int) string {
	have := 0
	if r != nil {
		have = len(r.slots[slot])
	}
	text := amount(uint64(have), p.Stages[slot].Count, "record")
	if p.Frame.Window > 0 {
		text += " in a frame of " + signatures.Duration(p.Frame.Window).String()
	}
	if p.InOrder && slot > 0 && (r == nil || r.active < slot) {
		text += ", after " + p.Stages[slot-1].Name
	}
	return text
}

// eachEvidence calls fn with what the records of the frame may show.
func (r *frame) eachEvidence(fn func(evidence)) {
	for _, slot := range r.slots {
		for i := range slot {
			fn(slot[i].text)
		}
	}
}
