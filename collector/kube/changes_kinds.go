package kube

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// resource is a kind of object, as the API server serves it.
type resource struct {
	group, version, name string
	kind                 string // empty: what its objects say
	fields               string // a field selector
	owners               bool   // others are looked up in it, so it is read before they are
}

// resources are the kinds that are always watched.
func resources() []resource {
	return []resource{
		{group: "apps", version: "v1", name: "replicasets", kind: "ReplicaSet", owners: true},
		{group: "batch", version: "v1", name: "jobs", kind: "Job", owners: true},
		{version: "v1", name: "persistentvolumeclaims", kind: "PersistentVolumeClaim", owners: true},
		{version: "v1", name: "pods", kind: "Pod"},
		{version: "v1", name: "nodes", kind: "Node"},
		{version: "v1", name: "namespaces", kind: "Namespace"},
		{version: "v1", name: "persistentvolumes", kind: "PersistentVolume"},
		{version: "v1", name: "resourcequotas", kind: "ResourceQuota"},
		{version: "v1", name: "services", kind: "Service"},
		{group: "apps", version: "v1", name: "deployments", kind: "Deployment"},
		{group: "apps", version: "v1", name: "statefulsets", kind: "StatefulSet"},
		{group: "apps", version: "v1", name: "daemonsets", kind: "DaemonSet"},
		{group: "batch", version: "v1", name: "cronjobs", kind: "CronJob"},
		{group: "autoscaling", version: "v2", name: "horizontalpodautoscalers", kind: "HorizontalPodAutoscaler"},
		{group: "policy", version: "v1", name: "poddisruptionbudgets", kind: "PodDisruptionBudget"},
		{group: "discovery.k8s.io", version: "v1", name: "endpointslices", kind: "EndpointSlice"},
		{group: "networking.k8s.io", version: "v1", name: "ingresses", kind: "Ingress"},
		{group: "storage.k8s.io", version: "v1", name: "volumeattachments", kind: "VolumeAttachment"},
		{group: "admissionregistration.k8s.io", version: "v1", name: "validatingwebhookconfigurations", kind: "ValidatingWebhookConfiguration"},
		{group: "admissionregistration.k8s.io", version: "v1", name: "mutatingwebhookconfigurations", kind: "MutatingWebhookConfiguration"},
		{group: "apiregistration.k8s.io", version: "v1", name: "apiservices", kind: "APIService"},
		{group: "apiextensions.k8s.io", version: "v1", name: "customresourcedefinitions", kind: "CustomResourceDefinition"},
		// Those of nodes are written every ten seconds by each, always by the same; that they stop is told by the node's conditions.
		{group: "coordination.k8s.io", version: "v1", name: "leases", kind: "Lease", fields: "metadata.namespace!=kube-node-lease"},
	}
}

// certificates are the Secrets that hold a certificate, of which only the date of its end is read.
func certificates() resource {
	return resource{version: "v1", name: "secrets", kind: "Secret", fields: "type=kubernetes.io/tls"}
}

// parseResource reads group/version/resource, or version/resource for the core group.
func parseResource(s string) (resource, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 2 {
		parts = append([]string{""}, parts...)
	}
	bad := len(parts) != 3
	for i, part := range parts {
		bad = bad || part == "" && i > 0 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789.-") != ""
	}
	if bad {
		return resource{}, fmt.Errorf("kind %q: write group/version/resource in lower case, such as cert-manager.io/v1/certificates", s)
	}
	return resource{group: parts[0], version: parts[1], name: parts[2]}, nil
}

// String returns the resource as messages and checkpoints name it.
func (r resource) String() string {
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}

// api is what objects of the kind have as apiVersion.
func (r resource) api() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

func (r resource) path() string {
	if r.group == "" {
		return "/api/" + r.version + "/" + r.name
	}
	return "/apis/" + r.api() + "/" + r.name
}

func (r resource) params() url.Values {
	p := url.Values{}
	if r.fields != "" {
		p.Set("fieldSelector", r.fields)
	}
	return p
}

// needs are what reading the resources takes.
func needs(all []resource) Needs {
	byGroup := map[string][]string{}
	for _, r := range all {
		byGroup[r.group] = append(byGroup[r.group], r.name)
	}
	var n Needs
	for group, names := range byGroup {
		slices.Sort(names)
		n = append(n, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: slices.Compact(names), Verbs: []string{"list", "watch"}})
	}
	slices.SortFunc(n, func(a, b rbacv1.PolicyRule) int { return cmp.Compare(a.APIGroups[0], b.APIGroups[0]) })
	return n
}
