package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// notices takes revisions and returns the notices of the next while.
func (d *desk) notices(t time.Duration, ws ...matcher.Warning) (all []Notice) {
	d.t.Helper()
	for _, w := range ws {
		require.Nil(d.t, d.r.Take(w, 0, d.now))
	}
	for end := d.now.Add(t); ; d.now = d.now.Add(time.Second) {
		d.r.Advance(d.now)
		for n, ok := d.r.Next(); ok; n, ok = d.r.Next() {
			all = append(all, n)
			d.r.Done(n.ID)
		}
		if !d.now.Before(end) {
			return all
		}
	}
}

func idsOf(ws []matcher.Warning) (ids []string) {
	for i := range ws {
		ids = append(ids, ws[i].ID)
	}
	return ids
}

func TestAMessageThatIsReplacedStillShowsWhatElseIsOpen(t *testing.T) {
	d := newDesk(t, RouterOptions{Replaces: true})
	d.notices(time.Minute, of("a", "s", matcher.Imminent, 1))
	told := d.notices(time.Minute, of("b", "s", matcher.Forming, 1))
	require.Len(t, told, 1)
	require.Equal(t, "a", told[0].Thread)
	require.Equal(t, []string{"b"}, idsOf(told[0].Warnings))
	require.Equal(t, []string{"a"}, idsOf(told[0].Also), "it takes the place of the message that showed a")
	told = d.notices(time.Minute, of("b", "s", matcher.Averted, 2))
	require.Equal(t, []string{"a"}, idsOf(told[0].Also))
	require.False(t, told[0].Over)
	told = d.notices(time.Minute, of("a", "s", matcher.Averted, 2))
	require.Empty(t, told[0].Also)
	require.True(t, told[0].Over)
	plain := newDesk(t, RouterOptions{})
	plain.notices(time.Minute, of("a", "s", matcher.Imminent, 1))
	require.Empty(t, plain.notices(time.Minute, of("b", "s", matcher.Forming, 1))[0].Also, "a message of its own hides nothing")
}

func TestAThreadIsOverThoughSomethingInItIsSilenced(t *testing.T) {
	d := newDesk(t, RouterOptions{Replaces: true})
	d.notices(time.Minute, of("a", "s", matcher.Forming, 1))
	s, err := NewSilence(Silence{Match: []string{"id=b"}, By: "x", Comment: "y", End: d.now.Add(time.Hour)}, d.now)
	require.NoError(t, err)
	d.r.Silences([]Silence{s})
	require.Empty(t, d.notices(time.Minute, of("b", "s", matcher.Forming, 1)))
	told := d.notices(time.Minute, of("a", "s", matcher.Resolved, 2))
	require.True(t, told[0].Over, "nobody was told of b, and nobody will be when it goes before the silence ends")
	require.Empty(t, d.notices(time.Minute, of("b", "s", matcher.Resolved, 2)))
}

func TestTheThreadOfALongStormIsClosed(t *testing.T) {
	d := newDesk(t, RouterOptions{Replaces: true})
	var begin, more, end []matcher.Warning
	for _, id := range []string{"a", "b", "c", "e", "f", "g"} {
		begin = append(begin, of(id, "s"+id, matcher.Forming, 1))
		end = append(end, of(id, "s"+id, matcher.Averted, 2))
	}
	more = append(more, of("x", "s1", matcher.Forming, 1), of("y", "s2", matcher.Forming, 1), of("z", "s3", matcher.Forming, 1))
	told := d.notices(time.Minute, begin...)
	require.Len(t, told, 1)
	thread := told[0].Thread
	told = d.notices(2*time.Hour, more...)
	require.Equal(t, thread, told[0].Thread)
	told = d.notices(time.Hour, more[0], of("u", "s4", matcher.Forming, 1), of("v", "s5", matcher.Forming, 1), of("w", "s6", matcher.Forming, 1))
	require.Equal(t, thread, told[0].Thread, "what it told is open")
	require.True(t, told[0].Loud, "and nobody has heard of it for long")
	for _, id := range []string{"x", "y", "z", "u", "v", "w"} {
		sig := map[string]string{"x": "s1", "y": "s2", "z": "s3", "u": "s4", "v": "s5", "w": "s6"}[id]
		end = append(end, of(id, sig, matcher.Averted, 2))
	}
	told = d.notices(3*time.Hour, end...)
	last := told[len(told)-1]
	require.Equal(t, thread, last.Thread)
	require.True(t, last.Over)
}

func TestAThreadOfItsOwnIsClosedWhenTheEndIsCounted(t *testing.T) {
	d := newDesk(t, RouterOptions{Replaces: true})
	begin := []matcher.Warning{of("a", "sa", matcher.Forming, 1), of("b", "sb", matcher.Forming, 1), of("c", "sc", matcher.Forming, 1)}
	require.Len(t, d.notices(time.Hour, begin...), 1, "a storm")
	told := d.notices(time.Minute, of("a", "sa", matcher.Imminent, 2))
	require.Equal(t, "a", told[0].Thread, "what becomes urgent is told by itself")
	told = d.notices(time.Hour, of("a", "sa", matcher.Averted, 3))
	closed := false
	for _, n := range told {
		closed = closed || n.Thread == "a" && n.Over && n.Quiet
	}
	require.True(t, closed, "an incident of PagerDuty would stay open for ever")
}

func TestWhatIsToldAloneAfterItWaitedForTheBudgetIsTheWholeWarning(t *testing.T) {
	routes, problems := CompileRoutes([]Route{{To: []string{"d"}, Budget: &Budget{Messages: 2, Per: signatures.Duration(10 * time.Minute)}}}, []string{"d"})
	require.Empty(t, problems)
	d := newDesk(t, RouterOptions{Routes: routes})
	require.Len(t, d.notices(time.Minute, of("a", "sa", matcher.Forming, 1)), 1)
	w := of("b", "sb", matcher.Forming, 1)
	w.Remedies, w.Impact = []signatures.Remedy{{Risk: "look", Do: "look"}}, "it hurts"
	told := d.notices(time.Hour, w)
	require.Len(t, told, 1)
	require.NotEmpty(t, told[0].Warnings[0].Remedies, "it says what to do")
}

func TestRecordsStillRelateWarningsAfterManyWereSeen(t *testing.T) {
	d := newDesk(t, RouterOptions{MaxItems: 4})
	seen := func(id string, record uint64) matcher.Warning {
		w := of(id, "s"+id, matcher.Forming, 1)
		w.Opened = d.now
		w.Evidence = []matcher.Evidence{{Record: record}}
		return w
	}
	for i := range uint64(40) {
		w := seen("w", 100+i)
		w.ID += string(rune('a' + i))
		over := w
		over.Revision, over.State = 2, matcher.Averted
		d.notices(20*time.Minute, w, over)
	}
	d.notices(time.Minute, seen("a", 7))
	d.notices(time.Minute, seen("b", 7))
	require.Equal(t, d.r.st.Items["a"].Group, d.r.st.Items["b"].Group)
}
