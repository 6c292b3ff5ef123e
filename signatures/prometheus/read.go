package prometheus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// Bounds of one file.
const (
	maxFile     = 32 << 20 // bytes
	maxNodes    = 1 << 20  // keys and values, aliases followed
	maxProblems = 500
)

// Read reads the groups of a file: a rule file of Prometheus, PrometheusRule objects, or lists of them, in any number of YAML documents. Every
// problem comes with its place; a rule or a group that has one is left out and the others are read. Objects of other kinds are passed over with
// one warning.
func Read(file string, src []byte) ([]Group, []signatures.Problem) {
	r := &reader{file: file, keys: map[*yaml.Node]place{}}
	text := strings.TrimPrefix(string(src), "\xef\xbb\xbf")
	if len(text) > maxFile {
		r.problem(signatures.LevelError, place{1, 1}, fmt.Sprintf("the file has more than %d bytes", maxFile), "split it")
		return nil, r.problems
	}
	r.lines = strings.Split(text, "\n")
	start := 0
	found := false
	for i := 0; i <= len(r.lines); i++ { // each document by itself, so that one that is broken does not hide the others
		if i < len(r.lines) && (i == start || !strings.HasPrefix(r.lines[i], "---")) {
			continue
		}
		doc := r.parse(strings.Join(r.lines[start:i], "\n"), start)
		start = i
		if doc == nil {
			continue
		}
		found = true
		r.document(doc)
	}
	if len(r.passed) > 0 {
		r.problem(signatures.LevelWarning, r.passedAt, "objects that hold no alerting rules are passed over: "+strings.Join(r.passed, ", "), "")
	}
	if !found && len(r.problems) == 0 {
		r.problem(signatures.LevelError, place{1, 1}, "the file is empty", "name a file with groups of rules, or a PrometheusRule")
	}
	return r.groups, r.problems
}

type reader struct {
	file     string
	lines    []string
	groups   []Group
	problems []signatures.Problem
	nodes    int
	keys     map[*yaml.Node]place // of the fields' values
	passed   []string             // kinds of objects that hold no rules
	passedAt place                // the first of them
}

// parse reads one document; its nodes have the lines of the file.
func (r *reader) parse(text string, first int) *yaml.Node {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		r.fail(err, first)
		return nil
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) == 0 || n.Content[0].Tag == "!!null" {
		return nil
	}
	root := r.resolve(n.Content[0], first, nil)
	if root == nil {
		r.problem(signatures.LevelError, place{first + 1, 1}, "the document refers to itself, or is too large with what it refers to", "write it out")
	}
	return root
}

// resolve follows aliases and moves the lines, or returns nil when there is no end of it.
func (r *reader) resolve(n *yaml.Node, first int, under []*yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		if slices.Contains(under, n.Alias) {
			return nil
		}
		n = n.Alias
	}
	if r.nodes++; r.nodes > maxNodes || len(under) > 100 {
		return nil
	}
	out := *n
	out.Line += first
	out.Content, out.Anchor = nil, ""
	for _, c := range n.Content {
		x := r.resolve(c, first, append(under, n))
		if x == nil {
			return nil
		}
		out.Content = append(out.Content, x)
	}
	return &out
}

// document reads what a document holds.
func (r *reader) document(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.problem(signatures.LevelError, at(n), "this is no rule file and no object", "a rule file begins with groups:")
		return
	}
	m := r.fields(n)
	kind := m.text("kind")
	switch {
	case kind == "" && m["groups"] != nil:
		m.only(r, "groups", "namespace")
		r.readGroups(m["groups"])
	case kind == "PrometheusRule":
		if v := m.text("apiVersion"); v != "monitoring.coreos.com/v1" {
			r.problem(signatures.LevelError, m.place("apiVersion", n), fmt.Sprintf("the apiVersion is %q", v), "PrometheusRules of monitoring.coreos.com/v1 are read")
			return
		}
		spec := m["spec"]
		if spec == nil || spec.Kind != yaml.MappingNode {
			r.problem(signatures.LevelError, at(n), "the PrometheusRule has no spec", "")
			return
		}
		f := r.fields(spec)
		f.only(r, "groups")
		if f["groups"] != nil {
			r.readGroups(f["groups"])
		}
	case strings.HasSuffix(kind, "List") && m["items"] != nil && m["items"].Kind == yaml.SequenceNode:
		for _, item := range m["items"].Content {
			r.document(item)
		}
	case kind != "":
		if len(r.passed) == 0 {
			r.passedAt = m.place("kind", n)
		}
		if !slices.Contains(r.passed, kind) {
			r.passed = append(r.passed, kind)
		}
	default:
		r.problem(signatures.LevelError, at(n), "there are no groups", "a rule file begins with groups:, a PrometheusRule has them under spec")
	}
}

// fields are those of a mapping.
type fields map[string]*yaml.Node

// fields tells of keys that stand twice and are no text.
func (r *reader) fields(n *yaml.Node) fields {
	out := fields{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if out[k.Value] != nil {
			r.problem(signatures.LevelError, at(k), fmt.Sprintf("%q stands twice", k.Value), "Prometheus refuses that; take one away")
			continue
		}
		out[k.Value] = n.Content[i+1]
		r.keys[n.Content[i+1]] = at(k)
	}
	return out
}

func (f fields) text(name string) string {
	if n := f[name]; n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

func (f fields) place(name string, or *yaml.Node) place {
	if n := f[name]; n != nil {
		return at(n)
	}
	return at(or)
}

// only tells of fields that are none.
func (f fields) only(r *reader, names ...string) (sound bool) {
	sound = true
	for _, name := range sortedNames(f) {
		if !slices.Contains(names, name) {
			sound = false
			r.problem(signatures.LevelError, r.keys[f[name]], fmt.Sprintf("%q is no field here", name), "these are: "+strings.Join(names, ", "))
		}
	}
	return sound
}

func (r *reader) readGroups(n *yaml.Node) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.problem(signatures.LevelError, at(n), "groups is no list", "each group begins with - name:")
		return
	}
	seen := map[string]bool{}
	for _, g := range n.Content {
		if x, ok := r.group(g); ok {
			if seen[x.Name] {
				r.problem(signatures.LevelWarning, at(g), fmt.Sprintf("there are two groups %q in one file", x.Name), "Prometheus refuses that; rename one")
			}
			seen[x.Name] = true
			r.groups = append(r.groups, x)
		}
	}
}

func (r *reader) group(n *yaml.Node) (g Group, ok bool) {
	if n.Kind != yaml.MappingNode {
		r.problem(signatures.LevelError, at(n), "this is no group", "a group has name and rules")
		return g, false
	}
	m := r.fields(n)
	ok = m.only(r, "name", "labels", "interval", "query_offset", "limit", "partial_response_strategy", "rules")
	if g.Name = m.text("name"); g.Name == "" {
		r.problem(signatures.LevelError, at(n), "the group has no name", "")
		ok = false
	}
	var fine [4]bool
	g.Interval, fine[0] = r.duration(m, "interval")
	g.QueryOffset, fine[1] = r.duration(m, "query_offset")
	g.Labels, fine[2] = r.words(m["labels"], true)
	fine[3] = true
	if l := m["limit"]; l != nil {
		fine[3] = l.Decode(&g.Limit) == nil
		if !fine[3] {
			r.problem(signatures.LevelError, at(l), "limit is no number", "")
		}
	}
	if !ok || slices.Contains(fine[:], false) {
		return g, false
	}
	rules := m["rules"]
	if rules == nil || rules.Tag == "!!null" {
		return g, true
	}
	if rules.Kind != yaml.SequenceNode {
		r.problem(signatures.LevelError, at(rules), "rules is no list", "each rule begins with - alert:")
		return g, false
	}
	for _, x := range rules.Content {
		if rule, ok := r.rule(x); ok {
			g.Rules = append(g.Rules, rule)
		}
	}
	return g, true
}

func (r *reader) rule(n *yaml.Node) (x Rule, ok bool) {
	if n.Kind != yaml.MappingNode {
		r.problem(signatures.LevelError, at(n), "this is no rule", "a rule has alert and expr")
		return x, false
	}
	m := r.fields(n)
	before := len(r.problems)
	m.only(r, "alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations")
	x = Rule{Alert: m.text("alert"), Record: m.text("record"), Expr: strings.TrimSpace(m.text("expr")), place: at(n)}
	switch {
	case x.Alert == "" && x.Record == "":
		r.problem(signatures.LevelError, at(n), "the rule is neither an alert nor a record", "give it alert: and a name")
	case x.Alert != "" && x.Record != "":
		r.problem(signatures.LevelError, m.place("record", n), "the rule is both an alert and a record", "make two of it")
	}
	if x.Expr == "" {
		r.problem(signatures.LevelError, m.place("expr", n), "the rule has no expr", "")
	} else if why := unbalanced(x.Expr); why != "" {
		r.problem(signatures.LevelError, at(m["expr"]), "the expression is no PromQL: "+why, "check it with promtool check rules")
	}
	x.For, _ = r.duration(m, "for")
	x.KeepFiringFor, _ = r.duration(m, "keep_firing_for")
	x.Labels, _ = r.words(m["labels"], true)
	x.Annotations, _ = r.words(m["annotations"], false)
	for _, p := range r.problems[before:] {
		if p.IsError() {
			return x, false
		}
	}
	return x, len(r.problems) < maxProblems
}

func (r *reader) duration(m fields, name string) (model.Duration, bool) {
	n := m[name]
	if n == nil || n.Tag == "!!null" || n.Kind == yaml.ScalarNode && n.Value == "" {
		return 0, true
	}
	d, err := model.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.problem(signatures.LevelError, at(n), fmt.Sprintf("%s is no duration: %.40q", name, n.Value), "Prometheus writes 30s, 5m, 1h30m, 2d")
		return 0, false
	}
	return d, true
}

// words reads labels or annotations.
func (r *reader) words(n *yaml.Node, names bool) (map[string]string, bool) {
	if n == nil || n.Tag == "!!null" {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		r.problem(signatures.LevelError, at(n), "these are no names with values", "")
		return nil, false
	}
	out, ok := map[string]string{}, true
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case names && (!model.LegacyValidation.IsValidLabelName(k.Value) || k.Value == "__name__"):
			r.problem(signatures.LevelError, at(k), fmt.Sprintf("%.60q is no name of a label", k.Value), "letters, digits and underscores")
			ok = false
		case v.Kind != yaml.ScalarNode:
			r.problem(signatures.LevelError, at(v), fmt.Sprintf("the value of %s is no text", k.Value), "")
			ok = false
		case v.Tag == "!!null":
			out[k.Value] = ""
		default:
			out[k.Value] = v.Value
		}
	}
	return out, ok
}
