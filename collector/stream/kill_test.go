package stream

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

const childDir = "FOREWARN_TEST_CHILD_DIR"

// TestChildPublishes is the process that the next test kills. On its own it does nothing.
func TestChildPublishes(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	s := open(t, Options{DataDir: dir})
	p := publisher(t, s, PublisherConfig{})
	first := len(contents(t, s, AllRecords))
	for i := first; ; i++ {
		require.NoError(t, p.PublishRecords(t.Context(), 0, fmt.Sprint(i), fmt.Append(nil, i)))
		if i%100 == 99 {
			require.NoError(t, p.Flush(t.Context()))
			fmt.Println(i + 1)
		}
	}
}

func TestWhatIsAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildPublishes$")
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		acknowledged := 0
		for lines := bufio.NewScanner(out); acknowledged < 1000*(round+1) && lines.Scan(); {
			acknowledged, err = strconv.Atoi(lines.Text())
			require.NoError(t, err, "the child says %q", lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())

		s := open(t, Options{DataDir: dir}) // its lock and its URL are left behind, and in nobody's way
		got := contents(t, s, AllRecords)
		require.GreaterOrEqual(t, len(got), acknowledged)
		require.Equal(t, numbers(0, len(got)), got)
		require.NoError(t, s.Close())
	}
}
