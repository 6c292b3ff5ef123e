package collector

import (
	"path/filepath"
	"strings"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// PathAttrs returns what the path of a log says of its records: the file, and where it tells, the pod, container, workload or component.
func PathAttrs(path string) record.Attrs { return pathAttrs(path, nil) }

// pathAttrs returns what the path of a log says of its records, with base.
//
//	/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log
//	/var/log/containers/<pod>_<namespace>_<container>-<id>.log
//	.../kube-apiserver.log, .../etcd-member-2.prom.gz: the component, when it is one that we know
func pathAttrs(path string, base record.Attrs) record.Attrs {
	a := base.With(record.FilePath, cutText(path, record.MaxValue))
	slashed := filepath.ToSlash(path)
	parts := strings.Split(slashed, "/")
	name := parts[len(parts)-1]
	if n := len(parts); n >= 3 {
		if pod := strings.Split(parts[n-3], "_"); len(pod) == 3 && strings.Contains(name, ".log") && pod[0] != "" && pod[1] != "" {
			a = podAttrs(a, pod[0], pod[1], parts[n-2]).With(record.PodUID, pod[2])
			if restarts, _, _ := strings.Cut(name, "."); isNumber(restarts) {
				a = a.With(record.RestartCount, restarts)
			}
			return a
		}
	}
	if pod := strings.Split(strings.TrimSuffix(name, ".log"), "_"); len(pod) == 3 && strings.HasSuffix(name, ".log") {
		if i := strings.LastIndexByte(pod[2], '-'); i > 0 && len(pod[2])-i > 32 {
			return podAttrs(a, pod[1], pod[0], pod[2][:i])
		}
	}
	return a.With(record.Component, componentOf(name))
}

// scopeOf says what a file speaks for: itself and, where its path tells, one container, so that its silence leaves no doubt
// about another pod.
func scopeOf(path string, a record.Attrs) record.Attrs {
	scope := record.Attrs{{Key: record.FilePath, Value: path}}
	for _, key := range []string{record.Cluster, record.Namespace, record.Pod, record.Container, record.WorkloadKind, record.WorkloadName} {
		scope = scope.With(key, a.Value(key))
	}
	return scope
}

func podAttrs(a record.Attrs, namespace, pod, container string) record.Attrs {
	a = a.With(record.Namespace, namespace).With(record.Pod, pod).With(record.Container, container).With(record.Component, container)
	if kind, name, ok := format.WorkloadOfPod(pod); ok {
		a = a.With(record.WorkloadKind, kind).With(record.WorkloadName, name)
	}
	return a
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// componentOf returns the component that a file is named after, "" when it is none of those that we know.
func componentOf(file string) string {
	for _, c := range [...]string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "etcd", "containerd", "crio", "dockerd",
		"coredns", "cloud-controller-manager", "metrics-server", "cluster-autoscaler", "cert-manager", "ingress-nginx", "calico-node",
		"cilium-agent", "redis", "mongod", "postgresql", "mysqld", "nginx", "rabbitmq", "kafka",
	} {
		if rest, ok := strings.CutPrefix(file, c); ok && (rest == "" || strings.ContainsRune(".-_@", rune(rest[0]))) {
			return c
		}
	}
	return ""
}

func cutText(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
