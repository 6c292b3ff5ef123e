package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// desk plays what a router decides, by the second.
type desk struct {
	t   *testing.T
	r   *Router
	now time.Time
}

func newDesk(t *testing.T, o RouterOptions) *desk {
	t.Helper()
	o.Destination, o.Person = "d", true
	return &desk{t, NewRouter(o), start}
}

// take gives the router revisions and returns what is told at once.
func (d *desk) take(ws ...matcher.Warning) []string {
	for _, w := range ws {
		require.Nil(d.t, d.r.Take(w, 0, d.now))
	}
	return d.pass(0)
}

// pass lets time pass and returns what was told in it: the seconds since, and each warning with its state.
func (d *desk) pass(t time.Duration) (told []string) {
	for s := time.Duration(0); ; s += time.Second {
		d.r.Advance(d.now)
		for {
			n, ok := d.r.Next()
			if !ok {
				break
			}
			text := ""
			if s > 0 {
				text = s.String() + ":"
			}
			for i := range n.Warnings {
				if text != "" {
					text += " "
				}
				text += n.Warnings[i].ID + " " + string(n.Warnings[i].State)
			}
			if n.Digest != nil {
				text += fmt.Sprintf(" of %d", n.Digest.Total)
			}
			if n.Quiet {
				text += " quietly"
			}
			told = append(told, text)
			d.r.Done(n.ID)
		}
		if s >= t {
			return told
		}
		d.now = d.now.Add(time.Second)
	}
}

func of(id, signature string, state matcher.State, revision uint32, key ...record.Attr) matcher.Warning {
	w := matcher.Warning{
		ID: id, Revision: revision, Signature: signature, KeyText: id, Severity: signatures.High, State: state, Total: 3, Opened: start, Time: start,
		Reached: []matcher.Reached{{Stage: "one", Time: start}}, Key: key,
	}
	return w
}

func pod(name string) []record.Attr {
	return []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: name}}
}

func TestALadderIsToldStepByStepAndNothingTwice(t *testing.T) {
	d := newDesk(t, RouterOptions{})
	require.Equal(t, []string{"a forming"}, d.take(of("a", "s", matcher.Forming, 1)))
	moved := of("a", "s", matcher.Forming, 2)
	moved.Forecast = &matcher.Forecast{Metric: "m"}
	require.Empty(t, d.take(moved), "a forecast that moved is nothing new for a person")
	require.Empty(t, d.take(moved), "and a repeat is none either")
	further := of("a", "s", matcher.Forming, 3)
	further.Reached = append(further.Reached, matcher.Reached{Stage: "two"})
	require.Equal(t, []string{"a forming"}, d.take(further), "a further stage is")
	require.Equal(t, []string{"a imminent"}, d.take(of("a", "s", matcher.Imminent, 4)))
	require.Equal(t, []string{"a averted"}, d.take(of("a", "s", matcher.Averted, 5)))
	require.Empty(t, d.pass(time.Hour))
	require.Empty(t, d.r.st.Items)
	require.Empty(t, d.r.st.Groups)
}

func TestAWarningThatComesBackGoesOn(t *testing.T) {
	d := newDesk(t, RouterOptions{})
	require.Equal(t, []string{"a forming"}, d.take(of("a", "s", matcher.Forming, 1)))
	require.Equal(t, []string{"a expired"}, d.take(of("a", "s", matcher.Expired, 2)))
	require.Equal(t, []string{"a forming"}, d.take(of("a", "s", matcher.Forming, 3)), "a late record brought it back")
	require.Empty(t, d.take(of("b", "s", matcher.Forming, 1), of("b", "s", matcher.Expired, 2), of("b", "s", matcher.Forming, 3)))
	for _, g := range d.r.st.Groups {
		require.Equal(t, 2, g.open)
	}
	require.Equal(t, []string{"30s: b forming"}, d.pass(time.Minute))
}

func TestADestinationThatReplacesIsUpdatedQuietly(t *testing.T) {
	d := newDesk(t, RouterOptions{Replaces: true})
	require.Equal(t, []string{"a forming"}, d.take(of("a", "s", matcher.Forming, 1)))
	require.Empty(t, d.take(of("a", "s", matcher.Forming, 2), of("a", "s", matcher.Forming, 3)))
	require.Equal(t, []string{"30s: a forming quietly"}, d.pass(time.Hour), "at most twice a minute")
}

func TestTheFirstOfAGroupIsToldAtOnceAndTheRestTogether(t *testing.T) {
	d := newDesk(t, RouterOptions{})
	require.Equal(t, []string{"a forming"}, d.take(of("a", "s", matcher.Forming, 1)))
	require.Empty(t, d.pass(5*time.Second))
	require.Empty(t, d.take(of("b", "s", matcher.Forming, 1), of("c", "s", matcher.Forming, 1)))
	require.Equal(t, []string{"25s: b forming c forming"}, d.pass(time.Minute))
	require.Empty(t, d.take(of("d", "s", matcher.Forming, 1)))
	require.Equal(t, []string{"e imminent d forming"}, d.take(of("e", "s", matcher.Imminent, 1)), "what is urgent waits for nothing")
	require.Equal(t, []string{"b averted"}, d.take(of("b", "s", matcher.Averted, 2)))
}

func TestGroupWaitHoldsTheFirstMessageUnlessItIsUrgent(t *testing.T) {
	routes, problems := CompileRoutes([]Route{{To: []string{"d"}, GroupWait: duration(time.Minute), GroupBy: []string{"namespace"}}}, []string{"d"})
	require.Empty(t, problems)
	d := newDesk(t, RouterOptions{Routes: routes})
	require.Empty(t, d.take(of("a", "s", matcher.Forming, 1, pod("x")...), of("b", "other", matcher.Forming, 1, pod("y")...)))
	require.Equal(t, []string{"1m0s: a forming b forming"}, d.pass(2*time.Minute))
	require.Equal(t, []string{"c incident"}, d.take(of("c", "s", matcher.InIncident, 1, record.Attr{Key: "namespace", Value: "pay"})))
}

func TestSymptomsOfOneFailureAreToldInOneThread(t *testing.T) {
	d := newDesk(t, RouterOptions{})
	evidence := func(w matcher.Warning, node string, id uint64) matcher.Warning {
		w.Evidence = []matcher.Evidence{{Record: id, Attrs: map[string]string{record.Node: node}}}
		return w
	}
	thread := func(w matcher.Warning) string {
		d.r.Take(w, 0, d.now)
		d.pass(4 * time.Minute)
		for key, g := range d.r.st.Groups {
			if g.members[w.ID] != nil {
				require.NotEmpty(t, g.Thread, key)
				return g.Thread
			}
		}
		return ""
	}
	require.Equal(t, "node", thread(of("node", "node-pressure", matcher.Forming, 1, record.Attr{Key: "node", Value: "n1"})))
	require.Equal(t, "node", thread(evidence(of("p1", "pod-evicted", matcher.Forming, 1, pod("a")...), "n1", 7)), "a pod of the node")
	require.Equal(t, "p2", thread(evidence(of("p2", "pod-evicted", matcher.Forming, 1, pod("b")...), "n2", 8)), "a pod of another one")
	require.Equal(t, "p2", thread(of("p3", "pod-oom", matcher.Forming, 1, pod("b")...)), "another symptom of the same pod")
	require.Equal(t, "p2", thread(of("n2", "node-pressure-2", matcher.Forming, 1, record.Attr{Key: "node", Value: "n2"})), "the node of a pod that was told before")
	require.Equal(t, "node", thread(evidence(of("x", "other", matcher.Forming, 1, record.Attr{Key: "volume", Value: "v"}), "", 7)), "the same record")
	late := evidence(of("late", "pod-late", matcher.Forming, 1, pod("c")...), "n1", 9)
	late.Opened = start.Add(time.Hour)
	require.Equal(t, "late", thread(late), "long after it is another failure")
}

func TestAnOpenCauseHoldsBackWhatItExplains(t *testing.T) {
	inhibit, problems := CompileInhibit([]Inhibit{{Source: []string{"signature=node-down"}, Target: []string{"signature=~pod-.*"}, Equal: []string{"node"}}})
	require.Empty(t, problems)
	d := newDesk(t, RouterOptions{Inhibit: inhibit, Wants: func(w *matcher.Warning) bool { return w.Signature != "node-down" }})
	node := record.Attr{Key: "node", Value: "n1"}
	require.Empty(t, d.take(of("n", "node-down", matcher.Forming, 1, node)), "it explains, though this destination does not want it")
	require.Empty(t, d.take(of("p", "pod-oom", matcher.InIncident, 1, node)))
	require.Equal(t, []string{"q incident"}, d.take(of("q", "pod-oom", matcher.InIncident, 1, record.Attr{Key: "node", Value: "n2"})))
	require.Empty(t, d.take(of("r", "pod-cpu", matcher.Forming, 1, node), of("r", "pod-cpu", matcher.Averted, 2, node)), "it came and went")
	require.Equal(t, uint64(2), d.r.Counts().Inhibited)
	require.Equal(t, []string{"p incident"}, d.take(of("n", "node-down", matcher.Resolved, 2, node)), "what is open when the cause is over is told")
}

func TestWhatIsOverTheBudgetIsADigest(t *testing.T) {
	routes, problems := CompileRoutes([]Route{{To: []string{"d"}, Budget: &Budget{Messages: 3, Per: signatures.Duration(10 * time.Minute)}}}, []string{"d"})
	require.Empty(t, problems)
	d := newDesk(t, RouterOptions{Routes: routes})
	require.Equal(t, []string{"a forming"}, d.take(of("a", "sa", matcher.Forming, 1)))
	d.pass(time.Minute)
	require.Equal(t, []string{"a imminent"}, d.take(of("a", "sa", matcher.Imminent, 2)))
	require.Empty(t, d.take(of("b", "sb", matcher.Forming, 1), of("c", "sc", matcher.Forming, 1)), "the last message is for a digest")
	require.Equal(t, []string{"30s: b forming c forming"}, d.pass(time.Minute))
	require.Empty(t, d.take(of("e", "se", matcher.InIncident, 1)))
	require.Equal(t, []string{"8m0s: e incident"}, d.pass(10*time.Minute), "when the first of the three is ten minutes old")
}

func TestAWarningKeepsItsRouteWhateverItsStateBecomes(t *testing.T) {
	routes, problems := CompileRoutes([]Route{{Match: []string{"state=~imminent|incident"}, To: []string{"d"}}, {To: []string{"other"}}}, []string{"d", "other"})
	require.Empty(t, problems)
	for _, person := range []bool{true, false} {
		r := NewRouter(RouterOptions{Destination: "d", Person: person, Routes: routes})
		told := func(w matcher.Warning) bool {
			n := r.Take(w, 0, start)
			r.Advance(start)
			_, queued := r.Next()
			if queued {
				x, _ := r.Next()
				r.Done(x.ID)
			}
			return n != nil || queued
		}
		require.False(t, told(of("a", "s", matcher.Forming, 1)))
		require.True(t, told(of("a", "s", matcher.InIncident, 2)))
		end := of("a", "s", matcher.Resolved, 3)
		end.Incident = new(start)
		require.True(t, told(end), "whoever was told of it is told of its end")
		require.False(t, told(of("b", "s", matcher.Forming, 1)))
		require.False(t, told(of("b", "s", matcher.Averted, 2)), "and nobody else is")
	}
}

func TestMemoryIsBoundedAndWhatItCannotHoldIsCounted(t *testing.T) {
	r := NewRouter(RouterOptions{Destination: "d", Person: true, MaxItems: 100})
	total := 0
	count := func() {
		for {
			n, ok := r.Next()
			if !ok {
				return
			}
			if n.Digest != nil {
				total += n.Digest.Total
			} else {
				total += len(n.Warnings)
			}
			r.Done(n.ID)
		}
	}
	for i := range 1000 {
		r.Take(of(fmt.Sprintf("w%d", i), fmt.Sprintf("s%d", i), matcher.Forming, 1), uint64(i+1), start)
	}
	require.LessOrEqual(t, len(r.st.Items), 100)
	for i := range 60 {
		r.Advance(start.Add(time.Duration(i) * time.Minute))
		count()
	}
	require.Equal(t, 1000, total)
	require.Equal(t, uint64(900), r.Counts().Crowded)
}

func TestAStateOfAnotherFormatIsRefused(t *testing.T) {
	r := NewRouter(RouterOptions{Destination: "d", Person: true})
	require.ErrorContains(t, r.Restore([]byte("nonsense")), "delivery state of d")
	r.st.Format = 99
	b, err := r.Encode()
	require.NoError(t, err)
	require.ErrorContains(t, NewRouter(RouterOptions{Destination: "d"}).Restore(b), "format 99")
	require.NoError(t, r.Restore(nil), "a new destination has none")
}

// TestRoutesMayChangeWhileWarningsAreOpen: a tool's route gets a group_by, or loses it, between two starts.
func TestRoutesMayChangeWhileWarningsAreOpen(t *testing.T) {
	grouped, problems := CompileRoutes([]Route{{To: []string{"d"}, GroupBy: []string{"signature"}, GroupWait: duration(time.Minute)}}, []string{"d"})
	require.Empty(t, problems)
	s, err := NewSilence(Silence{Match: []string{"id=held"}, By: "x", Comment: "y", End: start.Add(time.Hour)}, start)
	require.NoError(t, err)
	begin := func(o RouterOptions) []byte {
		r := NewRouter(o)
		r.Silences([]Silence{s})
		for _, id := range []string{"held", "free"} {
			r.Take(of(id, "s", matcher.Forming, 1), 0, start)
			r.Advance(start)
		}
		b, err := r.Encode()
		require.NoError(t, err)
		return b
	}
	told := func(o RouterOptions, stored []byte) (ids []string) {
		r := NewRouter(o)
		require.NoError(t, r.Restore(stored))
		for i := range 120 {
			r.Advance(start.Add(time.Duration(i) * time.Minute))
			for n, ok := r.Next(); ok; n, ok = r.Next() {
				ids = append(ids, idsOf(n.Warnings)...)
				r.Done(n.ID)
			}
		}
		if n := r.Take(of("held", "s", matcher.Averted, 2), 0, start.Add(3*time.Hour)); n != nil {
			ids = append(ids, "end")
		}
		r.Advance(start.Add(4 * time.Hour))
		if _, ok := r.Next(); ok {
			ids = append(ids, "end")
		}
		return ids
	}
	tool, group := RouterOptions{Destination: "d"}, RouterOptions{Destination: "d", Routes: grouped}
	require.Equal(t, []string{"held", "end"}, told(group, begin(tool)), "what a silence held back")
	require.ElementsMatch(t, []string{"held", "free", "end"}, told(tool, begin(group)), "and what was gathered")
}
