package matcher

import (
	"cmp"
	"slices"
	"strings"
)

// Swap takes another set of signatures. What follows a signature that is unchanged goes on; of others, what people were told
// is closed as expired.
func (t *Tracker) Swap(p Lookup) {
	t.ready()
	t.program = p
	old := slices.Clone(t.numbers)
	clear(t.plans)
	t.lastPlan = nil
	for i, x := range old {
		if x == nil {
			continue
		}
		next := t.next(x)
		t.numbers[i] = next
		if next != nil {
			t.plans[x.Digest] = next
		}
	}
	var gone []*progress
	for n := range t.table.each {
		number := t.head(n).plan
		switch next := t.numbers[number]; {
		case next == nil:
			t.numbers[number] = old[number] // until it is closed
			x := t.rouse(n)
			t.wake(x)
			gone = append(gone, x)
			t.numbers[number] = nil
		case t.table.at(n).live&slotLive != 0:
			t.rouse(n).plan = next
		}
	}
	t.closeGone(gone)
}

// next is a plan as the program has it now, under the number that it has; nil when its signature is not there any more.
func (t *Tracker) next(p *plan) *plan {
	c := t.program.Lookup(p.Digest)
	if c == nil {
		return nil
	}
	n := newPlan(c, t.options.Lateness)
	n.number = p.number
	return n
}

// closeGone gives up progresses whose signature is not there any more.
func (t *Tracker) closeGone(gone []*progress) {
	slices.SortFunc(gone, func(a, b *progress) int {
		return cmp.Or(strings.Compare(a.plan.Signature.ID, b.plan.Signature.ID), cmp.Compare(a.plan.Digest, b.plan.Digest), a.key.compare(b.key))
	})
	for _, p := range gone {
		t.giveUp(p, "the signature was changed or removed", 0)
	}
}
