package matcher

import (
	"slices"
	"time"
)

// timerKind is what a timer is for, in the order in which timers of one time fire. The numbers are part of the snapshot format.
type timerKind uint8

const (
	noTimer timerKind = iota
	timerHold
	timerUnless
	timerClear
	timerQuiet
	timerExpire
	timerFrame // fires between unless and clear
)

// next returns the timer that fires first, and when; place is the hold's place.
func (f *fold) next(p *plan) (due int64, kind timerKind, place int) {
	due = never
	for i := range f.holds {
		h := &f.holds[i]
		if !h.lit && (h.due < due || h.due == due && kind == timerHold && h.role < f.holds[place].role) {
			due, kind, place = h.due, timerHold, i
		}
	}
	if f.waiting != nil && f.waiting.due < due {
		due, kind = f.waiting.due, timerUnless
	}
	if f.frame != nil && f.frame.due < due {
		due, kind = f.frame.due, timerFrame
	}
	if f.clearDue < due {
		due, kind = f.clearDue, timerClear
	}
	e := f.open
	if e == nil {
		return due, kind, place
	}
	if p.Quiet > 0 && !f.anyLit() {
		if t := after(e.quiet, p.Quiet); t < due {
			due, kind = t, timerQuiet
		}
	}
	if t := after(e.seen, p.Expire); t < due {
		due, kind = t, timerExpire
	}
	return due, kind, place
}

// fire does what is due, which next returned. Only settled folds fire.
func (f *fold) fire(p *folder, due int64, kind timerKind, place int) {
	switch kind {
	case noTimer:
	case timerHold:
		f.fireHold(p, due, place)
	case timerUnless:
		f.decide(p, due)
	case timerFrame:
		f.decideFrames(p, moment{at: due, now: after(due, 1), claim: true})
	case timerClear:
		f.clearDue = never
		if f.claim(p, kind, noRole, p.StageKinds, due) {
			f.finish(due, "a record says that it is over, and nothing was seen for "+p.ClearFor.String()+" after it")
		}
	case timerQuiet:
		if !f.claim(p, kind, noRole, p.StageKinds, due) {
			f.open.quiet = never // so that the other timers show
			other, _, _ := f.next(p.plan)
			if f.open.quiet = retry(due, p.Quiet, min(other, p.until)); f.open.quiet > due {
				f.claim(p, kind, noRole, p.StageKinds, f.open.quiet)
			}
			return
		}
		f.finish(due, "nothing was seen for "+p.Quiet.String())
	case timerExpire:
		f.shut(due, codeExpired, "given up: it did not clear, and nothing was seen for "+p.Expire.String())
	}
	f.at = max(f.at, due)
}

func (f *fold) fireHold(p *folder, due int64, place int) {
	h := &f.holds[place]
	r := p.rung(h.role)
	if !f.claim(p, timerHold, h.role, r.Kinds, due) {
		h.due = never
		other, _, _ := f.next(p.plan)
		last := retry(due, r.Hold, min(other, p.until))
		f.holds[place].due = after(last, r.Hold)
		if last > due {
			f.claim(p, timerHold, h.role, r.Kinds, last)
		}
		return
	}
	h.lit = true
	s := h.step
	s.time = max(due, f.at)
	f.climb(p, &s)
	f.see(s.time)
}

// retry returns the last time before the end at which a claim that is unknown at due is tried again. Marks do not move while
// timers fire, so it is unknown all the time, and a source that is silent for a year need not be asked every second of it.
func retry(due int64, every time.Duration, end int64) int64 {
	if end <= due || every <= 0 {
		return due
	}
	n := (uint64(end) - uint64(due) - 1) / uint64(every)
	return due + int64(n*uint64(every))
}

// decide settles the candidate and folds what waited for it.
func (f *fold) decide(p *folder, due int64) {
	c := f.waiting
	clean := true
	for i := range p.Unless {
		g := &p.Unless[i]
		if g.Stage != c.stage {
			continue
		}
		from := after(c.at, g.Slide)
		to := after(from, g.Window)
		for _, s := range f.stamps {
			if int(s.guard) == i && from <= s.time && s.time <= to {
				clean = false
			}
		}
	}
	if !clean {
		f.judged(verdict{claim: timerUnless, role: uint8(c.stage), time: due, known: true})
	} else {
		for i := range p.Unless { // each absence needs sources of its own kinds
			if g := &p.Unless[i]; g.Stage == c.stage && !f.claim(p, timerUnless, uint8(c.stage), g.Kinds, due) {
				clean = false
			}
		}
	}
	f.waiting = nil
	if clean {
		f.reach(p, c.stage, due)
	} else {
		w := &f.windows[c.stage]
		w.drop(len(w.items))
		w.last = 0
	}
	later := f.deferred
	f.deferred = nil
	for i := range later {
		f.climb(p, &later[i])
	}
}

// claim asks for the verdict on an absence. Unknown names the silent sources in the open episode.
func (f *fold) claim(p *folder, kind timerKind, role uint8, kinds uint8, due int64) bool {
	sure, silent := p.absent(kinds, due)
	f.judged(verdict{claim: kind, role: role, time: due, known: sure, holds: sure, silent: silent})
	if sure || f.open == nil {
		return sure
	}
	names := &f.open.silent
	for _, s := range silent {
		if i, found := slices.BinarySearch(*names, s); !found && len(*names) < maxSilent {
			*names = slices.Insert(*names, i, s)
		}
	}
	return false
}

func (f *fold) judged(v verdict) {
	if len(f.verdicts) >= maxVerdicts {
		f.verdicts = slices.Delete(f.verdicts, 0, len(f.verdicts)+1-maxVerdicts)
	}
	f.verdicts = append(f.verdicts, v)
}
