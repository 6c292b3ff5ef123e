package crd

import (
	"fmt"
	"maps"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// confine makes a signature see the records of one namespace only: every condition that a record can meet asks for the namespace as well. A
// record that does not say its namespace is then nobody's. It returns what the signature says of namespaces itself, which would be undone.
//
// What stands inside `not` is left as it is: it only takes away from what a condition beside it lets through.
func confine(s *signatures.Signature, namespace string) []signatures.Problem {
	c := confiner{namespace: namespace}
	for i := range s.Stages {
		c.condition(fmt.Sprintf("stages[%d].when", i), &s.Stages[i].When)
	}
	if s.Incident != nil {
		c.condition("incident.when", &s.Incident.When)
	}
	for i := range s.Unless {
		c.condition(fmt.Sprintf("unless[%d].when", i), &s.Unless[i].When)
	}
	if s.Clear.When != nil {
		c.condition("clear.when", s.Clear.When)
	}
	if s.Frame != nil {
		for i := range s.Frame.Negates {
			c.condition(fmt.Sprintf("frame.negates[%d].when", i), &s.Frame.Negates[i].When)
		}
	}
	return c.problems
}

type confiner struct {
	namespace string
	problems  []signatures.Problem
}

// metricNamespace is the label by which metrics of Kubernetes objects name their namespace. A limit series is chosen by its labels alone.
const metricNamespace = "namespace"

func (c *confiner) condition(path string, w *signatures.Condition) {
	for i := range w.All {
		if w.All[i].Not == nil {
			c.condition(fmt.Sprintf("%s.all[%d]", path, i), &w.All[i])
		}
	}
	for i := range w.Any {
		c.condition(fmt.Sprintf("%s.any[%d]", path, i), &w.Any[i])
	}
	if w.Event == nil && w.Log == nil && w.Change == nil && w.Sample == nil && w.Alert == nil {
		return
	}
	w.Attrs = c.only(path+".attrs", record.Namespace, w.Attrs)
	if w.Sample != nil && w.Sample.Of != nil {
		w.Sample.Of.Labels = c.only(path+".sample.of.labels", metricNamespace, w.Sample.Of.Labels)
	}
}

// only returns the tests with one more: that the key is the namespace.
func (c *confiner) only(path, key string, tests map[string]signatures.Match) map[string]signatures.Match {
	if m, ok := tests[key]; ok && !slices.Equal(m.Equals, []string{c.namespace}) {
		c.problems = append(c.problems, signatures.Problem{
			Path: path + "[" + fmt.Sprintf("%q", key) + "]", Message: fmt.Sprintf("a Signature sees the namespace %s only", c.namespace),
			Suggestion: "leave it out, or write a ClusterSignature",
		})
	}
	tests = maps.Clone(tests)
	if tests == nil {
		tests = map[string]signatures.Match{}
	}
	tests[key] = signatures.Match{Equals: []string{c.namespace}}
	return tests
}
