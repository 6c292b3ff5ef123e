package matcher

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Engine is scan and tracker in one, for records that are at hand: files, recordings and tests. It belongs to one goroutine.
type Engine struct {
	program *Program
	tracker *Tracker
	scratch *Scratch
	newest  int64
	order   *order // nil: what comes out of order is sorted in
	dropped uint64 // by order
}

// NewEngine returns an engine without state.
func NewEngine(p *Program, o TrackerOptions) (*Engine, error) {
	t, err := NewTracker(p, o)
	if err != nil {
		return nil, err
	}
	return &Engine{program: p, tracker: t, scratch: NewScratch(p), newest: longAgo}, nil
}

// Feed takes the records of a batch, and the mark of its source if it has one, and returns what people should be told.
func (e *Engine) Feed(b *record.Batch) []Change {
	e.observe(b)
	if h := b.Header(); h.Mark != 0 || h.Ended {
		e.mark(Mark{Source: h.Source, Kinds: h.Kinds, Scope: h.Scope, Time: h.Mark, Ended: h.Ended})
	}
	e.tracker.Advance()
	return e.tracker.Changes()
}

func (e *Engine) observe(b *record.Batch) {
	hits := e.program.Scan(b, e.scratch)
	if e.order != nil {
		var dropped uint64
		hits, dropped = e.order.filter(b, hits, e.program)
		e.dropped += dropped
	}
	for i := range hits {
		e.newest = max(e.newest, hits[i].Record.Time)
	}
	e.tracker.ObserveAll(hits)
}

func (e *Engine) mark(m Mark) {
	e.newest = max(e.newest, m.Time)
	e.tracker.Mark(m)
}

// Finish says that no more records will come: all that can be settled is. What would need records from after the end, such
// as a quiet time, stays open; frames that wait are decided as if time had run out.
func (e *Engine) Finish() []Change {
	e.tracker.Advance()
	if e.newest != longAgo {
		e.tracker.end(min(e.newest, latest))
	}
	return e.tracker.Changes()
}

// Stats returns the tracker's counters, with what the scan lost.
func (e *Engine) Stats() Stats {
	s := e.tracker.Stats()
	s.CELErrors = e.scratch.Stats.CELErrors
	s.Disordered = e.dropped
	return s
}

// Firings is [Tracker.Firings].
func (e *Engine) Firings() []Firing { return e.tracker.Firings() }

// Open is [Tracker.Open].
func (e *Engine) Open() []Warning { return e.tracker.Open() }

// Explain is [Tracker.Explain].
func (e *Engine) Explain(signatureID, key string) []Progress {
	return e.tracker.Explain(signatureID, key)
}

// testStart is when a signature's test begins, unless its author says otherwise.
const testStart = 1_767_225_600 * int64(time.Second) // 2026-01-01

// RunTest runs one test of a signature and returns what is wrong, in words; nothing when it passes. Sources of all kinds
// are alive and give heartbeats at the time of every record and of every expected state, and up to Until.
func RunTest(s *signatures.Signature, test *signatures.Test) (failures []string) {
	changes, failures := runTest(s, test)
	if len(failures) > 0 {
		return failures
	}
	return compareTest(changes, test.Expect)
}

// TestChanges runs one test of a signature and returns every revision that people would be told, and the time at which the test begins.
func TestChanges(s *signatures.Signature, test *signatures.Test) ([]Change, time.Time, error) {
	changes, failures := runTest(s, test)
	if len(failures) > 0 {
		return nil, time.Time{}, errors.New(strings.Join(failures, "\n"))
	}
	return changes, when(testStart), nil
}

func runTest(s *signatures.Signature, test *signatures.Test) (changes []Change, failures []string) {
	program, problems := Compile([]*signatures.Signature{s}, CompileOptions{})
	if len(problems) > 0 {
		for i := range problems {
			failures = append(failures, problems[i].Error())
		}
		return nil, failures
	}
	records, err := test.Build(when(testStart))
	if err != nil {
		return nil, []string{err.Error()}
	}
	run, err := newTestRun(program)
	if err != nil {
		return nil, []string{err.Error()}
	}
	if err := run.all(records, testStart+int64(test.Until)); err != nil {
		return nil, []string{err.Error()}
	}
	return run.changes, nil
}

// testRun feeds a test's records to an engine.
type testRun struct {
	engine  *Engine
	builder record.Builder
	batch   record.Batch
	wire    []byte
	changes []Change
}

func newTestRun(p *Program) (*testRun, error) {
	e, err := NewEngine(p, TrackerOptions{Lateness: -1, SilentAfter: time.Hour})
	if err != nil {
		return nil, err
	}
	return &testRun{engine: e}, nil
}

// all gives the records in their order. Records that are not in the order of their times wait for those that come later, as
// the lateness allows.
func (r *testRun) all(records []record.Record, until int64) error {
	const lateness = 30 * time.Second
	for i := range records {
		if err := r.feed(&records[i]); err != nil {
			return err
		}
		r.heartbeat(horizonOf(records[i+1:], records[i].Time, lateness))
	}
	last := until
	for i := range records {
		last = max(last, records[i].Time)
	}
	r.heartbeat(last)
	r.changes = append(r.changes, r.engine.Finish()...)
	return nil
}

// horizonOf is how far time has gone when a record came: to its time, but not beyond the time of one that comes after it and
// is late only by what is allowed.
func horizonOf(rest []record.Record, now int64, lateness time.Duration) int64 {
	h := now
	for i := range rest {
		if t := rest[i].Time; t <= now && after(t, lateness) > now {
			h = min(h, t-1)
		}
	}
	return h
}

func (r *testRun) feed(rec *record.Record) error {
	if err := r.builder.Reset(record.Header{Source: "test/" + rec.Kind.String(), Kinds: 1 << rec.Kind}); err != nil {
		return fmt.Errorf("build a batch for the test: %w", err)
	}
	if err := r.builder.Add(rec); err != nil {
		return fmt.Errorf("build a batch for the test: %w", err)
	}
	r.wire = r.builder.AppendTo(r.wire[:0])
	if err := r.batch.Decode(r.wire); err != nil {
		return fmt.Errorf("read the test's batch: %w", err)
	}
	r.changes = append(r.changes, r.engine.Feed(&r.batch)...)
	return nil
}

// heartbeat moves the sources of all kinds on.
func (r *testRun) heartbeat(t int64) {
	for _, k := range record.Kinds() {
		r.engine.mark(Mark{Source: "test/" + k.String(), Kinds: 1 << k, Time: t})
	}
	r.engine.tracker.Advance()
	r.changes = append(r.changes, r.engine.tracker.Changes()...)
}

// testState is one state that a test reached, or should have.
type testState struct {
	state, key string
	at         time.Duration
	anyTime    bool
	anyKey     bool
}

func (s testState) String() string {
	text := s.state
	if !s.anyTime {
		text += " at " + s.at.String()
	}
	if !s.anyKey {
		text += " for " + s.key
	}
	return text
}

func (s testState) meets(want testState) bool {
	return s.state == want.state && (want.anyTime || s.at == want.at) && (want.anyKey || s.key == want.key)
}

// compareTest lists how the states that were told differ from those that were expected.
func compareTest(changes []Change, expect []signatures.Expect) (failures []string) {
	var got, want []testState
	for i := range changes {
		c := &changes[i]
		if c.Warning.Retracted {
			failures = append(failures, fmt.Sprintf("the warning for %s was taken back: the test's records are not in the order of their times", c.Warning.KeyText))
		}
		if c.Was != c.Warning.State {
			got = append(got, testState{state: string(c.Warning.State), key: c.Warning.KeyText, at: c.Warning.Time.Sub(when(testStart))})
		}
	}
	for i := range expect {
		x := &expect[i]
		w := testState{state: x.State, key: x.Key, anyTime: x.At == nil, anyKey: x.Key == ""}
		if x.At != nil {
			w.at = time.Duration(*x.At)
		}
		want = append(want, w)
	}
	slices.SortStableFunc(got, func(a, b testState) int { return cmp.Compare(a.at, b.at) })
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			failures = append(failures, fmt.Sprintf("state %d: expected no more, got %s", i+1, got[i]))
		case i >= len(got):
			failures = append(failures, fmt.Sprintf("state %d: expected %s, got nothing more", i+1, want[i]))
		case !got[i].meets(want[i]):
			failures = append(failures, fmt.Sprintf("state %d: expected %s, got %s", i+1, want[i], got[i]))
		}
	}
	if len(failures) > 0 && len(got) > 0 {
		var all []string
		for _, s := range got {
			all = append(all, s.String())
		}
		failures = append(failures, "all that came: "+strings.Join(all, "; "))
	}
	return failures
}
