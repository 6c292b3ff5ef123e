// Package crd arms signatures that live in the cluster as custom resources of forewarn.dev/v1alpha1.
//
// There are two kinds, because who may write a signature decides whose records it may speak of, and Kubernetes grants rights by kind:
//
//   - a Signature lives in a namespace and sees the records of that namespace only, so that any team may be allowed to write one;
//   - a ClusterSignature sees everything, as one from a file does, and replaces the catalogue's of the same name.
//
// [Watcher] follows both, reads each as strictly as a file, and keeps what became of it. [Reporter] writes that into their status. README.md has
// the rules; deploy/crds has the definitions, which [Definition] makes of the Go types.
package crd

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version of the custom resources.
const (
	Group   = "forewarn.dev"
	Version = "v1alpha1"
)

// Kind is a kind of custom resource that holds a signature.
type Kind string

// The kinds.
const (
	Namespaced  Kind = "Signature"        // sees the records of its namespace
	ClusterWide Kind = "ClusterSignature" // sees every record
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Namespaced, ClusterWide} }

// Resource is where the API server has the kind.
func (k Kind) Resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: Version, Resource: strings.ToLower(string(k)) + "s"}
}

// Ref names one custom resource. It is comparable.
type Ref struct {
	Kind      Kind
	Namespace string // empty for a ClusterSignature
	Name      string
}

// pathPrefix tells the paths of custom resources from those of files, which are never cleaned to such a text.
const pathPrefix = "crd:"

// Path names the resource where files and resources are listed together.
func (r Ref) Path() string { return pathPrefix + r.String() }

// RefOf returns the resource whose [Ref.Path] is path.
func RefOf(path string) (Ref, bool) {
	text, ok := strings.CutPrefix(path, pathPrefix)
	kind, name, spaced := strings.Cut(text, " ")
	if !ok || !spaced || !slices.Contains(Kinds(), Kind(kind)) {
		return Ref{}, false
	}
	r := Ref{Kind: Kind(kind), Name: name}
	if r.Kind == Namespaced {
		r.Namespace, r.Name, ok = strings.Cut(name, "/")
	}
	return r, ok
}

// String is how people are told of the resource: Signature shop/cart.
func (r Ref) String() string { return string(r.Kind) + " " + r.ID() }

// ID is the id of the signature in the resource. That of a namespaced one holds a slash, which no other signature's id can: it stands in
// nobody's place, and its warnings are nobody else's.
func (r Ref) ID() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}
