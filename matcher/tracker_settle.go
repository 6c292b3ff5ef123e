package matcher

import "slices"

// Advance settles everything up to the horizon. It looks only at what is due.
func (t *Tracker) Advance() {
	t.ready()
	h, ok := t.water.Horizon()
	if ok {
		t.advance(h)
	}
}

func (t *Tracker) advance(horizon int64) {
	t.horizon = max(t.horizon, horizon)
	t.tick()
	for p := t.waits.next(t.horizon); p != nil; p = t.waits.next(t.horizon) {
		if !t.refresh(p) {
			t.timers.set(p, p.due)
		}
	}
	for len(t.timers) > 0 && t.timers[0].due <= t.horizon {
		p := t.timers[0]
		if t.refresh(p) {
			continue
		}
		t.wake(p)
		t.soil(p)
		t.settle(p)
		t.tell(p)
		t.schedule(p)
		if p.place >= 0 && p.due <= t.horizon { // it was settled a moment ago, so nothing is; but a loop here would have no end
			t.timers.set(p, after(t.horizon, 1))
		}
	}
	t.tidy()
}

// settle folds hits and fires timers up to the horizon, in the order of their times.
func (t *Tracker) settle(p *progress) {
	f := t.settler(p)
	n, fired := 0, false
	if last := len(p.pending) - 1; last >= 0 && p.folded > last && p.pending[last].time <= t.horizon {
		// Everything was folded promptly and no timer came between, so that is what settling it gives.
		t.stats.EvictedDetail += p.prompt.lost
		known := p.settled.closed()
		p.settled, p.prompt = *p.prompt, nil
		p.settled.lost = 0
		p.settled.done = slices.DeleteFunc(p.settled.done, func(e *episode) bool { return e.number <= known })
		n, p.folded = last+1, last+1
	}
	for {
		due, kind, place := p.settled.next(p.plan)
		f.until = after(t.horizon, 1)
		if n < len(p.pending) {
			f.until = min(f.until, p.pending[n].time)
		}
		switch {
		case n < len(p.pending) && p.pending[n].time <= min(due, t.horizon):
			p.settled.hit(f, p.pending[n])
			n++
			continue
		case due <= t.horizon:
			p.settled.fire(f, due, kind, place)
			fired = true
			continue
		}
		break
	}
	t.stats.Pending -= n
	t.take(p, n)
	if p.floor <= t.horizon {
		p.floor = longAgo
	}
	switch {
	case fired || n > p.folded:
		p.refold()
	case len(p.pending) == 0:
		p.prompt, p.folded = nil, 0
	default:
		p.folded -= n
	}
}

// schedule says when p has to be looked at again. It lets p rest when nothing is pending, and forgets it when it has nothing left.
func (t *Tracker) schedule(p *progress) {
	due, gone := t.dueOf(p)
	switch {
	case gone:
		t.remove(p)
	case t.keepWarm(p) || !t.rest(p, due):
		t.timers.set(p, due)
	}
}

// dueOf is when p has to be looked at again; gone when it is not worth keeping.
func (t *Tracker) dueOf(p *progress) (due int64, gone bool) {
	due, _, _ = p.settled.next(p.plan)
	if len(p.pending) > 0 {
		due = min(due, p.pending[0].time)
	}
	for i := range p.told { // what was taken back is kept until nothing can bring it back
		if p.told[i].gone(p.current()) {
			due = min(due, after(p.told[i].episode.opened, 1))
		}
	}
	if len(p.pending) == 0 && len(p.told) == 0 {
		nothing, until := p.settled.idle(p.plan)
		if nothing || until < t.horizon {
			return due, true
		}
		if until != never && until != longAgo {
			due = min(due, after(until, 1))
		}
	}
	return due, false
}

func (t *Tracker) remove(p *progress) {
	s := t.table.at(p.slot)
	t.soil(p) // so that what is stored of it is noted
	t.stats.Pending -= len(p.pending)
	t.timers.remove(p)
	t.removed[string(p.storageKey())] = true
	t.wheel.unlink(&t.table, p.slot)
	t.blocks.release(s.block)
	t.retire(p)
	t.table.drop(p.slot)
	p.plan = nil
}
