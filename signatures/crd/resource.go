package crd

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/forewarn/forewarn/signatures"
)

// Resource is what a custom resource came to. It is immutable.
type Resource struct {
	Ref        Ref
	Generation int64
	// Hash is that of the spec: a resource that has the same is read in the same way.
	Hash [sha256.Size]byte
	// Signature is what the resource holds, nil when it is refused.
	Signature *signatures.Signature
	// Problems are all that is wrong, with the paths of the spec's fields.
	Problems []signatures.Problem

	uid    string
	status Status // as the API server last said, or as it was last written
}

// read makes a resource of an object. was is what is known of the same resource, or nil: a spec that did not change is not read again.
func read(kind Kind, object *unstructured.Unstructured, was *Resource) *Resource {
	r := &Resource{
		Ref:        Ref{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName()},
		Generation: object.GetGeneration(), uid: string(object.GetUID()),
	}
	if status, ok := object.Object["status"]; ok {
		r.status = statusOf(status)
	}
	spec, isMap := object.Object["spec"].(map[string]any)
	text, err := r.text(spec)
	switch {
	case err != nil || !isMap:
		r.Problems = []signatures.Problem{r.problem("spec", "it is not a mapping", "write the signature's fields beneath spec, all but its id")}
		return r
	case was != nil && was.Hash == sha256.Sum256(text):
		r.Hash, r.Signature, r.Problems = was.Hash, was.Signature, was.Problems
		return r
	}
	r.Hash = sha256.Sum256(text)
	r.parse(spec, text)
	return r
}

// text is the spec as a document of the language: with the resource's name as the id.
func (r *Resource) text(spec map[string]any) ([]byte, error) {
	body := maps.Clone(spec)
	if body == nil {
		body = map[string]any{}
	}
	body["id"] = r.Ref.Name
	b, err := json.Marshal(body) // keys are sorted, so equal specs have equal texts
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.Ref, err)
	}
	return b, nil
}

func (r *Resource) parse(spec map[string]any, text []byte) {
	for key, mend := range map[string]string{
		"id":         "leave it out: the resource's name is the id",
		"signatures": "write one resource for each signature",
	} {
		if _, ok := spec[key]; ok {
			r.Problems = append(r.Problems, r.problem("spec."+key, "it does not stand in a resource", mend))
		}
	}
	if len(r.Problems) > 0 {
		return
	}
	list, problems := signatures.Parse(r.Ref.String(), text)
	for _, p := range problems {
		r.Problems = append(r.Problems, r.place(p))
	}
	if len(list) != 1 || len(signatures.Errors(problems)) > 0 {
		return
	}
	s := list[0]
	s.Place(signatures.Problem{File: r.Ref.String()}) // the lines are those of a text that nobody wrote
	s.ID = r.Ref.ID()
	if r.Ref.Namespace != "" {
		wrong := confine(s, r.Ref.Namespace)
		for _, p := range wrong {
			r.Problems = append(r.Problems, r.problem(p.Path, p.Message, p.Suggestion))
		}
		if len(wrong) > 0 {
			return
		}
	}
	r.Signature = s
}

func (r *Resource) problem(path, message, suggestion string) signatures.Problem {
	return r.place(signatures.Problem{Path: path, Severity: signatures.LevelError, Message: message, Suggestion: suggestion})
}

// place gives a problem the field's path in the resource, and takes away its place in the text that was made of the spec.
func (r *Resource) place(p signatures.Problem) signatures.Problem {
	p.File, p.Line, p.Column, p.Snippet = r.Ref.String(), 0, 0, ""
	p.Path = fieldPath(p.Path)
	return p
}

// fieldPath is where a field of the signature stands in the resource.
func fieldPath(path string) string {
	switch {
	case path == "spec" || len(path) > 4 && path[:5] == "spec.":
		return path
	case path == "id":
		return "metadata.name"
	case path == "":
		return "spec"
	case path[0] == '[':
		return "spec" + path
	}
	return "spec." + path
}
