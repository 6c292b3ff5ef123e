package prometheus

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/forewarn/forewarn/signatures"
)

// UnitTests is a file for `promtool test rules`.
type UnitTests struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []UnitTest     `yaml:"tests"`
}

// UnitTest is series, and the alerts that must fire, and those that must not, at some times.
type UnitTest struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []inputSeries  `yaml:"input_series"`
	Alerts   []alertTest    `yaml:"alert_rule_test"`
}

type inputSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	EvalTime model.Duration  `yaml:"eval_time"`
	Alert    string          `yaml:"alertname"`
	Expected []expectedAlert `yaml:"exp_alerts"`
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// cases are the tests of a signature: what exporters would have shown in each, and what the matcher tells.
type cases struct {
	s    *signatures.Signature
	each []testCase
}

type testCase struct {
	name  string
	steps []Step
	store *store
	end   time.Duration
}

// newCases runs the tests of a signature and makes the series that its rules look at.
func newCases(s *signatures.Signature, rules []generated, run func(*signatures.Signature, *signatures.Test) ([]Step, error)) (*cases, error) {
	c := &cases{s: s}
	var of []selector
	var limits []string
	wait := time.Duration(0)
	for i := range rules {
		if rules[i].matcher {
			continue
		}
		of, wait = append(of, selectors(rules[i].query)...), max(wait, rules[i].rung.wait)
		for _, l := range limitsOf(rules[i].query) {
			limits = append(limits, l.metric)
		}
	}
	for i := range s.Tests {
		t := &s.Tests[i]
		steps, err := run(s, t)
		if err != nil {
			return nil, fmt.Errorf("test %q: %w", t.Name, err)
		}
		x := testCase{name: t.Name, steps: steps}
		if x.store, x.end, err = measure(t, of, limits, wait); err != nil {
			return nil, err
		}
		for _, y := range steps {
			x.end = max(x.end, (y.At + minute).Truncate(minute))
		}
		for _, state := range states(s) {
			if g := gauge(s, steps, state, x.end); g != nil {
				x.store.series = append(x.store.series, *g)
			}
		}
		c.each = append(c.each, x)
	}
	return c, nil
}

func limitsOf(q query) (out []selector) {
	switch x := q.(type) {
	case share:
		return []selector{x.limit}
	case compare:
		return limitsOf(x.of)
	case reached:
		return limitsOf(x.of)
	case over:
		return limitsOf(x.of)
	case shifted:
		return limitsOf(x.of)
	case both:
		for _, y := range x.of {
			out = append(out, limitsOf(y)...)
		}
	case either:
		for _, y := range x.of {
			out = append(out, limitsOf(y)...)
		}
	}
	return out
}

// gauge is the metric of open warnings in one state as the matcher would have shown it; nil when there never was one.
func gauge(s *signatures.Signature, steps []Step, state string, end time.Duration) *sequence {
	q := openSeries(s, state, end)
	found := false
	for i := range q.values {
		now, open := time.Duration(i)*minute, map[string]bool{}
		for _, x := range steps {
			if x.At <= now {
				open[x.Key] = x.State == state
			}
		}
		n := 0
		for _, is := range open {
			if is {
				n++
			}
		}
		q.values[i] = math.NaN()
		if n > 0 {
			q.values[i], found = float64(n), true
		}
	}
	if !found {
		return nil
	}
	return &q
}

func openSeries(s *signatures.Signature, state string, end time.Duration) sequence {
	return sequence{
		labels: labels{"__name__": openMetric, "signature": s.ID, "severity": string(s.Severity), "state": state, "job": "forewarn", "instance": "forewarn-0:9464"},
		values: make([]float64, end/minute+1),
	}
}

// chooseSide leaves of a forecast the side from which the limit is reached in the tests, when it is one: memory does not come down to its limit.
func (c *cases) chooseSide(r *generated) {
	if !r.rung.forecast {
		return
	}
	var shown []query
	for side := range 2 {
		x := *r
		if x.query = onSide(r.query, side); c.refutes(&x) == "" {
			shown = append(shown, x.query)
		}
	}
	if len(shown) == 1 {
		r.query, r.Expr = shown[0], shown[0].text(0)
	}
}

// refutes says why a rule is not to be had: the signature's own tests show that it would be wrong, or none shows that it is right.
func (c *cases) refutes(r *generated) string {
	shown := false
	for i := range c.each {
		x := &c.each[i]
		is := slices.ContainsFunc(x.steps, func(y Step) bool { return y.Stage == r.rung.name })
		fires := slices.ContainsFunc(r.fire(x.store, x.end), func(now []element) bool { return len(now) > 0 })
		if fires && !is {
			return fmt.Sprintf("it would fire in the test %q, in which the signature does not get there", x.name)
		}
		shown = shown || fires
	}
	if !shown {
		return "no test of the signature has samples that show it"
	}
	return ""
}

// tests makes the unit tests of a signature's rules: one for each of its own tests, and one for each rule that none of them makes fire.
func (c *cases) tests(rules []generated) (out []UnitTest, err error) {
	fired := make([]bool, len(rules))
	for i := range c.each {
		x := &c.each[i]
		t := UnitTest{Name: c.s.ID + ": " + x.name, Interval: model.Duration(minute), Series: series(x.store)}
		for n := range rules {
			did, err := t.add(&rules[n], x.store, x.end)
			if err != nil {
				return nil, err
			}
			fired[n] = fired[n] || did
		}
		out = append(out, t)
	}
	for n := range rules {
		r := &rules[n]
		if fired[n] {
			continue
		}
		const opens, closes, end = 2, 12, 20 // minutes
		q := openSeries(c.s, r.state, end*minute)
		for i := range q.values {
			if q.values[i] = math.NaN(); i >= opens && i < closes {
				q.values[i] = 1
			}
		}
		alone := &store{series: []sequence{q}}
		t := UnitTest{Name: c.s.ID + ": a warning that is " + r.state + " for ten minutes", Interval: model.Duration(minute), Series: series(alone)}
		if did, err := t.add(r, alone, end*minute); err != nil || !did {
			return nil, fmt.Errorf("rule %s does not fire when it must: %w", r.Alert, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func series(s *store) []inputSeries {
	out := []inputSeries{}
	for i := range s.series {
		out = append(out, inputSeries{s.series[i].String(), s.series[i].notation()})
	}
	return out
}

// add says what must fire at the times that matter: where a rule begins to fire, before it, where it ends, and at the end.
func (t *UnitTest) add(r *generated, s *store, end time.Duration) (fired bool, err error) {
	firing := r.fire(s, end)
	times := []int{len(firing) - 1}
	changes := 0
	for i := range firing {
		fired = fired || len(firing[i]) > 0
		if i > 0 && len(firing[i]) != len(firing[i-1]) && changes < 4 {
			times = append(times, i-1, i)
			changes++
		}
	}
	if changes == 0 {
		times = append(times, len(firing)/3, 2*len(firing)/3)
	}
	slices.Sort(times)
	for _, i := range slices.Compact(times) {
		x := alertTest{EvalTime: model.Duration(time.Duration(i) * minute), Alert: r.Alert, Expected: []expectedAlert{}}
		for _, e := range firing[i] {
			y, err := r.expected(e)
			if err != nil {
				return false, err
			}
			x.Expected = append(x.Expected, y)
		}
		t.Alerts = append(t.Alerts, x)
	}
	return fired, nil
}
