package sightings

import (
	"fmt"
	"math"
	"time"
)

// Advice is what to do with a signature.
type Advice string

// The pieces of advice.
const (
	Keep   Advice = "keep"
	Tune   Advice = "tune"
	Retire Advice = "retire"
)

// Scorecard is how well one signature served in this cluster.
type Scorecard struct {
	Signature string `json:"signature"`
	Finished  uint64 `json:"finished"` // warnings that are over
	Incidents uint64 `json:"incidents"`
	Averted   uint64 `json:"averted"`
	Expired   uint64 `json:"expired"`

	Right     uint64   `json:"right"`                  // incidents, and those that somebody averted
	Wrong     uint64   `json:"wrong"`                  // false alarms, as people said
	Precision *float64 `json:"precision,omitempty"`    // right of those that are right or wrong; nil: nothing is known
	Low       float64  `json:"precision_low"`          // the ends of its interval of 95 %
	High      float64  `json:"precision_high"`         // 1 when nothing is known
	Lead      *float64 `json:"lead_seconds,omitempty"` // the median of how long before an incident people could be told
	Noise     float64  `json:"noise_per_week"`         // warnings a week that nobody found right

	Advice Advice `json:"advice"`
	Reason string `json:"reason"`
}

// What advice rests on.
const (
	enoughJudged = 8   // judgements before a precision means anything
	enoughQuiet  = 20  // warnings before it means something that none of them became anything
	mostWrong    = 0.3 // precision that is surely below is not worth its noise
	halfWrong    = 0.7 // and below this one the conditions want work
	loud         = 7.0 // noise a week that people stop reading
	shortLead    = time.Minute
)

// score makes the scorecard of what was counted over some weeks.
func score(signature string, t *Tally, weeks float64) Scorecard {
	e := t.ends(0)
	s := Scorecard{
		Signature: signature, Finished: t.Finished, Incidents: e.Incident, Averted: e.Averted, Expired: e.Expired, Right: t.Right, Wrong: t.Wrong,
		Noise: math.Round(10*float64(t.Finished-min(t.Right, t.Finished))/max(weeks, 1)) / 10,
	}
	judged := t.Right + t.Wrong
	s.Low, s.High = wilson(t.Right, judged)
	if judged > 0 {
		p := float64(t.Right) / float64(judged)
		s.Precision = &p
	}
	lead, led := t.Lead.Quantile(0.5)
	if led {
		x := lead.Round(time.Second).Seconds()
		s.Lead = &x
	}
	s.advise(judged, lead, led)
	return s
}

func (s *Scorecard) advise(judged uint64, lead time.Duration, led bool) {
	unjudged := s.Finished - min(judged, s.Finished)
	switch {
	case judged >= enoughJudged && s.High < mostWrong:
		s.Advice, s.Reason = Retire, fmt.Sprintf("people found %d of %d wrong: it is right in less than %.0f %% of all cases", s.Wrong, judged, 100*mostWrong)
	case judged >= enoughJudged && s.High < halfWrong:
		s.Advice, s.Reason = Tune, fmt.Sprintf("people found %d of %d wrong: its conditions take too much", s.Wrong, judged)
	case s.Finished >= enoughQuiet && s.Right == 0:
		s.Advice, s.Reason = Tune, fmt.Sprintf("none of %d became an incident, and nobody said what averted one: tell from a later stage, or say so with forewarn feedback", s.Finished)
	case s.Noise > loud && float64(unjudged) > 0.9*float64(s.Finished):
		s.Advice, s.Reason = Tune, fmt.Sprintf("%.1f a week went by without a word or an incident: ask for more records, or tell from a later stage", s.Noise)
	case led && s.Incidents >= enoughJudged && lead < shortLead:
		s.Advice, s.Reason = Tune, fmt.Sprintf("half of its %d incidents came less than a minute after people could know: it needs an earlier stage", s.Incidents)
	case judged < enoughJudged && s.Finished < enoughQuiet:
		s.Advice, s.Reason = Keep, fmt.Sprintf("too little is known: %d finished, %d of them judged by an incident or by people", s.Finished, judged)
	default:
		s.Advice, s.Reason = Keep, fmt.Sprintf("%d of %d that are known were right", s.Right, judged)
		if judged == 0 {
			s.Reason = "nothing speaks against it"
		}
	}
}

// wilson is the interval of 95 % of a share (Wilson, J. Am. Stat. Assoc. 22, 1927), which is sound for few and for extreme ones.
func wilson(of, n uint64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	p, m := float64(of)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(mid-half, 0), min(mid+half, 1)
}
