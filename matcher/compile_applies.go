package matcher

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// apply reports whether a signature applies to what is known. What is not known does not disarm it.
func (o *CompileOptions) apply(s *signatures.Signature) (bool, []signatures.Problem) {
	a := s.Applies
	if a == nil {
		return true, nil
	}
	var problems []signatures.Problem
	applies := true
	check := func(path, limits, version string) {
		r, err := parseRange(limits)
		if err != nil {
			problems = append(problems, s.Problem(path, err.Error(), "Write limits such as >=1.24 <1.33."))
			return
		}
		if v, ok := parseVersion(version); ok && !r.contains(v) {
			applies = false
		}
	}
	if a.Kubernetes != "" {
		check("applies.kubernetes", a.Kubernetes, o.KubernetesVersion)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Components)) {
		check("applies.components."+name, a.Components[name], o.Components[name])
	}
	for name, want := range a.Facts {
		if have, known := o.Facts[name]; known && have != want {
			applies = false
		}
	}
	return applies, problems
}

// version is major, minor and patch. What comes after them, such as -gke.100 or +k3s1, is left out: vendors use it at will.
type version [3]int

func parseVersion(text string) (version, bool) {
	var v version
	text = strings.TrimPrefix(strings.TrimSpace(text), "v")
	if i := strings.IndexAny(text, "-+ "); i >= 0 {
		text = text[:i]
	}
	if text == "" {
		return v, false
	}
	for i, part := range strings.Split(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return v, false
		}
		if i < len(v) {
			v[i] = n
		}
	}
	return v, true
}

// versionLimit is one comparison with a version.
type versionLimit struct {
	relation string
	version  version
	parts    int // how many parts were written: =1.31 means every 1.31
}

// versionRange holds limits that must all hold.
type versionRange []versionLimit

func parseRange(text string) (versionRange, error) {
	var r versionRange
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, ",", " ")) {
		l := versionLimit{relation: "="}
		for _, rel := range []string{">=", "<=", "!=", "==", ">", "<", "="} {
			if strings.HasPrefix(word, rel) {
				l.relation, word = rel, word[len(rel):]
				break
			}
		}
		v, ok := parseVersion(word)
		if !ok {
			return nil, fmt.Errorf("%q is not a range of versions", text)
		}
		l.version, l.parts = v, min(strings.Count(word, ".")+1, len(v))
		r = append(r, l)
	}
	if len(r) == 0 {
		return nil, fmt.Errorf("%q is not a range of versions", text)
	}
	return r, nil
}

func (r versionRange) contains(v version) bool {
	for _, l := range r {
		c := slices.Compare(v[:l.parts], l.version[:l.parts])
		var ok bool
		switch l.relation {
		case ">=":
			ok = c >= 0
		case "<=":
			ok = c <= 0
		case ">":
			ok = c > 0
		case "<":
			ok = c < 0
		case "!=":
			ok = c != 0
		default:
			ok = c == 0
		}
		if !ok {
			return false
		}
	}
	return true
}
