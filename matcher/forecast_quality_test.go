package matcher

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

// Growth that meets its limit: a value by the minute, of which the first hour is seen. Scales differ by factors of ten, for nothing may hang on them.
type growth struct {
	name string
	make func(r *rand.Rand) (value func(minute int) float64)
}

// wandering adds errors of which a share is left a minute later.
func wandering(r *rand.Rand, share, size float64, trend func(m float64) float64) func(int) float64 {
	var errors []float64
	return func(m int) float64 {
		for len(errors) <= m {
			e := size * math.Sqrt(1-share*share) * r.NormFloat64()
			if n := len(errors); n > 0 {
				e += share * errors[n-1]
			} else {
				e = size * r.NormFloat64()
			}
			errors = append(errors, e)
		}
		return trend(float64(m)) + errors[m]
	}
}

func line(r *rand.Rand) func(m float64) float64 {
	scale := math.Pow(10, 6*r.Float64())
	return func(m float64) float64 { return scale * (0.3 + m/60) }
}

var linear = []growth{
	{"a line with little noise", func(r *rand.Rand) func(int) float64 { f := line(r); return wandering(r, 0, 0.02*f(42), f) }},
	{"a line with noise", func(r *rand.Rand) func(int) float64 { f := line(r); return wandering(r, 0, 0.07*f(42), f) }},
	{"a line with noise that lasts", func(r *rand.Rand) func(int) float64 { f := line(r); return wandering(r, 0.8, 0.05*f(42), f) }},
	{"a line with wild points", func(r *rand.Rand) func(int) float64 {
		f := line(r)
		g := wandering(r, 0, 0.03*f(42), f)
		return func(m int) float64 {
			if v := g(m); m >= 58 || r.IntN(12) > 0 { // a wild point that is now is an alarm of its own
				return v
			}
			return f(float64(m)) * (0.2 + 0.7*r.Float64())
		}
	}},
	{"a walk with drift", func(r *rand.Rand) func(int) float64 {
		scale, sum := math.Pow(10, 6*r.Float64()), []float64{0.3}
		return func(m int) float64 {
			for len(sum) <= m {
				sum = append(sum, sum[len(sum)-1]+1.0/60+0.02*r.NormFloat64())
			}
			return scale * sum[m]
		}
	}},
}

var accelerating = []growth{
	{"a parabola", func(r *rand.Rand) func(int) float64 {
		f := line(r)
		bend := 0.5 + 2*r.Float64()
		return wandering(r, 0, 0.02*f(42), func(m float64) float64 { return f(m) + f(0)/0.3*bend*m*m/3600 })
	}},
	{"doubling", func(r *rand.Rand) func(int) float64 {
		scale, each := math.Pow(10, 6*r.Float64()), 20+30*r.Float64()
		return wandering(r, 0, 0.05*scale, func(m float64) float64 { return scale * math.Exp2(m/each) })
	}},
}

// round is one growth: what was forecast at its first hour, and what came.
type round struct {
	truth, early, mid, late float64 // minutes from then on
	linear                  float64 // what predict_linear says
}

// rounds makes growths until so many had a forecast.
func rounds(t *testing.T, g growth, want int) (all []round, given float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(43, uint64(len(g.name))))
	tries := 0
	for len(all) < want {
		tries++
		require.Less(t, tries, 10*want, "hardly ever a forecast of %s: %d", g.name, len(all))
		value := g.make(r)
		aim := 60 + 10 + 110*r.Float64() // where the limit is
		var limit float64
		var points, raw []sampled
		for m := range 61 {
			p := sampled{int64(m) * int64(time.Minute), value(m)}
			points, raw = thin(points, p, time.Hour), append(raw, p)
		}
		ahead := make([]float64, 0, 21) // the level there, without noise
		for m := int(aim) - 10; m <= int(aim)+10; m++ {
			ahead = append(ahead, value(m))
		}
		slices.Sort(ahead)
		limit = median(ahead)
		if slices.ContainsFunc(raw, func(p sampled) bool { return p.value >= limit }) {
			continue
		}
		x := round{linear: predictLinear(raw, limit)}
		for m := 61; ; m++ {
			if v, before := value(m), value(m-1); v >= limit {
				x.truth = float64(m-61) + (limit-before)/(v-before)
				break
			}
			require.Less(t, m, 10000)
		}
		e, met := forecast(points, &signatures.Forecast{Reaches: limit, Within: signatures.Duration(1000 * time.Hour), Over: signatures.Duration(time.Hour)})
		if !met {
			continue
		}
		minutes := func(at int64) float64 { return time.Duration(at - raw[60].time).Minutes() }
		x.early, x.mid, x.late = minutes(e.earliest), minutes(e.expected), minutes(e.latest)
		require.LessOrEqual(t, x.early, x.mid)
		require.LessOrEqual(t, x.mid, x.late)
		all = append(all, x)
	}
	return all, float64(want) / float64(tries)
}

// predictLinear is when PromQL's predict_linear over the same window meets the limit: the least squares line through all points.
func predictLinear(points []sampled, limit float64) float64 {
	var n, x, y, xx, xy float64
	last := points[len(points)-1].time
	for _, p := range points {
		t := time.Duration(p.time - last).Minutes()
		n, x, y, xx, xy = n+1, x+t, y+p.value, xx+t*t, xy+t*p.value
	}
	slope := (n*xy - x*y) / (n*xx - x*x)
	level := (y - slope*x) / n
	if slope <= 0 {
		return 10000
	}
	return min(max((limit-level)/slope, 0), 10000)
}

// pinball is the loss of a quantile.
func pinball(q, forecast, truth float64) float64 {
	if truth >= forecast {
		return q * (truth - forecast)
	}
	return (1 - q) * (forecast - truth)
}

type quality struct {
	share, given      float64 // how often the interval held what came, and how often there was one
	ours, theirs      float64 // the mean pinball loss over the quantiles 10, 50 and 90 %
	oursMid, theirMid float64 // that of the median alone
}

func measure(t *testing.T, g growth, n int) (q quality) {
	t.Helper()
	all, given := rounds(t, g, n)
	q.given = given
	for _, x := range all {
		if x.early <= x.truth && x.truth <= x.late {
			q.share += 1 / float64(n)
		}
		each := 1 / float64(3*n)
		q.ours += each * (pinball(0.1, x.early, x.truth) + pinball(0.5, x.mid, x.truth) + pinball(0.9, x.late, x.truth))
		q.theirs += each * (pinball(0.1, x.linear, x.truth) + pinball(0.5, x.linear, x.truth) + pinball(0.9, x.linear, x.truth))
		q.oursMid += pinball(0.5, x.mid, x.truth) / float64(n)
		q.theirMid += pinball(0.5, x.linear, x.truth) / float64(n)
	}
	return q
}

// The report is what README.md cites: `go test ./matcher -run ForecastKeeps -v`.
func TestForecastKeepsWhatItPromises(t *testing.T) {
	t.Parallel()
	const n = 800
	var report strings.Builder
	fmt.Fprintf(&report, "\n%-30s %6s %6s   %s\n", "growth", "given", "held", "pinball loss, minutes: ours, predict_linear (median alone)")
	for name, group := range map[string][]growth{"linear": linear, "accelerating": accelerating} {
		var held float64
		for _, g := range group {
			q := measure(t, g, n)
			held += q.share / float64(len(group))
			fmt.Fprintf(&report, "%-30s %6.2f %6.3f   %6.2f %6.2f (%6.2f %6.2f)\n", g.name, q.given, q.share, q.ours, q.theirs, q.oursMid, q.theirMid)
			require.Greater(t, q.given, 0.5, "%s: a forecast that is never given is never wrong", g.name)
			require.Less(t, q.ours, q.theirs, "%s: predict_linear does better", g.name)
			require.InDelta(t, 0.82, q.share, 0.1, g.name)
		}
		fmt.Fprintf(&report, "%-30s        %6.3f\n", "all "+name, held)
		require.GreaterOrEqual(t, held, 0.75, name)
		require.LessOrEqual(t, held, 0.85, name)
	}
	t.Log(report.String())
}

// What goes nowhere: its limit is never met, and a forecast of it is false.
func TestForecastIsNotMadeOfWhatGoesNowhere(t *testing.T) {
	t.Parallel()
	for name, series := range map[string]func(r *rand.Rand) func(m float64) float64{
		"a saw-tooth, as of garbage collection": func(r *rand.Rand) func(float64) float64 {
			period, phase := 4+46*r.Float64(), 50*r.Float64()
			return func(m float64) float64 { return math.Mod(m+phase, period) / period }
		},
		"a saw-tooth that tires": func(r *rand.Rand) func(float64) float64 {
			period, phase := 4+46*r.Float64(), 50*r.Float64()
			return func(m float64) float64 { return 1 - math.Exp(-3*math.Mod(m+phase, period)/period) }
		},
		"garbage collection of two generations": func(r *rand.Rand) func(float64) float64 {
			short, long, phase := 2+6*r.Float64(), 25+20*r.Float64(), 50*r.Float64()
			return func(m float64) float64 { return 0.6*math.Mod(m+phase, long)/long + 0.4*math.Mod(m+phase, short)/short }
		},
		"steps": func(r *rand.Rand) func(float64) float64 {
			var at []float64
			for range 1 + r.IntN(4) {
				at = append(at, 60*r.Float64())
			}
			return func(m float64) (v float64) {
				for _, x := range at {
					if m >= x {
						v++
					}
				}
				return v / float64(len(at))
			}
		},
		"a bursty writer": func(r *rand.Rand) func(float64) float64 {
			var at, size []float64
			for range 1 + r.IntN(5) {
				at, size = append(at, 60*r.Float64()), append(size, r.ExpFloat64()/3)
			}
			return func(m float64) (v float64) {
				for i, x := range at {
					v += size[i] * min(max((m-x)/2, 0), 1) // over two minutes
				}
				return v
			}
		},
		"bursts that pass": func(r *rand.Rand) func(float64) float64 {
			at, long := 60*r.Float64(), 3+20*r.Float64()
			return func(m float64) float64 {
				if m >= at && m < at+long {
					return 1
				}
				return 0
			}
		},
		"nothing": func(*rand.Rand) func(float64) float64 { return func(float64) float64 { return 0.5 } },
		"a day's wave": func(r *rand.Rand) func(float64) float64 {
			phase := 2 * math.Pi * r.Float64()
			return func(m float64) float64 { return 0.5 + 0.5*math.Sin(2*math.Pi*m/50+phase) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2000) {
				r := rand.New(rand.NewPCG(seed, 9))
				f := series(r)
				noise := 0.05 * r.Float64()
				var points []sampled
				for m := range 61 {
					points = thin(points, sampled{int64(m) * int64(time.Minute), f(float64(m)) + noise*r.NormFloat64()}, time.Hour)
				}
				limit := 1.5
				for _, p := range points {
					limit = max(limit, p.value+0.3)
				}
				e, met := forecast(points, &signatures.Forecast{Reaches: limit, Within: signatures.Duration(6 * time.Hour), Over: signatures.Duration(time.Hour)})
				require.False(t, met, "seed %d: expected in %v", seed, time.Duration(e.expected-points[len(points)-1].time))
			}
		})
	}
}
