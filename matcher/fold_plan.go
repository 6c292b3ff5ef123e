package matcher

import (
	"math/bits"
	"time"
)

// plan is a signature with what the fold looks up for every hit.
type plan struct {
	*Compiled
	rungs    uint64        // the roles of the stages and the incident
	held     uint64        // of those, the changes with `for`
	sampled  uint64        // and the samples
	guards   uint64        // the unless roles
	negates  uint64        // the roles of a frame's negates
	limits   uint64        // the limit roles
	lookBack time.Duration // how far before a stage the earliest unless window begins, as a negative duration
	keyAttrs map[string][]string
	stub     bool   // the signature is gone; only what closes its warnings is known
	number   uint32 // of the tracker's plans
	keepAll  bool   // complete frames are kept for [Tracker.Firings]
	plain    bool   // stages in order, none of which a record can reach otherwise than by being counted: see [Tracker.quietly]

	settles time.Duration // how long after its deadline the absence of something can be told: the allowed lateness
}

func newPlan(c *Compiled, lateness time.Duration) *plan {
	p := &plan{Compiled: c, settles: lateness, keyAttrs: map[string][]string{"cluster": keyParts("cluster")[0].Attrs, "stream": {streamAttr}}}
	add := func(role int, r *Rung) {
		p.rungs |= 1 << role
		if r.Hold > 0 {
			p.held |= 1 << role
		}
		if r.Series != nil {
			p.sampled |= 1 << role
			if r.Series.Limit >= 0 {
				p.limits |= 1 << r.Series.Limit
			}
		}
	}
	for i := range c.Stages {
		add(i, &c.Stages[i])
	}
	if c.Incident != nil {
		add(RoleIncident, c.Incident)
	}
	for i := range c.Unless {
		p.guards |= 1 << (RoleUnless + i)
		p.lookBack = min(p.lookBack, c.Unless[i].Slide)
	}
	if c.Frame != nil {
		p.negates = (1<<len(c.Frame.Negates) - 1) << RoleUnless
	}
	for i := range c.By {
		p.keyAttrs[c.By[i].Name] = c.By[i].Attrs
	}
	p.plain = c.Frame == nil && c.InOrder && p.held|p.sampled|p.guards|p.limits == 0
	return p
}

// rung returns what a role stands for.
func (p *plan) rung(role uint8) *Rung {
	if role == RoleIncident {
		return p.Incident
	}
	return &p.Stages[role]
}

// slots is the number of windows: one for each stage and one for the incident.
func (p *plan) slots() int { return len(p.Stages) + 1 }

// slot returns the rung of a window. That of an incident that the signature does not have is empty.
func (p *plan) slot(i int) *Rung {
	switch {
	case i < len(p.Stages):
		return &p.Stages[i]
	case p.Incident != nil:
		return p.Incident
	}
	return &Rung{}
}

// slotOf is the window of a role.
func (p *plan) slotOf(role uint8) int {
	if role == RoleIncident {
		return len(p.Stages)
	}
	return int(role)
}

// guarded reports whether an unless looks at a stage.
func (p *plan) guarded(stage int) bool {
	for i := range p.Unless {
		if p.Unless[i].Stage == stage {
			return true
		}
	}
	return false
}

// outlived returns the rungs whose window a record of that time has left by now.
func (p *plan) outlived(time, now int64) (roles uint64) {
	if p.Frame != nil { // at another time and place than its own a record makes another figure
		return p.rungs | p.negates
	}
	for role := range eachRole(p.rungs &^ p.held) {
		if r := p.rung(role); r.Within > 0 && after(time, r.Within) < now {
			roles |= 1 << role
		}
	}
	return roles
}

// hangs reports whether a turn needed that something did not happen: people could be told of it only when that was settled.
func (p *plan) hangs(t turn) bool {
	if p.Frame != nil && len(p.Frame.Negates) > 0 {
		return true
	}
	return t.role != noRole && (p.held&(1<<t.role) != 0 || int(t.role) < len(p.Stages) && p.guarded(int(t.role)))
}

// tells reports whether people are told of an episode with this path.
func (p *plan) tells(path []turn) bool {
	for _, t := range path {
		if t.state == codeImminent || t.state == codeIncident {
			return true
		}
		if p.Frame == nil && t.role != noRole && (int(t.role) == p.Tell || p.TellAny || p.InOrder && int(t.role) > p.Tell) {
			return true
		}
	}
	return false
}

// eachRole yields the numbers of the set bits in order.
func eachRole(roles uint64) func(yield func(uint8) bool) {
	return func(yield func(uint8) bool) {
		for ; roles != 0; roles &= roles - 1 {
			if !yield(uint8(bits.TrailingZeros64(roles))) {
				return
			}
		}
	}
}

// firings is how often all that a signature needs was met in an episode, where that can be told: each frame takes as many records of a
// stage as it counts, and a lone stage of single records takes one.
func (p *plan) firings(e *episode) uint64 {
	switch {
	case p.stub, p.Frame == nil && (len(p.Stages) > 1 || p.Stages[0].Count > 1 || p.Stages[0].DistinctCount > 0 || p.Stages[0].Series != nil || p.Incident != nil):
		return 0
	default:
		return e.count(0) / p.Stages[0].Count
	}
}
