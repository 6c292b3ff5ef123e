//go:build e2e

package e2e

import (
	"cmp"
	"strings"
	"testing"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// failure is one thing that goes wrong, and the records that have to tell of it.
type failure struct {
	name string
	real bool // it takes a real node
	want []want
}

// attrs are pairs of key and value.
func attrs(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// event wants an event about an object, of a reason and with a text in its message. extra are further attributes, in pairs.
func event(reason, kind, namespace, name, text string, extra ...string) want {
	a := attrs(extra...)
	a[record.EventReason], a[record.ObjectKind], a[record.ObjectName] = reason, kind, name
	if namespace != "" {
		a[record.Namespace] = namespace
	}
	if kind == "Pod" && name != "*" {
		a[record.Pod] = name
	}
	return want{kind: record.Event, text: text, attrs: a}
}

// change wants a field of an object to have become a value.
func change(kind, namespace, name, path, to string, extra ...string) want {
	a := attrs(extra...)
	a[record.ObjectKind], a[record.ObjectName], a[record.ChangePath], a[record.ChangeTo] = kind, name, path, to
	if namespace != "" {
		a[record.Namespace] = namespace
	}
	return want{kind: record.Change, attrs: a}
}

// sample wants a sample of a metric of the API server, with labels, in pairs.
func sample(metric string, labels ...string) want {
	a := attrs(record.MetricName, metric, record.Component, cluster.APIServer)
	for i := 0; i+1 < len(labels); i += 2 {
		a[record.LabelPrefix+labels[i]] = labels[i+1]
	}
	return want{kind: record.Sample, attrs: a}
}

// The metrics of the API server that tell of failures.
const (
	metricDeprecated  = "apiserver_requested_deprecated_apis"
	metricRejections  = "apiserver_admission_webhook_rejection_count"
	metricFailedOpen  = "apiserver_admission_webhook_fail_open_count"
	metricUnavailable = "aggregator_unavailable_apiservice"
)

func failures() []failure {
	const scheduler = "default-scheduler"
	onNode := []string{record.Node, realNode, record.Component, "kubelet"}
	return []failure{
		{name: "a pod that no node has room for", want: []want{
			event("FailedScheduling", "Pod", "scheduling", "insufficient-cpu", "Insufficient cpu", record.Component, scheduler, record.EventType, "Warning"),
			change("Pod", "scheduling", "insufficient-cpu", "status.conditions[PodScheduled].reason", "Unschedulable"),
		}},
		{name: "a pod that tolerates no node", want: []want{
			event("FailedScheduling", "Pod", "scheduling", "untolerated-taint", "untolerated taint", record.Component, scheduler),
		}},
		{name: "a pod that no node has the label for", want: []want{
			event("FailedScheduling", "Pod", "scheduling", "no-such-label", "didn't match Pod's node affinity/selector"),
		}},
		{name: "a pod whose claim is not bound", want: []want{
			event("FailedScheduling", "Pod", "scheduling", "unbound-claim", "unbound immediate PersistentVolumeClaims", record.VolumeClaim, "unbound"),
			event("FailedBinding", "PersistentVolumeClaim", "scheduling", "unbound", "no persistent volumes available", record.VolumeClaim, "unbound"),
		}},
		{name: "a pod whose claim does not exist", want: []want{
			event("FailedScheduling", "Pod", "scheduling", "missing-claim", `persistentvolumeclaim "nosuch" not found`),
		}},
		{name: "a pod that another one displaces", want: []want{
			event("Preempted", "Pod", "scheduling", "victim", "Preempted by"),
		}},
		{name: "a quota that is used up", want: []want{
			event("FailedCreate", "ReplicaSet", "quota", "*", "exceeded quota: small", record.WorkloadKind, "Deployment", record.WorkloadName, "web"),
			event("FailedCreate", "StatefulSet", "quota", "db", "exceeded quota: small", record.WorkloadKind, "StatefulSet", record.WorkloadName, "db"),
			change("Deployment", "quota", "web", "status.conditions[Progressing].reason", "ProgressDeadlineExceeded", record.WorkloadName, "web"),
		}},
		{name: "a limit range", want: []want{
			event("FailedCreate", "ReplicaSet", "limits", "*", "maximum cpu usage per Container", record.WorkloadName, "big"),
		}},
		{name: "pod security", want: []want{
			event("FailedCreate", "DaemonSet", "restricted", "privileged", "violates PodSecurity", record.WorkloadKind, "DaemonSet"),
		}},
		{name: "a service account that does not exist", want: []want{
			event("FailedCreate", "ReplicaSet", "restricted", "*", `serviceaccount "nosuch" not found`, record.WorkloadName, "nobody"),
		}},
		{name: "a job that is not done in time", want: []want{
			event("DeadlineExceeded", "Job", "deadline", "slow", "active longer than specified deadline", record.WorkloadKind, "Job"),
			change("Job", "deadline", "slow", "status.conditions[Failed].status", "True", record.WorkloadName, "slow"),
		}},
		{name: "a job whose pods fail too often", real: true, want: []want{
			event("BackoffLimitExceeded", "Job", "jobs", "backoff", "backoff limit", record.WorkloadName, "backoff"),
			change("Job", "jobs", "backoff", "status.conditions[Failed].reason", "BackoffLimitExceeded"),
		}},
		{name: "a job whose failure policy ends it", real: true, want: []want{
			event("PodFailurePolicy", "Job", "jobs", "failure-policy", "exit code 42"),
		}},
		{name: "a job of which some indexes fail", real: true, want: []want{
			event("FailedIndexes", "Job", "jobs", "indexed", "failed indexes"),
		}},
		{name: "a crash loop", real: true, want: []want{
			event("BackOff", "Pod", "containers", "*", "Back-off restarting failed container app",
				record.Pod, "*", record.Container, "app", record.Node, realNode, record.WorkloadKind, "Deployment", record.WorkloadName, "crash-loop",
				record.Image, cluster.BusyboxImage, record.Cluster, clusterName),
			change("Pod", "containers", "*", "status.containerStatuses[app].state.waiting.reason", "CrashLoopBackOff",
				record.Container, "app", record.Node, realNode, record.WorkloadName, "crash-loop"),
			change("Pod", "containers", "*", "status.containerStatuses[app].restartCount", "2", record.WorkloadName, "crash-loop"),
		}},
		{name: "a container without memory", real: true, want: []want{
			change("Pod", "containers", "out-of-memory", "status.containerStatuses[app].lastState.terminated.reason", "OOMKilled", record.Container, "app", record.Node, realNode),
		}},
		{name: "a liveness probe that fails", real: true, want: []want{
			event("Unhealthy", "Pod", "containers", "liveness", "Liveness probe failed", onNode...),
			event("Killing", "Pod", "containers", "liveness", "failed liveness probe", record.Container, "app"),
		}},
		{name: "a readiness probe that fails", real: true, want: []want{
			event("Unhealthy", "Pod", "containers", "readiness", "Readiness probe failed", onNode...),
			change("Pod", "containers", "readiness", "status.conditions[Ready].status", "False"),
		}},
		{name: "a config map that is missing", real: true, want: []want{
			event("Failed", "Pod", "containers", "no-configmap", `configmap "nosuch" not found`, onNode...),
			change("Pod", "containers", "no-configmap", "status.containerStatuses[app].state.waiting.reason", "CreateContainerConfigError"),
		}},
		{name: "a secret that is missing", real: true, want: []want{
			event("FailedMount", "Pod", "containers", "no-secret", `secret "nosuch" not found`, onNode...),
		}},
		{name: "a command that is not there", real: true, want: []want{
			event("Failed", "Pod", "containers", "bad-command", "no such file or directory", onNode...),
		}},
		{name: "a hook that fails", real: true, want: []want{
			event("FailedPostStartHook", "Pod", "containers", "post-start", "PostStartHook failed", onNode...),
		}},
		{name: "an init container that fails", real: true, want: []want{
			event("BackOff", "Pod", "containers", "init-fails", "failed container migrate", record.Container, "migrate"),
			change("Pod", "containers", "init-fails", "status.initContainerStatuses[migrate].state.waiting.reason", "CrashLoopBackOff", record.Container, "migrate"),
		}},
		{name: "a runtime that is not there", real: true, want: []want{
			event("FailedCreatePodSandBox", "Pod", "containers", "no-runtime", `no runtime for "nosuch"`, onNode...),
		}},
		{name: "a registry that is away", real: true, want: []want{
			event("Failed", "Pod", "images", "away", "connection refused", onNode...),
			change("Pod", "images", "away", "status.containerStatuses[app].state.waiting.reason", "ImagePullBackOff", record.Node, realNode),
		}},
		{name: "an image that does not exist", real: true, want: []want{
			event("Failed", "Pod", "images", "missing", "not found", onNode...),
			event("BackOff", "Pod", "images", "missing", "Back-off pulling image"),
		}},
		{name: "a registry that refuses", real: true, want: []want{
			event("Failed", "Pod", "images", "unauthorized", "401 Unauthorized", onNode...),
		}},
		{name: "an image whose name is none", real: true, want: []want{
			event("InspectFailed", "Pod", "images", "invalid", "couldn't parse image name", onNode...),
		}},
		{name: "an image that must be there and is not", real: true, want: []want{
			event("ErrImageNeverPull", "Pod", "images", "never", "is not present with pull policy of Never", onNode...),
		}},
		{name: "a pod that is evicted for its volume", real: true, want: []want{
			event("Evicted", "Pod", "eviction", "volume-too-big", "exceeds the limit", onNode...),
			change("Pod", "eviction", "volume-too-big", "status.reason", "Evicted", record.Node, realNode),
		}},
		{name: "a pod that is evicted for what it writes", real: true, want: []want{
			event("Evicted", "Pod", "eviction", "storage-limit", "ephemeral local storage", onNode...),
		}},
		{name: "a node that is lost", want: []want{
			event("NodeNotReady", "Node", "", "lost", "NodeNotReady", record.Node, "lost", record.EventType, "Normal"),
			change("Node", "", "lost", "status.conditions[Ready].status", "Unknown", record.Node, "lost"),
			event("TaintManagerEviction", "Pod", "nodes", "on-lost", "deletion"),
		}},
		{name: "an autoscaler without metrics", want: []want{
			event("FailedGetResourceMetric", "HorizontalPodAutoscaler", "autoscaling", "web", "failed to get cpu utilization"),
			change("HorizontalPodAutoscaler", "autoscaling", "web", "status.conditions[ScalingActive].status", "False",
				record.WorkloadKind, "Deployment", record.WorkloadName, "web"),
		}},
		{name: "an autoscaler without a target", want: []want{
			event("FailedGetScale", "HorizontalPodAutoscaler", "autoscaling", "no-target", `deployments.apps "nosuch" not found`),
		}},
		{name: "a disruption budget without pods", want: []want{
			event("NoPods", "PodDisruptionBudget", "autoscaling", "none", "No matching pods found"),
		}},
		{name: "a claim whose class does not exist", want: []want{
			event("ProvisioningFailed", "PersistentVolumeClaim", "volumes", "no-class", `"nosuch" not found`, record.VolumeClaim, "no-class"),
		}},
		{name: "a claim whose provisioner is away", want: []want{
			event("ExternalProvisioning", "PersistentVolumeClaim", "volumes", "external", "nosuch.csi.example.com", record.VolumeClaim, "external"),
		}},
		{name: "a claim that lost its volume", want: []want{
			event("ClaimLost", "PersistentVolumeClaim", "volumes", "lost", "lost its PersistentVolume", record.VolumeClaim, "lost"),
			change("PersistentVolumeClaim", "volumes", "lost", "status.phase", "Lost", record.Volume, "taken"),
		}},
		{name: "a webhook that is away", want: []want{
			event("FailedCreate", "ReplicaSet", "webhook-refused", "*", "connection refused", record.WorkloadName, "app"),
			sample(metricRejections, "name", "refused.example.com", "error_type", "calling_webhook_error"),
		}},
		{name: "a webhook that is away and may be", want: []want{
			sample(metricFailedOpen, "name", "open.example.com"),
		}},
		{name: "the use of a deprecated API", want: []want{
			sample(metricDeprecated, "resource", "componentstatuses", "version", "v1"),
		}},
		{name: "a webhook whose certificate has expired", want: []want{
			event("FailedCreate", "ReplicaSet", "webhook-expired", "*", "certificate has expired", record.WorkloadName, "app"),
		}},
		{name: "a webhook that does not answer", want: []want{
			event("FailedCreate", "ReplicaSet", "webhook-silent", "*", "context deadline exceeded", record.WorkloadName, "app"),
		}},
		{name: "a policy that refuses", want: []want{
			event("FailedCreate", "ReplicaSet", "webhook-policy", "*", "image tag latest is not allowed", record.WorkloadName, "app"),
		}},
		{name: "a certificate that ends within a day", want: []want{
			change("Secret", "certificates", "web-tls", "tls.expires", "1d"),
		}},
		{name: "an aggregated API without a backend", want: []want{
			change("APIService", "", "v1.broken.example.com", "status.conditions[Available].status", "False"),
			sample(metricUnavailable, "name", "v1.broken.example.com"),
		}},
		{name: "a kind that two definitions want", want: []want{
			change("CustomResourceDefinition", "", "gadgets.example.com", "status.conditions[NamesAccepted].status", "False"),
		}},
		{name: "a namespace that cannot go", want: []want{
			change("Namespace", "", "stuck", "status.conditions[NamespaceFinalizersRemaining].status", "True"),
		}},
	}
}

func TestEveryFailureIsRecorded(t *testing.T) {
	s := newStage(t)
	w := newWitness(t)
	collect(t, s.Cluster, w, "combined_by_writer") // the kubelet counts what fails too often under one event: that is told, as a lower bound
	collectMetrics(t, s.Cluster, w, metricDeprecated, metricRejections, metricFailedOpen, metricUnavailable)
	s.begin(t)
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			if f.real {
				needsNode(t)
			}
			for _, x := range f.want {
				w.expect(t, x)
			}
		})
	}
	for _, x := range warned() {
		t.Run(x.signature+" warns of "+cmp.Or(x.key, "the cluster"), func(t *testing.T) {
			if x.real {
				needsNode(t)
			}
			w.expectWarning(t, x.signature, x.key, x.rung)
		})
	}
	t.Run("a disk that fills up", func(t *testing.T) {
		needsNode(t)
		s.fillDisk(t)
		w.again()
		w.expect(t, event("NodeHasDiskPressure", "Node", "", realNode, "NodeHasDiskPressure", record.Node, realNode))
		w.expect(t, change("Node", "", realNode, "status.conditions[DiskPressure].status", "True", record.Node, realNode))
		w.expect(t, event("EvictionThresholdMet", "Node", "", realNode, "Attempting to reclaim ephemeral-storage", record.Node, realNode))
		w.expect(t, event("Evicted", "Pod", "pressure", "disk-hog", "low on resource: ephemeral-storage", record.Node, realNode))
	})
	t.Run("a node that loses power", func(t *testing.T) {
		needsNode(t)
		s.node.Stop()
		w.again()
		w.expect(t, change("Node", "", realNode, "status.conditions[Ready].status", "Unknown", record.Node, realNode))
		w.expect(t, event("NodeNotReady", "Pod", "pressure", "healthy", "Node is not ready", record.EventType, "Warning"))
		w.expectWarning(t, "node-not-ready", realNode, "not-ready")
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("the catalogue told\n%s", strings.Join(w.oncall.summary(), "\n"))
}
