package notify

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// Matcher says something of one label of a warning, as Alertmanager's do: name=value, name!=value, name=~regexp or name!~regexp, where the
// value may be quoted and an expression matches the whole value. A label that a warning does not have is the empty text.
type Matcher struct {
	name, value string
	expr        *regexp.Regexp // of =~ and !~
	not         bool
}

// matcherHelp ends the errors of matchers.
const matcherHelp = `write it like severity=critical, namespace!=kube-system, signature=~"pod-.*" or node!~"spot-.*"`

// ParseMatcher reads a matcher. Its error says how one is written.
func ParseMatcher(s string) (Matcher, error) {
	var m Matcher
	at := strings.IndexAny(s, "=!")
	if at < 0 {
		return m, fmt.Errorf("matcher %q: it has no operator: %s", s, matcherHelp)
	}
	m.name = strings.TrimSpace(s[:at])
	if m.name == "" || strings.ContainsAny(m.name, " \t\"'{}~") {
		return m, fmt.Errorf("matcher %q: %q is no label: %s", s, m.name, matcherHelp)
	}
	var op string
	for _, x := range []string{"=~", "!~", "!=", "="} {
		if strings.HasPrefix(s[at:], x) {
			op = x
			break
		}
	}
	if op == "" {
		return m, fmt.Errorf("matcher %q: after %s comes =, !=, =~ or !~: %s", s, m.name, matcherHelp)
	}
	m.value, m.not = strings.TrimSpace(s[at+len(op):]), op[0] == '!'
	if strings.HasPrefix(m.value, `"`) {
		text, err := strconv.Unquote(m.value)
		if err != nil {
			return m, fmt.Errorf("matcher %q: its quotes are not closed, or not alone: %s", s, matcherHelp)
		}
		m.value = text
	}
	if strings.HasPrefix(m.value, "=") || strings.HasPrefix(m.value, "~") {
		return m, fmt.Errorf("matcher %q: %s%s is no operator (quote a value that begins so): %s", s, op, m.value[:1], matcherHelp)
	}
	if op[1:] == "~" {
		var err error
		if m.expr, err = regexp.Compile("^(?:" + m.value + ")$"); err != nil {
			return m, fmt.Errorf("matcher %q: %w: %s", s, err, matcherHelp)
		}
	}
	return m, nil
}

// String writes the matcher so that ParseMatcher reads it back.
func (m Matcher) String() string {
	op := map[bool]string{false: "=", true: "!="}[m.not]
	if m.expr != nil {
		op = map[bool]string{false: "=~", true: "!~"}[m.not]
	}
	return m.name + op + strconv.Quote(m.value)
}

// Matches reports whether the labels satisfy it.
func (m Matcher) Matches(l Labels) bool {
	if m.expr != nil {
		return m.expr.MatchString(l[m.name]) != m.not
	}
	return (l[m.name] == m.value) != m.not
}

// Matchers are satisfied when all of them are; none are always satisfied.
type Matchers []Matcher

// ParseMatchers reads a list. Its error holds every mistake.
func ParseMatchers(list []string) (Matchers, error) {
	var all Matchers
	var errs []error
	for _, s := range list {
		m, err := ParseMatcher(s)
		errs = append(errs, err)
		all = append(all, m)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// Matches reports whether the labels satisfy all of them.
func (ms Matchers) Matches(l Labels) bool {
	for _, m := range ms {
		if !m.Matches(l) {
			return false
		}
	}
	return true
}

// failing returns the first that the labels do not satisfy.
func (ms Matchers) failing(l Labels) (Matcher, bool) {
	for _, m := range ms {
		if !m.Matches(l) {
			return m, true
		}
	}
	return Matcher{}, false
}

// Labels are what matchers, group_by and equal look at.
type Labels map[string]string

// labelWords are the labels that are taken from the evidence when the key does not have them, and the attributes that they stand for.
var labelWords = map[string]string{
	"cluster": record.Cluster, "node": record.Node, "namespace": record.Namespace, "pod": record.Pod, "container": record.Container,
	"workload": record.WorkloadName, "volume": record.VolumeClaim, "component": record.Component,
}

// LabelsOf returns a warning's labels: id, signature, severity, state, stage, every part of the key by its name, and cluster, namespace, node, pod,
// container, workload, volume and component as far as the key or the evidence knows them. The evidence that came first decides,
// because that stays.
func LabelsOf(w *matcher.Warning) Labels {
	l := Labels{}
	for label, attr := range labelWords {
		for i := range w.Evidence {
			if v := w.Evidence[i].Attrs[attr]; v != "" {
				l[label] = v
				break
			}
		}
	}
	for _, k := range w.Key {
		if k.Value == "" {
			continue
		}
		l[k.Key] = k.Value
		for label, attr := range labelWords {
			if k.Key == attr {
				l[label] = k.Value
			}
		}
	}
	l["id"], l["signature"], l["severity"], l["state"], l["stage"] = w.ID, w.Signature, string(w.Severity), string(w.State), w.Stage
	return l
}
