package matcher

import (
	"slices"
	"time"
)

// folder is what a fold works with: the signature, and what settled facts need. A prompt fold has neither verdicts nor counters.
type folder struct {
	*plan
	absent func(kinds uint8, deadline int64) (sure bool, silent []string)
	lost   func()
	until  int64 // nothing but timers comes before this time
}

// hit folds one record. The numbers are those of README.md.
func (f *fold) hit(p *folder, h *kept) {
	f.at = max(f.at, h.time)
	on := h.on & p.rungs
	if p.Frame != nil && h.on&(p.rungs|p.negates) != 0 {
		f.line(p, h)
		if on != 0 {
			return // only what fires is seen
		}
	}
	if g := h.on & p.guards; g != 0 { // 1
		f.stampAll(p, g, h.time)
	}
	if l := h.on & p.limits; l != 0 { // 2
		f.setLimits(p, l, h)
	}
	gives := on &^ (p.held | p.sampled)
	if x := (h.on | h.off) & p.held; x != 0 {
		f.moveHolds(p, h)
	}
	if x := (h.on | h.off) & p.sampled; x != 0 {
		on &^= x
		is, enough := f.sample(p, x, h)
		on |= is
		gives |= enough
	}
	if gives != 0 { // 3 to 6
		f.climb(p, &step{time: h.time, roles: gives, weight: h.weight, values: h.values, text: h.text})
	}
	if on != 0 { // 7
		f.see(h.time)
		return
	}
	if h.on&(1<<RoleClear) != 0 && f.open != nil { // 8
		switch {
		case p.ClearFor == 0:
			f.finish(h.time, "a record says that it is over")
		case f.clearDue == never:
			f.clearDue = after(h.time, p.ClearFor)
		}
	}
}

// see moves last-seen and drops a pending clear.
func (f *fold) see(t int64) {
	if e := f.open; e != nil {
		e.seen, e.quiet = max(e.seen, t), max(e.quiet, t)
		f.clearDue = never
	}
}

func (f *fold) stampAll(p *folder, guards uint64, t int64) {
	for role := range eachRole(guards) {
		f.stamps = append(f.stamps, stamp{role - RoleUnless, t})
	}
	from := f.at
	if f.waiting != nil {
		from = f.waiting.at
	}
	from = after(from, p.lookBack)
	n := 0
	for n < len(f.stamps) && f.stamps[n].time < from {
		n++
	}
	if over := len(f.stamps) - maxStamps; over > n {
		n = over
		f.lose(p)
	}
	f.stamps = slices.Delete(f.stamps, 0, n)
}

// lose notes that a bound made the fold forget a detail.
func (f *fold) lose(p *folder) {
	f.flawed(flawDetail)
	if p.lost == nil {
		f.lost++
		return
	}
	p.lost()
}

// moveHolds begins and ends holds.
func (f *fold) moveHolds(p *folder, h *kept) {
	lit := f.anyLit()
	for role := range eachRole(h.off & p.held) {
		f.holds = slices.DeleteFunc(f.holds, func(x hold) bool {
			return x.role == role && x.object == h.object && (h.deleted || x.path == h.path)
		})
	}
	if lit && !f.anyLit() && f.open != nil {
		f.open.seen, f.open.quiet = max(f.open.seen, h.time), max(f.open.quiet, h.time)
	}
	for role := range eachRole(h.on & p.held) {
		if slices.ContainsFunc(f.holds, func(x hold) bool { return x.role == role && x.object == h.object && x.path == h.path }) {
			continue
		}
		if len(f.holds) >= maxHolds {
			f.holds = slices.Delete(f.holds, 0, 1)
			f.lose(p)
		}
		f.holds = append(f.holds, hold{
			role: role, object: h.object, path: h.path, due: after(h.time, p.rung(role).Hold),
			step: step{roles: 1 << role, weight: h.weight, values: h.values, text: h.text},
		})
	}
}

func (f *fold) anyLit() bool {
	for i := range f.holds {
		if f.holds[i].lit {
			return true
		}
	}
	return false
}

// climb gives a step's contributions to the rungs.
func (f *fold) climb(p *folder, s *step) {
	if f.windows == nil {
		f.windows = make([]window, p.slots())
	}
	roles := s.roles
	if f.waiting != nil {
		if later := roles &^ (1<<(f.waiting.stage+1) - 1); later != 0 {
			d := *s
			d.roles = later
			if len(f.deferred) >= maxDeferred {
				f.deferred = slices.Delete(f.deferred, 0, 1)
				f.lose(p)
			}
			f.deferred = append(f.deferred, d)
			roles &^= later
		}
	}
	var climbed bool
	if p.InOrder {
		climbed = f.climbInOrder(p, s, roles)
	} else {
		climbed = f.climbAny(p, s, roles)
	}
	if roles&(1<<RoleIncident) == 0 || f.open == nil || f.waiting != nil {
		return
	}
	w := &f.windows[len(p.Stages)]
	complete := f.contribute(p, RoleIncident, s)
	switch {
	case w.satisfied:
		f.open.meet(RoleIncident, s)
	case complete && !climbed:
		w.satisfied = true
		f.turn(p, s.time, RoleIncident, codeIncident)
	}
}

// current is the first stage that is not reached.
func (f *fold) current(p *folder) int {
	for i := range p.Stages {
		if !f.windows[i].satisfied {
			return i
		}
	}
	return len(p.Stages)
}

func (f *fold) climbInOrder(p *folder, s *step, roles uint64) (climbed bool) {
	now := f.current(p)
	follows := true
	if now > 0 && now < len(p.Stages) {
		limit := p.Stages[now].FollowsWithin
		follows = limit == 0 || s.time <= after(f.windows[now-1].last, limit)
	}
	for role := range eachRole(roles & (1<<now - 1)) {
		f.windows[role].last = max(f.windows[role].last, s.time)
		f.open.meet(role, s)
	}
	if now == len(p.Stages) || roles&(1<<now) == 0 || !follows {
		return false
	}
	w := &f.windows[now]
	complete := f.contribute(p, uint8(now), s)
	w.last = max(w.last, s.time)
	if !complete || f.waiting != nil {
		return false
	}
	f.complete(p, now, s.time)
	return true
}

func (f *fold) climbAny(p *folder, s *step, roles uint64) (climbed bool) {
	for role := range eachRole(roles & (1<<len(p.Stages) - 1)) {
		i := int(role)
		w := &f.windows[i]
		complete := f.contribute(p, role, s)
		if w.satisfied {
			f.open.meet(role, s)
		}
		if !complete {
			continue
		}
		switch {
		case w.satisfied || f.waiting != nil && f.waiting.stage == i:
			w.last = max(w.last, s.time)
			f.judge(p, s.time)
		case !climbed && (f.waiting == nil || !p.guarded(i)):
			climbed = true
			w.last = s.time
			f.complete(p, i, s.time)
		}
	}
	return climbed
}

// complete is a stage whose records are there: a candidate if something guards it.
func (f *fold) complete(p *folder, stage int, t int64) {
	if !p.guarded(stage) {
		f.reach(p, stage, t)
		return
	}
	due := t
	for i := range p.Unless {
		if g := &p.Unless[i]; g.Stage == stage {
			due = max(due, after(after(t, g.Slide), g.Window))
		}
	}
	f.waiting = &candidate{stage: stage, at: t, due: due}
}

func (f *fold) reach(p *folder, stage int, t int64) {
	f.windows[stage].satisfied = true
	state := codeForming
	if f.open == nil {
		f.episodes++
		f.open = &episode{number: f.episodes, opened: t, seen: t, quiet: t, flaws: f.flaws, forecast: f.outlook}
	} else {
		state = f.open.state()
	}
	if s := p.Stages[stage].Series; s != nil && s.Forecast != nil || f.enough(p) {
		state = max(state, codeImminent)
	}
	f.turn(p, t, uint8(stage), state)
}

// judge says imminent when a completion made enough stages lie close enough together.
func (f *fold) judge(p *folder, t int64) {
	if f.open != nil && f.open.state() < codeImminent && f.enough(p) {
		f.open.path = append(f.open.path, turn{t, noRole, codeImminent})
	}
}

// enough reports whether all stages that are needed were reached, close enough to each other.
func (f *fold) enough(p *folder) bool {
	var buf [MaxStages]int64
	times := buf[:0]
	for i := range p.Stages {
		if f.windows[i].satisfied {
			times = append(times, f.windows[i].last)
		}
	}
	if p.InOrder || p.Within == 0 {
		return len(times) >= p.Need
	}
	slices.Sort(times)
	for i := 0; i+p.Need <= len(times); i++ {
		if time.Duration(times[i+p.Need-1]-times[i]) <= p.Within {
			return true
		}
	}
	return false
}

// turn notes a rung that was reached, with the evidence of its window.
func (f *fold) turn(p *folder, t int64, role uint8, state stateCode) {
	e := f.open
	e.path = append(e.path, turn{t, role, state})
	m := met{role: role}
	w := &f.windows[p.slotOf(role)]
	for i := range w.items {
		m.add(uint64(w.items[i].weight), w.items[i].text)
	}
	e.met = append(e.met, m)
	if p.InOrder || role == RoleIncident {
		w.drop(len(w.items))
	}
}

// meet counts a record that meets a rung that was reached before.
func (e *episode) meet(role uint8, s *step) {
	if e == nil {
		return
	}
	for i := range e.met {
		if e.met[i].role == role {
			e.met[i].add(uint64(s.weight), s.text)
		}
	}
}

func (m *met) add(weight uint64, text evidence) {
	m.count += weight
	switch {
	case text == 0:
	case m.first == 0:
		m.first = text
	case m.second == 0:
		m.second = text
	default:
		m.latest = text
	}
}

// finish closes the episode because it is over.
func (f *fold) finish(t int64, reason string) {
	state := codeAverted
	if f.open.reached(RoleIncident) {
		state = codeResolved
	}
	f.shut(t, state, reason)
}

// shut closes the episode and drops what belongs to it.
func (f *fold) shut(t int64, state stateCode, reason string) {
	e := f.open
	e.path = append(e.path, turn{t, noRole, state})
	e.reason = reason
	f.done = append(f.done, e)
	f.open, f.windows, f.waiting, f.deferred, f.clearDue, f.flaws, f.outlook = nil, nil, nil, nil, never, 0, nil
}
