package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is a machine whose best setting is known: large batches are fast and late, compression is slow, and four partitions, two workers, 64 batches in flight and a
// window of 32 are best.
func model(_ context.Context, s Setting, rate float64) (float64, []Quantile, error) {
	off := func(n, best int) float64 { return 1 + 0.2*math.Abs(math.Log2(float64(n)/float64(best))) }
	speed := 1e6 * math.Pow(float64(s.BatchKB)/256, 0.3) / off(s.Workers, 2) / off(s.Partitions, 4) / off(s.InFlight, 64) / off(s.Fetch, 16) / off(s.Window, 32)
	p99 := 0.004 * float64(s.BatchKB) / 64 * off(s.Fetch, 16)
	if s.Compress {
		speed /= 2
	}
	if rate == 0 {
		return speed, nil, nil
	}
	return rate, []Quantile{{0.5, p99 / 3}, {0.99, p99}, {0.999, 2 * p99}}, nil
}

func TestTuneFindsTheBestSettingWithinTheLimit(t *testing.T) {
	for _, c := range []struct {
		limit time.Duration
		batch int
		kept  bool
	}{
		{time.Second, 512, true},
		{20 * time.Millisecond, 256, true},
		{9 * time.Millisecond, 128, true},
		{time.Millisecond, 32, false},
	} {
		t.Run(c.limit.String(), func(t *testing.T) {
			got, err := Tune(t.Context(), model, TuneOptions{Cores: 2, Limit: c.limit, Rounds: 1})
			require.NoError(t, err)
			require.Equal(t, c.kept, got.Kept)
			require.Equal(t, c.batch, got.Recommended.BatchKB)
			if c.kept {
				require.Equal(t, Setting{BatchKB: c.batch, Workers: 2, Partitions: 4, InFlight: 64, Fetch: 16, Window: 32}, got.Recommended)
			} else {
				require.Contains(t, got.Config(), "# No setting kept a p99 of 1ms")
			}
			r := Result{Rows: got.Rows}
			var page, chart bytes.Buffer
			require.NoError(t, r.WriteHTML(&page))
			require.Contains(t, page.String(), "throughput against latency")
			require.NoError(t, got.WriteChart(&chart))
			require.Contains(t, chart.String(), "◆")
			require.Contains(t, chart.String(), "ms p99")
		})
	}
}

func TestTuneStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	_, err := Tune(t.Context(), func(ctx context.Context, s Setting, rate float64) (float64, []Quantile, error) {
		if s.Fetch == 128 {
			return 0, nil, broken
		}
		return model(ctx, s, rate)
	}, TuneOptions{Cores: 2, Rounds: 1})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "fetch 128")
}

func TestTuneGoesOnWithoutASettingThatIsUnfit(t *testing.T) {
	var told []string
	got, err := Tune(t.Context(), func(ctx context.Context, s Setting, rate float64) (float64, []Quantile, error) {
		if s.BatchKB == 512 {
			return 0, nil, fmt.Errorf("it lost records: %w", errUnfit)
		}
		return model(ctx, s, rate)
	}, TuneOptions{Cores: 2, Rounds: 1, Limit: time.Second, Tell: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }})
	require.NoError(t, err)
	require.Equal(t, 256, got.Recommended.BatchKB)
	require.Contains(t, strings.Join(told, "\n"), "it lost records")
}

func TestTuneEndsInTimeWithTheBestSoFar(t *testing.T) {
	runs := 0
	got, err := Tune(t.Context(), func(ctx context.Context, s Setting, rate float64) (float64, []Quantile, error) {
		runs++
		return model(ctx, s, rate)
	}, TuneOptions{Cores: 2, Rounds: 1, Limit: time.Second, Within: time.Nanosecond})
	require.NoError(t, err)
	require.Equal(t, 3, runs, "the start at full speed for the rate, and then as a setting")
	require.True(t, got.Cut)
	require.Equal(t, got.Start, got.Recommended)
	require.Contains(t, got.Config(), "# The search was ended before all settings were tried.")
}
