package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Try runs a trial and says everything that came of it. What is wrong with the signatures or the input is part of the outcome; an error
// says that the trial was refused as a whole. It does no I/O and keeps nothing.
//
// It looks at ctx and the time between small pieces of work and stops when they are over; then the outcome says that it is not the whole. An
// expression can be so dear that one piece takes long: whoever runs trials of strangers runs them in a process of their own, see [Child].
func Try(ctx context.Context, t *Trial, bounds Bounds) (*Outcome, error) {
	bounds = bounds.withDefaults()
	if err := bounds.check(t); err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, bounds.Time)
	defer cancel()
	x := &trial{Trial: *t, bounds: bounds, out: Outcome{
		Problems: []signatures.Problem{}, Signatures: []Tried{}, Tests: []TestOutcome{}, Formats: []string{}, Faults: []InputFault{}, Shown: []ShownRecord{},
		Revisions: []Revision{}, Warnings: []matcher.Warning{}, Progress: []matcher.Progress{}, Why: []Why{}, Notes: []string{},
	}}
	x.attributes()
	x.compile()
	x.read(ctx)
	if err := x.run(ctx); err != nil {
		return nil, err
	}
	x.why(ctx)
	x.runTests(ctx)
	if ctx.Err() != nil {
		x.note("it took longer than %s and was stopped: what is shown is not all", bounds.Time)
	}
	x.out.Took = time.Since(began)
	return &x.out, nil
}

// trial is a trial that is being run.
type trial struct {
	Trial
	bounds  Bounds
	out     Outcome
	own     []*signatures.Signature // of the YAML, those that can be used
	program *matcher.Program
	ids     map[uint64]*signatures.Signature // by short digest
	in      *reading
	hits    [][]RecordHit // by record
}

func (x *trial) note(format string, args ...any) {
	x.out.Notes = append(x.out.Notes, fmt.Sprintf(format, args...))
}

// attributes names the trial's attributes as collectors do.
func (x *trial) attributes() {
	named := map[string]string{}
	for word, value := range x.Attrs {
		test := signatures.Test{Records: []signatures.TestRecord{{Log: "-", Attrs: map[string]string{word: value}}}}
		built, err := test.Build(time.Unix(0, 0))
		if err != nil || len(value) > record.MaxValue || len(word) > record.MaxKey {
			x.out.Faults = append(x.out.Faults, InputFault{0, fmt.Sprintf("no attribute is called %.80q: use node, namespace, pod, container, workload, component or a full name such as k8s.node.name", word)})
			continue
		}
		for _, a := range built[0].Attrs {
			named[a.Key] = a.Value
		}
	}
	x.Attrs = named
}

// trialFile is what the YAML is called in problems.
const trialFile = "signature.yaml"

// compile makes the program.
func (x *trial) compile() {
	var parsed []*signatures.Signature
	if strings.TrimSpace(x.YAML) != "" {
		parsed, x.out.Problems = signatures.Parse(trialFile, []byte(x.YAML))
	}
	if len(parsed) > x.bounds.Signatures {
		x.note("the first %d of %d signatures are tried", x.bounds.Signatures, len(parsed))
		parsed = parsed[:x.bounds.Signatures]
	}
	all := slices.Clone(parsed)
	for _, s := range x.Armed {
		if !slices.ContainsFunc(parsed, func(o *signatures.Signature) bool { return o.ID == s.ID }) && len(all) < x.bounds.Signatures {
			all = append(all, s)
		}
	}
	program, problems := matcher.Compile(all, matcher.CompileOptions{})
	x.out.Problems = append(x.out.Problems, problems...)
	x.program, x.ids = program, map[uint64]*signatures.Signature{}
	for _, c := range program.Signatures() {
		s, err := program.Body(c.Digest)
		if err != nil {
			continue // the program keeps its bodies
		}
		x.ids[c.Digest] = s
		own := slices.Contains(parsed, s)
		if own {
			x.own = append(x.own, s)
		}
		x.out.Signatures = append(x.out.Signatures, Tried{ID: s.ID, Title: s.Title, Armed: !own})
	}
	if x.out.Problems == nil {
		x.out.Problems = []signatures.Problem{}
	}
}

func (x *trial) read(ctx context.Context) {
	x.in = readInput(ctx, &x.Trial, x.bounds.Records)
	if len(x.in.formats) > 0 {
		x.out.Formats = x.in.formats
	}
	x.out.Faults = append(x.out.Faults, x.in.faults...)
	x.out.Records = len(x.in.records)
	if n := x.in.refused; n > 0 {
		x.note("the first %d records are looked at, %d are not: use `forewarn scan` for more", len(x.in.records), n)
	}
	if x.in.mixed > 0 {
		x.note("%d records came out of order and were put right", x.in.mixed)
	}
	counts := &x.in.counts
	if n := counts.Get(format.NoStamp); n > 0 && n >= uint64(len(x.in.records)) {
		x.note("no time stamp was recognised: all records have the present as their time, so what happens within a time cannot be told")
	}
	counts.Each(func(what format.Count, n uint64) {
		if what.Loss() || what == format.FutureStamp || what == format.RepeatedItem {
			x.note("%s: %d", strings.ReplaceAll(what.String(), "_", " "), n)
		}
	})
	if len(x.in.records) == 0 && strings.TrimSpace(x.Input) != "" && len(x.in.faults) == 0 && ctx.Err() == nil {
		x.note("the input holds no record: paste a log, the output of kubectl, a scrape, or records in their JSON form")
	}
}

// trialSource is the source of all records: it gives every kind and is always alive.
const trialSource = "playground"

// run takes the records through a tracker.
func (x *trial) run(ctx context.Context) error {
	engine, err := matcher.NewEngine(x.program, matcher.TrackerOptions{Lateness: -1, SilentAfter: time.Hour})
	if err != nil {
		return fmt.Errorf("prepare the playground: %w", err)
	}
	x.hits = make([][]RecordHit, len(x.in.records))
	told := newTold(x)
	feed := feeder{scratch: matcher.NewScratch(x.program)}
	const step = 256
	for at := 0; at < len(x.in.records) && ctx.Err() == nil; {
		n, err := feed.batch(x.in.records, at, min(at+step, len(x.in.records)))
		if err != nil {
			return err
		}
		for _, h := range x.program.Scan(&feed.decoded, feed.scratch) {
			x.hit(&h)
		}
		told.take(engine.Feed(&feed.decoded))
		at += n
	}
	x.explainProgress(engine) // before time goes on: what is missing is forgotten when its window is over
	if len(x.in.records) > 0 && ctx.Err() == nil {
		last := x.in.records[len(x.in.records)-1].record.Time
		if err := feed.heartbeat(last + int64(max(x.After, 0))); err != nil {
			return err
		}
		told.take(engine.Feed(&feed.decoded))
	}
	told.take(engine.Finish())
	told.finish()
	if n := feed.scratch.Stats.CELErrors; n > 0 {
		x.note("%d times a CEL expression failed or an expression was too dear: the condition is not met there", n)
	}
	return nil
}

// explainProgress tells where the YAML's signatures stand for each key.
func (x *trial) explainProgress(engine *matcher.Engine) {
	for _, s := range x.own {
		for _, p := range engine.Explain(s.ID, "") {
			if len(x.out.Progress) < maxProgress {
				x.out.Progress = append(x.out.Progress, p)
			}
		}
	}
}

// What is shown of a trial that says much.
const (
	maxProgress  = 50
	maxRevisions = 200
	maxText      = 2000
)

// feeder makes batches.
type feeder struct {
	scratch *matcher.Scratch
	builder record.Builder
	wire    []byte
	decoded record.Batch
}

// batch decodes a batch of records from at to end, or of fewer when they have no room, and says how many. Their sequence is their place.
func (f *feeder) batch(all []pasted, at, end int) (int, error) {
	const kinds = 1<<record.Event | 1<<record.Log | 1<<record.Change | 1<<record.Sample | 1<<record.Alert
	if err := f.builder.Reset(record.Header{Source: trialSource, Kinds: kinds}); err != nil {
		return 0, fmt.Errorf("build a batch of the playground: %w", err)
	}
	n, mark := 0, int64(0)
	for i := at; i < end; i++ {
		r := all[i].record
		r.Seq = uint64(i)
		err := f.builder.Add(&r)
		if err != nil && n == 0 {
			return 0, fmt.Errorf("build a batch of the playground: %w", err)
		}
		if err != nil {
			break
		}
		n, mark = n+1, r.Time
	}
	if at+n < len(all) { // what has the same time must not come too late
		mark = min(mark, all[at+n].record.Time-1)
	}
	return n, f.finish(mark)
}

func (f *feeder) heartbeat(mark int64) error {
	f.builder.SetMark(mark, false)
	return f.finish(mark)
}

func (f *feeder) finish(mark int64) error {
	f.builder.SetMark(mark, false)
	f.wire = f.builder.AppendTo(f.wire[:0])
	if err := f.decoded.Decode(f.wire); err != nil {
		return fmt.Errorf("read a batch of the playground: %w", err)
	}
	return nil
}

// hit notes what a record met.
func (x *trial) hit(h *matcher.Hit) {
	s := x.ids[h.Signature]
	if s == nil || h.Record.Seq >= uint64(len(x.hits)) {
		return
	}
	for i := range x.out.Signatures {
		if x.out.Signatures[i].ID == s.ID {
			x.out.Signatures[i].Hits++
		}
	}
	n := h.Record.Seq
	x.hits[n] = append(x.hits[n], RecordHit{Signature: s.ID, Key: keyOf(h.Key), On: rolesOf(s, h.On), Off: rolesOf(s, h.Off)})
}

// keyOf is a hit's key as warnings show it.
func keyOf(key []byte) string {
	var values []string
	for part := range strings.SplitSeq(strings.TrimSuffix(string(key), "\x1f"), "\x1f") {
		_, value, _ := strings.Cut(part, "=")
		values = append(values, value)
	}
	return clip(strings.Join(values, "/"), 200)
}

// rolesOf names the roles of a set.
func rolesOf(s *signatures.Signature, set uint64) (names []string) {
	for role := range 64 {
		if set&(1<<role) != 0 {
			names = append(names, roleOf(s, role))
		}
	}
	return names
}

// roleOf names a role as the rungs of a warning are named.
func roleOf(s *signatures.Signature, role int) string {
	switch {
	case role < len(s.Stages):
		return s.Stages[role].Name
	case role == matcher.RoleIncident:
		return "incident"
	case role == matcher.RoleClear:
		return "clear"
	case s.Frame != nil:
		return "negate " + strconv.Itoa(role-matcher.RoleUnless+1)
	case role < matcher.RoleLimit:
		return "unless " + strconv.Itoa(role-matcher.RoleUnless+1)
	}
	return "limit " + strconv.Itoa(role-matcher.RoleLimit+1)
}

// clip cuts a text to so many bytes, and makes it one that JSON can hold.
func clip(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
