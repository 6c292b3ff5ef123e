//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
	"github.com/forewarn/forewarn/signatures"
)

// sampled wants a sample of a metric with a value or more attributes.
func sampled(metric string, attrs ...string) want {
	x := want{kind: record.Sample, attrs: map[string]string{record.MetricName: metric}}
	for i := 0; i < len(attrs); i += 2 {
		x.attrs[attrs[i]] = attrs[i+1]
	}
	return x
}

// scraping scrapes what the options say with exactly the rights that they ask for.
func scraping(t *testing.T, c *cluster.Cluster, w *witness, name string, o kube.TargetsOptions, static ...metrics.StaticTargets) {
	t.Helper()
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	targets, err := kube.NewTargets(o, connect(t, c, name, o.Needs()), "", common(t, name, meters))
	require.NoError(t, err)
	m, err := metrics.New(metrics.Options{
		Keep: []string{
			"up", "etcd_server_has_leader", "scheduler_pending_pods", "workqueue_depth", "aggregator_unavailable_apiservice", "kubelet_running_pods", "container_memory_working_set_bytes",
			"prober_probe_total", "container_start_time_seconds",
		},
		Scrape: &metrics.ScrapeOptions{Interval: signatures.Duration(2e9), Discover: signatures.Duration(1e9), Static: static},
	}, common(t, name, meters), targets)
	require.NoError(t, err)
	run(t, w, m)
}

// TestMetricsOfAControlPlane scrapes every component of a real one.
func TestMetricsOfAControlPlane(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, cluster.Options{})
	w := newWitness(t)
	scraping(t, c, w, "control-plane", kube.TargetsOptions{APIServer: true},
		metrics.StaticTargets{URLs: []string{c.Endpoints.Etcd + "/metrics"}, Node: "cp1"},
		metrics.StaticTargets{
			URLs: []string{c.Endpoints.Scheduler + "/metrics", c.Endpoints.ControllerManager + "/metrics"}, Access: metrics.Access{SkipVerify: true},
		})
	w.expect(t, sampled("aggregator_unavailable_apiservice", record.Component, "kube-apiserver", "label.name", "v1.apps"))
	w.expect(t, sampled("etcd_server_has_leader", record.Node, "cp1"))
	w.expect(t, sampled("scheduler_pending_pods", "label.queue", "unschedulable"))
	w.expect(t, sampled("workqueue_depth", "label.name", "deployment"))
}

// TestMetricsOfARealKubelet scrapes one through the API server and directly, and finds the topology of a pod's container.
func TestMetricsOfARealKubelet(t *testing.T) {
	needsNode(t)
	c := cluster.New(t, cluster.Options{Nodes: []string{realNode}})
	c.StartNode(t, cluster.NodeOptions{Name: realNode})
	_, err := c.Client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "measured"},
		Spec: corev1.PodSpec{NodeName: realNode, Containers: []corev1.Container{{
			Name: "app", Image: cluster.BusyboxImage, Command: []string{"sleep", "3600"}, ImagePullPolicy: corev1.PullNever,
		}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for name, o := range map[string]kube.TargetsOptions{
		"through the API server": {Kubelet: []string{"metrics", "cadvisor", "resource", "probes"}},
		"directly":               {Kubelet: []string{"metrics", "cadvisor", "resource", "probes"}, Direct: true, SkipVerify: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t)
			account := "proxied"
			if o.Direct {
				account = "direct"
			}
			scraping(t, c, w, account, o)
			for _, path := range o.Kubelet {
				w.expect(t, sampled("up", "label.target", "node/"+realNode+"/"+path, record.Node, realNode))
			}
			w.expect(t, sampled("kubelet_running_pods", record.Node, realNode, record.Component, "kubelet"))
			w.expect(t, sampled("container_start_time_seconds", record.Node, realNode, record.Namespace, "default", record.Pod, "measured", record.Container, "app"))
		})
	}
}
