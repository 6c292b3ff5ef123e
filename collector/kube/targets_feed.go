package kube

import (
	"cmp"
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/record"
)

// targetFeed follows nodes or pods and keeps the targets of those that have some.
type targetFeed struct {
	targets *Targets
	kind    string
	read    func(object []byte) []metrics.Target
	told    map[targetOwner]bool // by the list under way
	first   chan struct{}        // closed after the first list
	once    sync.Once
}

func newTargetFeed(t *Targets, kind string, read func(object []byte) []metrics.Target) *targetFeed {
	return &targetFeed{targets: t, kind: kind, read: read, first: make(chan struct{})}
}

var _ follower = (*targetFeed)(nil)

func (f *targetFeed) listing() { f.told = map[targetOwner]bool{} }

func (f *targetFeed) listed(object []byte, _ string) error {
	if owner, has := f.take("ADDED", object); has {
		f.told[owner] = true
	}
	return nil
}

// complete forgets the targets of what the list did not have. What could not be read may still be there, so nothing is forgotten then.
func (f *targetFeed) complete(_ string, unreadable bool) error {
	told := f.told
	f.told = nil
	defer f.once.Do(func() { close(f.first) })
	if unreadable {
		return nil
	}
	f.targets.mu.Lock()
	defer f.targets.mu.Unlock()
	for owner := range f.targets.known {
		if owner.kind == f.kind && !told[owner] {
			delete(f.targets.known, owner)
		}
	}
	return nil
}

func (f *targetFeed) happened(verb string, object []byte) error {
	f.take(verb, object)
	return nil
}

// take takes up an object, and reports whether it has targets.
func (f *targetFeed) take(verb string, object []byte) (owner targetOwner, has bool) {
	meta := format.Member(object, "metadata")
	owner = targetOwner{f.kind, string(format.Member(meta, "namespace")), string(format.Member(meta, "name"))}
	var list []metrics.Target
	if verb != "DELETED" && owner.name != "" {
		list = f.read(object)
	}
	f.targets.mu.Lock()
	defer f.targets.mu.Unlock()
	if len(list) == 0 {
		delete(f.targets.known, owner)
		return owner, false
	}
	f.targets.known[owner] = list
	return owner, true
}

// serverURL is the API server's, without a slash at its end.
func (t *Targets) serverURL() string {
	base, _, err := rest.DefaultServerUrlFor(t.client.Config)
	if err != nil {
		return t.client.Host() // it was reached by it
	}
	return strings.TrimSuffix(base.Scheme+"://"+base.Host+base.Path, "/")
}

// ofNode returns the targets of a node's kubelet.
func (t *Targets) ofNode(object []byte) []metrics.Target {
	name := string(format.Member(format.Member(object, "metadata"), "name"))
	base, client := t.serverURL()+"/api/v1/nodes/"+url.PathEscape(name)+"/proxy", t.server
	if t.o.Direct {
		if base, client = kubeletURL(format.Member(object, "status")), t.kubelet; base == "" {
			return nil // it has not said yet where it is
		}
	}
	node := record.Attrs{{Key: record.Node, Value: name}}
	paths := kubeletPaths()
	var out []metrics.Target
	for _, what := range t.o.Kubelet {
		out = append(out, metrics.Target{
			Name: "node/" + name + "/" + what, URL: base + paths[what], Attrs: node, Scope: node, Client: client,
			Self: record.Attrs{{Key: record.Component, Value: "kubelet"}},
		})
	}
	return out
}

// kubeletURL says where a kubelet is, by what its node says.
func kubeletURL(status []byte) string {
	var s struct {
		Addresses       []struct{ Type, Address string }
		DaemonEndpoints struct {
			KubeletEndpoint struct{ Port int }
		}
	}
	if json.Unmarshal(status, &s) != nil {
		return ""
	}
	port := s.DaemonEndpoints.KubeletEndpoint.Port
	if port == 0 {
		port = 10250
	}
	for _, kind := range []string{"InternalIP", "Hostname", "ExternalIP"} {
		for _, a := range s.Addresses {
			if a.Type == kind && a.Address != "" {
				return "https://" + net.JoinHostPort(a.Address, strconv.Itoa(port))
			}
		}
	}
	return ""
}

// The annotations by which pods ask to be scraped.
const (
	annotation       = "prometheus.io/"
	annotationScrape = annotation + "scrape"
)

// ofPod returns the targets of a pod that runs: one by its annotations, and one for each description that fits it.
func (t *Targets) ofPod(object []byte) []metrics.Target {
	status := format.Member(object, "status")
	address := string(format.Member(status, "podIP"))
	if address == "" || string(format.Member(status, "phase")) != "Running" {
		return nil
	}
	meta, spec := format.Member(object, "metadata"), format.Member(object, "spec")
	namespace, name := string(format.Member(meta, "namespace")), string(format.Member(meta, "name"))
	scope := record.Attrs{{Key: record.Namespace, Value: namespace}, {Key: record.Pod, Value: name}}
	self := scope
	if node := string(format.Member(spec, "nodeName")); node != "" {
		self = self.With(record.Node, node)
	}
	var out []metrics.Target
	add := func(p PodTarget) {
		u := (&url.URL{Scheme: cmp.Or(p.Scheme, "http"), Host: net.JoinHostPort(address, strconv.Itoa(p.Port))}).String() + cmp.Or(p.Path, "/metrics")
		x := metrics.Target{Name: "pod/" + namespace + "/" + name + "/" + strconv.Itoa(p.Port) + cmp.Or(p.Path, "/metrics"), URL: u, Self: self, Scope: scope, Client: t.pod}
		if !slices.ContainsFunc(out, func(o metrics.Target) bool { return o.Name == x.Name }) {
			out = append(out, x)
		}
	}
	if t.o.Annotated {
		if p, ok := annotated(format.Member(meta, "annotations"), spec); ok {
			add(p)
		}
	}
	if len(t.o.Pods) > 0 {
		var labels map[string]string
		_ = json.Unmarshal(format.Member(meta, "labels"), &labels) // labels that are none fit nothing
		for _, p := range t.o.Pods {
			if (p.Namespace == "" || p.Namespace == namespace) && fits(p.Labels, labels) {
				add(p)
			}
		}
	}
	return out
}

// annotated reads the annotations of a pod. Without a port it is the first that a container declares.
func annotated(annotations, spec []byte) (p PodTarget, ok bool) {
	if string(format.Member(annotations, annotationScrape)) != "true" {
		return p, false
	}
	p.Scheme = string(format.Member(annotations, annotation+"scheme"))
	if p.Path = string(format.Member(annotations, annotation+"path")); p.Path != "" && !strings.HasPrefix(p.Path, "/") {
		p.Path = "/" + p.Path
	}
	if port := string(format.Member(annotations, annotation+"port")); port != "" {
		p.Port, _ = strconv.Atoi(port)
	} else {
		var containers []struct {
			Ports []struct{ ContainerPort int }
		}
		_ = json.Unmarshal(format.Member(spec, "containers"), &containers) // what can be read of it is
		for _, c := range containers {
			if len(c.Ports) > 0 {
				p.Port = c.Ports[0].ContainerPort
				break
			}
		}
	}
	return p, p.Port > 0 && p.Port < 65536 && (p.Scheme == "" || p.Scheme == "http" || p.Scheme == "https")
}

func fits(want, have map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}
