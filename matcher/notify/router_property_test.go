package notify

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// world is a destination, its feed and its keeper in a simulation: the obvious twin of what a person should know.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	opts RouterOptions
	r    *Router
	now  time.Time

	feed     []matcher.Warning // position i+1
	acked    int
	stored   []byte
	silences []Silence
	holds    bool // something was ever held back

	arrived map[string]bool         // notices, by identity
	decided map[string][]time.Time  // by lane
	known   map[string][]knownState // what the person was told of each warning, in order
	last    map[string]matcher.Warning
	threads map[string]bool // what a destination that replaces has open
}

type knownState struct {
	state matcher.State
	rungs int // -1: it was only counted
}

func (w *world) save() {
	b, err := w.r.Encode()
	require.NoError(w.t, err)
	w.stored = b
	w.r.Saved()
}

// crash loses what is not stored.
func (w *world) crash() {
	w.r = NewRouter(w.opts)
	require.NoError(w.t, w.r.Restore(w.stored))
	w.r.Silences(w.silences)
}

// decide takes in some revisions and does what is due, as a Deliverer does, and dies in between now and then.
func (w *world) decide(n int) {
	n = min(n, len(w.feed)-w.acked)
	from := w.acked - w.rng.IntN(min(w.acked, 3)+1) // an acknowledgement was lost
	for i := from; i < w.acked+n; i++ {
		w.r.Take(w.feed[i], uint64(i+1), w.now)
	}
	before := len(w.r.st.Outbox)
	w.r.Advance(w.now)
	if w.rng.IntN(10) == 0 {
		w.crash()
		return
	}
	for i := range w.r.st.Outbox[before:] {
		x := &w.r.st.Outbox[before+i]
		if !x.Quiet {
			w.decided[""] = append(w.decided[""], w.now)
		}
	}
	if w.r.Dirty() {
		w.save()
	}
	w.acked += n
}

// deliver gives the destination the oldest notice; the process may die before it knows that.
func (w *world) deliver() {
	n, ok := w.r.Next()
	if !ok {
		return
	}
	if !w.arrived[n.ID] {
		w.arrived[n.ID] = true
		w.learn(n)
	}
	if w.rng.IntN(10) == 0 {
		w.crash()
		return
	}
	w.r.Done(n.ID)
	w.save()
}

func (w *world) learn(n Notice) {
	require.NotEmpty(w.t, n.Warnings, n.ID)
	if n.Over {
		delete(w.threads, n.Thread)
	} else if !n.Quiet {
		w.threads[n.Thread] = true
	}
	if n.Quiet {
		require.True(w.t, w.opts.Replaces)
		return
	}
	require.True(w.t, w.opts.Replaces || n.rest() == 0)
	for i := range n.Also {
		told := w.known[n.Also[i].ID]
		require.NotEmpty(w.t, told, "what it says besides was told before")
		require.False(w.t, told[len(told)-1].state.Final(), "and is not over")
	}
	shown := map[string]bool{}
	for i := range n.Warnings {
		x := &n.Warnings[i]
		require.False(w.t, shown[x.ID], "twice in a message")
		shown[x.ID] = true
		w.hear(x.ID, x.State, len(x.Reached))
	}
	if n.Digest == nil {
		return
	}
	require.Equal(w.t, n.Digest.Total, len(n.Warnings)+len(n.Digest.Keys), "few warnings are listed whole")
	total := 0
	for _, c := range n.Digest.States {
		total += c.N
	}
	require.Equal(w.t, n.Digest.Total, total)
	for _, k := range n.Digest.Keys {
		_, rest, _ := strings.Cut(k, " ")
		id, state, _ := strings.Cut(rest, " (")
		w.hear(id, matcher.State(strings.TrimSuffix(state, ")")), -1)
	}
}

// hear requires that what is told follows what was told.
func (w *world) hear(id string, state matcher.State, rungs int) {
	before := w.known[id]
	if n := len(before); n > 0 {
		was := before[n-1]
		require.False(w.t, was.state == state && (rungs == was.rungs || rungs < 0 || was.rungs > rungs) && rungs >= 0 && was.rungs >= 0, "%s: %s is told again", id, state)
		require.False(w.t, was.state.Final(), "%s: %s after its end", id, state)
		require.GreaterOrEqual(w.t, step(state), step(was.state), "%s goes back from %s to %s", id, was.state, state)
	}
	w.known[id] = append(before, knownState{state, rungs})
}

func step(s matcher.State) int {
	if s.Final() {
		return 4
	}
	return urgency(s)
}

// lives makes the revisions of n warnings, interleaved.
func lives(rng *rand.Rand, n int) []matcher.Warning {
	var open []matcher.Warning
	var all []matcher.Warning
	at := start
	for i := 0; i < n || len(open) > 0; {
		at = at.Add(time.Duration(rng.IntN(20)) * time.Second)
		if i < n && (len(open) == 0 || rng.IntN(3) > 0) {
			id := fmt.Sprintf("w%02d", i)
			i++
			w := matcher.Warning{
				ID: id, Revision: 1, Signature: []string{"pod-oom", "pod-crash", "node-pressure"}[rng.IntN(3)], KeyText: id,
				Severity: signatures.Severities()[rng.IntN(4)], State: matcher.Forming, Total: 3, Opened: at, Time: at,
				Reached: []matcher.Reached{{Stage: "a", Time: at}},
			}
			node := fmt.Sprintf("n%d", rng.IntN(3))
			if w.Signature == "node-pressure" {
				w.Key = []record.Attr{{Key: "node", Value: node}}
			} else {
				w.Key = []record.Attr{{Key: "namespace", Value: fmt.Sprintf("ns%d", rng.IntN(3))}, {Key: "pod", Value: id}}
				w.Evidence = []matcher.Evidence{{Time: at, Attrs: map[string]string{record.Node: node}, Record: rng.Uint64N(40)}}
			}
			if rng.IntN(5) == 0 {
				w.State = matcher.InIncident
			}
			open, all = append(open, w), append(all, w)
			continue
		}
		j := rng.IntN(len(open))
		w := &open[j]
		w.Revision++
		w.Time = at
		switch x := rng.IntN(10); {
		case x < 3: // nothing new for a person
		case x < 5 && len(w.Reached) < 3:
			w.Reached = append(slices.Clip(w.Reached), matcher.Reached{Stage: "b", Time: at})
		case x < 6 && w.State == matcher.Forming:
			w.State = matcher.Imminent
		case x < 7 && w.State != matcher.InIncident:
			w.State = matcher.InIncident
			w.Incident = &at
		default:
			end := []matcher.State{matcher.Averted, matcher.Resolved, matcher.Expired}[rng.IntN(3)]
			w.State, w.Closed = end, &at
			w.Retracted = end == matcher.Expired && rng.IntN(3) == 0
		}
		all = append(all, *w)
		if w.State.Final() {
			open = append(open[:j], open[j+1:]...)
		} else if i == n && rng.IntN(8) == 0 {
			open = append(open[:j], open[j+1:]...) // it stays open
		}
	}
	return all
}

func duration(d time.Duration) *signatures.Duration { return new(signatures.Duration(d)) }

func options(t *testing.T, rng *rand.Rand) (RouterOptions, *Budget) {
	t.Helper()
	b := &Budget{Messages: 1 + rng.IntN(6), Per: signatures.Duration(time.Duration(1+rng.IntN(20)) * time.Minute)}
	r := Route{To: []string{"d"}, Budget: b}
	if rng.IntN(2) == 0 {
		r.GroupBy = [][]string{{"id"}, {"namespace"}, {"signature", "node"}, {}}[rng.IntN(4)]
	}
	if rng.IntN(2) == 0 {
		r.GroupWait = duration(time.Duration(rng.IntN(60)) * time.Second)
		r.GroupInterval = duration(time.Duration(rng.IntN(600)) * time.Second)
	}
	routes, problems := CompileRoutes([]Route{r}, []string{"d"})
	require.Empty(t, problems)
	o := RouterOptions{Destination: "d", Person: true, Routes: routes, MaxOutbox: 1 + rng.IntN(5)}
	o.Replaces = rng.IntN(4) == 0
	if rng.IntN(3) == 0 {
		inhibit, problems := CompileInhibit([]Inhibit{{Source: []string{"signature=node-pressure"}, Target: []string{"signature=~pod-.*"}, Equal: []string{"node"}}})
		require.Empty(t, problems)
		o.Inhibit = inhibit
	}
	return o, b
}

// TestRouterLosesNothingAndKeepsItsBudget plays random warnings, outages, silences and crashes against what a person was told.
func TestRouterLosesNothingAndKeepsItsBudget(t *testing.T) {
	t.Parallel()
	cases := 400
	if s := os.Getenv("FOREWARN_CASES"); s != "" {
		var err error
		cases, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	for seed := range uint64(cases) {
		play(t, seed)
		if t.Failed() {
			return
		}
	}
}

func play(t *testing.T, seed uint64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 5))
	o, budget := options(t, rng)
	w := &world{
		t: t, rng: rng, opts: o, r: NewRouter(o), now: start, feed: lives(rng, 4+rng.IntN(18)), arrived: map[string]bool{},
		decided: map[string][]time.Time{}, known: map[string][]knownState{}, last: map[string]matcher.Warning{}, threads: map[string]bool{}, holds: len(o.Inhibit) > 0,
	}
	for _, x := range w.feed {
		w.last[x.ID] = x
	}
	w.save()
	for step := 0; w.acked < len(w.feed) || step < 200; step++ {
		w.now = w.now.Add(time.Duration(rng.IntN(30)) * time.Second)
		switch x := rng.IntN(12); {
		case x < 6:
			w.decide(rng.IntN(8))
		case x < 9:
			w.deliver()
		case x == 9:
			w.crash()
		case x == 10 && rng.IntN(3) == 0:
			s, err := NewSilence(Silence{
				Match: []string{"signature=" + []string{"pod-oom", "pod-crash", "node-pressure"}[rng.IntN(3)]}, By: "a", Comment: "b",
				End: w.now.Add(time.Duration(1+rng.IntN(600)) * time.Second),
			}, w.now)
			require.NoError(t, err)
			w.silences, w.holds = append(slices.Clip(w.silences), s), true
			w.r.Silences(w.silences)
		}
	}
	for range 500 { // long enough for every silence, interval and budget
		w.now = w.now.Add(5 * time.Minute)
		w.decide(0)
		w.deliver()
	}
	w.r.Advance(w.now)
	waiting, _ := w.r.Pending()
	require.Zero(t, waiting, "everything that is not held back was told")
	for id, last := range w.last {
		known := w.known[id]
		it := w.r.st.Items[id]
		if last.State.Final() {
			require.Nil(t, it, "%s is over and forgotten", id)
		}
		if len(known) == 0 {
			inhibited := it != nil && strings.HasPrefix(it.Held, inhibitedBy)
			require.True(t, last.Retracted || w.holds && last.State.Final() || inhibited, "%s: nobody was ever told of %s", id, last.State)
			continue
		}
		told := known[len(known)-1]
		if it != nil && strings.HasPrefix(it.Held, inhibitedBy) {
			continue // its cause is told, and still open
		}
		require.Equal(t, last.State, told.state, "%s: the last thing that was told", id)
	}
	if o.Replaces {
		open := slices.ContainsFunc(slices.Collect(maps.Values(w.r.st.Items)), func(it *item) bool { return it.Told.ever() })
		require.True(t, open || len(w.threads) == 0, "everything is over, and these threads are not: %v", w.threads)
		return // what replaces costs nothing
	}
	per := time.Duration(budget.Per)
	times := w.decided[""]
	for i := range times {
		n := 0
		for _, x := range times[i:] {
			if x.Sub(times[i]) < per {
				n++
			}
		}
		require.LessOrEqual(t, n, budget.Messages, "messages within %s", per)
	}
}
