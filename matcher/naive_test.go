package matcher_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// The naive evaluation of conditions: straight recursion over the author's words, no anchors, no compilation. It exists to
// be obviously right, and Program.Scan must agree with it.

// naiveRoles returns the roles that r switches on and off for s.
func naiveRoles(s *signatures.Signature, r *record.Record) (on, off uint64) {
	limit := matcher.RoleLimit
	rung := func(role int, when *signatures.Condition) {
		met, ended := naiveRung(when, r)
		if met {
			on |= 1 << role
		}
		if ended {
			off |= 1 << role
		}
		if when.Sample != nil && when.Sample.Of != nil {
			of := signatures.SampleCondition{Metric: when.Sample.Of.Metric, Labels: when.Sample.Of.Labels}
			if naiveSeries(&of, r) {
				on |= 1 << limit
			}
			limit++
		}
	}
	for i := range s.Stages {
		rung(i, &s.Stages[i].When)
	}
	if s.Incident != nil {
		rung(matcher.RoleIncident, &s.Incident.When)
	}
	if s.Clear.When != nil && naiveMeets(s.Clear.When, r) {
		on |= 1 << matcher.RoleClear
	}
	for i := range s.Unless {
		if naiveMeets(&s.Unless[i].When, r) {
			on |= 1 << (matcher.RoleUnless + i)
		}
	}
	if s.Frame != nil {
		for i := range s.Frame.Negates {
			if naiveMeets(&s.Frame.Negates[i].When, r) {
				on |= 1 << (matcher.RoleUnless + i)
			}
		}
	}
	return on, off
}

// naiveRung says whether a record meets a rung's condition or ends it.
func naiveRung(c *signatures.Condition, r *record.Record) (met, ended bool) {
	switch {
	case c.Change != nil && c.Change.For > 0:
		if r.Kind != record.Change || !naiveField(c.Change.Kind, r, record.ObjectKind) {
			return false, false
		}
		if r.Attrs.Value(record.ChangeVerb) == "deleted" {
			return false, true
		}
		if naiveMeets(c, r) {
			return true, false
		}
		return false, naivePath(c.Change.Path, r.Attrs.Value(record.ChangePath)) && !naiveField(c.Change.To, r, record.ChangeTo)
	case c.Sample != nil && (c.Sample.Above != nil || c.Sample.Below != nil) && !seriesDecides(c.Sample):
		if !naiveSeries(c.Sample, r) || !naiveBeside(c, r) {
			return false, false
		}
		passes := naivePasses(c.Sample, r.Value)
		return passes, !passes
	default:
		return naiveMeets(c, r), false
	}
}

// seriesDecides is true when one sample alone can't tell.
func seriesDecides(c *signatures.SampleCondition) bool {
	return c.Rate > 0 || c.Of != nil || c.Forecast != nil
}

// naiveMeets says whether one record meets a condition.
func naiveMeets(c *signatures.Condition, r *record.Record) bool {
	for i := range c.All {
		if !naiveMeets(&c.All[i], r) {
			return false
		}
	}
	if len(c.Any) > 0 && !slices.ContainsFunc(c.Any, func(x signatures.Condition) bool { return naiveMeets(&x, r) }) {
		return false
	}
	if c.Not != nil && naiveMeets(c.Not, r) {
		return false
	}
	switch {
	case c.Event != nil && !naiveEvent(c.Event, r):
		return false
	case c.Log != nil && !naiveLog(c.Log, r):
		return false
	case c.Change != nil && !naiveChange(c.Change, r):
		return false
	case c.Sample != nil && (!naiveSeries(c.Sample, r) || !seriesDecides(c.Sample) && !naivePasses(c.Sample, r.Value)):
		return false
	case c.Alert != nil && !naiveAlert(c.Alert, r):
		return false
	}
	return naiveBeside(c, r)
}

// naiveBeside evaluates what may stand beside a leaf.
func naiveBeside(c *signatures.Condition, r *record.Record) bool {
	for key, m := range c.Attrs {
		if !naiveField(m, r, key) {
			return false
		}
	}
	if c.CEL == "" {
		return true
	}
	i := slices.IndexFunc(celTwins(), func(t celTwin) bool { return t.text == c.CEL })
	return i >= 0 && celTwins()[i].meets(r)
}

// celTwin is a CEL expression and the same in Go.
type celTwin struct {
	text  string
	meets func(*record.Record) bool
}

func celTwins() []celTwin {
	return []celTwin{
		{`text.size() > 20`, func(r *record.Record) bool { return len([]rune(string(r.Text))) > 20 }},
		{`"k8s.node.name" in attrs && attrs["k8s.node.name"] == "n1"`, func(r *record.Record) bool { return r.Attrs.Value(record.Node) == "n1" }},
		{`kind == "log" || count > 1`, func(r *record.Record) bool { return r.Kind == record.Log || r.Count > 1 }},
	}
}

// jqTwin is a jq program and the same in Go.
type jqTwin struct {
	text  string
	meets func(line string) bool
}

func jqTwins() []jqTwin {
	field := func(line, name string) any {
		var v map[string]any
		if json.Unmarshal([]byte(line), &v) != nil {
			return nil
		}
		return v[name]
	}
	return []jqTwin{
		{`select(.level == "warn")`, func(line string) bool { return field(line, "level") == "warn" }},
		{`.took`, func(line string) bool { v := field(line, "took"); return v != nil && v != false }},
		{`.a.b | test("al.ha")`, func(line string) bool {
			a, _ := field(line, "a").(map[string]any)
			b, _ := a["b"].(string)
			return regexp.MustCompile("al.ha").MatchString(b)
		}},
	}
}

func naiveEvent(c *signatures.EventCondition, r *record.Record) bool {
	if r.Kind != record.Event || !naiveField(c.Type, r, record.EventType) || !naiveField(c.Reason, r, record.EventReason) ||
		!naiveText(c.Message, string(r.Text)) || !naiveField(c.Source, r, record.EventSource) {
		return false
	}
	if !c.Line.IsZero() {
		kind := strings.ToLower(r.Attrs.Value(record.ObjectKind)) + "/" + r.Attrs.Value(record.ObjectName)
		words := []string{r.Attrs.Value(record.EventType), r.Attrs.Value(record.EventReason), kind, string(r.Text)}
		table := append([]string{r.Attrs.Value(record.Namespace), "0s"}, words...)
		if words[0] != "Normal" && words[0] != "Warning" || !naiveText(c.Line, strings.Join(words, " ")) && !naiveText(c.Line, strings.Join(table, "   ")) {
			return false
		}
	}
	o := c.Object
	return o == nil || naiveField(o.Kind, r, record.ObjectKind) && naiveField(o.Name, r, record.ObjectName) && naiveField(o.Namespace, r, record.Namespace)
}

func naiveLog(c *signatures.LogCondition, r *record.Record) bool {
	if r.Kind != record.Log {
		return false
	}
	if _, said := r.Attrs.Get(record.Component); said && !naiveField(c.Component, r, record.Component) {
		return false
	}
	line := string(r.Text)
	if !naiveField(c.Container, r, record.Container) || !naiveField(c.Severity, r, record.SeverityText) || !naiveText(c.Contains, line) {
		return false
	}
	if c.Regex != "" && !regexp.MustCompile(c.Regex).MatchString(line) {
		return false
	}
	if c.JQ != "" {
		if i := slices.IndexFunc(jqTwins(), func(t jqTwin) bool { return t.text == c.JQ }); i < 0 || !jqTwins()[i].meets(line) {
			return false
		}
	}
	for i := range c.Fields {
		if !naiveLogField(&c.Fields[i], line) {
			return false
		}
	}
	return true
}

func naiveLogField(f *signatures.LogField, line string) bool {
	value, found := naiveLookup(line, f.Name)
	if !naiveMatch(f.Is, value, found) {
		return false
	}
	if f.Above == nil && f.Below == nil {
		return true
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		d, err := time.ParseDuration(value)
		if err != nil {
			return false
		}
		number = d.Seconds()
	}
	return found && (f.Above == nil || number > *f.Above) && (f.Below == nil || number < *f.Below)
}

// naiveLookup finds a field of a JSON line, or of a logfmt line whose values hold no quotes.
func naiveLookup(line, name string) (string, bool) {
	if strings.HasPrefix(line, "{") {
		var v any
		if json.Unmarshal([]byte(line), &v) != nil {
			return "", false
		}
		for step := range strings.SplitSeq(name, ".") {
			object, is := v.(map[string]any)
			if !is {
				return "", false
			}
			if v, is = object[step]; !is {
				return "", false
			}
		}
		switch x := v.(type) {
		case string:
			return x, true
		case float64:
			return strconv.FormatFloat(x, 'f', -1, 64), true
		case bool:
			return strconv.FormatBool(x), true
		}
		return "", false
	}
	for word := range strings.FieldsSeq(line) {
		if k, v, is := strings.Cut(word, "="); is && k == name {
			return v, true
		}
	}
	return "", false
}

func naiveChange(c *signatures.ChangeCondition, r *record.Record) bool {
	return r.Kind == record.Change && naiveField(c.Kind, r, record.ObjectKind) && naivePath(c.Path, r.Attrs.Value(record.ChangePath)) &&
		naiveField(c.From, r, record.ChangeFrom) && naiveField(c.To, r, record.ChangeTo) && naiveField(c.Verb, r, record.ChangeVerb)
}

func naivePath(pattern, path string) bool {
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), regexp.QuoteMeta("[*]"), `\[[^\]]*\]`)
	return regexp.MustCompile("^" + expr + "$").MatchString(path)
}

// naiveSeries says whether a sample belongs to the series that a condition looks at.
func naiveSeries(c *signatures.SampleCondition, r *record.Record) bool {
	return r.Kind == record.Sample && r.Attrs.Value(record.MetricName) == c.Metric && naiveLabels(c.Labels, r)
}

func naivePasses(c *signatures.SampleCondition, v float64) bool {
	return (c.Above == nil || v > *c.Above) && (c.Below == nil || v < *c.Below)
}

func naiveAlert(c *signatures.AlertCondition, r *record.Record) bool {
	state := c.State
	if state.IsZero() {
		state.Equals = []string{"firing"}
	}
	return r.Kind == record.Alert && naiveField(c.Name, r, record.AlertName) && naiveField(state, r, record.AlertState) && naiveLabels(c.Labels, r)
}

func naiveLabels(labels map[string]signatures.Match, r *record.Record) bool {
	for name, m := range labels {
		if !naiveField(m, r, record.LabelPrefix+name) {
			return false
		}
	}
	return true
}

func naiveField(m signatures.Match, r *record.Record, key string) bool {
	v, found := r.Attrs.Get(key)
	return naiveMatch(m, v, found)
}

func naiveMatch(m signatures.Match, v string, found bool) bool {
	if m.IsZero() {
		return true
	}
	if !found {
		return len(m.Not) > 0 && len(m.Equals)+len(m.Contains)+len(m.Prefix)+len(m.Suffix)+len(m.Regex) == 0
	}
	fold := func(s string) string {
		if m.IgnoreCase {
			return strings.ToLower(s)
		}
		return s
	}
	some := func(words []string, holds func(v, word string) bool) bool {
		return slices.ContainsFunc(words, func(w string) bool { return holds(fold(v), fold(w)) })
	}
	same := func(a, b string) bool { return a == b }
	return (len(m.Equals) == 0 || some(m.Equals, same)) && !some(m.Not, same) &&
		(len(m.Contains) == 0 || some(m.Contains, strings.Contains)) &&
		(len(m.Prefix) == 0 || some(m.Prefix, strings.HasPrefix)) &&
		(len(m.Suffix) == 0 || some(m.Suffix, strings.HasSuffix)) &&
		(m.Regex == "" || regexp.MustCompile("^(?:"+m.Regex+")$").MatchString(v))
}

func naiveText(t signatures.Text, text string) bool {
	has := func(w string) bool {
		if t.IgnoreCase {
			return strings.Contains(strings.ToLower(text), strings.ToLower(w))
		}
		return strings.Contains(text, w)
	}
	return (len(t.Any) == 0 || slices.ContainsFunc(t.Any, has)) && !slices.ContainsFunc(t.None, has) &&
		!slices.ContainsFunc(t.All, func(w string) bool { return !has(w) }) &&
		(t.Regex == "" || regexp.MustCompile(t.Regex).MatchString(text))
}

// naiveKey returns the parts of the correlation key in order.
func naiveKey(by signatures.Key, r *record.Record, source string) (key []record.Attr) {
	if v, known := r.Attrs.Get(record.Cluster); known {
		key = append(key, record.Attr{Key: "cluster", Value: v})
	}
	if parts, whole := naiveParts(by, r); whole {
		return append(key, parts...)
	}
	stream := r.Attrs.Value(record.FilePath)
	if stream == "" {
		var of []string
		for _, name := range []string{record.Namespace, record.Pod, record.Container} {
			if v, known := r.Attrs.Get(name); known {
				of = append(of, v)
			}
		}
		stream = strings.Join(of, "/")
		if _, known := r.Attrs.Get(record.Pod); !known {
			stream = source
		}
	}
	return append(key, record.Attr{Key: "stream", Value: stream})
}

// keyText is the correlation key as people read it.
func keyText(key []record.Attr) string {
	var values []string
	for _, a := range key {
		values = append(values, a.Value)
	}
	return strings.Join(values, "/")
}

// naiveParts returns what the words of a key stand for, and whether everything was there.
func naiveParts(by signatures.Key, r *record.Record) (key []record.Attr, whole bool) {
	need := func(name, attr string) bool {
		v, found := r.Attrs.Get(attr)
		if found {
			key = append(key, record.Attr{Key: name, Value: v})
		}
		return found
	}
	namespace := func() bool { return need("namespace", record.Namespace) }
	pod := func() bool { return namespace() && need("pod", record.Pod) }
	whole = len(by) > 0
	for _, word := range by {
		switch word {
		case "container":
			whole = whole && pod() && need("container", record.Container)
		case "pod":
			whole = whole && pod()
		case "workload":
			whole = whole && namespace() && need("kind", record.WorkloadKind) && need("workload", record.WorkloadName)
		case "node":
			whole = whole && need("node", record.Node)
		case "volume":
			namespace()
			whole = whole && (need("volume", record.VolumeClaim) || need("volume", record.Volume))
		case "namespace":
			whole = whole && namespace()
		case "cluster": // it is part of every key
		case "stream":
			whole = false
		default:
			whole = whole && need(word, word)
		}
	}
	return key, whole
}
