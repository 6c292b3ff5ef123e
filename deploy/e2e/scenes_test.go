//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/forewarn/forewarn/deploy/cluster"
)

const (
	realNode    = "node1"
	realNodeMB  = 256 // disk-hog fills it in a second
	diskAtLeast = "nodefs.available"
)

// stage is a cluster on which the failures of the scenarios are brought about.
type stage struct {
	*cluster.Cluster
	values map[string]string // of the manifests
	node   *cluster.Node     // nil where the machine allows none
}

// newStage starts a cluster with its nodes and nothing wrong yet.
func newStage(t *testing.T) *stage {
	t.Helper()
	can := cluster.WhyNoNode() == ""
	o := cluster.Options{Kwok: true}
	if can {
		o.Nodes = []string{realNode}
	}
	s := &stage{Cluster: cluster.New(t, o), values: cluster.NewFaults(t).Values()}
	cert, key, err := cluster.CertificatePEM(time.Now().Add(12 * time.Hour))
	require.NoError(t, err)
	s.values["certificate"] = base64.StdEncoding.EncodeToString(cert)
	s.values["key"] = base64.StdEncoding.EncodeToString(key)
	s.apply(t, "nodes.yaml")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, n := range []string{"kwok-large", "kwok-small"} {
		require.NoError(t, s.NodeReady(ctx, n))
	}
	if can {
		s.node = s.StartNode(t, cluster.NodeOptions{Name: realNode, DiskMB: realNodeMB, Eviction: map[string]string{diskAtLeast: "10%"}})
	}
	return s
}

func (s *stage) apply(t *testing.T, manifest string) {
	t.Helper()
	values := maps.Clone(s.values)
	values["now"] = time.Now().UTC().Format(time.RFC3339)
	require.NoError(t, s.Apply(t.Context(), os.DirFS(scenarios()), manifest, values))
}

// begin brings about every failure that needs no other to have gone before, all at once.
func (s *stage) begin(t *testing.T) {
	t.Helper()
	for _, manifest := range []string{
		"webhooks.yaml", "node-lost.yaml", "scheduling.yaml", "quota.yaml", "job-deadline.yaml", "volumes.yaml", "autoscaling.yaml", "api.yaml", "certificates.yaml",
	} {
		s.apply(t, manifest)
	}
	if s.node != nil {
		for _, manifest := range []string{"containers.yaml", "images.yaml", "jobs.yaml", "eviction.yaml"} {
			s.apply(t, manifest)
		}
	}
	s.preempt(t)
	s.refuse(t)
	s.takeVolume(t)
	require.NoError(t, s.Client.CoreV1().Namespaces().Delete(t.Context(), "stuck", metav1.DeleteOptions{}))
	_, err := s.Client.CoreV1().ComponentStatuses().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err, "a deprecated API is still served")
}

// preempt lets a pod of high priority come when its victim runs.
func (s *stage) preempt(t *testing.T) {
	t.Helper()
	s.until(t, "victim runs", func(ctx context.Context) bool {
		p, err := s.Client.CoreV1().Pods("scheduling").Get(ctx, "victim", metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.PodRunning
	})
	s.apply(t, "preemption.yaml")
}

// refuse applies the workloads of the broken webhooks when the API server calls these. It loads them a moment after they were
// made.
func (s *stage) refuse(t *testing.T) {
	t.Helper()
	probe := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "probe"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.test/app:latest"}}},
	}
	for _, ns := range []string{"webhook-refused", "webhook-expired", "webhook-silent", "webhook-policy"} {
		s.until(t, "the API server refuses pods in "+ns, func(ctx context.Context) bool {
			_, err := s.Client.CoreV1().Pods(ns).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil
		})
	}
	s.apply(t, "webhook-workloads.yaml")
}

// takeVolume deletes the volume of a claim that is bound to it.
func (s *stage) takeVolume(t *testing.T) {
	t.Helper()
	s.until(t, "the claim is bound", func(ctx context.Context) bool {
		p, err := s.Client.CoreV1().PersistentVolumeClaims("volumes").Get(ctx, "lost", metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.ClaimBound
	})
	volumes := s.Client.CoreV1().PersistentVolumes()
	require.NoError(t, volumes.Delete(t.Context(), "taken", metav1.DeleteOptions{}))
	_, err := volumes.Patch(t.Context(), "taken", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
}

// fillDisk fills the disk of the real node. What runs there goes before, all but one pod: the kubelet evicts a pod that it has no
// statistics of before any that has filled its disk, and none of the failing ones has any.
func (s *stage) fillDisk(t *testing.T) {
	t.Helper()
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	for _, ns := range []string{"containers", "images", "jobs", "eviction"} {
		require.NoError(t, s.Client.AppsV1().Deployments(ns).DeleteCollection(t.Context(), now, metav1.ListOptions{}))
		require.NoError(t, s.Client.BatchV1().Jobs(ns).DeleteCollection(t.Context(), now, metav1.ListOptions{}))
		require.NoError(t, s.Client.CoreV1().Pods(ns).DeleteCollection(t.Context(), now, metav1.ListOptions{}))
		s.until(t, ns+" has no pods", func(ctx context.Context) bool {
			pods, err := s.Client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			return err == nil && len(pods.Items) == 0
		})
	}
	s.apply(t, "disk-pressure.yaml")
}

func (s *stage) until(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("waited %v until %s", patience, what))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		}
	}
}
