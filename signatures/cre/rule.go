package cre

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// The forms of ids.
var (
	creID  = regexp.MustCompile(`^[A-Za-z0-9-]{4,}$`)
	ruleID = regexp.MustCompile(`^[1-9A-Za-z]{12,}$`)
)

// rule is one rule that is being read.
type rule struct {
	*reader
	node *yaml.Node
	path string
	id   string // of the CRE; "" while it is not known
	bad  bool
	sig  *signatures.Signature

	nested bool
}

func (r *rule) error(n *yaml.Node, path, message, mend string) {
	r.bad = true
	r.problem(signatures.LevelError, at0(n), r.path+path, r.id, message, mend)
}

func (r *rule) warn(n *yaml.Node, path, message, mend string) {
	r.problem(signatures.LevelWarning, at0(n), r.path+path, r.id, message, mend)
}

// rule reads one rule. It is added when nothing is wrong with it.
func (f *reader) rule(n *yaml.Node, path string) {
	r := &rule{reader: f, node: n, path: path, sig: &signatures.Signature{}}
	if n.Kind != yaml.MappingNode {
		r.error(n, "", "a rule is a mapping", "write metadata, cre and rule below the dash")
		return
	}
	r.unknown(n, "", "metadata", "cre", "rule")
	r.identity()
	r.about()
	r.figure()
	if r.bad {
		return
	}
	at := at0(n)
	if c := get(n, "cre"); c != nil {
		at = at0(keyOf(c, "id"))
	}
	r.sig.Place(signatures.Problem{File: f.name, Line: at.line, Column: at.column, Snippet: f.snippet(at)})
	for _, p := range signatures.Errors(signatures.Options{}.Check(r.sig)) { // what the language itself does not allow
		r.bad = true
		f.problem(signatures.LevelError, at, path, r.id, p.Path+": "+p.Message, p.Suggestion)
	}
	if !r.bad {
		f.signatures = append(f.signatures, r.sig)
	}
}

// identity reads the ids, which no two rules may share.
func (r *rule) identity() {
	meta, c := get(r.node, "metadata"), get(r.node, "cre")
	r.id = scalar(get(c, "id"))
	switch {
	case r.id == "":
		r.error(r.node, ".cre.id", "missing cre id", "such as `cre: {id: CRE-2026-0001}`")
	case !creID.MatchString(r.id):
		at := get(c, "id")
		r.id = clip(r.id, 40)
		r.error(at, ".cre.id", "invalid cre id", "letters, digits and dashes, at least 4 of them")
	}
	r.sig.ID = strings.Trim(strings.ToLower(r.id), "-")
	if meta != nil && meta.Kind == yaml.MappingNode {
		r.unknown(meta, ".metadata", "id", "hash", "name", "kind", "version", "generation", "gen")
		if get(meta, "gen") != nil && get(meta, "generation") == nil {
			r.warn(keyOf(meta, "gen"), ".metadata.gen", "`gen` is not read by the reference engine", "write `generation`")
		}
		if g := get(meta, "generation"); g != nil {
			if _, ok := unsigned(g); !ok {
				r.error(g, ".metadata.generation", "invalid generation", "a number that is not negative")
			}
		}
	}
	for i, x := range []struct {
		n          *yaml.Node
		path, what string
		form       *regexp.Regexp
	}{
		{get(c, "id"), ".cre.id", "cre id", creID},
		{get(meta, "id"), ".metadata.id", "rule id", ruleID},
		{get(meta, "hash"), ".metadata.hash", "rule hash", ruleID},
	} {
		id := scalar(x.n)
		if x.n == nil {
			continue
		}
		if i > 0 && !x.form.MatchString(id) {
			r.error(x.n, x.path, "invalid "+x.what+" (must be base58)", "12 or more letters and digits without 0")
			continue
		}
		if r.ids[i] == nil {
			r.ids[i] = map[string]int{}
		}
		if line, taken := r.ids[i][id]; taken {
			r.error(x.n, x.path, "duplicate "+x.what+" id="+clip(id, 60), fmt.Sprintf("the first is in line %d", line))
			continue
		}
		r.ids[i][id] = x.n.Line
	}
}

// about reads what people are told.
func (r *rule) about() {
	s, c := r.sig, get(r.node, "cre")
	if c == nil || c.Kind != yaml.MappingNode {
		return
	}
	r.unknown(c, ".cre", "id", "severity", "title", "category", "author", "description", "cause", "impact", "mitigation", "impactScore",
		"mitigationScore", "reports", "tags", "references", "applications")
	r.severity(c)
	if s.Title = clip(scalar(get(c, "title")), 200); s.Title == "" {
		s.Title = r.id
		r.warn(keyOf(c, "id"), ".cre.title", "there is no title, so the id stands for it", "say in one line what is about to happen")
	}
	s.Impact, s.Cause = strings.TrimSpace(scalar(get(c, "impact"))), strings.TrimSpace(scalar(get(c, "cause")))
	if s.Cause == "" {
		s.Cause = strings.TrimSpace(scalar(get(c, "description")))
	}
	s.References = words(get(c, "references"))
	s.Remedies = remedies(scalar(get(c, "mitigation")))
	if apps := get(c, "applications"); apps != nil {
		for _, a := range apps.Content {
			if name := scalar(get(a, "name")); name != "" {
				s.Components = append(s.Components, name)
			}
		}
	}
	if len(s.Components) == 0 {
		s.Components = words(get(c, "tags"))
	}
}

func (r *rule) severity(c *yaml.Node) {
	all := signatures.Severities()
	n := get(c, "severity")
	if n == nil {
		r.sig.Severity = signatures.Critical
		r.warn(keyOf(c, "id"), ".cre.severity", "there is no severity, which means critical", "0 critical, 1 high, 2 medium, 3 low, 4 info")
		return
	}
	v, ok := unsigned(n)
	switch {
	case !ok:
		r.error(n, ".cre.severity", fmt.Sprintf("invalid severity %q", clip(scalar(n), 20)), "0 critical, 1 high, 2 medium, 3 low, 4 info")
	case v >= uint64(len(all)):
		r.warn(n, ".cre.severity", fmt.Sprintf("the severity %d is none, and is taken for info", v), "0 critical, 1 high, 2 medium, 3 low, 4 info")
		r.sig.Severity = signatures.Info
	default:
		r.sig.Severity = all[v]
	}
}

// unknown warns of keys that nothing reads.
func (r *rule) unknown(n *yaml.Node, path string, known ...string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !slices.Contains(known, key.Value) {
			r.warn(key, path, fmt.Sprintf("the key %q is ignored", clip(key.Value, 40)), "known here: "+strings.Join(known, ", "))
		}
	}
}

// duration reads a Go duration, which may be negative. A missing one is 0.
func duration(n *yaml.Node) (time.Duration, bool) {
	if n == nil {
		return 0, true
	}
	d, err := time.ParseDuration(strings.TrimSpace(scalar(n)))
	return d, err == nil
}

// boolean reads true or false. A missing one is false.
func boolean(n *yaml.Node) bool {
	b, _ := strconv.ParseBool(scalar(n))
	return b
}
