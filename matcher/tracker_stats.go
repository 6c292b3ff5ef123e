package matcher

import (
	"cmp"
	"slices"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// Stats count what a tracker did since it was made, and say what it holds. The first group is README.md's table of what can
// lose something.
type Stats struct {
	EvictedProgress uint64 `json:"evicted_progress"`
	SettledEarly    uint64 `json:"settled_early"`
	EvictedDetail   uint64 `json:"evicted_detail"`
	Late            uint64 `json:"late"`
	LateSamples     uint64 `json:"late_sample"`
	Stale           uint64 `json:"stale"`
	ForgottenIDs    uint64 `json:"forgotten_ids"`
	ShedEvidence    uint64 `json:"shed_evidence"`
	CELErrors       uint64 `json:"cel_errors"` // of an Engine's scan; a tracker has none
	Disordered      uint64 `json:"disordered"` // of an Engine in reference order; a tracker has none

	Hits      uint64 `json:"hits"`
	Repeats   uint64 `json:"repeats"`   // hits that were taken before
	Told      uint64 `json:"told"`      // warnings
	Retracted uint64 `json:"retracted"` // of those, the ones that never were
	Unknown   uint64 `json:"unknown"`   // absences that nobody could vouch for

	Progresses int       `json:"progresses"`
	Pending    int       `json:"pending"` // hits that are not settled
	Watermark  time.Time `json:"watermark,omitzero"`
	Horizon    time.Time `json:"horizon,omitzero"`
	Silent     []string  `json:"silent,omitempty"` // sources
}

// Losses returns the counters of what was lost or is not the whole truth, by the names of README.md's table.
func (s *Stats) Losses() map[string]uint64 {
	return map[string]uint64{
		"evicted_progress": s.EvictedProgress, "settled_early": s.SettledEarly, "evicted_detail": s.EvictedDetail, "late": s.Late,
		"late_sample": s.LateSamples, "stale": s.Stale, "forgotten_ids": s.ForgottenIDs, "cel_errors": s.CELErrors, "shed_evidence": s.ShedEvidence, "disordered": s.Disordered,
	}
}

// Stats returns the counters.
func (t *Tracker) Stats() Stats {
	t.ready()
	s := t.stats
	s.Progresses = t.table.count
	if w, ok := t.water.Time(); ok {
		s.Watermark = when(w)
	}
	if t.horizon != longAgo {
		s.Horizon = when(t.horizon)
	}
	s.Silent = t.water.Silent()
	return s
}

// OpenState is what an open warning counts as.
type OpenState struct {
	ID        string
	Signature string // its id
	Severity  signatures.Severity
	State     State
	Rungs     int // how many were told as reached, the incident among them
}

// OpenStates calls fn with every warning that is not over, in no order. It is much cheaper than Open.
func (t *Tracker) OpenStates(fn func(OpenState)) {
	t.ready()
	for p := range t.eachTold {
		for i := range p.told {
			if x := &p.told[i]; !x.state().Final() {
				s := p.plan.Signature
				fn(OpenState{x.text(p), s.ID, s.Severity, x.state(), x.episode.rungs()})
			}
		}
	}
}

// rungs is how many rungs a warning of e lists as reached.
func (e *episode) rungs() (n int) {
	for _, turn := range e.path {
		if turn.role != noRole {
			n++
		}
	}
	return n
}

// eachTold yields the progresses of which people were told something.
func (t *Tracker) eachTold(yield func(*progress) bool) {
	for n := range t.table.each {
		if t.table.at(n).live&slotLive == 0 {
			if x, _ := openFacts(t.head(n).rest); !x.told {
				continue
			}
		}
		if !yield(t.peek(n)) {
			return
		}
	}
}

// Open returns the last revision of every warning that is not over, with what is known now; the oldest first.
func (t *Tracker) Open() []Warning {
	t.ready()
	var list []Warning
	for p := range t.eachTold {
		for i := range p.told {
			if x := &p.told[i]; !x.state().Final() {
				y := *x
				if e := p.current().open; e != nil && e.number == y.episode.number && slices.Equal(e.path, y.episode.path) {
					y.episode = e // it counted on since people were told
				}
				list = append(list, t.warning(p, &y))
			}
		}
	}
	slices.SortFunc(list, func(a, b Warning) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return list
}
