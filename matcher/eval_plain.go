package matcher

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Miss is the first part of a condition that a record does not meet.
type Miss struct {
	Path   string // where it is written, below the condition: log.component
	Wanted string // in words: "etcd", "a text that contains ..."
	Seen   string // what the record has; "nothing" where it has nothing
}

// String says it in one line.
func (m *Miss) String() string { return fmt.Sprintf("%s: wanted %s, saw %s", m.Path, m.Wanted, m.Seen) }

// Evaluate reports whether one record meets a condition, without compiling it. It is slow, and for people who ask why: programs
// [Program.Scan]. Of samples with rate, of or forecast it looks at the series only, because their history is the tracker's.
func Evaluate(c *signatures.Condition, r *record.Record) bool { return FirstMiss(c, r) == nil }

// FirstMiss returns the first part of the condition, in the order in which a person reads it, that the record does not
// meet; nil when it meets it. What it shows of the record is shortened, and is its own.
func FirstMiss(c *signatures.Condition, r *record.Record) *Miss {
	e := plain{r}
	return e.condition(c, "")
}

// plain evaluates the words of the author one after the other.
type plain struct{ *record.Record }

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (e plain) condition(c *signatures.Condition, path string) *Miss {
	var m *Miss
	switch {
	case c.Event != nil:
		m = e.event(c.Event, child(path, "event"))
	case c.Log != nil:
		m = e.log(c.Log, child(path, "log"))
	case c.Change != nil:
		m = e.change(c.Change, child(path, "change"))
	case c.Sample != nil:
		m = e.sample(c.Sample, child(path, "sample"))
	case c.Alert != nil:
		m = e.alert(c.Alert, child(path, "alert"))
	}
	for i := range c.All {
		m = firstMiss(m, func() *Miss { return e.condition(&c.All[i], fmt.Sprintf("%s[%d]", child(path, "all"), i)) })
	}
	if len(c.Any) > 0 {
		m = firstMiss(m, func() *Miss { return e.any(c.Any, child(path, "any")) })
	}
	if c.Not != nil {
		m = firstMiss(m, func() *Miss {
			if e.condition(c.Not, "") == nil {
				return &Miss{child(path, "not"), "a record that does not meet this", "one that does"}
			}
			return nil
		})
	}
	for _, key := range slices.Sorted(maps.Keys(c.Attrs)) {
		m = firstMiss(m, func() *Miss { return e.attr(key, c.Attrs[key], child(path, "attrs."+key)) })
	}
	if c.CEL != "" {
		m = firstMiss(m, func() *Miss { return e.cel(c.CEL, child(path, "cel")) })
	}
	return m
}

// firstMiss returns m if there is one, else what next finds.
func firstMiss(m *Miss, next func() *Miss) *Miss {
	if m != nil {
		return m
	}
	return next()
}

func (e plain) any(list []signatures.Condition, path string) *Miss {
	var of []string
	for i := range list {
		m := e.condition(&list[i], fmt.Sprintf("%s[%d]", path, i))
		if m == nil {
			return nil
		}
		of = append(of, m.String())
	}
	return &Miss{path, fmt.Sprintf("one of %d alternatives", len(list)), "none: " + strings.Join(of, "; ")}
}

func (e plain) cel(text, path string) *Miss {
	env, err := signatures.CELEnv()
	if err != nil {
		return &Miss{path, text, err.Error()}
	}
	p, err := compileCEL(env, text)
	if err != nil {
		return &Miss{path, text, err.Error()}
	}
	switch ok, err := evalCEL(p, e.Record); {
	case err != nil:
		return &Miss{path, text, err.Error()}
	case !ok:
		return &Miss{path, text + " to be true", "false"}
	}
	return nil
}

func (e plain) kind(want record.Kind, path string) *Miss {
	if e.Kind == want {
		return nil
	}
	return &Miss{path, "a record of kind " + want.String(), e.Kind.String()}
}

// attrTest is one attribute's part of a leaf.
type attrTest struct {
	attr  string
	match signatures.Match
	path  string
}

func (e plain) tests(m *Miss, list ...attrTest) *Miss {
	for _, t := range list {
		m = firstMiss(m, func() *Miss { return e.attr(t.attr, t.match, t.path) })
	}
	return m
}

func (e plain) labels(m *Miss, labels map[string]signatures.Match, path string) *Miss {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		m = e.tests(m, attrTest{record.LabelPrefix + name, labels[name], path + ".labels." + name})
	}
	return m
}

func (e plain) event(c *signatures.EventCondition, path string) *Miss {
	m := e.tests(e.kind(record.Event, path), attrTest{record.EventType, c.Type, path + ".type"}, attrTest{record.EventReason, c.Reason, path + ".reason"})
	if o := c.Object; o != nil {
		m = e.tests(m, attrTest{record.ObjectKind, o.Kind, path + ".object.kind"}, attrTest{record.ObjectName, o.Name, path + ".object.name"},
			attrTest{record.Namespace, o.Namespace, path + ".object.namespace"})
	}
	m = e.tests(m, attrTest{record.EventSource, c.Source, path + ".source"})
	m = firstMiss(m, func() *Miss { return e.text(c.Message, path+".message") })
	if c.Line.IsZero() {
		return m
	}
	if t := e.Attrs.Value(record.EventType); m == nil && t != "Normal" && t != "Warning" {
		return &Miss{path + ".type", "Normal or Warning", shown(t, t != "")}
	}
	return firstMiss(m, func() (miss *Miss) {
		for layout := range lineLayouts {
			line := *e.Record
			line.Text = appendLine(nil, e.Record, layout)
			if miss = (plain{&line}).text(c.Line, path+".line"); miss == nil {
				return nil
			}
		}
		return miss
	})
}

func (e plain) log(c *signatures.LogCondition, path string) *Miss {
	m := e.kind(record.Log, path)
	if _, said := e.Attrs.Get(record.Component); said {
		m = e.tests(m, attrTest{record.Component, c.Component, path + ".component"})
	}
	m = e.tests(m, attrTest{record.Container, c.Container, path + ".container"}, attrTest{record.SeverityText, c.Severity, path + ".severity"})
	m = firstMiss(m, func() *Miss { return e.text(c.Contains, path+".contains") })
	m = firstMiss(m, func() *Miss { return e.regex(c.Regex, path+".regex") })
	m = firstMiss(m, func() *Miss { return e.jq(c.JQ, path+".jq") })
	for i := range c.Fields {
		m = firstMiss(m, func() *Miss { return e.field(&c.Fields[i], fmt.Sprintf("%s.fields[%d]", path, i)) })
	}
	return m
}

func (e plain) change(c *signatures.ChangeCondition, path string) *Miss {
	m := e.tests(e.kind(record.Change, path), attrTest{record.ObjectKind, c.Kind, path + ".kind"})
	seen, has := e.Attrs.Get(record.ChangePath)
	if m == nil && (!has || !matchPath(c.Path, seen)) {
		m = &Miss{path + ".path", quote(c.Path), shown(seen, has)}
	}
	return e.tests(m, attrTest{record.ChangeFrom, c.From, path + ".from"}, attrTest{record.ChangeTo, c.To, path + ".to"}, attrTest{record.ChangeVerb, c.Verb, path + ".verb"})
}

func (e plain) sample(c *signatures.SampleCondition, path string) *Miss {
	m := e.tests(e.kind(record.Sample, path), attrTest{record.MetricName, signatures.Match{Equals: []string{c.Metric}}, path + ".metric"})
	m = e.labels(m, c.Labels, path)
	if m == nil && c.Rate == 0 && c.Of == nil && c.Forecast == nil {
		m = limits(e.Value, c.Above, c.Below, path, "a value ")
	}
	return m
}

// limits says by which limit v is not inside.
func limits(v float64, above, below *float64, path, what string) *Miss {
	switch {
	case above != nil && !within(v, above, nil):
		return &Miss{path + ".above", what + "above " + numberText(*above), numberText(v)}
	case below != nil && !within(v, nil, below):
		return &Miss{path + ".below", what + "below " + numberText(*below), numberText(v)}
	}
	return nil
}

func numberText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (e plain) alert(c *signatures.AlertCondition, path string) *Miss {
	state := c.State
	if state.IsZero() {
		state.Equals = []string{"firing"}
	}
	m := e.tests(e.kind(record.Alert, path), attrTest{record.AlertName, c.Name, path + ".name"}, attrTest{record.AlertState, state, path + ".state"})
	return e.labels(m, c.Labels, path)
}

func (e plain) attr(key string, m signatures.Match, path string) *Miss {
	v, has := e.Attrs.Get(key)
	return matchPlain(m, v, has, path)
}

func matchPlain(m signatures.Match, v string, has bool, path string) *Miss {
	if m.IsZero() {
		return nil
	}
	fold := func(s string) string {
		if m.IgnoreCase {
			return lowerASCII(s)
		}
		return s
	}
	some := func(words []string, holds func(v, w string) bool) bool {
		return slices.ContainsFunc(words, func(w string) bool { return holds(fold(v), fold(w)) })
	}
	same := func(v, w string) bool { return v == w }
	miss := func(what string, words ...string) *Miss {
		return &Miss{path, what + anyWord(words), shown(v, has)}
	}
	switch {
	case len(m.Equals) > 0 && !some(m.Equals, same):
		return miss("", m.Equals...)
	case some(m.Not, same):
		return miss("anything but ", m.Not...)
	case len(m.Contains) > 0 && (!has || !some(m.Contains, strings.Contains)):
		return miss("a value that contains ", m.Contains...)
	case len(m.Prefix) > 0 && (!has || !some(m.Prefix, strings.HasPrefix)):
		return miss("a value that begins with ", m.Prefix...)
	case len(m.Suffix) > 0 && (!has || !some(m.Suffix, strings.HasSuffix)):
		return miss("a value that ends with ", m.Suffix...)
	case m.Regex != "":
		re, err := regexp.Compile(`\A(?:` + m.Regex + `)\z`)
		if err != nil {
			return &Miss{path + ".regex", "an expression that compiles", err.Error()}
		}
		if !has || !re.MatchString(v) {
			return miss("a value that matches ", m.Regex)
		}
	}
	return nil
}

func (e plain) text(t signatures.Text, path string) *Miss {
	has := func(w string) bool {
		if t.IgnoreCase {
			return strings.Contains(lowerASCII(string(e.Text)), lowerASCII(w))
		}
		return strings.Contains(string(e.Text), w)
	}
	if len(t.Any) > 0 && !slices.ContainsFunc(t.Any, has) {
		return &Miss{path, "a text that contains " + anyWord(t.Any), shown(string(e.Text), true)}
	}
	for _, w := range t.All {
		if !has(w) {
			return &Miss{path + ".all", "a text that contains " + quote(w), shown(string(e.Text), true)}
		}
	}
	for _, w := range t.None {
		if has(w) {
			return &Miss{path + ".none", "a text without " + quote(w), shown(string(e.Text), true)}
		}
	}
	return e.regex(t.Regex, path+".regex")
}

func (e plain) regex(text, path string) *Miss {
	if text == "" {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return &Miss{path, "an expression that compiles", err.Error()}
	}
	if !re.Match(e.Text) {
		return &Miss{path, "a text that matches " + quote(text), shown(string(e.Text), true)}
	}
	return nil
}

func (e plain) jq(text, path string) *Miss {
	if text == "" {
		return nil
	}
	code, err := signatures.CompileJQ(text)
	if err != nil {
		return &Miss{path, "a jq program that compiles", err.Error()}
	}
	if ok, err := evalJQ(code, e.Text); err != nil {
		return &Miss{path, quote(text), err.Error()}
	} else if !ok {
		return &Miss{path, "a JSON line for which " + quote(text) + " gives more than null and false", shown(string(e.Text), true)}
	}
	return nil
}

func (e plain) field(f *signatures.LogField, path string) *Miss {
	v, _, has := findField(e.Text, f.Name, nil)
	if f.Above != nil || f.Below != nil {
		n, ok := fieldNumber(v)
		if !has || !ok {
			return &Miss{path, "a number in the field " + quote(f.Name), shown(string(v), has)}
		}
		if m := limits(n, f.Above, f.Below, path, "the field "+f.Name+" "); m != nil {
			return m
		}
	} else if f.Is.IsZero() && !has {
		return &Miss{path, "the field " + quote(f.Name), "nothing"}
	}
	return matchPlain(f.Is, string(v), has, path+".is")
}

// maxShown is how much of a value people are shown.
const maxShown = 120

func shown(v string, has bool) string {
	if !has {
		return "nothing"
	}
	if len(v) > maxShown {
		return quote(strings.ToValidUTF8(v[:maxShown], "")) + "..."
	}
	return quote(v)
}

func quote(s string) string { return strconv.Quote(s) }

func anyWord(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " or ")
}
