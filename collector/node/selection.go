package node

import (
	"errors"
	"fmt"
	"path"

	"github.com/forewarn/forewarn/collector/record"
)

// Selection selects logs. All that it says must hold.
type Selection struct {
	Namespace string            `yaml:"namespace,omitempty" json:"namespace,omitempty" doc:"A namespace; * and ? stand for others."`
	Pod       string            `yaml:"pod,omitempty" json:"pod,omitempty" doc:"A pod; * and ? stand for others."`
	Container string            `yaml:"container,omitempty" json:"container,omitempty" doc:"A container; * and ? stand for others."`
	Path      string            `yaml:"path,omitempty" json:"path,omitempty" doc:"A file; * and ? stand for others, but for a slash."`
	Labels    map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Labels of the pod; * and ? stand for others in their values."`
}

// check finds what can't be meant. place is where the selection stands.
func (s *Selection) check(place string, known bool) error {
	if s.Namespace == "" && s.Pod == "" && s.Container == "" && s.Path == "" && len(s.Labels) == 0 {
		return fmt.Errorf("%s selects everything: name a namespace, pod, container, path or labels", place)
	}
	if len(s.Labels) > 0 && !known {
		return fmt.Errorf("%s.labels: nothing here knows the labels of pods: give the collector access to the API, or select by namespace, pod and container", place)
	}
	var problems []error
	pattern := func(field, p string) {
		if _, err := path.Match(p, ""); err != nil {
			problems = append(problems, fmt.Errorf("%s.%s: the pattern %q is broken: write [[] for a bracket", place, field, p))
		}
	}
	pattern("namespace", s.Namespace)
	pattern("pod", s.Pod)
	pattern("container", s.Container)
	pattern("path", s.Path)
	for key, p := range s.Labels {
		pattern("labels."+key, p)
	}
	return errors.Join(problems...)
}

func (s *Selection) selects(file string, a record.Attrs, labels map[string]string) bool {
	fits := func(pattern, value string) bool {
		if pattern == "" {
			return true
		}
		ok, err := path.Match(pattern, value)
		return ok && err == nil
	}
	if !fits(s.Namespace, a.Value(record.Namespace)) || !fits(s.Pod, a.Value(record.Pod)) ||
		!fits(s.Container, a.Value(record.Container)) || !fits(s.Path, file) {
		return false
	}
	for key, pattern := range s.Labels {
		if value, ok := labels[key]; !ok || !fits(pattern, value) {
			return false
		}
	}
	return true
}

func selects(list []Selection, file string, a record.Attrs, labels map[string]string) bool {
	for i := range list {
		if list[i].selects(file, a, labels) {
			return true
		}
	}
	return false
}
