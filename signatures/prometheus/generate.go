package prometheus

import (
	"fmt"
	"maps"
	"time"

	"github.com/prometheus/common/model"

	"github.com/forewarn/forewarn/signatures"
)

// Step is something that a signature's test makes people be told: a stage that was reached, or a state.
type Step struct {
	At    time.Duration // since the test began
	Key   string        // of the warning
	State string
	Stage string // the rung that was reached; "" when only the state changed
}

// Options say what is generated.
type Options struct {
	// Steps runs a test of a signature, as the matcher does. It is required: rules are checked against what it tells, and their unit tests are made of it.
	Steps func(s *signatures.Signature, t *signatures.Test) ([]Step, error)
	// Matcher and Metrics choose the rules: on forewarn's own metrics, and on the cluster's. Both false is both.
	Matcher, Metrics bool
	// Severity replaces severities of signatures as the label of rules has them.
	Severity map[string]string
}

// Output is what [Options.Generate] makes, one part a signature.
type Output struct {
	Parts []Part
	Notes []Note
}

// Part is the rules of one signature, and their unit tests. promtool evaluates every rule of a file in every test, so each has files of its own.
type Part struct {
	Signature string
	Group     Group
	Tests     []UnitTest
}

// File is the rules of all parts.
func (o *Output) File() *File {
	f := &File{}
	for i := range o.Parts {
		f.Groups = append(f.Groups, o.Parts[i].Group)
	}
	return f
}

// Note says what of a signature has no rule on metrics, and why.
type Note struct {
	Signature string `json:"signature"`
	Text      string `json:"text"`
}

// generated is a rule with the expression that it was made of.
type generated struct {
	Rule
	query   query
	rung    *rung // of a rule on the cluster's metrics
	state   string
	matcher bool
}

// The labels that rules carry beside those of their expressions, and the metric that rules on the matcher look at.
const (
	openMetric = "forewarn_pipeline_signature_open_warnings"
	sourceOwn  = "forewarn"
	sourceRaw  = "metrics"
	formingFor = model.Duration(2 * time.Minute)  // a stage that is taken back at once wakes nobody
	bridge     = model.Duration(5 * time.Minute)  // a partition that moves to another matcher is no end
	steady     = model.Duration(15 * time.Minute) // a line that leaves the limit for a moment
)

// Generate makes the rules of a set, one group a signature, and their unit tests. Its error says which signature cannot be translated
// because its own tests do not run; everything else that is left out is in the notes.
func (o Options) Generate(set *signatures.Set) (*Output, error) {
	out := &Output{}
	for _, s := range set.All() {
		if err := o.signature(s, out); err != nil {
			return nil, fmt.Errorf("signature %s: %w", s.ID, err)
		}
	}
	return out, nil
}

func (o Options) signature(s *signatures.Signature, out *Output) error {
	all := o.Matcher == o.Metrics
	g := Group{Name: "forewarn." + s.ID}
	var rules, wanted []generated
	var notes []string
	if all || o.Matcher {
		rules = o.matcherRules(s)
	}
	if (all || o.Metrics) && s.AlertingRule == nil {
		wanted, notes = o.metricRules(s)
	}
	c, err := newCases(s, wanted, o.Steps)
	if err != nil {
		return err
	}
	for i := range wanted {
		r := &wanted[i]
		c.chooseSide(r)
		if why := c.refutes(r); why != "" {
			notes = append(notes, r.rung.name+": "+why)
			continue
		}
		if r.rung.partly != "" {
			g.Notes = append(g.Notes, r.Alert+" does not see "+r.rung.partly+", which the signature takes for the same.")
		}
		rules = append(rules, *r)
	}
	for _, n := range notes {
		out.Notes = append(out.Notes, Note{s.ID, n})
		g.Notes = append(g.Notes, "No rule on metrics: "+n+".")
	}
	var drafted *Rule
	if all || o.Metrics {
		if drafted, err = original(s.AlertingRule); err != nil {
			return err
		}
	}
	if len(rules) == 0 && drafted == nil {
		return nil
	}
	tests, err := c.tests(rules)
	if err != nil {
		return err
	}
	for i := range rules {
		g.Rules = append(g.Rules, rules[i].Rule)
	}
	if drafted != nil {
		g.Notes = append(g.Notes, drafted.Alert+" is the rule that the signature was drafted from, as it was.")
		g.Rules = append(g.Rules, *drafted)
	}
	out.Parts = append(out.Parts, Part{s.ID, g, tests})
	return nil
}

// original is the rule that a signature was drafted from.
func original(a *signatures.AlertingRule) (*Rule, error) {
	if a == nil {
		return nil, nil
	}
	r := &Rule{Alert: a.Alert, Expr: a.Expr, Labels: a.Labels, Annotations: a.Annotations}
	for _, x := range []struct {
		name, text string
		to         *model.Duration
	}{{"for", a.For, &r.For}, {"keep_firing_for", a.KeepFiringFor, &r.KeepFiringFor}} {
		if x.text == "" {
			continue
		}
		d, err := model.ParseDuration(x.text)
		if err != nil {
			return nil, fmt.Errorf("alerting_rule.%s: %w", x.name, err)
		}
		*x.to = d
	}
	if a.Alert == "" || a.Expr == "" {
		return nil, fmt.Errorf("alerting_rule: it has no alert or no expr")
	}
	return r, nil
}

func (o Options) severity(s signatures.Severity) string {
	if x, ok := o.Severity[string(s)]; ok {
		return x
	}
	return string(s)
}

// matcherRules are those on forewarn's own metrics, one for each state that a warning can come to be in.
func (o Options) matcherRules(s *signatures.Signature) (out []generated) {
	tells := map[string]string{
		"forming":  "An early stage was seen, and not yet all of them. Open warnings: {{ $value }}.",
		"imminent": "Everything that comes before the incident was seen, or a forecast says that it is near. Open warnings: {{ $value }}.",
		"incident": "It has happened. Open warnings: {{ $value }}.",
	}
	if s.Incident != nil && s.Incident.Title != "" {
		tells["incident"] = plain(s.Incident.Title) + ". Open warnings: {{ $value }}."
	}
	for _, state := range states(s) {
		zero := 0.0
		r := generated{state: state, matcher: true}
		r.query = compare{of: total{[]string{"cluster", "signature"}, selector{openMetric, []labelMatcher{{"signature", "=", s.ID}, {"state", "=", state}}}}, above: &zero}
		r.Rule = Rule{
			Alert: alertName("forewarn", s.ID, state), Expr: r.query.text(0), KeepFiringFor: bridge,
			Labels:      map[string]string{"severity": o.severity(s.Severity), "state": state, "source": sourceOwn},
			Annotations: about(s, nil),
		}
		if state == "forming" {
			r.For = formingFor
		}
		r.Annotations["summary"] = plain(s.Title)
		r.Annotations["description"] = tells[state] + " `kubectl forewarn warnings` and the console name them."
		out = append(out, r)
	}
	return out
}

// states are those that people can be told of.
func states(s *signatures.Signature) (out []string) {
	for i := range s.Stages {
		if s.Frame == nil && toldState(s, i, false) == "forming" {
			out = append(out, "forming")
			break
		}
	}
	out = append(out, "imminent")
	if s.Incident != nil {
		out = append(out, "incident")
	}
	return out
}

// metricRules are those on the metrics of the cluster.
func (o Options) metricRules(s *signatures.Signature) (out []generated, notes []string) {
	rungs, notes := native(s)
	words, where := keyTemplates(s.By)
	for i := range rungs {
		x := &rungs[i]
		r := generated{query: x.query, rung: x, state: x.state}
		r.Rule = Rule{
			Alert: alertName(s.ID, x.name), Expr: x.query.text(0), For: model.Duration(x.wait),
			Labels:      map[string]string{"severity": o.severity(s.Severity), "state": x.state, "source": sourceRaw, "signature": s.ID},
			Annotations: about(s, words),
		}
		if x.forecast {
			r.KeepFiringFor = steady
		}
		r.Annotations["summary"] = plain(s.Title)
		if where != "" {
			r.Annotations["summary"] += " (" + where + ")"
		}
		if x.title != "" {
			r.Annotations["description"] = plain(x.title) + "."
		}
		out = append(out, r)
	}
	return out, notes
}

// expected is what an alert that fires looks like to promtool.
func (r *generated) expected(e element) (expectedAlert, error) {
	x := expectedAlert{Labels: maps.Clone(e.labels), Annotations: map[string]string{}}
	maps.Copy(x.Labels, r.Labels)
	for name, text := range r.Annotations {
		filled, err := expand(text, e.labels, e.value)
		if err != nil {
			return x, fmt.Errorf("rule %s: annotation %s: %w", r.Alert, name, err)
		}
		x.Annotations[name] = filled
	}
	return x, nil
}
