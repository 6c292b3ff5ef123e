package pipeline

import (
	"cmp"
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
