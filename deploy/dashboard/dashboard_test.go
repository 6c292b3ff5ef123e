package dashboard

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the dashboard of the chart")

func TestTheDashboardOfTheChartIsNew(t *testing.T) {
	const file = "../helm/forewarn/files/dashboard.json"
	got, err := JSON()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update")
	require.Equal(t, string(want), string(got), "run the test with -update")
}

func TestEveryRowIsAsWideAsTheScreen(t *testing.T) {
	for _, row := range panels() {
		width := 0
		for _, p := range row {
			width += p.width
			require.NotEmpty(t, p.queries, p.title)
		}
		require.Equal(t, 24, width, row[0].title)
	}
}
