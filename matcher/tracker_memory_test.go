package matcher_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// TestTenTimesTheCapacityStaysWithinIt gives ten times as many keys as may be followed: each one more closes the warning of the one that
// was hit least recently, which is told and counted, and what is stored is what is followed.
func TestTenTimesTheCapacityStaysWithinIt(t *testing.T) {
	t.Parallel()
	const capacity = 2000
	o := noLateness()
	o.MaxProgress = capacity
	s := newScript(t, o, "stages: ["+stageA+", "+stageB+"]\nclear: {quiet: 24h}\n")
	store := memory{}
	o.Details = store
	var err error
	s.tracker, err = matcher.NewTracker(s.program, o)
	require.NoError(t, err)
	hit := s.hits("0 A node=n")[0]
	open := map[string]matcher.Change{}
	closed := 0
	take := func() {
		for _, c := range s.tracker.Changes() {
			w := c.Warning
			if !w.State.Final() {
				open[w.KeyText] = c
				continue
			}
			closed++
			require.Equal(t, matcher.Expired, w.State)
			require.Contains(t, w.Incomplete, "it was forgotten to stay within the allowed memory")
			require.NotEmpty(t, w.Evidence, "what was stored is shown once more")
			delete(open, w.KeyText)
		}
		stored(store, s.tracker)
	}
	for i := range 10 * capacity {
		hit.Key = fmt.Appendf(nil, "node=n%d\x1f", i)
		hit.Record.ID = uint64(i + 1)
		hit.Record.Time = start + int64(i)*second/100
		s.tracker.Observe(&hit)
		if i%100 == 99 {
			s.tracker.Mark(matcher.Mark{Source: "main", Kinds: all, Time: hit.Record.Time})
			s.tracker.Advance()
			take()
			st := s.tracker.Stats()
			require.LessOrEqual(t, st.Progresses, capacity)
			require.EqualValues(t, closed, st.EvictedProgress)
			require.Len(t, open, st.Progresses)
		}
	}
	require.Equal(t, 9*capacity, closed)
	require.Contains(t, open, fmt.Sprintf("n%d", 9*capacity), "the newest are followed")
	require.NotContains(t, open, fmt.Sprintf("n%d", 9*capacity-1), "and no older ones")
	kinds := map[byte]int{}
	for key := range store {
		kinds[key[0]]++
	}
	require.Equal(t, capacity, kinds['p'])
	require.Equal(t, capacity, kinds['e'], "nothing that nobody shows stays in the store")

	again, err := matcher.NewTracker(s.program, o)
	require.NoError(t, err)
	for key, value := range store {
		if !strings.HasPrefix(key, matcher.DetailPrefix) {
			require.NoError(t, again.Restore([]byte(key), value))
		}
	}
	require.Equal(t, s.tracker.Open(), again.Open())
	states := map[string]matcher.State{}
	again.OpenStates(func(x matcher.OpenState) {
		states[x.ID] = x.State
		require.NotEmpty(t, x.Signature)
		require.NotEmpty(t, x.Severity)
		require.Positive(t, x.Rungs)
	})
	require.Len(t, states, capacity)
	for _, w := range again.Open() {
		require.Equal(t, w.State, states[w.ID])
		require.NotEmpty(t, w.Evidence)
	}
	hit.Key, hit.Record.ID = []byte("node=new\x1f"), 1<<40
	again.Observe(&hit)
	s.tracker.Observe(&hit)
	require.Equal(t, s.tracker.Changes(), again.Changes(), "the same one is the least recent")
}

// TestEvidenceBeyondItsBoundIsShed follows more warnings than evidence can be kept of, without a store.
func TestEvidenceBeyondItsBoundIsShed(t *testing.T) {
	t.Parallel()
	o := noLateness()
	o.MaxEvidence = 1 << 20
	s := newScript(t, o, "stages: ["+stageA+", "+stageB+"]\nclear: {quiet: 24h}\n")
	hit := s.hits("0 A node=n")[0]
	hit.Record.Text = []byte(strings.Repeat("x", 400))
	for i := range 10_000 {
		hit.Key = fmt.Appendf(nil, "node=n%d\x1f", i)
		hit.Record.ID = uint64(i + 1)
		s.tracker.Observe(&hit)
	}
	shed := s.tracker.Stats().ShedEvidence
	require.Greater(t, shed, uint64(5000))
	require.LessOrEqual(t, s.tracker.Sizes()["evidence"], 4<<20)
	whole, without := 0, 0
	for _, w := range s.tracker.Open() {
		if len(w.Evidence) > 0 {
			whole++
			require.Empty(t, w.Incomplete)
			continue
		}
		without++
		require.Equal(t, []string{"some of its evidence is not kept any more"}, w.Incomplete)
	}
	require.EqualValues(t, shed, without)
	require.Equal(t, 10_000, whole+without)
}

// TestWhatRestsTakesLittleMemory holds the tracker to its bound: see BenchmarkTrackerMillion for a million.
func TestWhatRestsTakesLittleMemory(t *testing.T) {
	const keys = 100_000
	for _, shape := range crowdShapes {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := newCrowd(t, shape, matcher.TrackerOptions{Lateness: -1, Details: nowhere{}, MaxSeen: keys})
		for _, roles := range shape.roles {
			for key := range keys {
				c.observe(key, roles)
			}
		}
		c.settle()
		require.Equal(t, keys, c.tracker.Stats().Progresses)
		sizes := c.tracker.Sizes()
		t.Log(shape.name, sizes)
		inUse := sizes["pages"] + sizes["slots"] + sizes["index"] + sizes["seen"]
		require.Less(t, inUse, 220*keys, "%s: %v", shape.name, slices.Sorted(maps.Keys(sizes)))
		runtime.GC()
		runtime.ReadMemStats(&after)
		objects := int(after.HeapObjects) - int(before.HeapObjects)
		require.Less(t, objects, keys/2, "%s: nothing that the garbage collector has to look at for each", shape.name)
		runtime.KeepAlive(c)
	}
}
