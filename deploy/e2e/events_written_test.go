//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// TestEventsAreWrittenWithTheRightsThatTheyNeed: a real API server takes them, finds them on their object, and lets the series be counted up.
func TestEventsAreWrittenWithTheRightsThatTheyNeed(t *testing.T) {
	c := cluster.New(t, cluster.Options{})
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, kubeconfig, err := c.ServiceAccount(t.Context(), "shop", "notifier", kube.EventWriterNeeds()...)
	require.NoError(t, err)
	client, err := kube.Connect(kube.ConnectOptions{Kubeconfig: kubeconfig})
	require.NoError(t, err)
	w, err := kube.NewEventWriter(client)
	require.NoError(t, err)

	e := kube.WrittenEvent{
		Name: "cart-1.00000000000000ff.forming", APIVersion: "v1", Kind: "Pod", Namespace: "shop", Object: "cart-1", UID: "u-1", Warning: true,
		Reason: "ForewarnForming", Action: "Forewarn", Note: "memory grows", Time: time.Now(), Count: 1,
	}
	eventually(t, "the role is known", func() bool { return w.Write(t.Context(), e) == nil })
	for _, count := range []int{2, 5, 5, 2} {
		e.Count = count
		require.NoError(t, w.Write(t.Context(), e))
	}
	all, err := c.Client.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=cart-1,involvedObject.kind=Pod,involvedObject.uid=u-1"})
	require.NoError(t, err, "as kubectl describe asks")
	require.Len(t, all.Items, 1)
	require.Equal(t, "memory grows", all.Items[0].Message)
	require.EqualValues(t, 5, all.Items[0].Series.Count)

	node := e
	node.Kind, node.Namespace, node.Object, node.UID, node.Name, node.Count, node.Warning = "Node", "", "worker-1", "worker-1", "worker-1.00000000000000ff.averted", 3, false
	require.NoError(t, w.Write(t.Context(), node))
	got, err := c.Client.EventsV1().Events("default").Get(t.Context(), node.Name, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "Normal worker-1", got.Type+" "+got.Regarding.Name)

	gone := e
	gone.Namespace = "gone"
	err = w.Write(t.Context(), gone)
	require.True(t, kube.IsRefused(err), "%v", err)
	long := e
	long.Name, long.Note = "other", string(make([]byte, 2000))
	err = w.Write(t.Context(), long)
	require.True(t, kube.IsRefused(err), "%v", err)
}
