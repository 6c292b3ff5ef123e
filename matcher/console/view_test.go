package console

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

func tell(v *View, id string, revision uint32, state matcher.State) {
	v.Tell(pipeline.Told{Warning: matcher.Warning{ID: id, Revision: revision, State: state, Time: time.Unix(int64(revision), 0)}})
}

func TestAViewKeepsWhatIsOpenAndTheLastThatFinished(t *testing.T) {
	var v View
	for i := range keepFinished + 300 {
		tell(&v, fmt.Sprintf("over-%d", i), 1, matcher.Averted)
	}
	for i := range keepOpen + 20 {
		tell(&v, fmt.Sprintf("open-%d", i), 1, matcher.Forming)
	}
	require.Len(t, v.entries, keepFinished+keepOpen)
	require.Equal(t, keepOpen, v.open)
	now, _ := v.now()
	require.EqualValues(t, 20, now.dropped)
	_, there := v.find("over-299")
	require.False(t, there)
	_, there = v.find("over-300")
	require.True(t, there)
	_, there = v.find("open-19")
	require.False(t, there, "of which nothing was heard for longest")
	require.Equal(t, len(v.entries), v.order.Len())
}

func TestAnOlderRevisionIsNotTold(t *testing.T) {
	var v View
	tell(&v, "a", 3, matcher.Imminent)
	tell(&v, "a", 2, matcher.Forming)
	e, _ := v.find("a")
	require.Equal(t, matcher.Imminent, e.warning.State)
	require.Len(t, e.history, 1)
	tell(&v, "a", 4, matcher.Averted)
	require.Zero(t, v.open)
	tell(&v, "a", 5, matcher.Imminent) // a late record brought it back
	require.Equal(t, 1, v.open)
}

func TestHistoryIsBoundedInTheMiddle(t *testing.T) {
	var v View
	for i := range 500 {
		tell(&v, "a", uint32(i+1), matcher.Forming)
	}
	e, _ := v.find("a")
	require.Len(t, e.history, keepHistory)
	require.EqualValues(t, 1, e.history[0].Number)
	require.EqualValues(t, 500, e.history[keepHistory-1].Number)
	gaps := 0
	for i, r := range e.history[1:] {
		if r.Number != e.history[i].Number+1 {
			gaps++
			require.True(t, r.More)
		}
	}
	require.Equal(t, 1, gaps)
}

// Whoever asks again and again for what changed since ends with what whoever asks once gets.
func TestChangesAddUpToTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var v View
	known, since := map[string]uint32{}, uint64(0)
	states := []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Resolved}
	for i := range uint32(3000) {
		tell(&v, fmt.Sprint(random.IntN(80)), i+1, states[random.IntN(len(states))])
		if random.IntN(10) == 0 {
			v.Touch(fmt.Sprint(random.IntN(80)))
		}
		if random.IntN(7) == 0 {
			now, _ := v.now()
			for _, e := range v.since(since) {
				known[e.warning.ID] = e.warning.Revision
			}
			since = now.version
		}
	}
	for _, e := range v.since(since) {
		known[e.warning.ID] = e.warning.Revision
	}
	for _, e := range v.since(0) {
		require.Equal(t, e.warning.Revision, known[e.warning.ID])
	}
	require.Len(t, known, len(v.entries))
}

func TestAChangeWakesWhoeverWaits(t *testing.T) {
	var v View
	for _, change := range []func(){v.CaughtUp, func() { tell(&v, "a", 1, matcher.Forming) }, func() { v.Touch("a") }} {
		_, woken := v.now()
		_, also := v.now()
		select {
		case <-woken:
			require.Fail(t, "nothing changed")
		default:
		}
		change()
		<-woken
		<-also
	}
	_, woken := v.now()
	v.Touch("nosuch")
	tell(&v, "a", 1, matcher.Forming)
	select {
	case <-woken:
		require.Fail(t, "nothing changed")
	default:
	}
}

// Whatever a warning looks like, its picture stays inside of its frame and the line never falls.
func TestAClimbStaysInItsFrame(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	now := time.Unix(1_700_000_000, 0)
	states := []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Averted, matcher.Resolved, matcher.Expired}
	for range 5000 {
		w := &matcher.Warning{Total: random.IntN(9), State: states[random.IntN(len(states))], Opened: now.Add(-time.Duration(random.Int64N(int64(100 * time.Hour))))}
		at := w.Opened
		for i := range random.IntN(w.Total + 2) {
			at = at.Add(time.Duration(random.Int64N(int64(time.Hour))))
			w.Reached = append(w.Reached, matcher.Reached{Stage: fmt.Sprint("s", i), Time: at})
		}
		if random.IntN(3) == 0 {
			w.Reached = append(w.Reached, matcher.Reached{Stage: "incident", Time: at})
			w.Incident = &at
		}
		if w.State.Final() {
			w.Closed = &at
		}
		var f *forecast
		if random.IntN(2) == 0 {
			f = &forecast{Of: "incident", Incident: random.IntN(2) == 0, Expected: now.Add(time.Duration(random.Int64N(int64(40*time.Hour))) - time.Hour)}
			f.Earliest = f.Expected.Add(-time.Duration(random.Int64N(int64(time.Hour))))
			if random.IntN(3) > 0 {
				f.Latest = f.Expected.Add(time.Duration(random.Int64N(int64(100 * time.Hour))))
			}
		}
		c := climbOf(w, f, now)
		inside := func(all ...float64) {
			for _, x := range all {
				require.True(t, x >= 0 && x <= 100, "%v of %+v", x, w)
			}
		}
		for i, l := range c.Rises {
			inside(l.X1, l.X2, l.Y1, l.Y2)
			require.GreaterOrEqual(t, l.X2, l.X1)
			require.LessOrEqual(t, l.Y2, l.Y1)
			if i > 0 {
				require.Equal(t, []float64{c.Rises[i-1].X2, c.Rises[i-1].Y2}, []float64{l.X1, l.Y1}, "the line has no hole")
			}
		}
		for _, r := range c.Rungs {
			inside(r.Y, r.NameX)
		}
		require.Len(t, c.Rungs, max(w.Total, 1)+1)
		require.True(t, slices.IsSortedFunc(c.Rungs, func(a, b rung) int { return int(b.Y*100) - int(a.Y*100) }))
		if b := c.Band; b != nil {
			inside(b.X, b.X+b.Width, b.Expected, b.Y)
			require.GreaterOrEqual(t, b.X, c.Now, "what is expected is ahead")
		}
		inside(c.Now)
		require.NotEmpty(t, c.Label)
	}
}

func TestOrderOfUrgency(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	soon, late := &forecast{Expected: now.Add(time.Minute)}, &forecast{Expected: now.Add(time.Hour)}
	w := func(state matcher.State, severity string, age time.Duration) *matcher.Warning {
		x := &matcher.Warning{ID: "x", State: state, Time: now.Add(-age)}
		x.Severity = map[string]matcher.Warning{"critical": {Severity: "critical"}, "low": {Severity: "low"}}[severity].Severity
		return x
	}
	want := []string{
		rank(w(matcher.InIncident, "critical", time.Minute), nil),
		rank(w(matcher.InIncident, "low", 0), nil),
		rank(w(matcher.Imminent, "low", time.Hour), soon),
		rank(w(matcher.Imminent, "critical", 0), late),
		rank(w(matcher.Imminent, "critical", time.Second), nil),
		rank(w(matcher.Imminent, "critical", time.Hour), nil),
		rank(w(matcher.Imminent, "low", 0), nil),
		rank(w(matcher.Forming, "low", 0), soon),
		rank(w(matcher.Forming, "critical", 0), nil),
	}
	require.True(t, slices.IsSorted(want), "%v", want)
}

func TestWordsForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than 1 s", 900 * time.Millisecond: "less than 1 s", time.Second: "1 s", 99 * time.Second: "99 s", 100 * time.Second: "2 min", 99 * time.Minute: "99 min",
		100 * time.Minute: "1.7 h", 2 * time.Hour: "2 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 days", -3 * time.Minute: "3 min",
	} {
		require.Equal(t, want, span(d), d)
	}
	require.Equal(t, "now", relative(0))
	require.Equal(t, "in 2 h", relative(2*time.Hour))
	require.Equal(t, "5 s ago", relative(-5*time.Second))
	require.Equal(t, "12\u202f345\u202f678", count(uint64(12345678)))
	require.Equal(t, "1234", count(1234))
	require.Equal(t, "1 record", plural(1, "record"))
	require.Equal(t, "0 records", plural(uint64(0), "record"))
	require.Equal(t, "3.2 MiB", byteSize(3355443))
	require.Equal(t, "a⟨202E⟩b⟨0000⟩\n", clean("a\u202eb\x00\n"))
	require.Equal(t, "Ärger im 日本", clean("Ärger im 日本"))
	require.Equal(t, "abc…", short(4, "abcdefg"))
	require.Equal(t, "example.org/a", bareAddress("https://example.org/a/"))
}

func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("\u202e\x1b[31m\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		for _, r := range got {
			require.False(t, r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069, "%q", got)
		}
		require.LessOrEqual(t, len([]rune(short(20, s))), 20)
	})
}

func FuzzInside(f *testing.F) {
	for _, s := range []string{"/a?b", "//x", "https://x", `/\x`, "/%2f/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := inside(s)
		require.True(t, to == "/" || to[0] == '/' && len(to) > 1 && to[1] != '/' && to[1] != '\\', "%q", to)
	})
}
