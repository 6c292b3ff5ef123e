package matcher_test

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// The environment that decides how much chance is tried.
const (
	casesVariable = "FOREWARN_CASES" // how many cases; 3,000 without it
	seedVariable  = "FOREWARN_SEED"  // run this one case only
)

func setting(t *testing.T, name string) (uint64, bool) {
	t.Helper()
	text, is := os.LookupEnv(name)
	if !is {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n, true
}

// eachCase runs check for every seed, on all processors. check returns what is wrong, or "".
func eachCase(t *testing.T, check func(seed uint64) string) {
	t.Helper()
	if seed, is := setting(t, seedVariable); is {
		require.Empty(t, check(seed))
		return
	}
	cases, is := setting(t, casesVariable)
	if !is {
		cases = 3000
	}
	var next, failed atomic.Uint64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for failed.Load() < 3 {
				seed := next.Add(1)
				if seed > cases {
					return
				}
				if wrong := check(seed); wrong != "" {
					failed.Add(1)
					mu.Lock()
					t.Errorf("case %d (%s=%d runs it alone):\n%s", seed, seedVariable, seed, wrong)
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
}
