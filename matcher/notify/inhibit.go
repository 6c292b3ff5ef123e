package notify

import (
	"fmt"
	"strings"
)

// Inhibit holds back, from people, warnings that another open one explains.
type Inhibit struct {
	Source []string `yaml:"source" json:"source" doc:"Matchers of the warning that explains the others."`
	Target []string `yaml:"target" json:"target" doc:"Matchers of those that are held back while such a warning is open."`
	Equal  []string `yaml:"equal,omitempty" json:"equal,omitempty" doc:"Labels that both must have, with the same value, such as node."`
}

// Inhibitor is a compiled [Inhibit].
type Inhibitor struct {
	source, target Matchers
	equal          []string
}

// CompileInhibit checks rules. All mistakes are found at once.
func CompileInhibit(list []Inhibit) ([]Inhibitor, []Problem) {
	var all []Inhibitor
	var problems []Problem
	for i, r := range list {
		path := fmt.Sprintf("inhibit[%d]", i)
		read := func(field string, from []string) (ms Matchers) {
			if len(from) == 0 {
				problems = append(problems, Problem{path, "it has no " + field, "give matchers, such as signature=node-not-ready"})
			}
			for j, s := range from {
				m, err := ParseMatcher(s)
				if err != nil {
					problems = append(problems, Problem{fmt.Sprintf("%s.%s[%d]", path, field, j), err.Error(), ""})
				}
				ms = append(ms, m)
			}
			return ms
		}
		all = append(all, Inhibitor{read("source", r.Source), read("target", r.Target), r.Equal})
	}
	return all, problems
}

// values are what a source's labels must share with a target's; false when they lack one of them.
func (i *Inhibitor) values(l Labels) (string, bool) {
	var b strings.Builder
	for _, e := range i.equal {
		if l[e] == "" {
			return "", false // what neither has is no bond
		}
		b.WriteString(l[e])
		b.WriteByte(0)
	}
	return b.String(), true
}
