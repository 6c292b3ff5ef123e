package matcher

import (
	"math"
	"slices"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// A forecast is the line through the recent points, or the parabola where they bend, carried on to the limit. It is made in three steps.
//
// It is given only where there is one movement that can go on:
//
//   - at least 6 points over at least half of `over`;
//   - the Mann-Kendall test (Kendall 1975, normal approximation with ties) says at the 5 % level that there is a trend, and Kendall's tau is at
//     least 0.6;
//   - it never fell back by more than 0.35 of its range, so that a saw-tooth, such as of garbage collection, has none, wherever in its period the window ends;
//   - no single step is more than half of the movement, and its largest steps are at least 3 and an eighth of all for half of it, so that a bursty
//     writer and a staircase have none, nor has what up to 8 levels with steps between them tell better than any growth;
//   - the oldest point has not reached the limit, so that what goes away from it is not on its way there;
//   - the far end of the interval is bounded.
//
// Wild points are replaced before the fit: those that lie further from the Theil-Sen line (Theil 1950; Sen, J. Am. Stat. Assoc. 63, 1968) of their five
// neighbours than four robust standard deviations (Hampel, J. Am. Stat. Assoc. 69, 1974). What is left is fitted by least squares, because only these
// know how sure they are, with a line, a parabola, an exponential function and a walk. Growth that accelerates meets the limit long before the line
// says, and growth that tires may never; which it is often cannot be told for sure, so each shape counts as much as it is likely (Hoeting et al.,
// Stat. Sci. 14, 1999), and a bend has to show first.
//
// The interval is that of a prediction: what the coefficients may be off, and what a single value scatters, as far ahead as the limit is. Neighbouring
// points are not independent, and a level that wanders is mistaken for a trend: the errors are those of an autoregression of the first order, with its
// coefficient corrected for few points, and of a walk, which has no level to go back to, the time of its first passage is taken. What scatters meets the
// limit before its level does: of every shape it is the first value that counts.
//
// TestForecastKeepsWhatItPromises measures all of that on growth whose truth is known, and compares with PromQL's predict_linear: on 14,000
// growths of seeds that no constant was chosen by, the intervals held 81 % of what came over lines and 82 % over what accelerates; from 75 % (a walk) to 88 % (a line
// with errors that last, which may be a walk). The loss is smaller everywhere. TestForecastIsNotMadeOfWhatGoesNowhere has the series of which there must be none.
const (
	minPoints   = 6
	maxTrend    = 32
	z80         = 1.2815515655446004 // the normal quantiles of 0.9 and 0.975
	z95         = 1.959963984540054
	minTau      = 0.6
	maxStep     = 0.5
	maxFall     = 0.35
	wild        = 4.0
	maxLevels   = 8    // of a staircase
	surely      = 12.0 // how much better than it the score of growth must be
	fewestFree  = 5.0  // degrees of freedom, however long errors last
	noPersists  = 0.2  // less is no more than chance
	maxPersists = 0.98 // of the autoregression: at 1 nothing would be known of the level
	tail        = 0.08 // of each side: what the shapes do not know of themselves leaves a tenth there
	ahead       = 64   // how many windows the far end is looked for ahead; behind that it is unbounded
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
	last := points[n-1]
	if last.time-points[0].time < int64(c.Over)/2 || !trending(points) {
		return e, false
	}
	slope, ok := senSlope(points)
	if !ok {
		return e, false
	}
	// From here on it rises, and now is 0.
	t, y, limit := make([]float64, n), make([]float64, n), c.Reaches
	sign := math.Copysign(1, slope)
	slope, limit = slope*sign, limit*sign
	for i, p := range points {
		t[i], y[i] = seconds(p.time-last.time), p.value*sign
	}
	if y[0] >= limit {
		return e, false // it goes away from the limit, or was past it all the time, which a threshold tells
	}
	tame(t, y, slope)
	if !steady(y) {
		return e, false
	}
	f, ok := fit(t, y)
	if !ok || stairs(y, f.score) {
		return e, false
	}
	horizon := ahead * -t[0]
	f.aim(limit, horizon)
	early, _ := f.meets(limit, horizon, tail)
	mid, ok := f.meets(limit, horizon, 0.5)
	late, bounded := f.meets(limit, horizon, 1-tail)
	if !ok || !bounded {
		return e, false
	}
	e = estimate{limit: c.Reaches, value: last.value, now: last.time}
	e.earliest, e.expected, e.latest = later(last.time, early), later(last.time, mid), later(last.time, late)
	return e, e.expected <= after(last.time, time.Duration(c.Within))
}

// later is so many seconds after now.
func later(now int64, s float64) int64 {
	s *= float64(time.Second)
	if s > float64(latest/2) {
		return now/2 + latest/2
	}
	return now + int64(s)
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// trending reports whether the points have a trend that is no accident.
func trending(points []sampled) bool {
	n := len(points)
	var s int
	for i := range points {
		for j := i + 1; j < n; j++ {
			switch d := points[j].value - points[i].value; {
			case d > 0:
				s++
			case d < 0:
				s--
			}
		}
	}
	size := math.Abs(float64(s))
	return size >= minTau*float64(n*(n-1)/2) && (size-1)/math.Sqrt(kendallVariance(points)) >= z95
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

// senSlope returns the median slope a second between all pairs of points.
func senSlope(points []sampled) (slope float64, ok bool) {
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
		return 0, false
	}
	slope = median(slopes)
	return slope, slope != 0
}

// tame replaces wild values: those far from what their neighbours say.
func tame(t, y []float64, slope float64) {
	n := len(y)
	local, far := make([]float64, n), make([]float64, n)
	for i := range y {
		local[i] = nearby(t, y, i)
		far[i] = math.Abs(y[i] - local[i])
	}
	sorted := slices.Clone(far)
	slices.Sort(sorted)
	most := wild*1.4826*median(sorted) + 0.02*slope*(t[n-1]-t[0])
	raw := slices.Clone(y)
	for i := range y {
		if far[i] > most && alone(raw, i) {
			y[i] = local[i]
		}
	}
}

// alone reports whether a value lies beside both its neighbours, as at the edge of a step it does not.
func alone(y []float64, i int) bool {
	if i == 0 || i == len(y)-1 {
		return true
	}
	return y[i] > max(y[i-1], y[i+1]) || y[i] < min(y[i-1], y[i+1])
}

// steady reports whether values that rise as a whole never fell back far, and rose in many steps. It looks at medians of five, which take noise away and
// leave a step what it is.
func steady(values []float64) bool {
	n := len(values)
	y := make([]float64, n)
	for i := range y {
		y[i] = middle(values, i)
	}
	low, high := slices.Min(y), slices.Max(y)
	peak, fall := y[0], 0.0
	steps := make([]float64, 0, n)
	var movement float64
	for i := 1; i < n; i++ {
		peak = max(peak, y[i])
		fall = max(fall, peak-y[i])
		d := y[i] - y[i-1]
		movement += math.Abs(d)
		steps = append(steps, d)
	}
	if fall > maxFall*(high-low) {
		return false
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	if steps[0] > maxStep*movement {
		return false
	}
	half, count := (y[n-1]-y[0])/2, 0
	for _, d := range steps {
		if half <= 0 {
			break
		}
		half -= d
		count++
	}
	return count >= max(3, n/8)
}

// nearby is what five neighbours say of a value, itself among them: a Theil-Sen line, so that neither a slope nor the end of the points is taken for something wild.
func nearby(t, y []float64, i int) float64 {
	from := min(max(i-2, 0), len(y)-5)
	var slopes [10]float64
	n := 0
	for a := from; a < from+5; a++ {
		for b := a + 1; b < from+5; b++ {
			if d := t[b] - t[a]; d > 0 {
				slopes[n] = (y[b] - y[a]) / d
				n++
			}
		}
	}
	if n == 0 {
		return y[i]
	}
	slices.Sort(slopes[:n])
	slope := median(slopes[:n])
	var level [5]float64
	for j := range level {
		level[j] = y[from+j] - slope*(t[from+j]-t[i])
	}
	slices.Sort(level[:])
	return median(level[:])
}

// stairs reports whether few levels with steps between them tell the values better than any growth does, whose score is given: then the next step may come
// or not, and no slope says when.
func stairs(y []float64, score float64) bool {
	n := len(y)
	sum, square := make([]float64, n+1), make([]float64, n+1)
	for i, v := range y {
		v -= y[0] // what is small beside its level keeps its digits
		sum[i+1], square[i+1] = sum[i]+v, square[i]+v*v
	}
	miss := func(from, to int) float64 { // of one level
		s := sum[to] - sum[from]
		return max(square[to]-square[from]-s*s/float64(to-from), 0)
	}
	best := make([]float64, n+1) // of the first i values with so many levels
	for i := 1; i <= n; i++ {
		best[i] = miss(0, i)
	}
	for levels := 2; levels <= min(maxLevels, n/3); levels++ {
		for i := n; i >= levels; i-- {
			for j := levels - 1; j < i; j++ {
				best[i] = min(best[i], best[j]+miss(j, i))
			}
		}
		if float64(n)*math.Log(max(best[n], 1e-18*square[n], math.SmallestNonzeroFloat64)/float64(n))+float64(2*levels-1)*math.Log(float64(n)) < score+surely {
			return true
		}
	}
	return false
}

// middle is the median of a value and its four neighbours, of fewer at the ends.
func middle(y []float64, i int) float64 {
	var near [5]float64
	n := copy(near[:], y[max(i-2, 0):min(i+3, len(y))])
	slices.Sort(near[:n])
	return median(near[:n])
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
