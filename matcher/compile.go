package matcher

import (
	"fmt"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Compile makes a program of signatures. It refuses, with the place of each mistake, those that cannot be scanned for: a
// condition that nothing anchors, an expression that does not compile, a second signature of one id. What it refuses is not in the
// program, and does not stop the others. The signatures must not be changed afterwards.
func Compile(sigs []*signatures.Signature, o CompileOptions) (*Program, []signatures.Problem) {
	p := &Program{byDigest: make(map[uint64]int, len(sigs))}
	b := builder{compiler: newCompiler(), program: p}
	var problems []signatures.Problem
	ids := make(map[string]bool, len(sigs))
	for _, s := range sigs {
		if ids[s.ID] {
			problems = append(problems, s.Problem("id", fmt.Sprintf("there is another signature with the id %q", s.ID), "Give each signature an id of its own."))
			continue
		}
		ids[s.ID] = true
		if !s.Applies.Holds(o.KubernetesVersion, o.Components, o.Facts) {
			p.disarmed = append(p.disarmed, s.ID)
			continue
		}
		problems = append(problems, b.add(s)...)
	}
	p.digest = digestOf(p.signatures)
	p.fields = b.fields.index()
	p.text = b.texts.index(newSketch(o.Sample))
	p.patterns.finish()
	return p, problems
}

// builder puts the conditions of signatures into a program.
type builder struct {
	*compiler
	program *Program
	fields  fieldIndexer
	texts   textIndexer
}

// add adds one signature, or nothing of it and its problems.
func (b *builder) add(s *signatures.Signature) []signatures.Problem {
	conds, problems := b.conditions(s)
	anchored := make([][]anchor, len(conds))
	for i := range conds {
		if anchored[i] = conds[i].anchors(); len(anchored[i]) == 0 {
			problems = append(problems, s.Problem(conds[i].path,
				"nothing in this condition can anchor it, so every record would have to be looked at",
				"Add an exact field (an event's reason, a component, a metric's name) or a text of at least two characters that must be there."))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	c := NewCompiled(s)
	if _, taken := b.program.byDigest[c.Digest]; taken {
		return []signatures.Problem{s.Problem("", "another signature has the same short digest", "Change a word of its title.")}
	}
	b.program.byDigest[c.Digest] = len(b.program.signatures)
	for i := range conds {
		conds[i].signature = len(b.program.signatures)
		n := uint32(len(b.program.conditions))
		b.program.conditions = append(b.program.conditions, conds[i])
		b.anchor(&conds[i], anchored[i], n)
	}
	b.program.signatures = append(b.program.signatures, c)
	return nil
}

// weakAnchor is the weight from which on attributes find so many records that it pays to look at their texts first.
const weakAnchor = 0.01

// anchor files condition n under its anchors. What is dear to look for, and is about one component only, goes to the patterns.
func (b *builder) anchor(c *condition, set []anchor, n uint32) {
	gates, weight := c.met.fieldsOnly()
	if c.ended != nil {
		gates = nil
	}
	var short, patterns []string
	words := false
	for i := range set {
		a := &set[i]
		words = words || a.key == ""
		if a.key == "" && tierOf(len(a.value)) >= firstDearTier {
			short = append(short, literalPattern(a.value, a.fold))
		}
	}
	if len(gates) > 0 && !words && weight >= weakAnchor {
		patterns = c.met.patterns()
		set = nil // the gates are the same as the set
	} else if len(gates) > 0 {
		patterns = short
	}
	inPatterns := len(patterns) > 0 && b.program.patterns.add(patterns, n)
	if inPatterns {
		b.gate(gates, gatePatterns)
	} else if set == nil {
		set = gates
	}
	for i := range set {
		a := &set[i]
		switch {
		case a.key != "":
			b.fields.add(a, n)
		case inPatterns && tierOf(len(a.value)) >= firstDearTier:
		default:
			b.gate(gates, uint32(b.texts.add(a, n, len(gates) > 0)))
		}
	}
}

// gate lets the index of fields say which parts of the text's index a set of attributes needs.
func (b *builder) gate(gates []anchor, part uint32) {
	for i := range gates {
		b.fields.add(&gates[i], firstGate+part)
	}
}

// anchors are those of all records that switch the condition on or off.
func (c *condition) anchors() []anchor {
	set, _ := c.met.anchors()
	if c.ended != nil {
		more, _ := c.ended.anchors()
		if len(more) == 0 {
			return nil
		}
		for _, a := range more {
			if !slices.Contains(set, a) {
				set = append(set, a)
			}
		}
	}
	return set
}

// conditions compiles the conditions of all roles of a signature.
func (b *builder) conditions(s *signatures.Signature) ([]condition, []signatures.Problem) {
	var out []condition
	var problems []signatures.Problem
	limit := RoleLimit
	take := func(path string, conds []condition, err error) {
		if err != nil {
			at, mend := mistakeAt(err, path)
			problems = append(problems, s.Problem(at, err.Error(), mend))
			return
		}
		out = append(out, conds...)
	}
	if len(s.Stages) > MaxStages {
		problems = append(problems, s.Problem("stages", fmt.Sprintf("there are %d stages: at most %d are possible", len(s.Stages), MaxStages), ""))
		return nil, problems
	}
	if len(s.Unless) > MaxUnless {
		problems = append(problems, s.Problem("unless", fmt.Sprintf("there are %d: at most %d are possible", len(s.Unless), MaxUnless), ""))
		return nil, problems
	}
	if s.Frame != nil {
		if len(s.Frame.Negates) > MaxNegates {
			problems = append(problems, s.Problem("frame.negates", fmt.Sprintf("there are %d: at most %d are possible", len(s.Frame.Negates), MaxNegates), ""))
			return nil, problems
		}
		for i := range s.Frame.Negates {
			path := fmt.Sprintf("frame.negates[%d].when", i)
			conds, err := b.plain(RoleUnless+i, &s.Frame.Negates[i].When, path)
			take(path, conds, err)
		}
	}
	for i := range s.Stages {
		path := fmt.Sprintf("stages[%d].when", i)
		conds, err := b.rung(i, &s.Stages[i].When, path, &limit)
		take(path, conds, err)
	}
	if s.Incident != nil {
		conds, err := b.rung(RoleIncident, &s.Incident.When, "incident.when", &limit)
		take("incident.when", conds, err)
	}
	if s.Clear.When != nil {
		conds, err := b.plain(RoleClear, s.Clear.When, "clear.when")
		take("clear.when", conds, err)
	}
	for i := range s.Unless {
		path := fmt.Sprintf("unless[%d].when", i)
		conds, err := b.plain(RoleUnless+i, &s.Unless[i].When, path)
		take(path, conds, err)
	}
	return out, problems
}

// plain compiles a condition that is met by single records.
func (b *builder) plain(role int, c *signatures.Condition, path string) ([]condition, error) {
	e, err := b.condition(c, path)
	return []condition{{role: role, path: path, met: e}}, err
}

// rung compiles the condition of a stage or the incident, which may have a history that the tracker keeps: README.md says what
// switches it on and off.
func (b *builder) rung(role int, c *signatures.Condition, path string, limit *int) ([]condition, error) {
	switch {
	case c.Sample != nil:
		return b.sampleRung(role, c, path, limit)
	case c.Change != nil && c.Change.For != 0:
		return b.holdRung(role, c, path)
	default:
		return b.plain(role, c, path)
	}
}

// sampleRung compiles a sample. Where a single value decides nothing, every sample of the series is on; a value that does
// not pass a threshold is off.
func (b *builder) sampleRung(role int, c *signatures.Condition, path string, limit *int) ([]condition, error) {
	p, err := b.parts(c, path)
	if err != nil {
		return nil, err
	}
	s := c.Sample
	passes := slices.IndexFunc(p.rest, func(e expr) bool { return e.op == opValue })
	out := []condition{{role: role, path: path}}
	switch {
	case s.Rate != 0 || s.Of != nil || s.Forecast != nil:
		if passes >= 0 {
			p.rest = slices.Delete(p.rest, passes, passes+1)
		}
		out[0].met = p.all()
	case passes >= 0:
		out[0].met = p.all()
		fails := p.rest[passes]
		p.rest[passes] = expr{op: opNot, kids: []expr{fails}}
		ended := p.all()
		out[0].ended = &ended
	default:
		out[0].met = p.all()
	}
	if s.Of == nil {
		return out, nil
	}
	if *limit == RoleLimit+MaxLimits {
		return nil, refuse(path+".sample.of", "", "there are more than %d samples with of", MaxLimits)
	}
	of, err := b.series(s.Of.Metric, s.Of.Labels, path+".sample.of")
	out = append(out, condition{role: *limit, path: path + ".sample.of", met: of.all()})
	*limit++
	return out, err
}

// holdRung compiles a change with for. It ends when the same path becomes another value, or when the object is deleted.
func (b *builder) holdRung(role int, c *signatures.Condition, path string) ([]condition, error) {
	p, err := b.parts(c, path)
	if err != nil {
		return nil, err
	}
	kind, err := b.attr(record.ObjectKind, c.Change.Kind, path+".change.kind")
	if err != nil {
		return nil, err
	}
	to, err := b.attr(record.ChangeTo, c.Change.To, path+".change.to")
	if err != nil {
		return nil, err
	}
	deleted := equals(record.ChangeVerb, "deleted")
	ends := []expr{deleted}
	if len(to) > 0 {
		other := expr{op: opNot, kids: to}
		ends = append(ends, allOf([]expr{{op: opPath, key: c.Change.Path}, other}))
	}
	ended := allOf(append([]expr{kindIs(record.Change), {op: opAny, kids: ends}}, kind...))
	met := allOf([]expr{p.all(), {op: opNot, kids: []expr{deleted}}})
	return []condition{{role: role, path: path, met: met, ended: &ended}}, nil
}
