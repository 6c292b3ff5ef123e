package matcher

import "math"

// shape is a form of growth: a line, a parabola, or an exponential function on top of a constant. Time is in windows before now.
type shape struct {
	terms int     // coefficients; 1 is a walk whose steps have a mean, and that has no level to go back to
	bend  float64 // of the exponential function: by how many e-folds it grows in a window, negative for what tires; 0 for a polynomial
}

// at are the functions whose sum is fitted. The third of an exponential one is by how much it changes with its bend, so that what is not known of the
// bend counts like what is not known of any coefficient.
func (s *shape) at(x float64) [3]float64 {
	if s.bend != 0 {
		e := math.Exp(s.bend * x)
		return [3]float64{1, e, x * e}
	}
	return [3]float64{1, x, x * x}
}

// believed is how likely a shape is before anything was seen: what bends has to show that it does.
func (s *shape) believed() float64 {
	switch s.terms {
	case 1:
		return likelyWalk
	case 2:
		return 1
	}
	if s.bend != 0 {
		return likelyGrown
	}
	return likelyBent
}

// bent is the exponential shape that fits best: the bend is looked for in steps, and then by the golden section.
func bent(x, y []float64) shape {
	const least, most, step = -4.0, 9.0, 0.65
	miss := func(bend float64) float64 {
		s := shape{2, bend}
		f, ok := leastSquares(&s, x, y)
		if !ok {
			return math.Inf(1)
		}
		var square float64
		for i := range x {
			d := y[i] - f.mean(x[i])
			square += d * d
		}
		return square
	}
	best, missed := least, math.Inf(1)
	for c := least; c <= most; c += step {
		if m := miss(c); m < missed {
			best, missed = c, m
		}
	}
	const golden = 0.6180339887498949
	low, high := best-step, best+step
	for range 16 {
		a, b := high-golden*(high-low), low+golden*(high-low)
		if miss(a) < miss(b) {
			high = b
		} else {
			low = a
		}
	}
	return shape{3, (low + high) / 2}
}

// fitted is a shape through points, with what is not known of it.
type fitted struct {
	*shape
	b        [3]float64    // coefficients
	cov      [3][3]float64 // of the coefficients
	scatter  float64       // variance of a single value around it
	persists float64       // how much of a value's error is left one point later
	step     float64       // the time between two points
	error    float64       // of the newest point
	quantile float64       // by which its standard errors are too small for their few degrees of freedom
	score    float64
	weight   float64
	sooner   float64 // by how much the level is below the limit, on average, when the first value reaches it
	spreads  float64 // the variance of that
}

// blend is all shapes that are likely, by how likely they are.
type blend struct {
	unit   float64 // seconds of a window
	score  float64 // of the likeliest
	shapes []fitted
}

const (
	likelyWalk  = 0.6
	likelyGrown = 0.1
	likelyBent  = 0.02
)

// unlikely is the weight below which a shape is left out.
const unlikely = 0.01

// fit fits every shape and weighs them by the Bayesian information criterion (Schwarz, Ann. Statist. 6, 1978; Hoeting et al., Stat. Sci. 14, 1999). ok is
// false where numbers are beyond all bounds.
func fit(t, y []float64) (b blend, ok bool) {
	b.unit = -t[0]
	x := make([]float64, len(t))
	for i := range t {
		x[i] = t[i] / b.unit
	}
	best := math.Inf(1)
	all := make([]fitted, 0, 4)
	add := func(s shape) float64 {
		f, good := fitShape(&s, x, y)
		if !good {
			return math.Inf(1)
		}
		best = min(best, f.score)
		all = append(all, f)
		return f.score
	}
	straight := add(shape{2, 0})
	// Fewer cannot tell a bend; and where a parabola is no better than a line, there is none to be told closer.
	if len(y) >= 2*minPoints && add(shape{3, 0}) < straight {
		add(bent(x, y))
	}
	if f, good := fitWalk(x, y); good {
		best = min(best, f.score)
		all = append(all, f)
	}
	b.score = best
	var sum float64
	for i := range all {
		all[i].weight = all[i].believed() * math.Exp(-(all[i].score-best)/2)
		sum += all[i].weight
	}
	for _, f := range all {
		if f.weight /= sum; f.weight >= unlikely {
			b.shapes = append(b.shapes, f)
		}
	}
	return b, len(b.shapes) > 0
}

// leastSquares finds the coefficients, and leaves the inverse of the normal matrix where the covariance comes.
func leastSquares(s *shape, x, y []float64) (f fitted, ok bool) {
	k := s.terms
	f.shape = s
	var a [3][3]float64
	var r [3]float64
	for i := range x {
		p := s.at(x[i])
		for j := range k {
			for l := range k {
				a[j][l] += p[j] * p[l]
			}
			r[j] += p[j] * y[i]
		}
	}
	if f.cov, ok = invert(a, k); !ok {
		return f, false
	}
	for j := range k {
		for l := range k {
			f.b[j] += f.cov[j][l] * r[l]
		}
	}
	return f, true
}

// fitShape is the least squares fit of one shape, with its errors.
func fitShape(s *shape, x, y []float64) (f fitted, ok bool) {
	if f, ok = leastSquares(s, x, y); !ok {
		return f, false
	}
	n, k := len(x), s.terms
	inverse := f.cov
	f.cov = [3][3]float64{}
	rest := make([]float64, n)
	var square, product, size float64
	for i := range x {
		rest[i] = y[i] - f.mean(x[i])
		square += rest[i] * rest[i]
		size += y[i] * y[i]
		if i > 0 {
			product += rest[i] * rest[i-1]
		}
	}
	if math.IsNaN(square) || math.IsInf(size, 0) {
		return f, false
	}
	square = max(square, 1e-18*size, math.SmallestNonzeroFloat64) // what is exact is exact as far as numbers are
	f.persists = unbiased(product/square, n)
	var innovation float64
	for i := range rest {
		d := rest[i] * math.Sqrt(1-f.persists*f.persists)
		if i > 0 {
			d = rest[i] - f.persists*rest[i-1]
		}
		innovation += d * d
	}
	innovation = max(innovation, 1e-18*size, math.SmallestNonzeroFloat64)
	f.scatter = innovation / float64(n-k) / (1 - f.persists*f.persists)
	f.step = (x[n-1] - x[0]) / float64(n-1)
	f.error = rest[n-1]
	f.spread(x, &inverse)
	f.quantile = student80(max(float64(n)*(1-f.persists)/(1+f.persists)-float64(k), fewestFree)) / z80
	f.score = float64(n)*math.Log(innovation/float64(n)) - math.Log(1-f.persists*f.persists) + float64(k)*math.Log(float64(n))
	return f, true
}

// fitWalk fits steps with a mean.
func fitWalk(x, y []float64) (f fitted, ok bool) {
	n := len(x) - 1
	f.shape = &shape{1, 0}
	f.step = (x[n] - x[0]) / float64(n)
	f.b = [3]float64{y[n], (y[n] - y[0]) / (x[n] - x[0])}
	var square float64
	for i := range n {
		d := y[i+1] - y[i] - f.b[1]*(x[i+1]-x[i])
		square += d * d
	}
	if !(square > 0) || math.IsInf(square, 0) {
		return f, false // it is a line
	}
	f.scatter = square / float64(n-1)
	f.quantile = student80(float64(n-1)) / z80
	f.score = float64(n+1)*math.Log(square/float64(n)) + math.Log(float64(n+1))
	return f, true
}

// spread fills in the covariance of the coefficients, whose errors are those of an autoregression: the least squares estimator's own, and not the
// approximation by an effective number of points, which fails where an error lasts as long as the window.
func (f *fitted) spread(x []float64, inverse *[3][3]float64) {
	k := f.terms
	// X'ΩX with Ω falling by the same factor from point to point: what came before is summed up in a running vector.
	var middle, half [3][3]float64
	var before [3]float64
	for _, v := range x {
		p := f.at(v)
		for j := range k {
			before[j] *= f.persists
		}
		for j := range k {
			for l := range k {
				middle[j][l] += p[j]*p[l] + p[j]*before[l] + before[j]*p[l]
			}
		}
		for j := range k {
			before[j] += p[j]
		}
	}
	for j := range k {
		for l := range k {
			for m := range k {
				half[j][l] += inverse[j][m] * middle[m][l]
			}
		}
	}
	for j := range k {
		for l := range k {
			for m := range k {
				f.cov[j][l] += half[j][m] * inverse[m][l] * f.scatter
			}
		}
	}
}

// unbiased is the autoregression of errors of which n points with a trend taken off show so much: too little by about (2+4a)/n (Kendall, Biometrika 41, 1954), and
// by 10/n for a walk, whose trend takes most of it along (Dickey and Fuller, J. Am. Stat. Assoc. 74, 1979).
func unbiased(raw float64, n int) float64 {
	low, high := 0.0, maxPersists
	for range 30 {
		a := (low + high) / 2
		a2 := a * a
		if a-(2+4*a+4*a2*a2*a2)/float64(n) < raw {
			low = a
		} else {
			high = a
		}
	}
	if low < noPersists {
		return 0
	}
	return low
}

func (f *fitted) mean(x float64) float64 {
	p := f.at(x)
	return f.b[0]*p[0] + f.b[1]*p[1] + f.b[2]*p[2]*float64(f.terms/3)
}

// above is how likely the value is at or above the limit so many windows ahead.
func (f *fitted) above(limit, x float64) float64 {
	if f.terms == 1 {
		return f.walked(limit-f.b[0], x)
	}
	left := 0.0
	if f.persists > 0 {
		left = math.Pow(f.persists, x/f.step)
	}
	p, now := f.at(x), f.at(0)
	variance := f.spreads * (1 - left*left)
	for j := range f.terms {
		p[j] -= left * now[j] // what is left of the newest error takes what is not known of the level along
	}
	for j := range f.terms {
		for l := range f.terms {
			variance += p[j] * f.cov[j][l] * p[l]
		}
	}
	return normal(f.mean(x)+f.sooner*(1-left*left)+left*f.error-limit, f.quantile*math.Sqrt(max(variance, 0)))
}

// normal is how likely a value with this mean and deviation is at or above 0.
func normal(mean, deviation float64) float64 {
	switch {
	case deviation > 0:
		return 0.5 * math.Erfc(-mean/(deviation*math.Sqrt2))
	case mean >= 0:
		return 1
	default:
		return 0
	}
}

// aim prepares for a limit.
func (b *blend) aim(limit, horizon float64) {
	for i := range b.shapes {
		b.shapes[i].first(limit, horizon/b.unit)
	}
}

// meets is when, in seconds from now, the limit is met with so much probability: the first time within the horizon.
func (b *blend) meets(limit, horizon, likely float64) (float64, bool) {
	reached := func(x float64) bool {
		var p float64
		for i := range b.shapes {
			p += b.shapes[i].weight * b.shapes[i].above(limit, x)
		}
		return p >= likely
	}
	if reached(0) {
		return 0, true
	}
	// The first time is looked for in steps that grow, so that what bends back before the limit is not passed over.
	from := 0.0
	for to := 1.0 / maxTrend; ; to += max(1.0/maxTrend, to/8) {
		if to*b.unit > horizon {
			return 0, false
		}
		if reached(to) {
			for range 20 {
				if mid := (from + to) / 2; reached(mid) {
					to = mid
				} else {
					from = mid
				}
			}
			return to * b.unit, true
		}
		from = to
	}
}

// invert inverts the first k rows and columns of a symmetric matrix; false when there is no inverse.
func invert(a [3][3]float64, k int) (inverse [3][3]float64, ok bool) {
	for i := range k {
		inverse[i][i] = 1
	}
	for i := range k {
		pivot := a[i][i]
		if !(math.Abs(pivot) > 1e-12) {
			return inverse, false
		}
		for j := range k {
			a[i][j] /= pivot
			inverse[i][j] /= pivot
		}
		for l := range k {
			if l == i {
				continue
			}
			times := a[l][i]
			for j := range k {
				a[l][j] -= times * a[i][j]
				inverse[l][j] -= times * inverse[i][j]
			}
		}
	}
	return inverse, true
}

// student80 is the 90 % quantile of Student's distribution, by the expansion of Cornish and Fisher around the normal one.
func student80(freedom float64) float64 {
	const z = z80
	z3, z5 := z*z*z, z*z*z*z*z
	return z + (z3+z)/(4*freedom) + (5*z5+16*z3+3*z)/(96*freedom*freedom)
}
