package matcher_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// frameAB is a sequence of A, B and B with a negate that looks back 5 s and on 10 s.
const frameAB = "stages: [" + stageA + ", {name: b, when: {event: {reason: B}}, count: 2}]\n" +
	"frame: {window: 20s, negates: [{when: {event: {reason: U}}, slide: -5s, window: 15s}]}\nclear: {quiet: 10m}\n"

// plainFrame is a set of A and B without negate.
const plainFrame = "order: any\nstages: [" + stageA + ", " + stageB + "]\nframe: {window: 20s}\nclear: {quiet: 10m}\n"

func TestAFrameIsToldOnceAndCountsOn(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), plainFrame)
	s.mark(0, "main")
	require.Empty(t, s.see("5 A"))
	require.Equal(t, []string{"imminent@10"}, s.see("10 B"), "at once, as nothing was absent, and as one revision")
	require.Empty(t, s.see("11 B", "15 A", "50 B", "71 A", "72 B"), "firings are no news")
	s.mark(72, "main")
	w := s.tracker.Open()[0]
	require.EqualValues(t, 3, w.Firings, "11 and 15, and 71 and 72; 50 found nothing within 20 s")
	require.Equal(t, "a", w.Reached[0].Stage)
	require.EqualValues(t, 3, w.Reached[0].Count)
	require.Equal(t, []string{"averted@672"}, s.mark(700, "main"))
}

func TestAFrameWaitsUntilItsAbsenceIsKnown(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), frameAB)
	s.mark(0, "main", "other")
	require.Empty(t, s.see("5 A", "6 B", "8 B"))
	require.Empty(t, s.mark(17, "main", "other"), "5-5+15+3 = 18")
	require.Equal(t, []string{"imminent@18"}, s.mark(19, "main", "other"))
	require.Empty(t, s.see("30 A", "31 B", "32 B", "33 U"))
	require.Empty(t, s.mark(100, "main", "other"))
	require.EqualValues(t, 1, s.tracker.Open()[0].Firings, "the second was killed")
	require.Contains(t, s.tracker.Explain("spec", "")[0].String(), "nothing speaks against the frame: false")
}

func TestAFrameOfASilentSourceIsUnknownAndDoesNotFire(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: -1, SilentAfter: 20 * time.Second}, frameAB)
	s.mark(0, "main", "other")
	s.see("5 A", "6 B", "8 B", "9 A")
	s.mark(10, "main", "other")
	for i := 15; i <= 35; i += 5 {
		require.Empty(t, s.mark(i, "main"))
	}
	require.Contains(t, s.tracker.Explain("spec", "")[0].String(), "nothing speaks against the frame: unknown: not heard from other")
	require.Positive(t, s.tracker.Stats().Unknown)
}

func TestALateRecordCountsForNoFrame(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: 10 * time.Second}, plainFrame)
	s.mark(0, "main")
	s.see("30 A")
	s.mark(50, "main")
	require.Empty(t, s.see("38 B"), "it is behind the horizon at 40")
	require.EqualValues(t, 1, s.tracker.Stats().Late)
	require.Equal(t, []string{"imminent@45 incomplete"}, s.see("45 B"), "one that comes late but in time counts")
}

func TestAFrameIsBounded(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: -1, MaxPending: 4}, strings.Replace(plainFrame, "20s", "24h", 1))
	s.mark(0, "main")
	h := s.hits("5 A")[0]
	for i := range 17_000 {
		h.Record.ID, h.Record.Seq = uint64(i+1), uint64(i+1)
		s.tracker.Observe(&h)
	}
	s.mark(6, "main")
	require.GreaterOrEqual(t, s.tracker.Stats().EvictedDetail, uint64(17_000-16_384))
	require.Equal(t, []string{"imminent@7 incomplete"}, s.see("7 B"))
}

// frameState has a frame that waits, records for more, and stamps.
func frameState(t *testing.T) *script {
	t.Helper()
	s := newScript(t, matcher.TrackerOptions{Lateness: 20 * time.Second, SilentAfter: 10 * time.Minute}, frameAB)
	s.mark(0, "main")
	for _, line := range []string{"1 U", "10 A", "12 B", "13 A", "14 B", "40 A", "41 U", "48 A", "50 B", "51 B", "52 B", "70 A", "75 B"} {
		s.see(line)
		s.mark(secondsOf(line)-1, "main")
	}
	return s
}

func TestFramesAreRestoredAsTheyWere(t *testing.T) {
	t.Parallel()
	s := frameState(t)
	state := stored(map[string][]byte{}, s.tracker)
	again := s.restored(state)
	require.Empty(t, again.told())
	require.Equal(t, s.tracker.Explain("spec", ""), again.tracker.Explain("spec", ""))
	for _, line := range []string{"76 B", "77 A", "78 B", "60 U", "79 B", "130 A"} {
		require.Equal(t, s.see(line), again.see(line), line)
	}
	for i := 80; i < 900; i += 7 {
		require.Equal(t, s.mark(i, "main"), again.mark(i, "main"))
	}
	require.Equal(t, stored(state, s.tracker), stored(maps.Clone(state), again.tracker))
	for key, value := range stored(map[string][]byte{}, frameState(t).tracker) {
		for n := range len(value) {
			x, err := matcher.NewTracker(s.program, matcher.TrackerOptions{})
			require.NoError(t, err)
			require.Error(t, x.Restore([]byte(key), value[:n]), "%q cut at %d", key, n)
		}
	}
}

// TestStoredFramesStillOpen reads what an earlier version wrote.
func TestStoredFramesStillOpen(t *testing.T) {
	t.Parallel()
	s := frameState(t)
	file := filepath.Join("testdata", "snapshot-frame-2.hex")
	if *updateGolden {
		var b strings.Builder
		state := stored(map[string][]byte{}, s.tracker)
		for _, key := range slices.Sorted(maps.Keys(state)) {
			fmt.Fprintf(&b, "%x %x\n", key, state[key])
		}
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	old := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		k, err := hex.DecodeString(key)
		require.NoError(t, err)
		old[string(k)], err = hex.DecodeString(value)
		require.NoError(t, err)
	}
	again := s.restored(old)
	require.Equal(t, s.tracker.Open(), again.tracker.Open())
	require.Equal(t, s.tracker.Explain("spec", ""), again.tracker.Explain("spec", ""))
	require.Equal(t, s.mark(500, "main"), again.mark(500, "main"))
}

// TestFramesSurviveRestarts runs rules and logs through trackers that are stored and made anew all the time.
func TestFramesSurviveRestarts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		c := newFrameCase(seed + 1)
		require.NoError(t, c.compile())
		require.Equal(t, c.track(t, false), c.track(t, true), "seed %d\n%s", seed+1, c.yaml)
	}
}

// track returns all that is told and fired, with or without a restart after each line.
func (c *frameCase) track(t *testing.T, restarts bool) (all []string) {
	t.Helper()
	options := matcher.TrackerOptions{Lateness: 3 * time.Second, Firings: true, SilentAfter: time.Hour}
	fresh := func() *matcher.Tracker {
		x, err := matcher.NewTracker(c.program, options)
		require.NoError(t, err)
		return x
	}
	tracker, state := fresh(), map[string][]byte{}
	attrs := record.NewAttrs(map[string]string{record.FilePath: "some.log"})
	take := func(at int64) {
		tracker.Mark(matcher.Mark{Source: "main", Kinds: all5, Time: at})
		tracker.Advance()
		for _, f := range tracker.Firings() {
			all = append(all, fmt.Sprintf("%s fires at %d: %v", f.Signature, f.Time.UnixNano()-start, f.Records))
		}
		for _, x := range tracker.Changes() {
			all = append(all, x.Warning.Signature+" "+changeText(&x))
		}
		if !restarts {
			return
		}
		state = stored(state, tracker)
		tracker = fresh()
		for key, value := range state {
			require.NoError(t, tracker.Restore([]byte(key), value))
		}
	}
	for _, l := range c.lines {
		r := record.Record{Kind: record.Log, Time: l.at, Seq: uint64(l.number), ID: uint64(l.number), Count: 1, Text: []byte(l.text), Attrs: attrs}
		hits, wrong := scanAll(c.program, []sourced{{source: "main", record: r}})
		require.Empty(t, wrong)
		for i := range hits {
			tracker.Observe(&hits[i])
		}
		take(l.at - 1)
	}
	take(start + int64(time.Hour))
	return all
}

const all5 = 1<<record.Event | 1<<record.Log | 1<<record.Change | 1<<record.Sample | 1<<record.Alert
