package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkEngine is `forewarn bench scan` as a Go benchmark, in MB of text a second of processor time of the scanning thread. Each round must
// find exactly what the twin found. -benchtime 1x is enough: it is five rounds.
func BenchmarkEngine(b *testing.B) {
	all, err := Workloads()
	require.NoError(b, err)
	for _, w := range all {
		b.Run(w.Name, func(b *testing.B) {
			c, err := w.Corpus()
			require.NoError(b, err)
			for b.Loop() {
				rows, err := RunScan(b.Context(), c, w.Signatures.Counts, ScanOptions{Peers: []string{newlinesName}, Tell: b.Logf})
				require.NoError(b, err)
				for _, r := range rows {
					m := r.Metric(Throughput)
					least, most := m.Span()
					b.Logf("%-10s %6d signatures %8.0f / %.0f / %.0f MB per CPU-s (least/median/most), %.2f million records per CPU-s",
						r.Candidate, r.Signatures, least, m.Median(), most, r.Metric(RecordsRate).Median())
				}
			}
		})
	}
}
