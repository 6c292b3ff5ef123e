package prometheus

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// rung is a stage or the incident of a signature, as a query on the cluster's own metrics.
type rung struct {
	name, title, state string
	query              query
	wait               time.Duration // how long the query must hold
	forecast           bool
	partly             string // what of the condition the query does not see
}

// refusal says why something has no faithful PromQL.
type refusal string

// native returns the rungs of a signature that have faithful PromQL and of which people are told, and for the others why not.
func native(s *signatures.Signature) (rungs []rung, notes []string) {
	note := func(rung, format string, args ...any) {
		notes = append(notes, rung+": "+fmt.Sprintf(format, args...))
	}
	switch {
	case s.Frame != nil:
		return nil, []string{"its stages are a figure in time, which PromQL cannot express"}
	case s.Applies != nil:
		return nil, []string{"it applies to some clusters only, and PromQL does not know to which one a series belongs"}
	}
	sequence := s.Order != signatures.Any
	var before *rung // the stage before, in a sequence
	for i := range s.Stages {
		st := &s.Stages[i]
		r, why := stage(s, st)
		if why == "" && sequence && i > 0 {
			if before == nil {
				why = "it counts only after the stage before it, which has no PromQL"
			} else {
				why = r.follow(s, st, before)
			}
		}
		if why != "" {
			note("stage "+st.Name, "%s", why)
			before = nil
			continue
		}
		before = &r
		if r.state = toldState(s, i, r.forecast); r.state == "" {
			note("stage "+st.Name, "people are told from stage %s on", s.Tell)
			continue
		}
		rungs = append(rungs, r)
	}
	if s.Incident == nil {
		return rungs, notes
	}
	in := s.Incident
	r, why := condition(&in.When, in.Count, in.Distinct)
	if why != "" {
		note("incident", "%s", why)
		return rungs, notes
	}
	r.name, r.title, r.state = "incident", in.Title, "incident"
	return append(rungs, r), notes
}

// stage translates a stage alone.
func stage(s *signatures.Signature, st *signatures.Stage) (rung, refusal) {
	for i := range s.Unless {
		if a := s.Unless[i].Anchor; a == st.Name || a == "" && st == &s.Stages[len(s.Stages)-1] {
			return rung{}, "it holds unless something else is seen, which PromQL does not see"
		}
	}
	r, why := condition(&st.When, st.Count, st.Distinct)
	r.name, r.title = st.Name, st.Title
	return r, why
}

// toldState is the state that a stage makes people be told of; none when it tells nobody.
func toldState(s *signatures.Signature, i int, forecast bool) string {
	need, tell := len(s.Stages), 0
	if s.Order == signatures.Any {
		need = max(s.Need, 0)
		if need == 0 {
			need = len(s.Stages)
		}
		i, tell = 0, 0
		if s.Tell != "" {
			tell = 1 // only the stage itself, which is looked at below
		}
	}
	for j := range s.Stages {
		if s.Tell != "" && s.Stages[j].Name == s.Tell && s.Order != signatures.Any {
			tell = j
		}
	}
	switch {
	case forecast, i == need-1:
		return "imminent"
	case i < tell:
		return ""
	}
	return "forming"
}

// follow makes r hold only where the stage before was seen not too long ago.
func (r *rung) follow(s *signatures.Signature, st *signatures.Stage, before *rung) refusal {
	on, why := keyLabels(s.By)
	if why != "" {
		return why
	}
	window := time.Duration(st.FollowsWithin)
	if quiet := time.Duration(s.Clear.Quiet); quiet > 0 && (window == 0 || quiet < window) {
		window = quiet
	}
	if s.Clear.When != nil { // what clears is seen here by nobody: both must hold now
		window = 0
	}
	earlier := before.held()
	if window > 0 {
		earlier = over{fn: "max_over_time", of: earlier, window: window, step: grid(window, 12)}
	}
	r.query = both{of: []query{guarded(r.query, on), guarded(earlier, on)}, on: append([]string{"cluster"}, on...)}
	return ""
}

// held is the query of a rung that has held for as long as it must.
func (r *rung) held() query {
	if r.wait == 0 {
		return r.query
	}
	c, ok := r.query.(compare)
	if !ok { // a forecast or a join: that it holds now and did so then
		return both{of: []query{r.query, shifted{r.query, r.wait}}}
	}
	parts := []query{}
	step := grid(r.wait, 30)
	if c.above != nil {
		parts = append(parts, compare{of: over{fn: "min_over_time", of: c.of, window: r.wait, step: step}, above: c.above})
	}
	if c.below != nil {
		parts = append(parts, compare{of: over{fn: "max_over_time", of: c.of, window: r.wait, step: step}, below: c.below})
	}
	return both{of: append(parts, shifted{c, r.wait})}
}

// guarded asks that a query's series have the labels that others are joined by: series that lack them would all be taken for one.
func guarded(q query, on []string) query {
	guard := func(x selector) selector {
		x.matchers = slices.Clone(x.matchers)
		for _, name := range on {
			if name != "node" && name != "instance" && !slices.ContainsFunc(x.matchers, func(m labelMatcher) bool { return m.name == name && m.op != "!=" && m.value != "" }) {
				x.matchers = append(x.matchers, labelMatcher{name, "!=", ""})
			}
		}
		return x
	}
	return rewrite(q, guard)
}

func rewrite(q query, f func(selector) selector) query {
	all := func(list []query) []query {
		out := make([]query, len(list))
		for i := range list {
			out[i] = rewrite(list[i], f)
		}
		return out
	}
	switch x := q.(type) {
	case selector:
		return f(x)
	case share:
		return share{f(x.value), f(x.limit)}
	case rate:
		return rate{f(x.of), x.over}
	case compare:
		x.of = rewrite(x.of, f)
		return x
	case reached:
		x.of = rewrite(x.of, f)
		return x
	case over:
		x.of = rewrite(x.of, f)
		x.id = x.of.text(0)
		return x
	case shifted:
		x.of = rewrite(x.of, f)
		return x
	case both:
		x.of = all(x.of)
		return x
	case either:
		x.of = all(x.of)
		return x
	}
	return q
}

// keyLabels are the labels that series of one key share.
func keyLabels(by signatures.Key) ([]string, refusal) {
	words := map[string][]string{
		"container": {"namespace", "pod", "container"}, "pod": {"namespace", "pod"}, "volume": {"namespace", "persistentvolumeclaim"},
		"node": {"node", "instance"}, "namespace": {"namespace"}, "cluster": {},
	}
	var out []string
	for _, w := range by {
		l, ok := words[w]
		if name, is := strings.CutPrefix(w, "label."); is && labelName.MatchString(name) {
			l, ok = []string{name}, true
		}
		if !ok {
			return nil, refusal(fmt.Sprintf("its stages belong together by %s, which is no label of metrics", w))
		}
		out = append(out, l...)
	}
	return out, ""
}

var (
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
)

// condition translates a condition of a stage or the incident.
func condition(c *signatures.Condition, count int, distinct *signatures.Distinct) (rung, refusal) {
	switch {
	case c.Sample == nil && len(c.Any) == 0:
		return rung{}, refusal("it is " + kindOf(c) + ", which PromQL does not see")
	case distinct != nil:
		return rung{}, "it counts different values over a time"
	case count > 1:
		return rung{}, "it counts records, and how many samples there are hangs on how often is scraped"
	case len(c.Any) > 0:
		return alternatives(c.Any)
	case c.CEL != "":
		return rung{}, "it has an expression in CEL"
	case len(c.Attrs) > 0:
		return rung{}, "it looks at attributes, which metrics have under other names"
	}
	return measured(c.Sample)
}

func kindOf(c *signatures.Condition) string {
	switch {
	case c.Event != nil:
		return "an event"
	case c.Log != nil:
		return "a log line"
	case c.Change != nil:
		return "a change of an object"
	case c.Alert != nil:
		return "an alert"
	}
	return "more than one condition on a record"
}

// alternatives translates those that can be: an alert on them is never wrong, and does not see the others.
func alternatives(all []signatures.Condition) (rung, refusal) {
	var queries []query
	var unseen []string
	for i := range all {
		r, why := condition(&all[i], 0, nil)
		if why != "" || r.wait != 0 {
			unseen = append(unseen, kindOf(&all[i]))
			continue
		}
		queries = append(queries, r.query)
	}
	if len(queries) == 0 {
		return rung{}, refusal("it is " + strings.Join(unseen, " or ") + ", which PromQL does not see")
	}
	r := rung{query: queries[0], partly: strings.Join(unseen, " or ")}
	if len(queries) > 1 {
		r.query = either{of: queries}
	}
	return r, ""
}

// measured translates a condition on samples.
func measured(c *signatures.SampleCondition) (rung, refusal) {
	value, why := choose(c.Metric, c.Labels)
	if why != "" {
		return rung{}, why
	}
	var q query = value
	switch {
	case c.Of != nil:
		limit, why := choose(c.Of.Metric, c.Of.Labels)
		if why != "" {
			return rung{}, why
		}
		q = share{value, limit}
	case c.Rate != 0:
		q = rate{value, time.Duration(c.Rate)}
	}
	r := rung{wait: time.Duration(c.For)}
	if c.Forecast != nil {
		r.query, r.forecast = predicted(q, c.Forecast), true
		return r, ""
	}
	r.query = q
	if c.Above != nil || c.Below != nil {
		r.query = compare{q, c.Above, c.Below}
	}
	return r, ""
}

// predicted is met where the value is on one side of the limit, the line through its past comes to the other side in time, and both halves
// of that past lead there: a single step, or the ramp of a saw-tooth after its fall, moves one of them alone.
func predicted(q query, f *signatures.Forecast) query {
	window, half := time.Duration(f.Over), time.Duration(f.Over)/2
	past := func(fn string, window, ago time.Duration) over {
		return over{fn: fn, of: q, window: window, step: grid(time.Duration(f.Over), 60), ago: ago}
	}
	zero, limit := 0.0, f.Reaches
	side := func(falling bool) query {
		now, slope := compare{of: q, below: &limit}, func(o over) query { return compare{of: o, above: &zero} }
		if falling {
			now, slope = compare{of: q, above: &limit}, func(o over) query { return compare{of: o, below: &zero} }
		}
		line := past("predict_linear", window, 0)
		line.ahead = time.Duration(f.Within)
		return both{of: []query{now, reached{line, limit, falling}, slope(past("deriv", half, 0)), slope(past("deriv", half, half))}}
	}
	return either{[]query{side(false), side(true)}, true}
}

// choose makes a selector of a metric and the conditions on its labels.
func choose(metric string, conditions map[string]signatures.Match) (selector, refusal) {
	x := selector{metric: metric}
	if !metricName.MatchString(metric) {
		return x, refusal(fmt.Sprintf("Prometheus may know the metric %s by another name", metric))
	}
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		if !labelName.MatchString(name) {
			return x, refusal(fmt.Sprintf("Prometheus may know the label %s by another name", name))
		}
		m := conditions[name]
		x.matchers = append(x.matchers, matchers(name, &m)...)
	}
	return x, ""
}

// matchers are what a match asks of a label. In Prometheus a label that is absent is an empty one, so that nothing but `not` may take it.
func matchers(name string, m *signatures.Match) (out []labelMatcher) {
	expression := func(before string, words []string, after string) {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = regexp.QuoteMeta(w)
		}
		text := before + "(?:" + strings.Join(quoted, "|") + ")" + after
		if m.IgnoreCase {
			text = "(?i)" + text
		}
		out = append(out, labelMatcher{name, "=~", text})
	}
	switch {
	case len(m.Equals) == 1 && !m.IgnoreCase:
		out = append(out, labelMatcher{name, "=", m.Equals[0]})
	case len(m.Equals) > 0:
		expression("", m.Equals, "")
	}
	if len(m.Contains) > 0 {
		expression(".*", m.Contains, ".*")
	}
	if len(m.Prefix) > 0 {
		expression("", m.Prefix, ".*")
	}
	if len(m.Suffix) > 0 {
		expression(".*", m.Suffix, "")
	}
	if m.Regex != "" {
		out = append(out, labelMatcher{name, "=~", m.Regex})
		if re, err := regexp.Compile("^(?s:" + m.Regex + ")$"); err != nil || re.MatchString("") {
			out = append(out, labelMatcher{name, "!=", ""})
		}
	}
	for _, w := range m.Not {
		if m.IgnoreCase {
			out = append(out, labelMatcher{name, "!~", "(?i)" + regexp.QuoteMeta(w)})
			continue
		}
		out = append(out, labelMatcher{name, "!=", w})
	}
	return out
}
