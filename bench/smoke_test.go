package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkSmoke is CI's guard against a slower engine: the smoke workloads beside the naive loop and the limit, in one run, so that a slow
// machine slows all. It fails when a ratio is below the workload's floors. Then it does the same with an engine that does its work four
// times, which must fail, or the floors guard nothing.
func BenchmarkSmoke(b *testing.B) {
	all, err := Workloads()
	require.NoError(b, err)
	for _, w := range all {
		if !strings.HasPrefix(w.Name, "smoke") {
			continue
		}
		require.NotEmpty(b, w.Floors)
		b.Run(w.Name, func(b *testing.B) {
			c, err := w.Corpus()
			require.NoError(b, err)
			for b.Loop() {
				rows, err := RunScan(b.Context(), c, w.Signatures.Counts, ScanOptions{Peers: []string{newlinesName, naiveName}})
				require.NoError(b, err)
				for _, f := range w.Floors {
					b.ReportMetric(w.ratio(f, rows), strings.ReplaceAll(f.String(), " ", "-"))
				}
				require.Empty(b, w.BelowFloors(rows))
				rows, err = RunScan(b.Context(), c, w.Signatures.Counts, ScanOptions{Peers: []string{newlinesName, naiveName}, Rounds: 2, drag: 3})
				require.NoError(b, err)
				require.NotEmpty(b, w.BelowFloors(rows), "an engine that is four times as slow passes: raise the floors")
			}
		})
	}
}

func TestFloorsRefuseWhatIsSlowOrWasNotMeasured(t *testing.T) {
	w := &Workload{Name: "w", Signatures: SignatureSet{Counts: []int{100, 1000}}, Floors: []Floor{
		{Signatures: 1000, Peer: naiveName, Times: 500}, {Signatures: 1000, Peer: newlinesName, Times: 0.1}, {Signatures: 1000, Peer: selfName, Times: 0.5},
	}}
	row := func(name string, signatures int, speed float64) Row {
		return Row{Candidate: name, Signatures: signatures, Metrics: []Metric{{Name: Throughput, Rounds: []float64{speed}}}}
	}
	rows := []Row{row(engineName, 100, 1000), row(newlinesName, 100, 9000), row(engineName, 1000, 950), row(naiveName, 1000, 1)}
	require.Empty(t, w.BelowFloors(rows))
	rows[2] = row(engineName, 1000, 400)
	require.Equal(t, []string{
		"w with 1000 signatures: 400 times as fast as naive, at least 500 is asked for",
		"w with 1000 signatures: 0.0444 times as fast as newlines, at least 0.1000 is asked for",
		"w with 1000 signatures: 0.4000 times as fast as self, at least 0.5000 is asked for",
	}, w.BelowFloors(rows))
	require.Contains(t, w.BelowFloors(rows[:3])[0], "was not measured beside naive")
}

func TestACandidateThatFindsSomethingElseIsRefused(t *testing.T) {
	w := small(t, "mixed", 200, nil)
	c, err := w.Corpus()
	require.NoError(t, err)
	twin, err := newTwin(c.Patterns)
	require.NoError(t, err)
	c.Expect = &Expect{Digest: c.Digest, Of: twin.expect(c, []int{200})}
	rows, err := RunScan(t.Context(), c, []int{200}, ScanOptions{Rounds: 1, Peers: PeerNames(), Tell: t.Logf})
	require.NoError(t, err)
	require.Equal(t, engineName, rows[0].Candidate)
	require.Equal(t, c.Expect.Of[0].Hits, *rows[0].Hits)
	require.Greater(t, len(rows), 2)
	for _, r := range rows {
		require.Positive(t, r.Metric(Throughput).Median(), r.Candidate)
	}
	c.Expect.Of[0].Hits++ // as if the engine overlooked one
	_, err = RunScan(t.Context(), c, []int{200}, ScanOptions{Rounds: 1})
	var wrong foundError
	require.ErrorAs(t, err, &wrong)
	require.ErrorContains(t, err, "whatever its speed, it is wrong")
}

func TestScanOfEveryKindOfRecordNeedsNoAllocation(t *testing.T) {
	w := small(t, kindsSet, 500, func(w *Workload) {
		w.Records, w.MatchPercent = map[string]int{"log": 1, "event": 1, "change": 1, "sample": 1}, 0
	})
	c, err := w.Corpus()
	require.NoError(t, err)
	var told []string
	rows, err := RunScan(t.Context(), c, []int{500}, ScanOptions{
		Rounds: 1, Peers: []string{naiveName, hyperscanName}, Tell: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) },
	})
	require.NoError(t, err)
	require.Less(t, rows[0].Metric(Allocations).Median(), 0.001)
	require.Len(t, rows, 1)
	require.Contains(t, told, "small: naive is not asked to look for 500 signatures", "peers know of texts alone")
	require.Contains(t, told, "small: hyperscan is not asked to look for 500 signatures")
}
