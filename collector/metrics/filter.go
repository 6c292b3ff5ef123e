package metrics

import (
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/signatures"
)

// Filter says which series are kept: those that some signature looks at. Its zero value keeps none. It is safe for concurrent use, and what it
// keeps may be changed at any time.
type Filter struct {
	view atomic.Pointer[view]
}

// Set replaces what is kept: the needs, and every series of the metrics that are named besides. The name "*" keeps everything.
func (f *Filter) Set(needs []signatures.MetricNeed, besides ...string) {
	v := &view{metrics: make(map[string]*metric, len(needs)+len(besides))}
	at := func(name string) *metric {
		m := v.metrics[name]
		if m == nil {
			m = &metric{}
			v.metrics[name] = m
		}
		return m
	}
	for _, n := range needs {
		m := at(n.Metric)
		m.need = append(m.need, n)
		m.any = append(m.any, tests(n.Labels))
	}
	for _, name := range besides {
		if name == "*" {
			v.every = &metric{any: [][]labelTest{nil}}
			continue
		}
		m := at(name)
		m.any = append(m.any, nil)
	}
	f.view.Store(v)
}

// now returns what is kept at the moment.
func (f *Filter) now() *view {
	if v := f.view.Load(); v != nil {
		return v
	}
	return &view{}
}

// view is an immutable state of a Filter.
type view struct {
	metrics map[string]*metric
	every   *metric // stands for all others; nil when those are left out
}

type metric struct {
	need []signatures.MetricNeed
	any  [][]labelTest // one set of tests a need; a series that passes one of them is kept
}

// find returns the metric by its name, nil when no series of it is kept. It allocates nothing.
func (v *view) find(name []byte) *metric {
	if m := v.metrics[string(name)]; m != nil {
		return m
	}
	return v.every
}

// keeps reports whether a series with these labels is kept.
func (m *metric) keeps(labels []format.Label) bool {
	for _, tests := range m.any {
		if passes(tests, labels) {
			return true
		}
	}
	return false
}

func passes(tests []labelTest, labels []format.Label) bool {
	for i := range tests {
		if !tests[i].accepts(valueOf(labels, tests[i].label)) {
			return false
		}
	}
	return true
}

func valueOf(labels []format.Label, name string) string {
	for i := range labels {
		if labels[i].Name == name {
			return labels[i].Value
		}
	}
	return ""
}

// labelTest is a condition's test of one label. What it means is specified by the matcher, and TestLabelTestsAgreeWithTheMatcher compares them.
type labelTest struct {
	label string
	match signatures.Match
	regex *regexp.Regexp
}

func tests(labels map[string]signatures.Match) []labelTest {
	var out []labelTest
	for name, m := range labels {
		if m.IsZero() {
			continue
		}
		t := labelTest{label: name, match: m}
		if m.Regex != "" {
			re, err := regexp.Compile(`\A(?:` + m.Regex + `)\z`)
			if err != nil { // then no record can meet the condition; the signature's problem is told where it is loaded
				continue
			}
			t.regex = re
		}
		out = append(out, t)
	}
	return out
}

// accepts tests a value; an absent label is one without a value.
func (t *labelTest) accepts(v string) bool {
	m := &t.match
	if len(m.Equals) > 0 && !t.some(m.Equals, v, same) || t.some(m.Not, v, same) {
		return false
	}
	if v == "" && (len(m.Contains) > 0 || len(m.Prefix) > 0 || len(m.Suffix) > 0 || t.regex != nil) {
		return false
	}
	if len(m.Contains) > 0 && !t.some(m.Contains, v, strings.Contains) || len(m.Prefix) > 0 && !t.some(m.Prefix, v, strings.HasPrefix) ||
		len(m.Suffix) > 0 && !t.some(m.Suffix, v, strings.HasSuffix) {
		return false
	}
	return t.regex == nil || t.regex.MatchString(v)
}

func same(v, w string) bool { return v == w }

func (t *labelTest) some(words []string, v string, holds func(v, w string) bool) bool {
	for _, w := range words {
		if t.match.IgnoreCase {
			v, w = lowerASCII(v), lowerASCII(w)
		}
		if holds(v, w) {
			return true
		}
	}
	return false
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
