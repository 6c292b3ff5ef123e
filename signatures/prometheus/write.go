package prometheus

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// Object is where a PrometheusRule lives and how it is found: operators look for labels.
type Object struct {
	Name, Namespace string
	Labels          map[string]string
}

// maxObject is how many groups one PrometheusRule has: the operator keeps each in a ConfigMap, which takes less than 1 MiB.
const maxObject = 100

// YAML writes the rules as a file for Prometheus, with the notes as comments.
func (f *File) YAML() ([]byte, error) {
	groups, err := f.nodes()
	if err != nil {
		return nil, err
	}
	return encode(map[string]*yaml.Node{"groups": groups})
}

// Objects writes the rules as PrometheusRule objects of monitoring.coreos.com/v1, as many as they need.
func (f *File) Objects(o Object) ([]byte, error) {
	var out []byte
	for n := 0; n*maxObject < len(f.Groups); n++ {
		part := File{f.Groups[n*maxObject : min((n+1)*maxObject, len(f.Groups))]}
		groups, err := part.nodes()
		if err != nil {
			return nil, err
		}
		name := o.Name
		if n > 0 {
			name = fmt.Sprintf("%s-%d", o.Name, n+1)
		}
		type meta struct {
			Name      string            `yaml:"name"`
			Namespace string            `yaml:"namespace,omitempty"`
			Labels    map[string]string `yaml:"labels,omitempty"`
		}
		text, err := encode(struct {
			APIVersion string                `yaml:"apiVersion"`
			Kind       string                `yaml:"kind"`
			Metadata   meta                  `yaml:"metadata"`
			Spec       map[string]*yaml.Node `yaml:"spec"`
		}{"monitoring.coreos.com/v1", "PrometheusRule", meta{name, o.Namespace, o.Labels}, map[string]*yaml.Node{"groups": groups}})
		if err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, "---\n"...)
		}
		out = append(out, text...)
	}
	return out, nil
}

// nodes are the groups with their notes.
func (f *File) nodes() (*yaml.Node, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range f.Groups {
		var n yaml.Node
		if err := n.Encode(&f.Groups[i]); err != nil {
			return nil, fmt.Errorf("write group %s: %w", f.Groups[i].Name, err)
		}
		for _, note := range f.Groups[i].Notes {
			if n.HeadComment != "" {
				n.HeadComment += "\n"
			}
			n.HeadComment += "# " + note
		}
		list.Content = append(list.Content, &n)
	}
	return list, nil
}

// YAML writes the tests as a file for promtool.
func (u *UnitTests) YAML() ([]byte, error) { return encode(u) }

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), nil
}

// DraftYAML writes a signature for a person to go on with.
func DraftYAML(s *signatures.Signature) ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(s); err != nil {
		return nil, fmt.Errorf("write signature %s: %w", s.ID, err)
	}
	shorten(&n)
	return encode(&n)
}

// shorten writes `{equals: [word]}` as the word, and short mappings on one line.
func shorten(n *yaml.Node) {
	for _, c := range n.Content {
		shorten(c)
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "equals" && len(n.Content[1].Content) == 1 {
		word := *n.Content[1].Content[0]
		*n = word
	}
}
