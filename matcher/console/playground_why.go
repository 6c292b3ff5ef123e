package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// roleKey names a role of one signature.
type roleKey struct {
	signature int // in own
	role      int
}

// why shows the records, with what each of them met and missed, and sums up for each role what the others fell short of.
func (x *trial) why(ctx context.Context) {
	sums := map[roleKey]*Why{}
	lacks := map[roleKey]map[string]*Lack{}
	left := x.bounds.Explained
	explained := 0
	for n := range x.in.records {
		hits := x.hits[n]
		if len(hits) > 0 {
			x.out.Hits++
		}
		var misses []RecordMiss
		if left > 0 && ctx.Err() == nil {
			misses = x.explain(n, sums, lacks, &left)
			explained++
		}
		// Those that met something are what a person looks for, so they are shown from beyond the first ones as well.
		if len(x.out.Shown) < x.bounds.Shown || len(hits) > 0 && len(x.out.Shown) < 2*x.bounds.Shown || n+1 == x.Explain {
			if n+1 == x.Explain {
				misses = append(misses, x.armedMisses(ctx, n)...)
			}
			x.out.Shown = append(x.out.Shown, x.show(n, misses))
		}
	}
	if explained < len(x.in.records) && len(x.own) > 0 {
		x.note("why conditions are not met is told of the first %d records", explained)
	}
	for k, w := range sums {
		w.Best = x.best(x.own[k.signature], k.role)
		w.Lacks = slices.SortedFunc(func(yield func(Lack) bool) {
			for _, l := range lacks[k] {
				if !yield(*l) {
					return
				}
			}
		}, func(a, b Lack) int { return cmp.Or(cmp.Compare(a.Records, b.Records), cmp.Compare(a.Path, b.Path)) })
	}
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b roleKey) int {
		return cmp.Or(cmp.Compare(a.signature, b.signature), cmp.Compare(a.role, b.role))
	}) {
		x.out.Why = append(x.out.Why, *sums[k])
	}
}

// explain adds the verdicts of one record to the sums and returns what it missed.
func (x *trial) explain(n int, sums map[roleKey]*Why, lacks map[roleKey]map[string]*Lack, left *int) (misses []RecordMiss) {
	r := &x.in.records[n].record
	for i, s := range x.own {
		verdicts, err := x.program.ExplainRecord(r, s.ID)
		if err != nil {
			continue // the program keeps its bodies
		}
		*left -= len(verdicts)
		for _, v := range verdicts {
			k := roleKey{i, v.Role}
			w := sums[k]
			if w == nil {
				w = &Why{Signature: s.ID, Role: roleOf(s, v.Role), Title: titleOf(s, v.Role)}
				_, w.Line, _, _ = s.Position(v.Path)
				sums[k], lacks[k] = w, map[string]*Lack{}
			}
			if v.On {
				w.Met++
			}
			if v.Miss == nil || v.On {
				continue
			}
			misses = append(misses, missOf(s, &v))
			path := v.Path
			if v.Miss.Path != v.Path {
				path += "." + v.Miss.Path
			}
			l := lacks[k][path]
			if l == nil {
				l = &Lack{Path: v.Miss.Path, Wanted: clip(v.Miss.Wanted, 400), Seen: clip(v.Miss.Seen, 400), Example: n + 1}
				_, l.Line, l.Column, _ = s.Position(path)
				lacks[k][path] = l
			}
			l.Records++
		}
	}
	return misses
}

// best says for a rung that needs several records how many of them came within its time, for the key that had most.
func (x *trial) best(s *signatures.Signature, role int) string {
	need, within := 0, signatures.Duration(0)
	switch {
	case role < len(s.Stages):
		need, within = s.Stages[role].Count, s.Stages[role].Within
	case role == matcher.RoleIncident && s.Incident != nil:
		need, within = s.Incident.Count, s.Incident.Within
	}
	if need < 2 {
		return ""
	}
	name := roleOf(s, role)
	type window struct{ from, sum int } // from is a place in the key's records
	came := map[string][]int{}
	windows := map[string]*window{}
	most := 0
	for n := range x.in.records {
		for _, h := range x.hits[n] {
			if h.Signature != s.ID || !slices.Contains(h.On, name) {
				continue
			}
			w := windows[h.Key]
			if w == nil {
				w = &window{}
				windows[h.Key] = w
			}
			came[h.Key] = append(came[h.Key], n)
			w.sum += int(x.in.records[n].record.Count)
			for within > 0 && x.in.records[n].record.Time-x.in.records[came[h.Key][w.from]].record.Time > int64(within) {
				w.sum -= int(x.in.records[came[h.Key][w.from]].record.Count)
				w.from++
			}
			most = max(most, w.sum)
		}
	}
	text := strconv.Itoa(most) + " of " + strconv.Itoa(need)
	if within > 0 {
		text += " within " + within.String()
	}
	return text
}

// armedMisses are the verdicts of armed signatures on one record, but for what only clears or speaks against them.
func (x *trial) armedMisses(ctx context.Context, n int) (misses []RecordMiss) {
	for _, s := range x.ids {
		if slices.Contains(x.own, s) || ctx.Err() != nil {
			continue
		}
		verdicts, err := x.program.ExplainRecord(&x.in.records[n].record, s.ID)
		if err != nil {
			continue // the program keeps its bodies
		}
		for _, v := range verdicts {
			if !v.On && v.Miss != nil && v.Role <= matcher.RoleIncident {
				misses = append(misses, missOf(s, &v))
			}
		}
	}
	slices.SortStableFunc(misses, func(a, b RecordMiss) int { return cmp.Compare(a.Signature, b.Signature) })
	return misses
}

func missOf(s *signatures.Signature, v *matcher.RoleVerdict) RecordMiss {
	return RecordMiss{Signature: s.ID, Role: roleOf(s, v.Role), Path: v.Miss.Path, Wanted: clip(v.Miss.Wanted, 400), Seen: clip(v.Miss.Seen, 400)}
}

func titleOf(s *signatures.Signature, role int) string {
	switch {
	case role < len(s.Stages):
		return s.Stages[role].Title
	case role == matcher.RoleIncident && s.Incident != nil:
		return s.Incident.Title
	}
	return ""
}

// show makes a record fit to be shown.
func (x *trial) show(n int, misses []RecordMiss) ShownRecord {
	p := &x.in.records[n]
	r := &p.record
	out := ShownRecord{
		Number: n + 1, Line: p.line, Kind: r.Kind.String(), Time: r.When(), Text: clip(string(r.Text), maxText), Hits: x.hits[n], Misses: misses,
	}
	if r.Kind == record.Sample {
		out.Value = strconv.FormatFloat(r.Value, 'g', -1, 64)
	}
	if r.Kind == record.Event {
		out.Count = r.Count
	}
	if len(r.Attrs) > 0 {
		out.Attrs = make(map[string]string, len(r.Attrs))
		for _, a := range r.Attrs {
			out.Attrs[clip(a.Key, 200)] = clip(a.Value, 400)
		}
	}
	return out
}

// maxTestRecords is how many records the tests of a trial may make together.
const maxTestRecords = 20_000

// runTests runs the tests that the YAML's signatures carry.
func (x *trial) runTests(ctx context.Context) {
	left := maxTestRecords
	for _, s := range x.own {
		for i := range s.Tests {
			t := &s.Tests[i]
			for j := range t.Records {
				left -= max(t.Records[j].Repeat, 1)
			}
			if left < 0 || ctx.Err() != nil {
				x.note("not all tests were run here: use `forewarn signature test`")
				return
			}
			o := TestOutcome{Signature: s.ID, Name: t.Name, Failures: matcher.RunTest(s, t)}
			_, o.Line, _, _ = s.Position("tests[" + strconv.Itoa(i) + "]")
			x.out.Tests = append(x.out.Tests, o)
		}
	}
}
