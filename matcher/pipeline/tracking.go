package pipeline

import (
	"cmp"
	"maps"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// silentAfter is the tracker's own default, which the status follows.
func silentAfter(o matcher.TrackerOptions) time.Duration { return cmp.Or(o.SilentAfter, 2*time.Minute) }

// addLosses adds what a tracker lost, under the names of matcher/README.md.
func addLosses(to map[string]uint64, s *matcher.Stats) {
	for what, n := range map[string]uint64{
		"evicted_progress": s.EvictedProgress, "settled_early": s.SettledEarly, "evicted_detail": s.EvictedDetail, "late": s.Late,
		"late_sample": s.LateSamples, "stale": s.Stale, "forgotten_ids": s.ForgottenIDs, "shed_evidence": s.ShedEvidence, "unknown": s.Unknown, "retracted": s.Retracted,
	} {
		to[what] += n
	}
}

// openWarnings are the states of the warnings of one partition that are not over.
type openWarnings map[string]matcher.State

func (o openWarnings) take(w *matcher.Warning) {
	if w.State.Final() {
		delete(o, w.ID)
		return
	}
	o[w.ID] = w.State
}

func (o openWarnings) counts() map[matcher.State]int {
	n := map[matcher.State]int{}
	for state := range maps.Values(o) {
		n[state]++
	}
	return n
}
