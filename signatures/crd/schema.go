package crd

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/signatures"
)

// Definition returns the CustomResourceDefinition of the kind. Its schema is made from the types of the signature language, so that kubectl explain
// tells of them and the API server refuses what they refuse by shape, as far as a structural schema can say it:
//
//   - what may be written in several shapes (a match as a word, a list or a mapping) is open, and refused in the status when it is wrong;
//   - conditions nest without end, which a structural schema cannot: two levels are described, and what is deeper is open.
func Definition(kind Kind) (map[string]any, error) {
	spec, err := specSchema()
	if err != nil {
		return nil, err
	}
	status, err := statusSchema()
	if err != nil {
		return nil, err
	}
	scope, short, about := "Namespaced", "fwsig", "a signature of a known failure that sees the records of its namespace only."
	if kind == ClusterWide {
		scope, short, about = "Cluster", "fwcsig", "a signature of a known failure that sees the records of the whole cluster."
	}
	plural := kind.Resource().Resource
	column := func(name, kind, path string, wide bool) map[string]any {
		c := map[string]any{"name": name, "type": kind, "jsonPath": path}
		if wide {
			c["priority"] = 1
		}
		return c
	}
	object := map[string]any{
		"type": "object", "required": []string{"spec"}, "description": string(kind) + " is " + about + " Its name is the signature's id.",
		"properties": map[string]any{
			"apiVersion": map[string]any{"type": "string"},
			"kind":       map[string]any{"type": "string"},
			"metadata": map[string]any{"type": "object", "properties": map[string]any{
				"name": map[string]any{"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"},
			}},
			"spec":   spec,
			"status": status,
		},
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + Group},
		"spec": map[string]any{
			"group": Group, "scope": scope,
			"names": map[string]any{
				"kind": string(kind), "listKind": string(kind) + "List", "plural": plural, "singular": strings.ToLower(string(kind)),
				"shortNames": []string{short}, "categories": []string{"forewarn"},
			},
			"versions": []any{map[string]any{
				"name": Version, "served": true, "storage": true,
				"subresources": map[string]any{"status": map[string]any{}},
				"additionalPrinterColumns": []any{
					column("State", "string", ".status.state", false),
					column("Severity", "string", ".spec.severity", false),
					column("Warning", "string", ".status.lastWarning.state", false),
					column("About", "string", ".status.lastWarning.key", true),
					column("Since", "date", ".status.lastWarning.time", false),
					column("Reason", "string", ".status.reason", false),
					column("Title", "string", ".spec.title", true),
					column("Age", "date", ".metadata.creationTimestamp", false),
				},
				"schema": map[string]any{"openAPIV3Schema": object},
			}},
		},
	}, nil
}

// specSchema is the structural schema of a signature without its id.
func specSchema() (map[string]any, error) {
	text, err := signatures.Schema()
	if err != nil {
		return nil, err
	}
	var doc struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the schema of signatures: %w", err)
	}
	root, ok := doc.Defs["Signature"]
	if !ok {
		return nil, errors.New("the schema of signatures has no Signature")
	}
	s := structural{defs: doc.Defs}
	spec := s.of(root)
	spec["description"] = "The signature, as it stands in a file, without its id."
	if p, ok := spec["properties"].(map[string]any); ok {
		delete(p, "id")
	}
	spec["required"] = without(spec["required"], "id")
	return spec, nil
}

func without(list any, name string) []any {
	var out []any
	all, _ := list.([]any)
	for _, x := range all {
		if x != name {
			out = append(out, x)
		}
	}
	return out
}

// statusSchema is the structural schema of a [Status].
func statusSchema() (map[string]any, error) {
	r := &jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			switch t {
			case reflect.TypeFor[metav1.Time]():
				return &jsonschema.Schema{Type: "string", Format: "date-time"}
			case reflect.TypeFor[State]():
				return &jsonschema.Schema{Type: "string", Enum: []any{string(Armed), string(Refused), string(Disarmed)}}
			}
			return nil
		},
		LookupComment: func(t reflect.Type, name string) string {
			if t.Kind() != reflect.Struct || name == "" {
				return ""
			}
			f, _ := t.FieldByName(name)
			return f.Tag.Get("doc")
		},
	}
	text, err := json.Marshal(r.Reflect(&Status{}))
	if err != nil {
		return nil, fmt.Errorf("write the schema of a status: %w", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the schema of a status: %w", err)
	}
	s := structural{}
	status := s.of(doc)
	status["description"] = "What became of it, written by forewarn."
	return status, nil
}

// structural turns JSON Schema into what the API server takes: without references, and with one type for each value.
type structural struct {
	defs  map[string]map[string]any
	depth int // how many conditions stand around
}

// maxConditions is how many conditions inside of each other are described.
const maxConditions = 2

// open is a value of any shape.
func open(description any) map[string]any {
	out := map[string]any{"x-kubernetes-preserve-unknown-fields": true}
	if description != nil {
		out["description"] = description
	}
	return out
}

func (s *structural) of(node map[string]any) map[string]any {
	if ref, ok := node["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		if name == "Condition" {
			if s.depth == maxConditions {
				return open(node["description"])
			}
			s.depth++
			defer func() { s.depth-- }()
		}
		out := s.of(s.defs[name])
		if d, ok := node["description"]; ok {
			out["description"] = d
		}
		return out
	}
	kind, single := node["type"].(string)
	if !single { // one of several shapes
		return open(node["description"])
	}
	out := map[string]any{"type": kind}
	for _, key := range []string{"description", "required", "enum", "pattern", "format", "minimum", "minItems", "maxItems", "minProperties", "anyOf"} {
		if v, ok := node[key]; ok {
			out[key] = v
		}
	}
	if kind == "integer" {
		out["format"] = "int64"
	}
	if s.depth > 1 {
		delete(out, "description") // it stands a level above
	}
	if properties, ok := node["properties"].(map[string]any); ok {
		all := make(map[string]any, len(properties))
		for name, p := range properties {
			if p, ok := p.(map[string]any); ok {
				all[name] = s.of(p)
			}
		}
		out["properties"] = all
	}
	if values, ok := node["additionalProperties"].(map[string]any); ok {
		out["additionalProperties"] = s.of(values)
	}
	if items, ok := node["items"].(map[string]any); ok {
		out["items"] = s.of(items)
		out["x-kubernetes-list-type"] = "atomic"
	}
	return out
}
