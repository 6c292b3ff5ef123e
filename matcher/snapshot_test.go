package matcher_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

var updateGolden = flag.Bool("update", false, "write the stored snapshots anew")

// everything has all that a progress can hold: windows, holds, a rate, a limit, a forecast, stamps, a candidate, deferred
// hits, pending ones and something told.
const everything = `order: any
need: 2
stages:
  - {name: a, when: {event: {reason: A}}, count: 3, distinct: {of: pod, count: 2}, within: 10m}
  - {name: h, when: {change: {kind: Pod, path: p, to: B, for: 10m}}}
  - {name: r, when: {sample: {metric: m, rate: 1m, above: 100}}}
  - {name: s, when: {sample: {metric: m, of: {metric: limit}, above: 0.9, for: 1m}}}
  - {name: f, when: {sample: {metric: m, forecast: {reaches: 1000, within: 1h, over: 10m}}}}
  - {name: b, when: {event: {reason: B}}}
  - {name: c, when: {event: {reason: C}}}
unless: [{when: {event: {reason: U}}, anchor: b, slide: -1m, window: 5m}]
incident: {when: {event: {reason: I}}, count: 2, within: 1h}
clear: {when: {event: {reason: Z}}, for: 20m, quiet: 30m}
`

func everythingRecords() (lines []string) {
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("%d m=%d", i*15, 2*i), fmt.Sprintf("%d limit=90", i*15))
	}
	return append(lines, "5 U", "10 A pod=p", "20 A pod=q", "25 A>B", "590 B", "595 C", "596 I", "597 A pod=x", "598 Z", "610 A", "700 B")
}

// fill gives a tracker everything, in order, marks among it.
func fill(t *testing.T) *script {
	t.Helper()
	s := newScript(t, matcher.TrackerOptions{Lateness: 20 * time.Second, SilentAfter: 10 * time.Minute}, everything)
	s.mark(-1, "main", "other")
	lines := everythingRecords()
	slices.SortStableFunc(lines, func(a, b string) int { return secondsOf(a) - secondsOf(b) })
	for _, line := range lines {
		s.see(line)
		s.mark(min(secondsOf(line), 620), "main", "other")
	}
	return s
}

func secondsOf(line string) (n int) {
	_, _ = fmt.Sscan(line, &n)
	return n
}

// stored collects what a tracker wants to have stored.
func stored(into map[string][]byte, t *matcher.Tracker) map[string][]byte {
	t.Dirty(func(key, value []byte) {
		if value == nil {
			delete(into, string(key))
		} else {
			into[string(key)] = bytes.Clone(value)
		}
	})
	return into
}

func (s *script) restored(from map[string][]byte) *script {
	s.Helper()
	t, err := matcher.NewTracker(s.program, matcher.TrackerOptions{Lateness: 20 * time.Second, SilentAfter: 10 * time.Minute})
	require.NoError(s, err)
	for key, value := range from {
		require.NoError(s, t.Restore([]byte(key), value))
	}
	return &script{T: s.T, program: s.program, tracker: t, n: s.n}
}

func TestRestoredTrackerGoesOnAsBefore(t *testing.T) {
	t.Parallel()
	s := fill(t)
	state := stored(map[string][]byte{}, s.tracker)
	again := s.restored(state)
	require.Empty(t, again.told(), "nothing is told twice")
	require.Equal(t, s.tracker.Open(), again.tracker.Open())
	require.Equal(t, s.tracker.Explain("spec", ""), again.tracker.Explain("spec", ""))
	require.Empty(t, stored(map[string][]byte{}, again.tracker), "nothing changed")
	for _, line := range []string{"650 A pod=y", "630 I", "710 B", "720 B>A", "615 U", "597 A id=1"} {
		require.Equal(t, s.see(line), again.see(line), line)
	}
	for i := 650; i < 6000; i += 50 {
		require.Equal(t, s.mark(i, "main", "other"), again.mark(i, "main", "other"))
	}
	require.Equal(t, stored(state, s.tracker), stored(maps.Clone(state), again.tracker))
}

func TestDirtyGivesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), "stages: ["+stageA+"]\n"+quickly)
	s.mark(0, "main")
	s.see("1 A", "2 A node=n2")
	require.Len(t, stored(map[string][]byte{}, s.tracker), 7, "two progresses, the evidence of each, the source, ids and the rest")
	require.Empty(t, stored(map[string][]byte{}, s.tracker))
	s.see("3 A node=n2")
	require.Len(t, stored(map[string][]byte{}, s.tracker), 4, "one progress, its new evidence, ids and the rest")
	removed, details := 0, 0
	s.mark(100, "main")
	s.tracker.Dirty(func(key, value []byte) {
		switch {
		case value != nil:
		case bytes.HasPrefix(key, []byte(matcher.DetailPrefix)):
			details++
		default:
			removed++
		}
	})
	require.Equal(t, 2, removed)
	require.Equal(t, 3, details, "what was shown of them goes with them")
}

func TestRestoreAfterTheSignatureWentClosesItsWarnings(t *testing.T) {
	t.Parallel()
	s := fill(t)
	require.NotEmpty(t, s.tracker.Open())
	state := stored(map[string][]byte{}, s.tracker)
	s.program = specProgram(t, "stages: ["+stageA+"]\n"+quickly)
	again := s.restored(state)
	changes := again.tracker.Changes()
	require.Len(t, changes, 1)
	w := changes[0].Warning
	require.Equal(t, matcher.Expired, w.State)
	require.Equal(t, "the signature was changed or removed", w.Reason)
	require.Equal(t, "spec", w.Signature)
	require.Equal(t, "A case", w.Title)
	require.NotEmpty(t, w.Evidence)
	require.Zero(t, again.tracker.Stats().Progresses)
	for key := range stored(state, again.tracker) {
		require.NotEqual(t, byte('p'), key[0], "it is removed from the store as well")
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	t.Parallel()
	s := fill(t)
	state := stored(map[string][]byte{}, s.tracker)
	fresh := func() *matcher.Tracker {
		x, err := matcher.NewTracker(s.program, matcher.TrackerOptions{})
		require.NoError(t, err)
		return x
	}
	for key, value := range state {
		for n := range len(value) {
			require.ErrorContains(t, fresh().Restore([]byte(key), value[:n]), "restore tracker state", "%q cut at %d", key, n)
		}
		require.ErrorContains(t, fresh().Restore([]byte(key), append(bytes.Clone(value), 0)), "move the data directory away")
		newer := append([]byte{99}, value[1:]...)
		require.ErrorContains(t, fresh().Restore([]byte(key), newer), "it is of format 99")
	}
	require.ErrorContains(t, fresh().Restore([]byte("x"), []byte{1}), "no key of a tracker")
	require.ErrorContains(t, fresh().Restore(nil, []byte{1}), "the key is empty")
	require.ErrorContains(t, s.tracker.Restore([]byte("m"), state["m"]), "in use")
}

// TestStoredSnapshotStillOpens reads what earlier versions wrote. When it fails, the format changed: raise the version.
func TestStoredSnapshotStillOpens(t *testing.T) {
	t.Parallel()
	s := fill(t)
	state := stored(map[string][]byte{}, s.tracker)
	if *updateGolden { // the newest format only
		file := filepath.Join("testdata", "snapshot-2.hex")
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(state)) {
			fmt.Fprintf(&b, "%x %x\n", key, state[key])
		}
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	}
	for _, name := range []string{"snapshot-1.hex", "snapshot-2.hex"} {
		old := readSnapshot(t, filepath.Join("testdata", name))
		again := s.restored(old)
		require.Equal(t, s.tracker.Open(), again.tracker.Open(), name)
		require.Equal(t, s.tracker.Explain("spec", ""), again.tracker.Explain("spec", ""), name)

		stored(old, again.tracker) // the newest format from here on
		last := s.restored(old)
		require.Equal(t, s.tracker.Open(), last.tracker.Open(), name)
		require.Empty(t, stored(map[string][]byte{}, last.tracker), name)
	}
}

func readSnapshot(t *testing.T, file string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	state := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		k, err := hex.DecodeString(key)
		require.NoError(t, err)
		state[string(k)], err = hex.DecodeString(value)
		require.NoError(t, err)
	}
	return state
}

func FuzzRestore(f *testing.F) {
	t := &testing.T{}
	s := fill(t)
	state := stored(map[string][]byte{}, s.tracker)
	for _, key := range slices.Sorted(maps.Keys(state)) {
		f.Add([]byte(key), state[key])
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		x, err := matcher.NewTracker(s.program, matcher.TrackerOptions{MaxSeen: 5000})
		require.NoError(t, err)
		if x.Restore(key, value) != nil {
			return
		}
		again := &script{T: t, program: s.program, tracker: x}
		again.see("1000 A pod=p", "1001 B", "1002 A>B", "1003 m=5", "1004 limit=5", "1005 Z")
		again.mark(1010, "main")
		_ = x.Explain("spec", "")
		_, _ = x.Open(), x.Stats()
		stored(map[string][]byte{}, x)
		again.mark(100_000, "main")
	})
}
