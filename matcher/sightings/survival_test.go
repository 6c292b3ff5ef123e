package sightings

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Ways that a rung takes its time, in seconds.
var ways = []struct {
	name string
	draw func(r *rand.Rand) float64
}{
	{"regular", func(r *rand.Rand) float64 { return 600 * math.Exp(0.2*r.NormFloat64()) }},
	{"log-normal", func(r *rand.Rand) float64 { return 300 * math.Exp(r.NormFloat64()) }},
	{"without memory", func(r *rand.Rand) float64 { return 900 * r.ExpFloat64() }},
	{"heavy tail", func(r *rand.Rand) float64 { return 60 * math.Pow(r.Float64(), -1/1.2) }},
	{"two kinds", func(r *rand.Rand) float64 {
		if r.IntN(3) == 0 {
			return 40 * math.Exp(0.3*r.NormFloat64())
		}
		return 3000 * math.Exp(0.4*r.NormFloat64())
	}},
	{"aging", func(r *rand.Rand) float64 { return 1800 * math.Pow(r.ExpFloat64(), 1/3.0) }},
}

// coverage is how often the interval holds the truth of a new ladder of the same kind, that has waited for a share of what it takes.
func coverage(t *testing.T, seed uint64, n int, averted float64, waits bool, draw func(*rand.Rand) float64) (share float64, given int) {
	t.Helper()
	r := seeded(seed)
	held := 0
	for range 2000 {
		var c Curve
		for range n {
			x := draw(r)
			if r.Float64() < averted { // by somebody who does not know how long it would have taken
				if y := draw(r); y < x {
					c.Left.add(seconds(y), 1)
					continue
				}
			}
			c.Came.add(seconds(x), 1)
		}
		truth, waited := draw(r), 0.0
		if waits {
			if waited = draw(r) / 3; waited >= truth {
				continue
			}
		}
		x, ok := c.expect(seconds(waited))
		if !ok {
			continue
		}
		given++
		require.LessOrEqual(t, x.early, x.mid)
		require.GreaterOrEqual(t, x.early.Seconds(), waited-1e-6)
		if d := seconds(truth); x.early <= d && (x.open || d <= x.late) {
			held++
		}
	}
	return float64(held) / float64(given), given
}

func TestTheIntervalOfSightingsHoldsTheTruthFourTimesOfFive(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				n       int
				averted float64
				waits   bool
			}{{9, 0, false}, {12, 0, false}, {30, 0, false}, {200, 0, false}, {30, 0.3, false}, {60, 0.6, false}, {60, 0, true}, {60, 0.3, true}} {
				share, given := coverage(t, 11, c.n, c.averted, c.waits, way.draw)
				t.Logf("%3d sightings, %.0f %% averted in part, waited %-5t: %.3f of %d", c.n, 100*c.averted, c.waits, share, given)
				require.Greater(t, given, 800)
				require.GreaterOrEqual(t, share, 0.75)
				require.LessOrEqual(t, share, 0.85)
			}
		})
	}
}

// The slow twin takes every duration as it is, without buckets.
func slowExpect(came, left []float64, waited float64) (early, mid, late float64) {
	type point struct {
		at   float64
		came bool
	}
	var points []point
	for _, x := range came {
		points = append(points, point{x, true})
	}
	for _, x := range left {
		points = append(points, point{x, false})
	}
	points = slices.DeleteFunc(points, func(p point) bool { return p.at < waited })
	slices.SortFunc(points, func(a, b point) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	s, risk := 1.0, float64(len(points)+1)
	early, mid, late = math.Inf(1), math.Inf(1), math.Inf(1)
	for _, p := range points {
		if p.came {
			s *= 1 - 1/risk
		}
		risk--
		if s <= 0.9+1e-9 {
			early = min(early, p.at)
		}
		if s <= 0.5+1e-9 {
			mid = min(mid, p.at)
		}
		if s <= 0.1+1e-9 {
			late = min(late, p.at)
		}
	}
	return early, mid, late
}

func TestBucketsTellNearlyWhatAllDurationsTell(t *testing.T) {
	for seed := range uint64(300) {
		r := seeded(seed)
		way := ways[r.IntN(len(ways))]
		var c Curve
		var came, left []float64
		for range 40 + r.IntN(200) {
			x := 2 + way.draw(r)
			if r.IntN(5) == 0 {
				x *= r.Float64()
				left = append(left, x)
				c.Left.add(seconds(x), 1)
				continue
			}
			came = append(came, x)
			c.Came.add(seconds(x), 1)
		}
		x, ok := c.expect(0)
		require.True(t, ok)
		early, mid, late := slowExpect(came, left, 0)
		near := func(want float64, got time.Duration) {
			require.InDelta(t, math.Log2(want), math.Log2(got.Seconds()), 4.0/perOctave, "seed %d %s", seed, way.name)
		}
		near(early, x.early)
		near(mid, x.mid)
		if !x.open && !math.IsInf(late, 1) {
			near(late, x.late)
		}
	}
}

func TestAnIntervalWhoseEndNobodySawIsOpen(t *testing.T) {
	var c Curve
	for range 12 {
		c.Came.add(time.Minute, 1)
	}
	c.Left.add(10*time.Minute, 8)
	x, ok := c.expect(0)
	require.True(t, ok)
	require.True(t, x.open)
	c.Left.add(10*time.Minute, 20)
	_, ok = c.expect(0)
	require.False(t, ok, "more than half were averted before it came")
}

func TestHistogramKeepsADurationToATenth(t *testing.T) {
	for seed := range uint64(200) {
		r := seeded(seed)
		d := seconds(math.Exp(r.Float64() * 17))
		var h Histogram
		h.add(d, 1)
		from, to := bounds(h[0].Bucket)
		require.LessOrEqual(t, from, d.Seconds()*(1+1e-12))
		require.GreaterOrEqual(t, to, d.Seconds()*(1-1e-12))
		q, ok := h.Quantile(0.5)
		require.True(t, ok)
		require.InEpsilon(t, d.Seconds(), q.Seconds(), 0.1)
		require.InDelta(t, 0.37, share(h[0].Bucket, within(h[0].Bucket, 0.37)), 1e-9)
	}
	var h Histogram
	for _, d := range []time.Duration{-time.Hour, 0, math.MaxInt64} {
		h.add(d, 1)
	}
	require.Equal(t, Histogram{{0, 2}, {lastBucket, 1}}, h)
	_, ok := Histogram(nil).Quantile(0.5)
	require.False(t, ok)
}
