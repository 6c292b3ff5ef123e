package matcher

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// A recipe is what the tracker needs of a signature, as bytes: it takes a quarter of the memory of a [Compiled], which is made of it
// when a signature has hits. Lists of key words are numbers of the program's keys.

// recipe appends what the program keeps of c. key gives the number of a list of key words.
func (w *writer) recipe(c *Compiled, s *signatures.Signature, key func([]string) uint32) {
	w.text(c.Signature.ID)
	w.text(c.Signature.Title)
	w.text(string(c.Signature.Severity))
	w.uint(uint64(key(s.By)))
	w.bool(c.InOrder)
	w.bool(c.TellAny)
	w.uint(uint64(c.Need))
	w.uint(uint64(c.Tell))
	for _, d := range []time.Duration{c.Within, c.ClearFor, c.Quiet, c.Expire} {
		w.int(int64(d))
	}
	w.bool(c.Clear)
	w.byte(c.StageKinds)
	w.byte(c.ClearKinds)
	w.uint(uint64(len(c.Stages)))
	for i := range c.Stages {
		w.rung(&c.Stages[i], s.Stages[i].Distinct, key)
	}
	w.bool(c.Incident != nil)
	if c.Incident != nil {
		w.rung(c.Incident, s.Incident.Distinct, key)
	}
	w.uint(uint64(len(c.Unless)))
	for _, g := range c.Unless {
		w.uint(uint64(g.Stage))
		w.int(int64(g.Slide))
		w.int(int64(g.Window))
		w.byte(g.Kinds)
	}
	w.bool(c.Frame != nil)
	if f := c.Frame; f != nil {
		w.int(int64(f.Window))
		w.bool(f.Stream)
		list(w, f.Negates, func(n Negate) {
			w.int(int64(n.Window))
			w.int(int64(n.Slide))
			w.uint(uint64(n.Anchor))
			w.bool(n.Absolute)
			w.byte(n.Kinds)
		})
	}
}

func (w *writer) rung(r *Rung, d *signatures.Distinct, key func([]string) uint32) {
	w.text(r.Name)
	w.text(r.Title)
	w.uint(r.Count)
	w.bool(d != nil)
	if d != nil {
		w.uint(uint64(key(d.Of)))
		w.uint(uint64(r.DistinctCount))
	}
	for _, d := range []time.Duration{r.Within, r.FollowsWithin, r.Hold} {
		w.int(int64(d))
	}
	w.byte(r.Kinds)
	s := r.Series
	w.bool(s != nil)
	if s == nil {
		return
	}
	w.text(s.Metric)
	w.int(int64(s.Rate))
	w.int(int64(s.Limit))
	w.optional(s.Above)
	w.optional(s.Below)
	w.int(int64(s.For))
	w.bool(s.Forecast != nil)
	if f := s.Forecast; f != nil {
		w.float(f.Reaches)
		w.int(int64(f.Within))
		w.int(int64(f.Over))
	}
}

func (w *writer) optional(x *float64) {
	w.bool(x != nil)
	if x != nil {
		w.float(*x)
	}
}

// compiled makes the tracker's view of entry n; nil when its recipe is not one that goes with its conditions, which only a forged
// program can have.
func (p *Program) compiled(n uint32) *Compiled {
	e := &p.entries[n]
	r := reader{b: p.recipes[e.recipe:]}
	c := &Compiled{Digest: e.short(), DigestText: hex.EncodeToString(e.digest[:])}
	c.Signature = Label{ID: r.text(), Title: r.text(), Severity: signatures.Severity(r.text())}
	c.By = r.key(p.keys)
	c.InOrder, c.TellAny = r.bool(), r.bool()
	c.Need, c.Tell = int(r.uint()), int(r.uint())
	for _, d := range []*time.Duration{&c.Within, &c.ClearFor, &c.Quiet, &c.Expire} {
		*d = time.Duration(r.int())
	}
	c.Clear = r.bool()
	c.StageKinds, c.ClearKinds = r.byte(), r.byte()
	c.Stages = items(&r, 1, func() Rung { return r.rung(p.keys) })
	if r.bool() {
		in := r.rung(p.keys)
		c.Incident = &in
	}
	c.Unless = items(&r, 1, func() Guard {
		return Guard{Stage: int(r.uint()), Slide: time.Duration(r.int()), Window: time.Duration(r.int()), Kinds: r.byte()}
	})
	if r.bool() {
		c.Frame = &Frame{Window: time.Duration(r.int()), Stream: r.bool()}
		c.Frame.Negates = items(&r, 5, func() Negate {
			return Negate{Window: time.Duration(r.int()), Slide: time.Duration(r.int()), Anchor: int(r.uint()), Absolute: r.bool(), Kinds: r.byte()}
		})
		c.Frame.derive()
	}
	if r.err != nil || !c.sound() || slices.ContainsFunc(p.conditionsOf(n), func(x condition) bool { return !c.has(x.role) }) {
		return nil
	}
	return c
}

func (r *reader) key(keys []keyShape) []KeyPart {
	n := r.uint()
	if n >= uint64(len(keys)) {
		r.fail()
		return nil
	}
	return keys[n].parts
}

func (r *reader) rung(keys []keyShape) Rung {
	x := Rung{Name: r.text(), Title: r.text(), Count: r.uint()}
	if r.bool() {
		x.Distinct, x.DistinctCount = r.key(keys), int(r.uint())
	}
	for _, d := range []*time.Duration{&x.Within, &x.FollowsWithin, &x.Hold} {
		*d = time.Duration(r.int())
	}
	x.Kinds = r.byte()
	if !r.bool() {
		return x
	}
	s := &Series{Metric: r.text(), Rate: time.Duration(r.int()), Limit: int(r.int()), Above: r.optional(), Below: r.optional(), For: time.Duration(r.int())}
	if r.bool() {
		s.Forecast = &signatures.Forecast{Reaches: r.float(), Within: signatures.Duration(r.int()), Over: signatures.Duration(r.int())}
	}
	x.Series = s
	return x
}

func (r *reader) optional() *float64 {
	if !r.bool() {
		return nil
	}
	x := r.float()
	return &x
}

// sound reports whether c is within the bounds that the tracker relies on.
func (c *Compiled) sound() bool {
	limit := func(r *Rung) bool {
		return r.Series == nil || r.Series.Limit == -1 || c.has(uint8(r.Series.Limit)) && r.Series.Limit >= RoleLimit
	}
	return len(c.Stages) > 0 && len(c.Stages) <= MaxStages && len(c.Unless) <= MaxUnless && c.Expire > 0 &&
		c.Need >= 0 && c.Need <= len(c.Stages) && c.Tell >= 0 && c.Tell < len(c.Stages) &&
		!slices.ContainsFunc(c.Stages, func(r Rung) bool { return !limit(&r) }) && (c.Incident == nil || limit(c.Incident)) &&
		!slices.ContainsFunc(c.Unless, func(g Guard) bool { return g.Stage < 0 || g.Stage >= len(c.Stages) }) && c.soundFrame()
}

// soundFrame is sound for what a frame adds.
func (c *Compiled) soundFrame() bool {
	if c.Frame == nil {
		return true
	}
	records := uint64(0)
	for i := range c.Stages {
		if c.Stages[i].Count < 1 || c.Stages[i].Count > signatures.MaxCount {
			return false
		}
		records += c.Stages[i].Count
	}
	return c.Frame.Window >= 0 && c.Incident == nil && len(c.Unless) == 0 && len(c.Frame.Negates) <= MaxNegates &&
		!slices.ContainsFunc(c.Frame.Negates, func(n Negate) bool { return n.Anchor < 0 || uint64(n.Anchor) >= records })
}

// has reports whether a role stands for something.
func (c *Compiled) has(role uint8) bool {
	switch {
	case role == RoleIncident:
		return c.Incident != nil
	case role == RoleClear:
		return c.Clear
	case role >= RoleUnless && c.Frame != nil:
		return int(role-RoleUnless) < len(c.Frame.Negates)
	case role >= RoleLimit:
		return role < RoleLimit+MaxLimits
	case role >= RoleUnless:
		return int(role-RoleUnless) < len(c.Unless)
	}
	return int(role) < len(c.Stages)
}
