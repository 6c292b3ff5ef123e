package matcher_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// script drives a tracker by hand: records in the short form of specRecord, marks in seconds since start.
type script struct {
	*testing.T
	program *matcher.Program
	tracker *matcher.Tracker
	n       int
}

func newScript(t *testing.T, o matcher.TrackerOptions, bodies ...string) *script {
	t.Helper()
	p := specProgram(t, bodies...)
	tracker, err := matcher.NewTracker(p, o)
	require.NoError(t, err)
	return &script{T: t, program: p, tracker: tracker}
}

// specProgram compiles signatures that are called spec, spec-1, spec-2.
func specProgram(t *testing.T, bodies ...string) *matcher.Program {
	t.Helper()
	var list []*signatures.Signature
	for i, body := range bodies {
		s := parseSignature(t, body)
		if i > 0 {
			s.ID = fmt.Sprintf("spec-%d", i)
		}
		list = append(list, s)
	}
	p, problems := matcher.Compile(list, matcher.CompileOptions{})
	require.Empty(t, problems)
	return p
}

// hits returns the hits of a record.
func (s *script) hits(line string) []matcher.Hit {
	s.Helper()
	s.n++
	r := specRecord(s.T, s.n, line)
	if name, found := strings.CutPrefix(lastWord(line), "id="); found {
		r.ID = record.Identity("spec", name)
	}
	hits, wrong := scanAll(s.program, []sourced{{source: "main", record: r}})
	require.Empty(s, wrong)
	return hits
}

// see gives records and returns what is told, as "state@seconds", with what is remarkable about it.
func (s *script) see(lines ...string) []string {
	s.Helper()
	for _, line := range lines {
		for _, h := range s.hits(line) {
			s.tracker.Observe(&h)
		}
	}
	return s.told()
}

// mark moves the sources on, "name" or "name:kind", and settles.
func (s *script) mark(seconds int, sources ...string) []string {
	s.Helper()
	for _, name := range sources {
		s.tracker.Mark(mark(name, seconds))
	}
	s.tracker.Advance()
	return s.told()
}

func mark(name string, seconds int) matcher.Mark {
	return matcher.Mark{Source: name, Kinds: all, Time: start + int64(seconds)*second}
}

func (s *script) told() []string {
	var list []string
	for _, c := range s.tracker.Changes() {
		list = append(list, changeText(&c))
	}
	return list
}

func changeText(c *matcher.Change) string {
	w := &c.Warning
	text := fmt.Sprintf("%s@%g", w.State, w.Time.Sub(time.Unix(0, start)).Seconds())
	if w.Retracted {
		text += " retracted"
	}
	if len(w.Incomplete) > 0 {
		text += " incomplete"
	}
	if len(w.Silent) > 0 {
		text += " silent " + strings.Join(w.Silent, ",")
	}
	return text
}

const quickly = "clear: {quiet: 1m}\n"

func noLateness() matcher.TrackerOptions { return matcher.TrackerOptions{Lateness: -1} }

func TestCountRisesByTheIncreaseOfAnEvent(t *testing.T) {
	t.Parallel() // an event whose count went from 1 to 7 is six more
	body := "stages: [{name: a, when: {event: {reason: A}}, count: 7, within: 1m}]\n" + quickly
	s := newScript(t, noLateness(), body)
	require.Empty(t, s.see("1 A"))
	require.Equal(t, []string{"imminent@5"}, s.see("5 A count=6"))
	s = newScript(t, noLateness(), body)
	require.Empty(t, s.see("1 A", "5 A count=5"))
}

func TestBoundedMemoryIsCountedAndTold(t *testing.T) {
	t.Parallel()
	o := noLateness()
	o.MaxProgress = 10
	s := newScript(t, o, "stages: ["+stageA+"]\n"+quickly)
	for i := range 100 {
		told := s.see(fmt.Sprintf("%d A node=n%d", i, i))
		if i < 10 {
			require.Equal(t, []string{fmt.Sprintf("imminent@%d", i)}, told)
			continue
		}
		require.Equal(t, []string{fmt.Sprintf("expired@%d incomplete", i-10), fmt.Sprintf("imminent@%d", i)}, told)
	}
	st := s.tracker.Stats()
	require.EqualValues(t, 90, st.EvictedProgress)
	require.Equal(t, 10, st.Progresses)
	require.Len(t, s.tracker.Open(), 10)
	s.mark(1000, "main")
	require.Zero(t, s.tracker.Stats().Pending)
	require.Zero(t, s.tracker.Stats().Progresses, "what is over is forgotten")
}

func TestAbsenceIsNeverClaimedEarly(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: 10 * time.Second},
		"stages: ["+stageA+"]\nunless: [{when: {event: {reason: U}}, window: 30s}]\n"+quickly)
	require.Empty(t, s.see("0 A", "100 x"), "a later record does not decide it")
	require.Empty(t, s.mark(39, "main"), "the horizon is before the end of the window")
	require.Empty(t, s.mark(39, "main"))
	require.Equal(t, []string{"imminent@30"}, s.mark(40, "main"))

	s = newScript(t, matcher.TrackerOptions{Lateness: 10 * time.Second},
		"stages: ["+stageA+"]\nunless: [{when: {event: {reason: U}}, window: 30s}]\n"+quickly)
	s.see("0 A")
	s.mark(39, "main")
	require.Empty(t, s.see("30 U"), "the last one that counts, as late as it may be")
	require.Empty(t, s.mark(100, "main"))
}

func TestLateRecordNeverRewritesWhatIsSettled(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: 5 * time.Second}, "stages: ["+stageA+", "+stageB+"]\n"+quickly+"incident: {when: {event: {reason: I}}}\n")
	require.Equal(t, []string{"forming@10"}, s.see("10 A"))
	require.Equal(t, []string{"imminent@30"}, s.see("30 B"))
	require.Empty(t, s.mark(45, "main"))
	require.Equal(t, []string{"incident@40 incomplete"}, s.see("20 I"), "it came 20 seconds too late and is taken as of the horizon")
	require.EqualValues(t, 1, s.tracker.Stats().Late)
	require.Equal(t, []string{"resolved@100 incomplete"}, s.mark(105, "main"))
}

func TestRecordsOfDifferentDaysAreNoRecordsOfOneInstant(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: 5 * time.Second}, "stages: [{name: a, when: {event: {reason: A}}, count: 3, within: 1m}]\n"+quickly)
	s.mark(500_000, "main")
	for _, day := range []string{"86400 A", "172800 A", "259200 A", "345600 A"} {
		require.Empty(t, s.see(day), "an old file appeared")
	}
	require.EqualValues(t, 4, s.tracker.Stats().Late, "which is counted")
	require.Empty(t, s.see("499960 A"))
	require.Empty(t, s.see("499961 A"))
	require.Equal(t, []string{"imminent@499995 incomplete"}, s.see("499962 A"), "a minute has room for these")
}

func TestRecordInTimeCorrectsWhatWasTold(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{}, "stages: ["+stageA+", "+stageB+"]\nclear: {when: {event: {reason: C}}}\n")
	require.Equal(t, []string{"forming@10"}, s.see("10 A"))
	require.Equal(t, []string{"averted@20"}, s.see("20 C"))
	require.Equal(t, []string{"forming@25"}, s.see("25 A"))
	require.Equal(t, []string{"averted@20"}, s.see("15 B"), "the near miss got further than was known")
	require.Equal(t, []string{"averted@20"}, s.see("5 A"), "and began sooner")
	open := s.tracker.Open()
	require.Len(t, open, 1)
	require.EqualValues(t, 1, open[0].Revision)
}

func TestRepeatsAreTakenOnce(t *testing.T) {
	t.Parallel()
	o := noLateness()
	o.MaxSeen = 3
	s := newScript(t, o, "stages: [{name: a, when: {event: {reason: A}}, count: 2, within: 10m}]\n"+quickly)
	require.Empty(t, s.see("0 A id=x", "0 A id=x", "1 A id=x"))
	require.EqualValues(t, 2, s.tracker.Stats().Repeats)
	s.see("2 A node=n2 id=1", "3 A node=n2 id=2", "4 A node=n2 id=3", "5 A node=n2 id=4")
	require.EqualValues(t, 2, s.tracker.Stats().ForgottenIDs)
	require.Equal(t, []string{"imminent@6"}, s.see("6 A id=x"), "a repeat that is forgotten counts again")
}

func TestUnknownNamesTheSilentSource(t *testing.T) {
	t.Parallel()
	s := newScript(t, matcher.TrackerOptions{Lateness: -1, SilentAfter: 30 * time.Second}, "stages: ["+stageA+"]\nclear: {quiet: 1m}\nexpire: 10m\n")
	s.mark(0, "main", "events/b")
	require.Equal(t, []string{"imminent@10"}, s.see("10 A"))
	for i := 10; i < 100; i += 10 {
		require.Empty(t, s.mark(i, "main")[:0])
	}
	require.Equal(t, []string{"events/b"}, s.tracker.Stats().Silent)
	require.Equal(t, []string{"events/b"}, s.tracker.Open()[0].Silent)
	x := s.tracker.Explain("spec", "n1")
	require.Len(t, x, 1)
	require.Contains(t, x[0].String(), "unknown: not heard from events/b")
	s.mark(100, "events/b")
	for i := 100; i < 130; i += 10 {
		require.Empty(t, s.mark(i, "main", "events/b"))
	}
	require.Equal(t, []string{"averted@130 silent events/b"}, s.mark(130, "main", "events/b"), "tried again one quiet time later")
}

func TestAbsenceWithoutAnySourceIsUnknown(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), "stages: ["+stageA+"]\nclear: {quiet: 1m}\nexpire: 5m\n")
	s.see("0 A")
	s.tracker.Mark(matcher.Mark{Source: "logs", Kinds: 1 << record.Log, Time: start + 299*second})
	s.tracker.Advance()
	require.Empty(t, s.told())
	require.Contains(t, s.tracker.Explain("spec", "")[0].String(), "no source gives such records")
	s.tracker.Mark(matcher.Mark{Source: "logs", Kinds: 1 << record.Log, Time: start + 300*second})
	s.tracker.Advance()
	require.Equal(t, []string{"expired@300"}, s.told(), "giving up needs no source")
}

func TestPendingHitsAreBounded(t *testing.T) {
	t.Parallel()
	o := matcher.TrackerOptions{MaxPending: 4}
	s := newScript(t, o, "stages: ["+stageA+", "+stageB+"]\n"+quickly)
	require.Equal(t, []string{"forming@1"}, s.see("1 A", "2 x", "3 A", "4 A", "5 A"))
	require.Equal(t, []string{"forming@1 incomplete"}, s.see("6 A"))
	require.EqualValues(t, 1, s.tracker.Stats().SettledEarly)
	require.Equal(t, 4, s.tracker.Stats().Pending)
	require.Equal(t, []string{"imminent@7 incomplete"}, s.see("7 B"))
}

func TestSwapClosesWhatChanged(t *testing.T) {
	t.Parallel()
	same, before, now := "stages: ["+stageA+"]\n"+quickly, "stages: ["+stageA+"]\nclear: {quiet: 2m}\n", "stages: ["+stageA+"]\nclear: {quiet: 3m}\n"
	s := newScript(t, noLateness(), same, before)
	require.Equal(t, []string{"imminent@10", "imminent@10"}, s.see("10 A"))
	s.mark(20, "main")
	stale := s.hits("30 A")
	s.tracker.Swap(specProgram(t, same, now))
	changes := s.tracker.Changes()
	require.Len(t, changes, 1)
	require.Equal(t, "spec-1", changes[0].Warning.Signature)
	require.Equal(t, matcher.Expired, changes[0].Warning.State)
	require.Equal(t, "the signature was changed or removed", changes[0].Warning.Reason)
	for i := range stale {
		s.tracker.Observe(&stale[i])
	}
	require.EqualValues(t, 1, s.tracker.Stats().Stale)
	require.Equal(t, []string{"averted@90"}, s.mark(90, "main"), "the one that is unchanged went on")
}

func TestLeadAndEvidence(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), "tell: b\nstages: [{name: a, title: The first, when: {event: {reason: A}}, count: 5, within: 1m}, "+stageB+"]\nincident: {when: {event: {reason: I}}}\n"+quickly)
	s.see("1 A", "2 A", "3 A", "4 A", "5 A", "6 A", "10 B")
	w := s.tracker.Open()[0]
	require.Equal(t, "b", w.Stage)
	require.Equal(t, &matcher.Next{Stage: "incident", Missing: "0 of 1 record"}, w.Next)
	for _, h := range s.hits("25 I") {
		h.Record.Text = []byte(strings.Repeat("é", 300) + "\xff\x00")
		s.tracker.Observe(&h)
	}
	w = s.tracker.Open()[0]
	require.Equal(t, 15*time.Second, w.Lead)
	require.Nil(t, w.Next)
	var times []int
	for _, e := range w.Evidence {
		times = append(times, int(e.Time.Sub(time.Unix(0, start)).Seconds()))
		require.Equal(t, "main", e.Source)
		require.Equal(t, "n1", e.Attrs[record.Node])
	}
	require.Equal(t, []int{1, 2, 6, 10, 25}, times, "the first two and the latest of each rung")
	require.Equal(t, strings.Repeat("é", 200), w.Evidence[4].Text)
	require.EqualValues(t, 6, w.Reached[0].Count)
	require.Equal(t, "The first", w.Reached[0].Title)
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	s := newScript(t, noLateness(), "stages: [{name: a, when: {event: {reason: A}}, count: 3, distinct: {of: pod, count: 2}, within: 5m}, "+stageB+"]\n"+quickly)
	s.see("1 A pod=p", "2 A pod=p")
	x := s.tracker.Explain("spec", "")
	require.Len(t, x, 1)
	require.Equal(t, "2 of 3 records and 1 of 2 different namespace/pod within 5m", x[0].Rungs[0].Missing)
	require.Equal(t, "0 of 1 record, after a", x[0].Rungs[1].Missing)
	require.Empty(t, s.tracker.Explain("other", ""))
	require.Empty(t, s.tracker.Explain("spec", "n9"))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	p := specProgram(t)
	for _, o := range []matcher.TrackerOptions{
		{SilentAfter: -1}, {MaxPending: -1}, {MaxProgress: -5}, {MaxSeen: -1}, {ForgetAfter: time.Second}, {Lateness: 1000 * time.Hour * 24},
	} {
		_, err := matcher.NewTracker(p, o)
		require.ErrorContains(t, err, "tracker options: ")
	}
}

func lastWord(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }
