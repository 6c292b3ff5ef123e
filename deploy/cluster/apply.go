package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"text/template"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// fieldManager owns what Apply sets.
const fieldManager = "forewarn-e2e"

// Apply applies the objects of a manifest in its order, with strict validation, and the status that an object brings too. The
// manifest is a text/template over values, which have to have every name that it uses. All that the API server refuses is
// reported together.
func (c *Cluster) Apply(ctx context.Context, fsys fs.FS, path string, values map[string]string) error {
	objects, err := Objects(fsys, path, values)
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range objects {
		if err := c.ApplyObject(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s %s: %w", path, o.GetKind(), o.GetName(), err))
		}
	}
	return errors.Join(errs...)
}

// Objects reads the objects of a manifest.
func Objects(fsys fs.FS, path string, values map[string]string) ([]*unstructured.Unstructured, error) {
	text, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var filled bytes.Buffer
	if err := t.Execute(&filled, values); err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(&filled, 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(o); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, object %d: %w", path, len(objects)+1, err)
		}
		if len(o.Object) > 0 { // a comment alone is no object
			objects = append(objects, o)
		}
	}
}

// ApplyObject applies one object as Apply does.
func (c *Cluster) ApplyObject(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := c.resource(o)
	if err != nil {
		return err
	}
	b, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict, Force: new(true)}
	if _, err := r.Patch(ctx, o.GetName(), types.ApplyPatchType, b, options); err != nil {
		return err
	}
	if _, has := o.Object["status"]; has {
		_, err = r.Patch(ctx, o.GetName(), types.ApplyPatchType, b, options, "status")
	}
	return err
}

// Delete deletes the objects that Objects read, the last first. One that is gone already is no error of interest.
func (c *Cluster) Delete(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := c.resource(o)
	if err != nil {
		return err
	}
	return r.Delete(ctx, o.GetName(), metav1.DeleteOptions{})
}

func (c *Cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	m, err := c.mapper.find(o)
	if err != nil {
		return nil, err
	}
	r := c.Dynamic.Resource(m.Resource)
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return r, nil
	}
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return r.Namespace(namespace), nil
}

// mapper finds the resource of a kind, and asks the API server again when it does not know one.
type mapper struct {
	mu sync.Mutex
	m  *restmapper.DeferredDiscoveryRESTMapper
}

func newMapper(d discovery.DiscoveryInterface) *mapper {
	return &mapper{m: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}
}

func (m *mapper) find(o *unstructured.Unstructured) (*meta.RESTMapping, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kind := o.GroupVersionKind()
	found, err := m.m.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		m.m.Reset()
		found, err = m.m.RESTMapping(kind.GroupKind(), kind.Version)
	}
	return found, err
}
