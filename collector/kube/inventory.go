package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/signatures"
)

// Facts are what is known of a cluster, by which signatures are armed or not. What is ambiguous is not known: a component of which two versions
// run has none.
type Facts struct {
	Kubernetes string            `json:"kubernetes,omitempty"` // the API server's version
	Components map[string]string `json:"components,omitempty"` // versions by component, such as kubelet, containerd, coredns
	Facts      map[string]string `json:"facts,omitempty"`      // os, os_image, kernel, architecture, container_runtime, provider, cni, chart.<name>
}

// InventoryOptions say how often the inventory is taken. The zero value is good.
type InventoryOptions struct {
	Every signatures.Duration `yaml:"every,omitempty" json:"every,omitempty" doc:"How often the cluster is asked; 10m without it."`
}

// InventoryNeeds are what taking the inventory needs.
func InventoryNeeds() Needs {
	return Needs{
		{NonResourceURLs: []string{"/version"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"nodes", "pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets"}, Verbs: []string{"list"}},
	}
}

// PutFacts stores facts, in JSON, under the name of their source.
type PutFacts func(ctx context.Context, source string, facts []byte) error

// inventory finds out what a cluster is made of.
type inventory struct {
	o       InventoryOptions
	client  *Client
	put     PutFacts
	common  collector.Common
	backoff collector.Backoff
}

// NewInventory makes a collector that gives no records: it finds out the versions of a cluster and of what runs in it, and puts them where
// the matching process decides by them which signatures apply.
func NewInventory(o InventoryOptions, client *Client, put PutFacts, c collector.Common) (collector.Collector, error) {
	var problems []error
	if o.Every < 0 || o.Every > 0 && time.Duration(o.Every) < time.Second {
		problems = append(problems, fmt.Errorf("every %s: use a second or more, or leave it out for 10m", time.Duration(o.Every)))
	}
	if client == nil {
		problems = append(problems, errors.New("the inventory needs a client: see Connect"))
	}
	if put == nil {
		problems = append(problems, errors.New("the inventory needs somebody to take the facts"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	o.Every = cmp.Or(o.Every, signatures.Duration(10*time.Minute))
	return &inventory{o: o, client: client, put: put, common: c}, nil
}

// Run implements [collector.Collector].
func (x *inventory) Run(ctx context.Context, _ collector.Emit) error {
	source := strings.TrimSuffix(x.common.Name+"/"+x.common.Cluster, "/")
	var told []byte
	wait := x.backoff
	for {
		facts, err := x.take(ctx)
		if err == nil {
			var b []byte
			if b, err = json.Marshal(facts); err == nil && !bytes.Equal(b, told) { // maps are written in the order of their keys
				if err = x.put(ctx, source, b); err == nil {
					told = b
					x.common.Log().Info("the cluster's inventory is taken", "kubernetes", facts.Kubernetes, "components", len(facts.Components), "facts", len(facts.Facts))
				}
			}
		}
		x.common.Meter.Connected(err == nil)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			x.common.Log().Warn("the inventory cannot be taken: what was found before stays, and it is tried again", "server", x.client.Host(), "error", err)
			x.common.Meter.Reconnect()
			if !wait.Wait(ctx) {
				return context.Cause(ctx)
			}
		default:
			wait.Reset()
			if !sleep(ctx, time.Duration(x.o.Every)) {
				return context.Cause(ctx)
			}
		}
	}
}

// pages of the lists. Nodes are large: each names its images.
const (
	nodesPage     = 100
	workloadsPage = 250
)

// take asks the cluster.
func (x *inventory) take(ctx context.Context) (Facts, error) {
	f := findings{components: map[string]string{}, facts: map[string]string{}}
	var version struct{ GitVersion string }
	b, err := x.client.Get(ctx, "/version", nil)
	if err == nil {
		err = json.Unmarshal(b, &version)
	}
	if err != nil {
		return Facts{}, err
	}
	lists := []struct {
		path  string
		p     url.Values
		limit int
		item  func(object []byte) error
	}{
		{"/api/v1/nodes", nil, nodesPage, f.node},
		{"/apis/apps/v1/daemonsets", nil, workloadsPage, f.workload},
		{"/apis/apps/v1/deployments", nil, workloadsPage, f.workload},
		{"/apis/apps/v1/statefulsets", nil, workloadsPage, f.workload},
		// What the kubelet runs from files is no workload; kubeadm labels it so.
		{"/api/v1/namespaces/kube-system/pods", url.Values{"labelSelector": {"tier=control-plane"}}, workloadsPage, f.pod},
	}
	for _, l := range lists {
		if err := x.client.all(ctx, l.path, l.p, l.limit, l.item); err != nil {
			return Facts{}, err
		}
	}
	f.drop()
	return Facts{Kubernetes: version.GitVersion, Components: f.components, Facts: f.facts}, nil
}

// ambiguous stands for a value of which there are several.
const ambiguous = "\x00"

// findings are facts while they are found.
type findings struct{ components, facts map[string]string }

// note takes a value. Another one before it makes both unknown.
func note(m map[string]string, key, value string) {
	if key == "" || value == "" {
		return
	}
	if was, known := m[key]; known && was != value {
		value = ambiguous
	}
	m[key] = value
}

func (f *findings) drop() {
	for _, m := range []map[string]string{f.components, f.facts} {
		maps.DeleteFunc(m, func(_, v string) bool { return v == ambiguous })
	}
}

func (f *findings) node(object []byte) error {
	var n struct {
		Spec   struct{ ProviderID string }
		Status struct {
			NodeInfo struct{ KubeletVersion, ContainerRuntimeVersion, OperatingSystem, OSImage, KernelVersion, Architecture string }
		}
	}
	if err := json.Unmarshal(object, &n); err != nil {
		return readError{fmt.Errorf("read a node: %w", err)}
	}
	i := n.Status.NodeInfo
	note(f.components, "kubelet", i.KubeletVersion)
	if runtime, version, ok := strings.Cut(i.ContainerRuntimeVersion, "://"); ok {
		note(f.components, runtime, version)
		note(f.facts, "container_runtime", runtime)
	}
	note(f.facts, "os", i.OperatingSystem)
	note(f.facts, "os_image", i.OSImage)
	note(f.facts, "kernel", i.KernelVersion)
	note(f.facts, "architecture", i.Architecture)
	if provider, _, ok := strings.Cut(n.Spec.ProviderID, "://"); ok {
		note(f.facts, "provider", provider)
	}
	return nil
}

// inventoryObject is what the inventory reads of a workload or a pod.
type inventoryObject struct {
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Spec struct {
		Containers []inventoryContainer // of a pod
		Template   struct {
			Spec struct{ Containers []inventoryContainer }
		}
	}
}

type inventoryContainer struct{ Name, Image string }

func (f *findings) workload(object []byte) error {
	var w inventoryObject
	if err := json.Unmarshal(object, &w); err != nil {
		return readError{fmt.Errorf("read a workload: %w", err)}
	}
	name := w.Metadata.Labels["app.kubernetes.io/name"]
	note(f.components, name, w.Metadata.Labels["app.kubernetes.io/version"])
	if chart, version, ok := cutChart(w.Metadata.Labels["helm.sh/chart"]); ok {
		note(f.facts, "chart."+chart, version)
	}
	note(f.facts, "cni", networkOf(w.Metadata.Name))
	if w.Metadata.Namespace == "kube-system" && (name == "" || w.Metadata.Labels["app.kubernetes.io/version"] == "") {
		f.images(w.Spec.Template.Spec.Containers)
	}
	return nil
}

func (f *findings) pod(object []byte) error {
	var p inventoryObject
	if err := json.Unmarshal(object, &p); err != nil {
		return readError{fmt.Errorf("read a pod: %w", err)}
	}
	f.images(p.Spec.Containers)
	return nil
}

func (f *findings) images(containers []inventoryContainer) {
	for _, c := range containers {
		name, tag := cutImage(c.Image)
		note(f.components, name, tag)
	}
}

// networkOf tells the network of a cluster by the name of a DaemonSet.
func networkOf(daemon string) string {
	switch daemon {
	case "cilium", "canal", "kube-router":
		return daemon
	case "calico-node":
		return "calico"
	case "kube-flannel", "kube-flannel-ds":
		return "flannel"
	case "aws-node":
		return "aws-vpc"
	case "kindnet":
		return "kindnet"
	case "weave-net":
		return "weave"
	case "antrea-agent":
		return "antrea"
	}
	return ""
}

// cutImage splits an image into the name of what it holds and its tag, which is empty when there is only a digest. A name that says nothing
// by itself has what stands before it in front: calico/node is calico-node.
func cutImage(image string) (name, tag string) {
	image, _, _ = strings.Cut(image, "@")
	path := image[:strings.LastIndexByte(image, '/')+1]
	name, tag, _ = strings.Cut(image[len(path):], ":")
	switch name {
	case "node", "cni", "agent", "operator", "controller", "server", "manager":
		path = strings.TrimSuffix(path, "/")
		if of := path[strings.LastIndexByte(path, '/')+1:]; of != "" {
			name = of + "-" + name
		}
	}
	return name, tag
}

// cutChart splits a chart label such as cert-manager-v1.14.0: the version is what follows a dash and is a number and a point at first.
func cutChart(label string) (name, version string, ok bool) {
	for i := range len(label) {
		if label[i] != '-' || i == 0 {
			continue
		}
		version = label[i+1:]
		rest := strings.TrimLeft(strings.TrimPrefix(version, "v"), "0123456789")
		if rest != strings.TrimPrefix(version, "v") && strings.HasPrefix(rest, ".") {
			return label[:i], version, true
		}
	}
	return "", "", false
}
