package matcher

import "math"

// first says when, of values that scatter around a level that rises, the first one reaches the limit: the level is still below it then, the more
// so the slower it rises. With l the level above the limit at which it happens, the chance that it did not happen by l is the product of
// those of all values so far that they did not reach it; values whose errors last are as good as fewer.
func (f *fitted) first(limit, horizon float64) {
	f.sooner, f.spreads = 0, f.scatter
	s := math.Sqrt(f.scatter)
	x, ok := f.crosses(limit, horizon)
	if f.terms == 1 || !ok || s == 0 {
		return
	}
	rises := f.mean(x+f.step) - f.mean(x) // from one value to the next
	if !(rises > 0) || rises > 2*s {
		return
	}
	const from, to, cells = -5.0, 4.0, 90 // in standard deviations
	looks := (to - from) / cells * s / rises * (1 - f.persists)
	left, mean, square := 1.0, 0.0, 0.0
	for i := range cells {
		l := from + (float64(i)+0.5)*(to-from)/cells
		after := left * math.Pow(1-normal(l, 1), looks)
		mean, square = mean+(left-after)*l, square+(left-after)*l*l
		left = after
	}
	mean, square = mean+left*to, square+left*to*to
	f.sooner, f.spreads = max(-mean, 0)*s, min(square-mean*mean, 1)*f.scatter
}

// crosses is where the level meets the limit.
func (f *fitted) crosses(limit, horizon float64) (float64, bool) {
	low, high := 0.0, 1.0/maxTrend
	for f.mean(high) < limit {
		if low, high = high, high*1.5; high > horizon {
			return 0, false
		}
	}
	for range 30 {
		if mid := (low + high) / 2; f.mean(mid) < limit {
			low = mid
		} else {
			high = mid
		}
	}
	return high, true
}

// walked is how likely a walk was at a distance at any time up to x: it may have been there before, and come back. That is the inverse Gaussian
// distribution of the first passage (Chhikara and Folks 1989), with what is not known of the drift.
func (f *fitted) walked(distance, x float64) float64 {
	variance := f.scatter / f.step // of a window
	drift, deviation := f.b[1]*x, f.quantile*math.Sqrt(variance*(x+x*x))
	p := normal(drift-distance, deviation)
	if distance <= 0 || deviation == 0 {
		return p
	}
	back := -(drift + distance) / deviation
	return min(p+math.Exp(min(2*f.b[1]*distance/(variance*(1+x)*f.quantile*f.quantile)+logNormal(back), 0)), 1)
}

// logNormal is the logarithm of the normal distribution function at x.
func logNormal(x float64) float64 {
	if x > -8 {
		return math.Log(0.5 * math.Erfc(-x/math.Sqrt2))
	}
	return -x*x/2 - math.Log(-x*math.Sqrt(2*math.Pi))
}
