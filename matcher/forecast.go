package matcher

import (
	"math"
	"slices"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// A forecast is the Theil-Sen line through the recent points: the slope is the median of the slopes between all pairs (Theil
// 1950; Sen, J. Am. Stat. Assoc. 63, 1968), the offset the median of what remains. Up to 29 % of the points may be wild
// without moving it. It is given only when
//
//   - there are at least 6 points over at least half of `over`;
//   - the Mann-Kendall test (Kendall 1975, normal approximation with ties) says at the 5 % level that there is a trend, and
//     Kendall's tau is at least 0.6, so that a saw-tooth has none;
//   - no single step is more than half of the whole movement, so that a bursty writer has none;
//   - the 80 % interval is bounded: both ends of Sen's interval of the slope point to the limit;
//   - the oldest point has not reached the limit, so that what goes away from it is not on its way there.
//
// The interval's ends are where the limit is met from the line's present value, moved by the 10 % and 90 % quantiles of the
// residuals, with the slopes of Sen's 80 % interval.
const (
	minPoints = 6
	maxTrend  = 32
	z80       = 1.2815515655446004 // the normal quantiles of 0.9 and 0.975
	z95       = 1.959963984540054
	minTau    = 0.6
	maxStep   = 0.5
)

// estimate is when a limit is expected to be met. Times are Unix nanoseconds.
type estimate struct {
	metric                     string
	series                     uint64
	limit, value               float64
	now                        int64
	expected, earliest, latest int64
}

// thin appends a point and keeps those of the last `over`, about maxTrend of them, evenly spread. The newest is always there.
func thin(points []sampled, p sampled, over time.Duration) []sampled {
	from, n := after(p.time, -over), 0
	for n < len(points) && points[n].time < from {
		n++
	}
	points = points[n:]
	if k := len(points); k >= 2 && p.time-points[k-2].time < int64(over)/maxTrend {
		points[k-1] = p
		return points
	}
	return append(points, p)
}

// forecast says when the series meets the limit, and whether that is within the alarm time.
func forecast(points []sampled, c *signatures.Forecast) (e estimate, met bool) {
	n := len(points)
	if n < minPoints {
		return e, false
	}
	first, last := points[0], points[n-1]
	span := last.time - first.time
	if span < int64(c.Over)/2 || !steady(points) {
		return e, false
	}
	slope, low, high, ok := senSlope(points)
	if !ok {
		return e, false
	}
	rest := make([]float64, n) // residuals, of a line through the newest time
	for i, p := range points {
		rest[i] = p.value - slope*seconds(p.time-last.time)
	}
	slices.Sort(rest)
	level := median(rest)
	near, far := quantile(rest, 0.1), quantile(rest, 0.9)
	limit := c.Reaches
	mirrored := slope < 0
	if mirrored { // so that the line always rises
		slope, low, high = -slope, -high, -low
		level, near, far, limit = -level, -far, -near, -limit
	}
	if low <= 0 {
		return e, false // the far end of the interval is unbounded
	}
	begin := points[0].value
	if mirrored {
		begin = -begin
	}
	if begin >= limit {
		return e, false // it goes away from the limit, or was past it all the time, which a threshold tells
	}
	e = estimate{limit: c.Reaches, value: last.value, now: last.time}
	e.expected = eta(last.time, limit-level, slope)
	e.earliest = eta(last.time, limit-far, high)
	e.latest = eta(last.time, limit-near, low)
	return e, e.expected <= after(last.time, time.Duration(c.Within))
}

// eta is when a line that is distance below its limit meets it; now when it is there already.
func eta(now int64, distance, slope float64) int64 {
	s := distance / slope * float64(time.Second)
	switch {
	case !(s > 0):
		return now
	case s > float64(latest/2):
		return now/2 + latest/2
	}
	return now + int64(s)
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// steady reports whether the points have one trend, not made by a single step.
func steady(points []sampled) bool {
	n := len(points)
	var s, pairs int
	var whole, step float64
	for i := range points {
		for j := i + 1; j < n; j++ {
			switch d := points[j].value - points[i].value; {
			case d > 0:
				s++
				pairs++
			case d < 0:
				s--
				pairs++
			}
		}
		if i > 0 {
			d := math.Abs(points[i].value - points[i-1].value)
			whole, step = whole+d, max(step, d)
		}
	}
	if math.Abs(float64(s)) < minTau*float64(n*(n-1)/2) || step > maxStep*whole {
		return false
	}
	return (math.Abs(float64(s))-1)/math.Sqrt(kendallVariance(points)) >= z95
}

// kendallVariance is the variance of Kendall's S, with the correction for equal values.
func kendallVariance(points []sampled) float64 {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = p.value
	}
	slices.Sort(values)
	f := func(n float64) float64 { return n * (n - 1) * (2*n + 5) }
	v := f(float64(len(values)))
	for i := 0; i < len(values); {
		j := i
		for j < len(values) && values[j] == values[i] {
			j++
		}
		v -= f(float64(j - i))
		i = max(j, i+1)
	}
	return max(v/18, math.SmallestNonzeroFloat64)
}

// senSlope returns the median slope a second and the ends of its 80 % interval.
func senSlope(points []sampled) (slope, low, high float64, ok bool) {
	slopes := make([]float64, 0, len(points)*(len(points)-1)/2)
	for i := range points {
		for j := i + 1; j < len(points); j++ {
			if dt := points[j].time - points[i].time; dt > 0 {
				slopes = append(slopes, (points[j].value-points[i].value)/seconds(dt))
			}
		}
	}
	slices.Sort(slopes)
	if len(slopes) == 0 || math.IsInf(slopes[0], 0) || math.IsInf(slopes[len(slopes)-1], 0) {
		return 0, 0, 0, false
	}
	c := z80 * math.Sqrt(kendallVariance(points))
	n := float64(len(slopes))
	at := func(rank float64) float64 { return slopes[min(max(int(rank), 0), len(slopes)-1)] }
	slope, low, high = median(slopes), at(math.Floor((n-c)/2)), at(math.Ceil((n+c)/2))
	return slope, low, high, slope != 0
}

// median and quantile look at sorted values.
func median(sorted []float64) float64 { return quantile(sorted, 0.5) }

func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
