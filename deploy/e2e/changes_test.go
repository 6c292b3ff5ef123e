//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// TestChangesAreToldOnceWhateverRestarts writes a quota two hundred times while the API server and the collector, which has exactly the rights that
// it declares, are restarted again and again: nothing is lost and nothing told twice.
func TestChangesAreToldOnceWhateverRestarts(t *testing.T) {
	c := cluster.New(t, cluster.Options{Kwok: true})
	options := kube.ChangesOptions{Certificates: true}
	needs, err := options.Needs()
	require.NoError(t, err)
	client := connect(t, c, "changes", needs)
	makeShop(t, c)

	w := newWitness(t)
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	directory := collector.Directory(t.TempDir())
	start := func() (stop func()) {
		common := common(t, "changes", meters)
		common.Checkpoints = directory
		changes, err := kube.NewChanges(options, client, kube.NewTopology(kube.TopologyOptions{}), common)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() { ended <- changes.Run(ctx, w.emit) }()
		return func() {
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
		}
	}
	stop := start()
	w.expect(t, want{record.Change, "tls.expires:  -> 7d", map[string]string{record.ObjectKind: "Secret"}})
	began := time.Now()
	require.Eventually(t, func() bool { return w.promised().After(began) }, patience, 10*time.Millisecond, "everything is watched")
	setQuota(t, c, 1)
	w.expect(t, want{record.Change, "spec.hard.pods: 1001 -> 1002", nil})

	_, err = c.Client.AppsV1().Deployments("shop").Patch(t.Context(), "cart", types.StrategicMergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	w.expect(t, want{record.Change, "status.conditions[Ready].status:  -> True", map[string]string{
		record.ObjectKind: "Pod", record.WorkloadKind: "Deployment", record.WorkloadName: "cart", record.Node: "fake-1", record.Image: "registry.test/cart:1", record.Namespace: "shop",
	}})

	const writes = 200
	for i := 2; i <= writes; i++ {
		switch {
		case i%40 == 0:
			w.again()
			w.expect(t, want{record.Change, fmt.Sprintf("-> %d", 1000+i), map[string]string{record.ChangePath: "spec.hard.pods"}})
			require.NoError(t, c.RestartAPIServer(t.Context()))
		case i%10 == 0:
			stop()
			stop = start()
		}
		setQuota(t, c, i)
	}
	w.again()
	w.expect(t, want{record.Change, fmt.Sprintf("-> %d", 1001+writes), map[string]string{record.ChangePath: "spec.hard.pods"}})
	require.NoError(t, c.Client.CoreV1().ResourceQuotas("shop").Delete(t.Context(), "pods", metav1.DeleteOptions{}))
	w.expect(t, want{record.Change, "deleted", map[string]string{record.ObjectKind: "ResourceQuota"}})
	stop()

	// A server that was restarted does not say what came before: what it was in between cannot be told, but that it changed is, without a gap
	// and once.
	next, seen := map[string]string{}, map[uint64]bool{}
	records, _ := w.after(0)
	for _, r := range records {
		if !seen[r.ID] && r.Attrs.Value(record.ChangePath) == "spec.hard.pods" {
			from, to := r.Attrs.Value(record.ChangeFrom), r.Attrs.Value(record.ChangeTo)
			require.Empty(t, next[from], "%s became another value twice", from)
			next[from] = to
		}
		seen[r.ID] = true
	}
	at, steps := "1001", 0
	for ; next[at] != ""; at = next[at] {
		steps++
	}
	require.Equal(t, fmt.Sprint(1001+writes), at, "after %d steps", steps)
	require.Len(t, next, steps)
	require.Greater(t, steps, writes/2, "most writes are told each")
	t.Logf("%d writes are told in %d changes, %d records in all", writes, steps, len(seen))
}

// promised returns up to when everything is known.
func (w *witness) promised() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest := int64(0)
	for _, frame := range w.frames {
		var b record.Batch
		if b.Decode(frame) == nil {
			newest = max(newest, b.Header().Mark)
		}
	}
	return time.Unix(0, newest)
}

func setQuota(t *testing.T, c *cluster.Cluster, i int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"hard":{"pods":"%d"}}}`, 1001+i)
	require.Eventually(t, func() bool {
		_, err := c.Client.CoreV1().ResourceQuotas("shop").Patch(t.Context(), "pods", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err == nil
	}, patience, 50*time.Millisecond)
}

// makeShop makes a namespace with a quota, a workload on a simulated node, and a certificate that ends in three days.
func makeShop(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx := t.Context()
	_, err := c.Client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "fake-1", Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = c.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = c.Client.CoreV1().ResourceQuotas("shop").Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "pods"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("1001")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	labels := map[string]string{"app": "cart"}
	_, err = c.Client.AppsV1().Deployments("shop").Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "cart"}, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: "registry.test/cart:1"}}}},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(72 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	_, err = c.Client.CoreV1().Secrets("shop").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tls"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}}, metav1.CreateOptions{})
	require.False(t, err != nil && !apierrors.IsAlreadyExists(err), "%v", err)
}
