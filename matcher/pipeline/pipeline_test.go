package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

func TestRecordsInWarningsOut(t *testing.T) {
	r := newRig(t, t.TempDir())
	run(t, r.config(program(t, "memory")))
	r.publish(t,
		frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"), line("n1", 2, "nothing"), line("n2", 3, "memory is getting low")),
		frame(t, "logs/n2", 20, false, line("n1", 11, "memory is nearly gone"), line("n3", 12, "memory is nearly gone")),
		frame(t, "logs/n1", 30, false, line("n1", 21, "the kernel killed a process")),
	)
	eventually(t, r.stream, map[string]matcher.State{"memory n1": matcher.InIncident, "memory n2": matcher.Forming})
	last, times := warnings(t, r.stream)
	require.Len(t, last, 2)
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	for _, w := range last {
		require.Len(t, w.Key, 1, "the parts of the key travel")
		require.Len(t, w.Remedies, 1, "the warning is dressed")
	}
}
