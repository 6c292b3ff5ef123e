package node

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(dir); err == nil {
			return len(entries)
		}
	}
	require.Fail(t, "nothing tells how many files are open")
	return 0
}

// TestManyFilesAreFollowedWithFewDescriptorsAndWatches is not parallel: it counts the process's descriptors and memory.
func TestManyFilesAreFollowedWithFewDescriptorsAndWatches(t *testing.T) {
	const files, most = 600, 50
	d, r := logDir{t, t.TempDir()}, newRig(t)
	say := func(round int) {
		for i := range files {
			d.write(fmt.Sprintf("shop_app-%d_%d", i, i), "app", fmt.Sprintf("round %d of %d", round, i))
		}
	}
	say(0)
	o := d.options()
	o.Open, o.Watches = most, 100
	before := openFiles(t)
	c, err := NewLogs(o, nil, r.common("logs"))
	stop := r.run(t, c, err)
	for round := 1; round <= 3; round++ {
		require.Eventually(t, func() bool { return len(r.texts()) >= round*files }, 2*patience, 5*time.Millisecond)
		if round < 3 {
			say(round)
		}
	}
	seen := map[string]int{}
	for _, text := range r.texts() {
		seen[text]++
	}
	require.Len(t, seen, 3*files)
	require.Len(t, r.texts(), 3*files, "nothing comes twice")
	require.Eventually(t, func() bool { return openFiles(t)-before < 2*most }, patience, 10*time.Millisecond)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%d files: %d descriptors, heap %d MB", files, openFiles(t)-before, m.HeapAlloc>>20)
	stop()
	require.Empty(t, r.lost("logs"))
}
