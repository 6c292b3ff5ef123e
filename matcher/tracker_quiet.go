package matcher

// quietly takes a hit of which nobody can be told anything, whatever comes before or after it, without a look at the state: it
// refreshes stages that were reached, or adds to the current one less than it lacks. It is folded when it is settled, or when
// another hit or a person wants to know.
func (t *Tracker) quietly(p *progress, k *kept) bool {
	if !p.asleep && p.prompt != nil || p.weight == noWeight || t.manner&(mannerAwake|mannerLoud) != 0 || len(p.pending) >= t.options.MaxPending {
		return false
	}
	var x facts
	if p.asleep {
		x, _ = openFacts(t.head(p.slot).rest)
	} else {
		x = p.facts()
	}
	if x.now == loud || x.open && k.on&(1<<RoleIncident) != 0 {
		return false
	}
	if x.open && k.on&p.plan.rungs == 0 && k.on&(1<<RoleClear) != 0 {
		return false
	}
	if now := int(x.now); now < len(p.plan.Stages) && k.on&(1<<now) != 0 {
		w := p.weight + uint64(k.weight)
		if x.have+w >= p.plan.Stages[now].Count {
			return false
		}
		p.weight = w
	}
	at := len(p.pending)
	for at > 0 && k.compare(p.pending[at-1]) < 0 {
		at--
	}
	t.add(p, at, k)
	if !p.asleep {
		due, _ := t.dueOf(p)
		t.timers.set(p, due)
	} else if k.time < p.due && (p.place >= 0 || !t.waits.add(p, k.time)) { // what else is due is in the wheel
		t.timers.set(p, k.time)
	}
	return true
}
