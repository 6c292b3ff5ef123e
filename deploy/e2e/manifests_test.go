//go:build e2e

package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/forewarn/forewarn/deploy/cluster"
)

// rendered are the manifests that are kept of the chart, by what they are.
func rendered() map[string]string {
	return map[string]string{
		"embedded": "kustomize/embedded/forewarn.yaml", "external": "kustomize/external/forewarn.yaml",
		"full": "helm/cases/full.rendered.yaml", "full-external": "helm/cases/full-external.rendered.yaml",
	}
}

// manifest reads a manifest of the folder deploy. Objects of the Prometheus operator are left out: the module deploy/render
// checks them against the operator's own types.
func manifest(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	f, err := os.Open(filepath.Join("..", path))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var all []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		o := &unstructured.Unstructured{}
		err := d.Decode(o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		if len(o.Object) > 0 && o.GroupVersionKind().Group != "monitoring.coreos.com" {
			all = append(all, o)
		}
	}
}

// clusterWide says that an object lives in no namespace.
func clusterWide(o *unstructured.Unstructured) bool {
	return slices.Contains([]string{"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}, o.GetKind())
}

// install applies a manifest to the namespace forewarn.
func install(t *testing.T, c *cluster.Cluster, path string) []*unstructured.Unstructured {
	t.Helper()
	all := manifest(t, path)
	require.NotEmpty(t, all)
	for _, o := range all {
		if !clusterWide(o) {
			o.SetNamespace("forewarn")
		}
		require.NoError(t, c.ApplyObject(t.Context(), o), "%s: %s %s", path, o.GetKind(), o.GetName())
	}
	return all
}

// installCRDs applies the definitions of the custom resources and the namespace forewarn, and waits until the API server serves them.
func installCRDs(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, path := range []string{"kustomize/namespace/namespace.yaml", "crds/signatures.yaml", "crds/clustersignatures.yaml"} {
		for _, o := range manifest(t, path) {
			require.NoError(t, c.ApplyObject(t.Context(), o))
		}
	}
	for _, name := range []string{"signatures", "clustersignatures"} {
		eventually(t, name+" are served", func() bool {
			_, err := c.Dynamic.Resource(resourceOf(name)).List(t.Context(), metav1.ListOptions{})
			return err == nil
		})
	}
}

func TestEveryManifestIsTakenByTheAPIServerAndFitsItsPodSecurity(t *testing.T) {
	c := cluster.New(t, cluster.Options{})
	installCRDs(t, c)
	strict := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), strict, metav1.CreateOptions{})
	require.NoError(t, err)
	for name, path := range rendered() {
		t.Run(name, func(t *testing.T) {
			all := install(t, c, path)
			defer func() { // what one leaves cannot always be changed into what the next one brings
				for _, o := range slices.Backward(all) {
					require.NoError(t, c.Delete(t.Context(), o))
				}
			}()
			for _, o := range all {
				template := podTemplate(t, o)
				if template == nil {
					continue
				}
				refused := podRefused(t, c, "strict", template)
				part := template.Labels["app.kubernetes.io/component"]
				switch {
				case part != "node":
					require.Empty(t, refused, "%s fits the standard restricted", part)
				case name == "full": // with kmsg
					require.Equal(t, `allowPrivilegeEscalation != false, privileged, restricted volume types, runAsNonRoot != true, runAsUser=0, unrestricted capabilities`, refused)
				case name == "full-external": // with the journal
					require.Equal(t, `restricted volume types, runAsNonRoot != true, runAsUser=0, unrestricted capabilities`, refused)
				default:
					require.Equal(t, `restricted volume types, runAsNonRoot != true, runAsUser=0`, refused, "what the node agent needs beyond the standard is named, and no more")
				}
				require.Empty(t, podRefused(t, c, "forewarn", template))
				pod := template.Spec.Containers[0]
				require.NotNil(t, pod.LivenessProbe)
				require.NotNil(t, pod.ReadinessProbe)
				require.True(t, *pod.SecurityContext.ReadOnlyRootFilesystem)
				require.NotEmpty(t, pod.Resources.Requests, "a pod without requests is the first to go")
				require.False(t, pod.Resources.Limits.Memory().IsZero())
			}
		})
	}
}

func podTemplate(t *testing.T, o *unstructured.Unstructured) *corev1.PodTemplateSpec {
	t.Helper()
	if !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.GetKind()) {
		return nil
	}
	var d appsv1.Deployment // all of them have the template in the same place
	plain, _, err := unstructured.NestedMap(o.Object, "spec", "template")
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(plain, &d.Spec.Template))
	return &d.Spec.Template
}

// podRefused asks the API server to take a pod without keeping it, and returns why it did not: the names of what the pod security standard
// forbids, in order.
func podRefused(t *testing.T, c *cluster.Cluster, namespace string, template *corev1.PodTemplateSpec) string {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name, pod.Spec.ServiceAccountName, pod.Spec.PriorityClassName = "try", "default", ""
	mounted := slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "data" })
	if mounted && !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" }) { // a StatefulSet adds it
		claim := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: claim}})
	}
	var err error
	eventually(t, "the namespace has its service account", func() bool {
		_, err = c.Client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		return err == nil || !strings.Contains(err.Error(), "serviceaccount")
	})
	if err == nil {
		return ""
	}
	_, why, ok := strings.Cut(err.Error(), `violates PodSecurity "restricted:latest": `)
	require.True(t, ok, "%v", err)
	var names []string
	depth, start := 0, 0
	for i, r := range why + "," { // each name is followed by its places in brackets
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			name, _, _ := strings.Cut(strings.TrimSpace(why[start:i]), " (")
			names = append(names, name)
			start = i + 1
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
