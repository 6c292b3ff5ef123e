package prometheus

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"github.com/forewarn/forewarn/signatures"
)

// Drafts is what alerting rules became.
type Drafts struct {
	Signatures []*signatures.Signature // one for each alert, in their order
	Recording  int                     // recording rules, which stay where they are
	Measured   int                     // drafts that look at the metric itself, because they say exactly the same
	Incomplete []string                // ids of incidents of which nobody knows yet what comes before
}

// Draft makes a signature of each alerting rule. With incident the alert is the incident, and what is known to come before it is a stage: the
// condition before its `for` has passed, or alerts of the same name that are less severe. A draft works as it is; a person makes it better.
func Draft(groups []Group, incident bool) Drafts {
	d := drafter{incident: incident, ids: map[string]bool{}, byName: map[string][]Rule{}}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				d.out.Recording++
				continue
			}
			r.Labels = merged(g.Labels, r.Labels)
			d.byName[r.Alert] = append(d.byName[r.Alert], r)
		}
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				r.Labels = merged(g.Labels, r.Labels)
				d.draft(g.Name, &r)
			}
		}
	}
	return d.out
}

// maxWait is the longest `for` that a draft takes over.
const maxWait = 365 * 24 * time.Hour

type drafter struct {
	incident bool
	ids      map[string]bool
	byName   map[string][]Rule
	out      Drafts
}

func merged(under, over map[string]string) map[string]string {
	if len(under) == 0 {
		return over
	}
	out := maps.Clone(under)
	maps.Copy(out, over)
	return out
}

func (d *drafter) draft(group string, r *Rule) {
	s := &signatures.Signature{
		ID: d.id(r), Title: title(r), Severity: severity(r.Labels["severity"]), Impact: impact(r), By: key(r),
		References: references(r), Expire: signatures.Duration(7 * 24 * time.Hour),
		AlertingRule: &signatures.AlertingRule{
			Group: group, Alert: r.Alert, Expr: r.Expr, For: written(r.For), KeepFiringFor: written(r.KeepFiringFor), Labels: r.Labels, Annotations: r.Annotations,
		},
	}
	sample, exact := threshold(r.Expr)
	if longest := time.Duration(max(r.For, r.KeepFiringFor)); longest > maxWait {
		exact = false // nobody means it, and signatures refuse it
	} else {
		s.Expire = max(s.Expire, signatures.Duration(2*longest))
	}
	fires := signatures.Condition{Alert: d.alert(r)}
	resolved := *fires.Alert
	resolved.State = signatures.Match{Equals: []string{"resolved"}}
	s.Clear.When = &signatures.Condition{Alert: &resolved}
	switch {
	case d.incident:
		s.Incident = &signatures.Incident{Title: r.Alert + " fires", When: fires}
		s.Stages = d.before(s.ID, r, sample, exact)
		s.Tests = incidentTests(s)
	case exact:
		d.out.Measured++
		sample.For = signatures.Duration(r.For)
		s.Stages = []signatures.Stage{{Name: "condition", Title: r.Alert + " would fire", When: signatures.Condition{Sample: sample}}}
		s.Clear = signatures.Clear{Quiet: signatures.Duration(max(time.Duration(r.KeepFiringFor), 5*time.Minute))}
		s.Tests = sampleTests(r, sample)
	default:
		s.Stages = []signatures.Stage{{Name: "firing", Title: r.Alert + " fires", When: fires}}
		s.Tests = alertTests(r, fires.Alert)
	}
	d.out.Signatures = append(d.out.Signatures, s)
}

func written(d model.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// before are the stages that lead to an alert.
func (d *drafter) before(id string, r *Rule, sample *signatures.SampleCondition, exact bool) []signatures.Stage {
	if exact && r.For > 0 {
		return []signatures.Stage{{Name: "condition", Title: "Its condition holds, and not yet for long enough", When: signatures.Condition{Sample: sample}}}
	}
	var out []signatures.Stage
	for _, x := range d.byName[r.Alert] {
		c := d.alert(&x)
		if severity(x.Labels["severity"]).Rank() > severity(r.Labels["severity"]).Rank() && len(c.Labels) > 0 {
			name := cmp.Or(slug(x.Labels["severity"]), "milder")
			if slices.ContainsFunc(out, func(s signatures.Stage) bool { return s.Name == name }) {
				continue
			}
			out = append(out, signatures.Stage{Name: name, Title: "The same alert fires as " + x.Labels["severity"], When: signatures.Condition{Alert: c}})
		}
	}
	if len(out) == 0 {
		d.out.Incomplete = append(d.out.Incomplete, id)
		out = []signatures.Stage{{
			Name: "before", Title: "Write here what comes before " + r.Alert,
			When: signatures.Condition{Alert: &signatures.AlertCondition{Name: signatures.Match{Equals: []string{"WhatComesBefore" + r.Alert}}}},
		}}
	}
	slices.SortStableFunc(out, func(a, b signatures.Stage) int { return severity(b.Name).Rank() - severity(a.Name).Rank() })
	return out
}

// alert is the condition that a rule's alert fires. Labels are asked for only as far as they tell apart alerts of one name: others may be taken away
// on the way.
func (d *drafter) alert(r *Rule) *signatures.AlertCondition {
	c := &signatures.AlertCondition{Name: signatures.Match{Equals: []string{r.Alert}}}
	for _, name := range sortedNames(r.Labels) {
		value := r.Labels[name]
		differs := slices.ContainsFunc(d.byName[r.Alert], func(x Rule) bool { return x.Labels[name] != value })
		if differs && value != "" && !strings.Contains(value, "{{") && name != "alertname" {
			if c.Labels == nil {
				c.Labels = map[string]signatures.Match{}
			}
			c.Labels[name] = signatures.Match{Equals: []string{value}}
		}
	}
	return c
}

// id is the alert's name in small words, with the severity where there are several of the name, and a number where that is not enough.
func (d *drafter) id(r *Rule) string {
	base := slug(r.Alert)
	if len(d.byName[r.Alert]) > 1 && r.Labels["severity"] != "" {
		base = slug(r.Alert + "-" + r.Labels["severity"])
	}
	base = strings.Trim(base[:min(len(base), 56)], "-")
	if base == "" {
		base = "alert"
	}
	id := base
	for n := 2; d.ids[id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	d.ids[id] = true
	return id
}

// slug makes KubeAPIDown kube-api-down.
func slug(s string) string {
	var b strings.Builder
	rs := []rune(s)
	for i, r := range rs {
		switch {
		case r < 128 && (unicode.IsLower(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case r < 128 && unicode.IsUpper(r):
			starts := i > 0 && (unicode.IsLower(rs[i-1]) || unicode.IsDigit(rs[i-1]) || unicode.IsUpper(rs[i-1]) && i+1 < len(rs) && unicode.IsLower(rs[i+1]))
			if starts && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
			b.WriteRune(unicode.ToLower(r))
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// severity takes the words that people use for the label.
func severity(s string) signatures.Severity {
	switch strings.ToLower(s) {
	case "critical", "page", "p1", "emergency", "disaster":
		return signatures.Critical
	case "error", "high", "major", "p2":
		return signatures.High
	case "info", "informational", "none":
		return signatures.Info
	case "low", "minor", "ticket", "p4":
		return signatures.Low
	}
	return signatures.Medium
}

var (
	actions    = regexp.MustCompile(`\{\{.*?\}\}`)
	labelInUse = regexp.MustCompile(`(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)`)
	byClause   = regexp.MustCompile(`\bby\s*\(([^()]*)\)`)
	spaces     = regexp.MustCompile(`\s+`)
)

// plainText is an annotation as people read it, with the names of labels where their values will be.
func plainText(s string) string {
	s = actions.ReplaceAllStringFunc(s, func(a string) string {
		if m := labelInUse.FindStringSubmatch(a); m != nil {
			return "<" + m[1] + ">"
		}
		if strings.Contains(a, "$value") || strings.Contains(a, ".Value") {
			return "<value>"
		}
		return ""
	})
	return strings.TrimSpace(spaces.ReplaceAllString(s, " "))
}

func title(r *Rule) string {
	for _, name := range []string{"summary", "message", "description", "title"} {
		if t := plainText(r.Annotations[name]); t != "" {
			return cutText(t, 200)
		}
	}
	return r.Alert + " fires"
}

func impact(r *Rule) string {
	for _, name := range []string{"impact", "description", "message"} {
		if t := plainText(r.Annotations[name]); t != "" && cutText(t, 200) != title(r) {
			return t
		}
	}
	return ""
}

func cutText(s string, most int) string {
	rs := []rune(s)
	if len(rs) <= most {
		return s
	}
	return strings.TrimSpace(string(rs[:most-3])) + "..."
}

func references(r *Rule) (out []string) {
	for _, name := range []string{"runbook_url", "runbook", "dashboard_url"} {
		if u := r.Annotations[name]; (strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")) && !strings.ContainsAny(u, " {}\n") {
			out = append(out, u)
		}
	}
	return out
}

// key is what tells one alert from another: the labels that the texts name and the expression keeps.
func key(r *Rule) signatures.Key {
	names := map[string]bool{}
	for _, a := range r.Annotations {
		for _, m := range labelInUse.FindAllStringSubmatch(a, -1) {
			names[m[1]] = true
		}
	}
	for _, m := range byClause.FindAllStringSubmatch(r.Expr, -1) {
		for n := range strings.SplitSeq(m[1], ",") {
			if n = strings.TrimSpace(n); labelName.MatchString(n) {
				names[n] = true
			}
		}
	}
	var k signatures.Key
	add := func(word string, labels ...string) {
		for _, l := range labels {
			if !names[l] {
				return
			}
		}
		k = append(k, word)
		for _, l := range labels {
			delete(names, l)
		}
		delete(names, "namespace")
	}
	add("container", "pod", "container")
	add("pod", "pod")
	add("volume", "persistentvolumeclaim")
	add("node", "node")
	if len(k) == 0 {
		add("namespace", "namespace")
	}
	for _, l := range sortedNames(names) {
		if l != "cluster" && l != "alertname" && l != "severity" && l != "job" && r.Labels[l] == "" && len(k) < 4 {
			k = append(k, "label."+l)
		}
	}
	if len(k) == 0 {
		return signatures.Key{"cluster"}
	}
	return k
}
