package bench

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecordedResultsAreWhole(t *testing.T) {
	files, err := filepath.Glob("results/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		r, err := ReadResult(f)
		require.NoError(t, err, f)
		require.NotEmpty(t, r.Rows, f)
		require.NotEmpty(t, r.Machine.CPU, f)
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Hits != nil && row.Expected != nil {
				require.Equal(t, *row.Expected, *row.Hits, "%s: %s on %s", f, row.Candidate, row.Workload)
			}
		}
	}
}
