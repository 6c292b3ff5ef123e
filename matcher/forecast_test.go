package matcher

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

// curve makes points of a function of minutes, one every step minutes.
func curve(minutes, step int, f func(m float64) float64) []sampled {
	var points []sampled
	for m := 0; m <= minutes; m += step {
		points = thin(points, sampled{int64(m) * int64(time.Minute), f(float64(m))}, time.Hour)
	}
	return points
}

func TestForecast(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(1, 2))
	c := func(limit float64) *signatures.Forecast {
		return &signatures.Forecast{Reaches: limit, Within: signatures.Duration(2 * time.Hour), Over: signatures.Duration(time.Hour)}
	}
	for _, x := range []struct {
		name   string
		points []sampled
		limit  float64
		within [2]float64 // minutes from the newest point; 0, 0 when there is no forecast
	}{
		{"a line up", curve(60, 2, func(m float64) float64 { return m }), 100, [2]float64{39, 41}},
		{"a line down", curve(60, 2, func(m float64) float64 { return 90 - m }), 0, [2]float64{29, 31}},
		{"a line with noise", curve(60, 2, func(m float64) float64 { return m + 4*noise.Float64() - 2 }), 100, [2]float64{33, 47}},
		{"a line with wild points", curve(60, 2, func(m float64) float64 { return m + 500*math.Floor(math.Mod(m, 10)/8) }), 100, [2]float64{35, 45}},
		{"there already", curve(60, 2, func(m float64) float64 { return 60 + m }), 100, [2]float64{0, 0.01}},
		{"away from the limit", curve(60, 2, func(m float64) float64 { return -m }), 100, [2]float64{}},
		{"flat", curve(60, 2, func(float64) float64 { return 50 }), 100, [2]float64{}},
		{"noise without a trend", curve(60, 2, func(float64) float64 { return 50 + 10*noise.Float64() }), 100, [2]float64{}},
		{"a saw-tooth", curve(60, 2, func(m float64) float64 { return 50 + math.Mod(m, 20) }), 100, [2]float64{}},
		{"a rising saw-tooth", curve(60, 2, func(m float64) float64 { return m/10 + 3*math.Mod(m, 14) }), 100, [2]float64{}},
		{"one burst", curve(60, 2, func(m float64) float64 { return m/100 + 40*math.Floor(m/50) }), 100, [2]float64{}},
		{"too few points", curve(60, 15, func(m float64) float64 { return m }), 100, [2]float64{}},
		{"too short a past", curve(20, 2, func(m float64) float64 { return m }), 100, [2]float64{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			require.LessOrEqual(t, len(x.points), maxTrend+2)
			e, met := forecast(x.points, c(x.limit))
			if x.within == [2]float64{} {
				require.False(t, met)
				return
			}
			require.True(t, met)
			minutes := func(at int64) float64 { return time.Duration(at - x.points[len(x.points)-1].time).Minutes() }
			require.GreaterOrEqual(t, minutes(e.expected), x.within[0])
			require.LessOrEqual(t, minutes(e.expected), x.within[1])
			require.LessOrEqual(t, e.earliest, e.expected)
			require.LessOrEqual(t, e.expected, e.latest)
		})
	}
}

func TestForecastBeyondTheAlarmTimeIsNotMet(t *testing.T) {
	t.Parallel()
	points := curve(60, 2, func(m float64) float64 { return m })
	e, met := forecast(points, &signatures.Forecast{Reaches: 1000, Within: signatures.Duration(time.Hour), Over: signatures.Duration(time.Hour)})
	require.False(t, met)
	require.InDelta(t, 940, time.Duration(e.expected-points[len(points)-1].time).Minutes(), 1)
}

// The interval of 80 % should hold the truth about that often when the noise is as the method assumes.
func TestForecastIntervalHoldsTheTruth(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(3, 4))
	given, right := 0, 0
	for range 500 {
		points := curve(60, 2, func(m float64) float64 { return m + 3*noise.NormFloat64() })
		e, met := forecast(points, &signatures.Forecast{Reaches: 100, Within: signatures.Duration(3 * time.Hour), Over: signatures.Duration(time.Hour)})
		if !met {
			continue
		}
		given++
		if truth := int64(100 * time.Minute); e.earliest <= truth && truth <= e.latest {
			right++
		}
	}
	require.Greater(t, given, 450)
	require.Greater(t, float64(right)/float64(given), 0.8)
}

func TestForecastOfHostileValues(t *testing.T) {
	t.Parallel()
	for _, f := range []func(float64) float64{
		func(m float64) float64 { return math.Inf(1) * m },
		func(m float64) float64 { return math.MaxFloat64 * (m - 30) },
		func(m float64) float64 { return m * math.SmallestNonzeroFloat64 },
	} {
		require.NotPanics(t, func() {
			e, _ := forecast(curve(60, 2, f), &signatures.Forecast{Reaches: 1, Over: signatures.Duration(time.Hour)})
			require.GreaterOrEqual(t, e.expected, int64(0))
		})
	}
	same := make([]sampled, 40) // one time for all
	_, met := forecast(same, &signatures.Forecast{Reaches: 1})
	require.False(t, met)
}

func TestThinKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var points []sampled
	for i := range 10000 {
		points = thin(points, sampled{int64(i) * int64(time.Second), float64(i)}, time.Hour)
		require.InDelta(t, float64(i), points[len(points)-1].value, 0)
		require.LessOrEqual(t, len(points), maxTrend+2)
	}
	require.Greater(t, len(points), maxTrend-2)
}

func BenchmarkForecast(b *testing.B) {
	noise := rand.New(rand.NewPCG(5, 6))
	points := curve(60, 1, func(m float64) float64 { return m + noise.NormFloat64() })
	c := &signatures.Forecast{Reaches: 100, Within: signatures.Duration(2 * time.Hour), Over: signatures.Duration(time.Hour)}
	for b.Loop() {
		if _, met := forecast(points, c); !met {
			b.Fatal("there is one")
		}
	}
}
