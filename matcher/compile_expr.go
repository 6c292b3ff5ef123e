package matcher

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/literal"
)

// compiler turns the conditions of signatures into expressions. It keeps what many of them share.
type compiler struct {
	cel *cel.Env // made at the first use
}

// refusalError is a mistake at a path below a condition.
type refusalError struct {
	path, mend string
	err        error
}

func (e *refusalError) Error() string { return e.err.Error() }
func (e *refusalError) Unwrap() error { return e.err }

func refuse(path, mend, format string, args ...any) *refusalError {
	return &refusalError{path: path, mend: mend, err: fmt.Errorf(format, args...)}
}

// parts is a leaf taken apart: base holds the tests that say which object or series is meant, rest those that
// decide whether it is met. They are apart because only a record that meets base can end what rest began.
type parts struct{ base, rest []expr }

func (p *parts) all() expr { return allOf(append(slices.Clone(p.base), p.rest...)) }

func kindIs(k record.Kind) expr { return expr{op: opKind, kind: k} }

// allOf joins tests that must all hold, the cheapest first.
func allOf(kids []expr) expr {
	var flat []expr
	for _, k := range kids {
		if k.op == opAll {
			flat = append(flat, k.kids...)
		} else {
			flat = append(flat, k)
		}
	}
	slices.SortStableFunc(flat, func(a, b expr) int { return int(a.cost()) - int(b.cost()) })
	if len(flat) == 1 {
		return flat[0]
	}
	return expr{op: opAll, kids: flat}
}

// cost is that of the dearest test in e.
func (e *expr) cost() op {
	if len(e.kids) == 0 || e.op == opLine {
		return e.op
	}
	c := opKind
	for i := range e.kids {
		c = max(c, e.kids[i].cost())
	}
	return c
}

// condition compiles c into one expression.
func (k *compiler) condition(c *signatures.Condition, path string) (expr, error) {
	if c.Sample != nil && (c.Sample.Rate != 0 || c.Sample.Of != nil || c.Sample.For != 0 || c.Sample.Forecast != nil) {
		return expr{}, refuse(path+".sample", "Let the sample be the whole condition of a stage or the incident.",
			"rate, of, for and forecast need the history of a series, which is kept only where a stage or the incident is a sample alone")
	}
	if c.Change != nil && c.Change.For != 0 {
		return expr{}, refuse(path+".change.for", "Let the change be the whole condition of a stage or the incident.",
			"for is possible only where a stage or the incident is a change alone")
	}
	p, err := k.parts(c, path)
	if err != nil {
		return expr{}, err
	}
	return p.all(), nil
}

// parts compiles c without looking at what needs history.
func (k *compiler) parts(c *signatures.Condition, path string) (parts, error) {
	p, err := k.leaf(c, path)
	if err != nil {
		return parts{}, err
	}
	if len(c.All) > 0 {
		kids, err := k.list(c.All, path+".all")
		if err != nil {
			return parts{}, err
		}
		p.base = append(p.base, allOf(kids))
	}
	if len(c.Any) > 0 {
		kids, err := k.list(c.Any, path+".any")
		if err != nil {
			return parts{}, err
		}
		p.base = append(p.base, expr{op: opAny, kids: kids})
	}
	if c.Not != nil {
		kid, err := k.condition(c.Not, path+".not")
		if err != nil {
			return parts{}, err
		}
		p.base = append(p.base, expr{op: opNot, kids: []expr{kid}})
	}
	for _, key := range slices.Sorted(maps.Keys(c.Attrs)) {
		e, err := k.attr(key, c.Attrs[key], path+".attrs."+key)
		if err != nil {
			return parts{}, err
		}
		if strings.HasPrefix(key, "forewarn.change.") { // what changed, and not of which object
			p.rest = append(p.rest, e...)
		} else {
			p.base = append(p.base, e...)
		}
	}
	if c.CEL != "" {
		if k.cel == nil {
			if k.cel, err = signatures.CELEnv(); err != nil {
				return parts{}, err
			}
		}
		if _, err := compileCEL(k.cel, c.CEL); err != nil {
			return parts{}, refuse(path+".cel", "", "%w", err)
		}
		p.rest = append(p.rest, expr{op: opCEL, key: c.CEL})
	}
	if len(p.base)+len(p.rest) == 0 {
		return parts{}, refuse(path, "Write what the record must look like: event, log, change, sample or alert.", "the condition is empty")
	}
	return p, nil
}

func (k *compiler) list(cs []signatures.Condition, path string) ([]expr, error) {
	var kids []expr
	for i := range cs {
		e, err := k.condition(&cs[i], fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		kids = append(kids, e)
	}
	return kids, nil
}

func (k *compiler) leaf(c *signatures.Condition, path string) (parts, error) {
	switch {
	case c.Event != nil:
		return k.event(c.Event, path+".event")
	case c.Log != nil:
		return k.log(c.Log, path+".log")
	case c.Change != nil:
		return k.change(c.Change, path+".change")
	case c.Sample != nil:
		s := c.Sample
		p, err := k.series(s.Metric, s.Labels, path+".sample")
		if s.Above != nil || s.Below != nil {
			p.rest = append(p.rest, expr{op: opValue, above: s.Above, below: s.Below})
		}
		return p, err
	case c.Alert != nil:
		return k.alert(c.Alert, path+".alert")
	}
	return parts{}, nil
}

// named is a test of an attribute and where it is written.
type named struct {
	attr  string
	match signatures.Match
	path  string
}

func (k *compiler) attrs(list []named) ([]expr, error) {
	var out []expr
	for _, n := range list {
		e, err := k.attr(n.attr, n.match, n.path)
		if err != nil {
			return nil, err
		}
		out = append(out, e...)
	}
	return out, nil
}

func (k *compiler) event(c *signatures.EventCondition, path string) (parts, error) {
	list := []named{
		{record.EventType, c.Type, path + ".type"},
		{record.EventReason, c.Reason, path + ".reason"},
		{record.EventSource, c.Source, path + ".source"},
	}
	if o := c.Object; o != nil {
		list = append(list, named{record.ObjectKind, o.Kind, path + ".object.kind"},
			named{record.ObjectName, o.Name, path + ".object.name"}, named{record.Namespace, o.Namespace, path + ".object.namespace"})
	}
	tests, err := k.attrs(list)
	if err != nil {
		return parts{}, err
	}
	text, err := k.text(c.Message, path+".message")
	if err != nil {
		return parts{}, err
	}
	line, err := k.text(c.Line, path+".line")
	if len(line) > 0 { // the text may go over several fields, so only what all events have can be looked up
		if c.Type.IsZero() {
			tests = append(tests, expr{op: opAttr, key: record.EventType, match: &match{equals: []string{"Normal", "Warning"}}})
		}
		line = []expr{{op: opLine, kids: line}}
	}
	return parts{base: slices.Concat([]expr{kindIs(record.Event)}, tests, text, line)}, err
}

func (k *compiler) log(c *signatures.LogCondition, path string) (parts, error) {
	tests, err := k.attrs([]named{
		{record.Component, c.Component, path + ".component"},
		{record.Container, c.Container, path + ".container"},
		{record.SeverityText, c.Severity, path + ".severity"},
	})
	if err != nil {
		return parts{}, err
	}
	for i := range tests {
		if tests[i].key == record.Component {
			tests[i].absentOK = true // a plain file does not say who wrote it
		}
	}
	text, err := k.text(c.Contains, path+".contains")
	if err != nil {
		return parts{}, err
	}
	p := parts{base: slices.Concat([]expr{kindIs(record.Log)}, tests, text)}
	if c.Regex != "" {
		tests, err := k.regexTests(c.Regex, path+".regex")
		if err != nil {
			return parts{}, err
		}
		p.base = append(p.base, tests...)
	}
	if c.JQ != "" {
		if _, err := signatures.CompileJQ(c.JQ); err != nil {
			return parts{}, refuse(path+".jq", "", "%w", err)
		}
		p.base = append(p.base, expr{op: opJQ, key: c.JQ})
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		e := expr{op: opField, key: f.Name, above: f.Above, below: f.Below}
		if !f.Is.IsZero() {
			if e.match, err = k.compileMatch(f.Is, fmt.Sprintf("%s.fields[%d].is", path, i)); err != nil {
				return parts{}, err
			}
		}
		p.base = append(p.base, e)
	}
	return p, nil
}

func (k *compiler) change(c *signatures.ChangeCondition, path string) (parts, error) {
	base, err := k.attr(record.ObjectKind, c.Kind, path+".kind")
	if err != nil {
		return parts{}, err
	}
	rest, err := k.attrs([]named{
		{record.ChangeFrom, c.From, path + ".from"}, {record.ChangeTo, c.To, path + ".to"}, {record.ChangeVerb, c.Verb, path + ".verb"},
	})
	base = append([]expr{kindIs(record.Change), {op: opPath, key: c.Path}}, base...)
	return parts{base: base, rest: rest}, err
}

func (k *compiler) series(metric string, labels map[string]signatures.Match, path string) (parts, error) {
	base := []expr{kindIs(record.Sample), equals(record.MetricName, metric)}
	tests, err := k.labels(labels, path)
	return parts{base: append(base, tests...)}, err
}

func (k *compiler) alert(c *signatures.AlertCondition, path string) (parts, error) {
	base, err := k.attr(record.AlertName, c.Name, path+".name")
	if err != nil {
		return parts{}, err
	}
	state := []expr{equals(record.AlertState, "firing")}
	if !c.State.IsZero() {
		if state, err = k.attr(record.AlertState, c.State, path+".state"); err != nil {
			return parts{}, err
		}
	}
	tests, err := k.labels(c.Labels, path)
	return parts{base: slices.Concat([]expr{kindIs(record.Alert)}, base, state, tests)}, err
}

func (k *compiler) labels(labels map[string]signatures.Match, path string) ([]expr, error) {
	var out []expr
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		e, err := k.attr(record.LabelPrefix+name, labels[name], path+".labels."+name)
		if err != nil {
			return nil, err
		}
		out = append(out, e...)
	}
	return out, nil
}

func equals(key, value string) expr {
	return expr{op: opAttr, key: key, match: &match{equals: []string{value}}}
}

// attr compiles the test of one attribute; an unset match gives none.
func (k *compiler) attr(key string, m signatures.Match, path string) ([]expr, error) {
	if m.IsZero() {
		return nil, nil
	}
	c, err := k.compileMatch(m, path)
	if err != nil {
		return nil, err
	}
	return []expr{{op: opAttr, key: key, match: c}}, nil
}

func (k *compiler) compileMatch(m signatures.Match, path string) (*match, error) {
	c := &match{
		equals: words(m.Equals, m.IgnoreCase), not: words(m.Not, m.IgnoreCase), contains: words(m.Contains, m.IgnoreCase),
		prefix: words(m.Prefix, m.IgnoreCase), suffix: words(m.Suffix, m.IgnoreCase), fold: m.IgnoreCase,
	}
	if m.Regex != "" {
		c.regex = `\A(?:` + m.Regex + `)\z`
		if _, err := syntax.Parse(c.regex, syntax.Perl); err != nil {
			return nil, refuse(path+".regex", syntaxMend, "%w", err)
		}
	}
	return c, nil
}

func words(in []string, fold bool) []string {
	out := slices.Clone(in)
	for i := range out {
		if fold {
			out[i] = lowerASCII(out[i])
		}
	}
	return out
}

// text compiles a text test into the tests that must all hold.
func (k *compiler) text(t signatures.Text, path string) ([]expr, error) {
	var out []expr
	if len(t.Any) > 0 {
		out = append(out, contains(t.IgnoreCase, t.Any...))
	}
	for _, w := range t.All {
		out = append(out, contains(t.IgnoreCase, w))
	}
	if len(t.None) > 0 {
		out = append(out, expr{op: opNot, kids: []expr{contains(t.IgnoreCase, t.None...)}})
	}
	if t.Regex != "" {
		tests, err := k.regexTests(t.Regex, path+".regex")
		if err != nil {
			return nil, err
		}
		out = append(out, tests...)
	}
	return out, nil
}

func contains(fold bool, list ...string) expr {
	e := expr{op: opText}
	for _, w := range words(list, fold) {
		e.literals = append(e.literals, literal.Literal{Text: w, Fold: fold})
	}
	return e
}

// maxChecked is how many required literals are looked for before an expression is run: beyond that, running it is as cheap.
const maxChecked = 4

// regexTests compiles a regular expression, and the literals that it requires as tests that are cheaper than itself.
func (k *compiler) regexTests(text, path string) ([]expr, error) {
	need, err := literal.Parse(text)
	if err != nil {
		return nil, refuse(path, syntaxMend, "%w", err)
	}
	var out []expr
	for _, set := range append([][]literal.Literal{need.Any}, need.Others...) {
		if len(set) > 0 && len(set) <= maxChecked {
			out = append(out, expr{op: opText, literals: set})
		}
	}
	for _, l := range need.All {
		if len(out) < maxChecked {
			out = append(out, expr{op: opText, literals: []literal.Literal{l}})
		}
	}
	return append(out, expr{op: opRegex, key: text, literals: need.Any, others: need.Others}), nil
}

// syntaxMend is where to read on when an expression is refused.
const syntaxMend = "The syntax is RE2's: https://github.com/google/re2/wiki/Syntax."

// mistakeAt returns where below a condition an error lies, and how to mend it.
func mistakeAt(err error, path string) (at, mend string) {
	if e, ok := errors.AsType[*refusalError](err); ok {
		return e.path, e.mend
	}
	return path, ""
}
