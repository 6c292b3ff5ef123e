package bench

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// resultOf is a result with one row, whose rounds are given.
func resultOf(rounds ...float64) *Result {
	hits := 7
	return &Result{
		Format: ResultFormat, Command: "scan", Machine: Machine{CPU: "a processor", Cores: 2, Go: "go1"},
		Rows: []Row{{
			Workload: "mixed", Digest: "d1", Candidate: engineName, Signatures: 1000, Hits: &hits, Expected: &hits,
			Metrics: []Metric{{Name: Throughput, Unit: "MB/CPU-s", Rounds: rounds}, {Name: BuildTime, Unit: "s", Less: true, Rounds: rounds}},
		}},
	}
}

func TestCompareTellsNoiseFromChange(t *testing.T) {
	for _, c := range []struct {
		name       string
		old, now   []float64
		more, less Verdict // for a metric of which more, and one of which less, is better
	}{
		{"far apart", []float64{100, 101, 102, 103, 104}, []float64{120, 121, 122, 123, 125}, Faster, Slower},
		{"far below", []float64{100, 101, 102, 103, 104}, []float64{70, 71, 72, 73, 74}, Slower, Faster},
		{"mixed up", []float64{100, 105, 110, 95, 102}, []float64{101, 104, 111, 96, 99}, Noise, Noise},
		{"a better median that noise explains", []float64{80, 90, 100, 110, 120}, []float64{85, 95, 108, 115, 125}, Noise, Noise},
		{"the same", []float64{5, 5, 5, 5, 5}, []float64{5, 5, 5, 5, 5}, Noise, Noise},
		{"too few rounds", []float64{100, 101, 102}, []float64{200, 201, 202}, Unknown, Unknown},
		{"one far outlier", []float64{100, 101, 102, 103, 104}, []float64{100.5, 101.5, 102.5, 103.5, 900}, Noise, Noise},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compare(resultOf(c.old...), resultOf(c.now...))
			require.Empty(t, got.Warnings)
			require.Empty(t, got.Missing)
			require.Len(t, got.Differences, 2)
			require.Equal(t, c.more, got.Differences[0].Verdict)
			require.Equal(t, c.less, got.Differences[1].Verdict)
			require.Equal(t, c.more == Slower || c.less == Slower, got.Worse(0.05))
			require.False(t, got.Worse(10))
		})
	}
}

func TestCompareIsRarelyFooledByNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	fooled := 0
	for range 1000 {
		rounds := func() []float64 {
			x := make([]float64, 5)
			for i := range x {
				x[i] = 100 + 10*r.NormFloat64()
			}
			return x
		}
		if d := Compare(resultOf(rounds()...), resultOf(rounds()...)).Differences[0]; d.Verdict != Noise {
			fooled++
		}
	}
	require.Less(t, fooled, 1000/alphaShare, "of 1000 comparisons of equals")
}

// alphaShare is one in how many comparisons of equals may be taken for a change: 5 % and some luck.
const alphaShare = 14

func TestCompareSaysWhatIsNotAlike(t *testing.T) {
	a, b := resultOf(1, 2, 3, 4, 5), resultOf(11, 12, 13, 14, 15)
	b.Machine.CPU = "another"
	b.Rows[0].Digest = "d2"
	b.Rows = append(b.Rows, Row{Workload: "hard", Candidate: engineName})
	a.Rows = append(a.Rows, Row{Workload: "cre", Candidate: "ripgrep", Signatures: 440})
	got := Compare(a, b)
	require.Equal(t, []string{"the processor is another one: a processor, then another"}, got.Warnings)
	require.Equal(t, []string{"new: hard, forewarn", "gone: cre, 440 signatures, ripgrep"}, got.Missing)
	require.Equal(t, Unknown, got.Differences[0].Verdict)
	require.False(t, got.Worse(0))
	var text bytes.Buffer
	require.NoError(t, got.WriteText(&text))
	require.Contains(t, text.String(), "careful: the processor is another one")
	require.Contains(t, text.String(), "not proven (the work is another one)")
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	a := resultOf(1, 2, 3)
	file := t.TempDir() + "/a.json"
	require.NoError(t, a.Save(file))
	b, err := ReadResult(file)
	require.NoError(t, err)
	require.Equal(t, a, b)
	a.Format = 99
	require.NoError(t, a.Save(file))
	_, err = ReadResult(file)
	require.ErrorIs(t, err, errFormat)
}
