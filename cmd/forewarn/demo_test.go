package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemoShowsTheLaddersBeingClimbed(t *testing.T) {
	before, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	a := cli(t, "demo", "--for", "0", "--utc")
	require.Zero(t, a.code, a.err)
	for _, want := range []string{
		"FORMING ", "IMMINENT ", "INCIDENT ", "■□□ 1 of 3 stages seen", "next expected: ", "it happened; forewarned ",
		"node-memory-eviction", "crash-loop", "quota-blocks-rollout",
	} {
		require.Contains(t, a.out, want)
	}
	require.Regexp(t, `OPENED +SIGNATURE +KEY +STAGES +STATE +LEAD\n`, a.err)
	require.Regexp(t, `node-memory-eviction +node1 +3 of 3 +incident +5s\n`, a.err)
	require.Contains(t, a.err, "live as replayed")
	require.NotContains(t, a.err, "level=", "the machinery is quiet")
	after, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.LessOrEqual(t, countDemos(after), countDemos(before), "its directory is gone")
}

func countDemos(entries []os.DirEntry) (n int) {
	for _, e := range entries {
		if len(e.Name()) > 14 && e.Name()[:14] == "forewarn-demo-" {
			n++
		}
	}
	return n
}

func TestDemoHasItsFirstWarningWithinTenSeconds(t *testing.T) {
	t.Parallel()
	p := start(t, "demo")
	require.Eventually(t, func() bool { return p.out.String() != "" }, 10*time.Second, 20*time.Millisecond)
	require.Zero(t, p.stop(), "it can be interrupted")
}

func TestDemoAsJSON(t *testing.T) {
	a := cli(t, "demo", "--for", "0", "-o", "json")
	require.Zero(t, a.code, a.err)
	states := map[string]bool{}
	for _, w := range warnings(t, a.out) {
		states[w.State] = true
	}
	require.True(t, states["forming"] && states["imminent"] && states["incident"], "%v", states)
}
