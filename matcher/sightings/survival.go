package sightings

import (
	"math"
	"time"
)

// Curve is what is known of the time from one rung to another: when it came, and when somebody averted it, so that it is not known when it would
// have come (censored). A warning that went away by itself is in neither: it says that the rung need not come, which the counts of a [Tally] tell, and
// nothing of how long it takes when it does.
type Curve struct {
	Came Histogram `json:"came,omitempty"`
	Left Histogram `json:"left,omitempty"`
}

func (c *Curve) plus(o *Curve) {
	c.Came.plus(o.Came)
	c.Left.plus(o.Left)
}

// fewest is how many times something must have come for an interval of 80 % to be told: of fewer than nine, not even all of the range holds the
// next one that often.
const fewest = 9

// span is an interval of 80 % of a time that is waited for, since its beginning.
type span struct {
	early, mid, late time.Duration
	open             bool // late is not known: the interval has no end
	of               uint64
}

// expect says when what has been waited for so long comes, given that it comes and that nobody averts it: ok is false when too few took longer than
// that, and when more than half of those were averted before.
//
// It is the estimator of Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over those that were still waiting then, with the one that is waiting
// now among those at risk. Without censoring that gives the ranks i/(n+1), between which the next observation of the same kind falls exactly as
// often as they say, whatever the distribution is (Hill, J. Am. Stat. Assoc. 63, 1968; for censored data Berliner and Hill, ibid. 83, 1988): an interval
// of prediction, and not of confidence in a median. What is left over after the last one stays open.
//
// That somebody averts it is taken as telling nothing of the time that it would have taken. Where people avert what is near, that is not quite so, and the
// far end comes out too late; the near end, by which people act, is hardly touched.
func (c *Curve) expect(waited time.Duration) (x span, ok bool) {
	from := max(waited.Seconds(), 0)
	var risk, came float64
	for _, b := range c.Came {
		n := float64(b.Count) * (1 - share(b.Bucket, from))
		came, risk = came+n, risk+n
	}
	for _, b := range c.Left {
		risk += float64(b.Count) * (1 - share(b.Bucket, from))
	}
	x.of = uint64(math.Round(came))
	if x.of < fewest {
		return x, false
	}
	risk++ // the one that is asked for
	survives := 1.0
	targets := [3]float64{0.9, 0.5, 0.1}
	at := [3]*time.Duration{&x.early, &x.mid, &x.late}
	next, left := 0, c.Left
	for _, b := range c.Came {
		for len(left) > 0 && left[0].Bucket < b.Bucket {
			risk -= float64(left[0].Count) * (1 - share(left[0].Bucket, from))
			left = left[1:]
		}
		begin := share(b.Bucket, from)
		n := float64(b.Count) * (1 - begin)
		if n == 0 {
			continue
		}
		var gone float64
		if len(left) > 0 && left[0].Bucket == b.Bucket {
			gone = float64(left[0].Count) * (1 - begin)
		}
		after := survives * (1 - n/max(risk-gone/2, n)) // those that left within the bucket were at risk for half of it
		for next < len(targets) && after <= targets[next]+1e-12 {
			part := (survives - targets[next]) / (survives - after)
			*at[next] = seconds(within(b.Bucket, begin+(1-begin)*part))
			next++
		}
		survives, risk = after, risk-n
	}
	x.open = next < len(targets)
	return x, next >= 2
}
