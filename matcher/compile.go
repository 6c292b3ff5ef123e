package matcher

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Compile makes a program of signatures. It refuses, with the place of each mistake, those that cannot be scanned for: a
// condition that nothing anchors, an expression that does not compile, a second signature of one id. What it refuses is not in the
// program, and does not stop the others. The signatures must not be changed afterwards.
func Compile(sigs []*signatures.Signature, o CompileOptions) (*Program, []signatures.Problem) {
	rare := newSketch(o.Sample)
	o.Sample = nil
	p := &Program{options: o, patterns: &patternIndex{}, own: make([]*signatures.Signature, 0, len(sigs)), grown: new(atomic.Bool), rare: rare.light()}
	b := newBuilder(p, rare)
	b.taken = make(map[uint64]bool, len(sigs))
	b.ids = make(map[string]bool, len(sigs))
	problems := b.addAll(sigs)
	b.fileShort()
	b.finish()
	p.byDigest = newDigestTable(p.entries, 0)
	p.added.from = len(p.entries)
	p.fields = b.fields.index()
	p.text = b.texts.index(rare)
	p.plan()
	return p, problems
}

// builder puts the conditions of signatures into a program.
type builder struct {
	compiler
	flattener
	program *Program
	rare    *sketch
	keys    map[string]uint32
	ids     map[string]bool // of signatures that were added
	taken   map[uint64]bool // short digests
	fields  fieldIndexer
	texts   textIndexer
	groups  map[string]uint32 // of patterns, by the attributes that ask for them
	group0  uint32            // the first number of a group that is not taken
	short   []shortAnchor
	added   *additions // where literals go in place of texts; nil while a program is compiled

	ownPatterns bool // the program's patterns are a copy that can grow
}

// newBuilder returns a builder that adds to the tables of p.
func newBuilder(p *Program, rare *sketch) *builder {
	b := &builder{texts: textIndexer{off: p.options.off}, flattener: newFlattener(p.tests), program: p, rare: rare, keys: make(map[string]uint32, len(p.keys)), groups: map[string]uint32{}}
	b.regexes.plain = p.options.off&offLazy != 0
	b.group0 = max(p.patterns.groups, unscoped+1)
	for i := range p.keys {
		b.keys[strings.Join(p.keys[i].words, "\x00")] = uint32(i)
	}
	return b
}

// finish gives the program the tables that grew.
func (b *builder) finish() { b.program.tests = b.tests }

// addAll adds those of the signatures that apply and have no problem.
func (b *builder) addAll(sigs []*signatures.Signature) (problems []signatures.Problem) {
	p := b.program
	for _, s := range sigs {
		if b.ids[s.ID] {
			problems = append(problems, s.Problem("id", fmt.Sprintf("there is another signature with the id %q", s.ID), "Give each signature an id of its own."))
			continue
		}
		b.ids[s.ID] = true
		if b.added != nil { // another version of it may apply
			p.disarmed = slices.DeleteFunc(p.disarmed, func(id string) bool { return id == s.ID })
		}
		if !s.Applies.Holds(p.options.KubernetesVersion, p.options.Components, p.options.Facts) {
			p.disarmed = append(p.disarmed, s.ID)
			continue
		}
		problems = append(problems, b.add(s)...)
	}
	return problems
}

// clause is a condition while it is compiled.
type clause struct {
	role  int
	path  string // where it is written: stages[0].when
	met   expr   // it is on
	ended *expr  // it is off; nil when it can't be
}

// add adds one signature, or nothing of it and its problems.
func (b *builder) add(s *signatures.Signature) []signatures.Problem {
	conds, problems := b.conditions(s)
	anchored := make([][]anchor, len(conds))
	room := maxSteps - len(b.program.patterns.steps)
	for i := range conds {
		if anchored[i] = conds[i].anchors(b.rare); len(anchored[i]) > 0 {
			continue
		}
		steps, ok := patternsAnchor(&conds[i])
		room -= steps
		switch {
		case !ok:
			problems = append(problems, s.Problem(conds[i].path,
				"nothing in this condition can anchor it, so every record would have to be looked at",
				"Add an exact field (an event's reason, a component, a metric's name) or a text of at least two characters that must be there."))
		case room < 0:
			problems = append(problems, s.Problem(conds[i].path,
				"only its expressions could anchor this condition, and all signatures' expressions are too large together",
				"Add an exact field (an event's reason, a component, a metric's name) or a text of at least two characters that must be there."))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	if b.full() {
		return []signatures.Problem{s.Problem("", errTooLarge.Error(), "Divide the signatures among several processes.")}
	}
	c := NewCompiled(s)
	if _, known := b.program.find(c.Digest); known || b.taken[c.Digest] {
		return []signatures.Problem{s.Problem("", "another signature has the same short digest", "Change a word of its title.")}
	}
	b.taken[c.Digest] = true
	p := b.program
	for i := range conds {
		met := conds[i].met
		if conds[i].ended == nil && foundExactly(anchored[i]) && p.options.off&offProof == 0 {
			met = met.without(anchored[i])
		}
		x := condition{signature: uint32(len(p.entries)), role: uint8(conds[i].role), met: b.flattener.add(&met), ended: none}
		if conds[i].ended != nil {
			x.ended = b.flattener.add(conds[i].ended)
		}
		p.conditions = append(p.conditions, x)
	}
	first := uint32(len(p.conditions) - len(conds))
	for _, needed := range []bool{true, false} { // expressions that are the only anchor come before those that others can replace
		for i := range conds {
			if needed == (len(anchored[i]) == 0) {
				b.anchor(&conds[i], anchored[i], first+uint32(i))
			}
		}
	}
	b.enter(c, s)
	return nil
}

// foundExactly reports whether a record that the anchors lead to is known to hold one of them: the index of texts compares whole
// literals. Dear ones may be filed with the expressions, which promise too much.
func foundExactly(set []anchor) bool {
	return !slices.ContainsFunc(set, func(a anchor) bool { return a.key != "" || isDear(a.value) })
}

// enter appends what the program keeps of a signature beside its conditions.
func (b *builder) enter(c *Compiled, s *signatures.Signature) {
	p := b.program
	e := row{id: hashID(s.ID), recipe: uint32(len(p.recipes)), key: b.key(s.By)}
	_, _ = hex.Decode(e.digest[:], []byte(c.DigestText)) // it was made of 32 bytes
	w := writer{b: p.recipes}
	w.recipe(c, s, b.key)
	p.recipes = w.b
	p.entries = append(p.entries, e)
	p.sum.add(e.digest)
	p.live++
	if p.own != nil {
		p.own = append(p.own, s)
	}
}

// key returns the number of a list of key words.
func (b *builder) key(words []string) uint32 {
	text := strings.Join(words, "\x00")
	if n, ok := b.keys[text]; ok {
		return n
	}
	n := uint32(len(b.program.keys))
	b.program.keys = append(b.program.keys, newKeyShape(words))
	b.keys[text] = n
	return n
}

// patternsAnchor reports whether expressions can find the records of a condition that has no other anchor, and how many steps they
// take.
func patternsAnchor(c *clause) (steps int, ok bool) {
	list := c.met.patterns()
	if c.ended != nil || len(list) == 0 {
		return 0, false
	}
	return selects(list)
}

// weakAnchor is the weight from which on attributes find so many records that it pays to look at their texts first.
const weakAnchor = 0.01

// anchor files condition n under its anchors. What is dear to look for, and is about one component only, goes to the patterns, and so
// does what has no anchor.
func (b *builder) anchor(c *clause, set []anchor, n uint32) {
	gates, weight := c.met.fieldsOnly()
	if c.ended != nil {
		gates = nil
	}
	var short, patterns []string
	words := false
	for i := range set {
		a := &set[i]
		words = words || a.key == ""
		if a.key == "" && isDear(a.value) {
			short = append(short, literalPattern(a.value, a.fold))
		}
	}
	switch {
	case len(set) == 0:
		patterns = c.met.patterns()
	case len(gates) > 0 && !words && weight >= weakAnchor:
		patterns = c.met.patterns()
		set = nil // the gates are the same as the set
	case len(gates) > 0:
		patterns = short
	}
	inPatterns := false
	if len(patterns) > 0 {
		group := b.group(gates)
		if inPatterns = b.addPatterns(patterns, pattern{cond: n, group: group, kinds: uint32(c.met.kinds())}); inPatterns {
			b.gate(gates, firstGroup+group)
		}
	}
	if !inPatterns && set == nil {
		set = gates
	}
	if b.added == nil && slices.ContainsFunc(set, func(a anchor) bool { return a.key != "" }) {
		b.fields.note(n, c.needs())
	}
	for i := range set {
		a := &set[i]
		switch {
		case a.key != "":
			b.fields.add(a, n)
		case inPatterns && isDear(a.value):
		case len(gates) == 0 && isDear(a.value):
			b.short = append(b.short, shortAnchor{*a, pattern{cond: n, kinds: uint32(c.met.kinds())}})
		default:
			b.gate(gates, firstGate+b.addText(a, n, len(gates) > 0))
		}
	}
}

// shortAnchor is a short literal that is looked for in every text.
type shortAnchor struct {
	anchor  anchor
	pattern pattern
}

// fileShort files the short literals: with the expressions if some are run over every text anyway, because then they cost nothing
// more.
func (b *builder) fileShort() {
	run := b.program.patterns.everywhere > 0
	for i := range b.short {
		a := &b.short[i].anchor
		if !run || !b.addPatterns([]string{literalPattern(a.value, a.fold)}, b.short[i].pattern) {
			b.addText(a, b.short[i].pattern.cond, false)
		}
	}
}

// group returns the number of the group of patterns that these attributes ask for.
func (b *builder) group(gates []anchor) uint32 {
	if len(gates) == 0 || b.program.options.off&offSets != 0 {
		return unscoped
	}
	name := fmt.Sprintf("%+v", gates)
	n, ok := b.groups[name]
	if !ok {
		n = uint32(len(b.groups)) + b.group0
		b.groups[name] = n
	}
	return n
}

// gate lets the index of fields say which parts of the text's index a set of attributes needs.
func (b *builder) gate(gates []anchor, part uint32) {
	for i := range gates {
		b.fields.add(&gates[i], part)
	}
}

// anchors are those of all records that switch the condition on or off.
func (c *clause) anchors(rare *sketch) []anchor {
	set, _ := c.met.anchors(rare)
	if c.ended != nil {
		more, _ := c.ended.anchors(rare)
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
func (b *builder) conditions(s *signatures.Signature) ([]clause, []signatures.Problem) {
	var out []clause
	var problems []signatures.Problem
	limit := RoleLimit
	take := func(path string, conds []clause, err error) {
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
func (b *builder) plain(role int, c *signatures.Condition, path string) ([]clause, error) {
	e, err := b.condition(c, path)
	return []clause{{role: role, path: path, met: e}}, err
}

// rung compiles the condition of a stage or the incident, which may have a history that the tracker keeps: README.md says what
// switches it on and off.
func (b *builder) rung(role int, c *signatures.Condition, path string, limit *int) ([]clause, error) {
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
func (b *builder) sampleRung(role int, c *signatures.Condition, path string, limit *int) ([]clause, error) {
	p, err := b.parts(c, path)
	if err != nil {
		return nil, err
	}
	s := c.Sample
	passes := slices.IndexFunc(p.rest, func(e expr) bool { return e.op == opValue })
	out := []clause{{role: role, path: path}}
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
	out = append(out, clause{role: *limit, path: path + ".sample.of", met: of.all()})
	*limit++
	return out, err
}

// holdRung compiles a change with for. It ends when the same path becomes another value, or when the object is deleted.
func (b *builder) holdRung(role int, c *signatures.Condition, path string) ([]clause, error) {
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
	return []clause{{role: role, path: path, met: met, ended: &ended}}, nil
}
