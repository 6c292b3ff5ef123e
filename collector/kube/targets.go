package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/record"
)

// TargetsOptions say what of a cluster is scraped.
type TargetsOptions struct {
	Kubelet    []string    `yaml:"kubelet,omitempty" json:"kubelet,omitempty" doc:"What of every kubelet is scraped: metrics, cadvisor, resource and probes. Nothing without it."`
	Direct     bool        `yaml:"direct,omitempty" json:"direct,omitempty" doc:"Ask kubelets at their own addresses; without it through the API server, which costs it as much as it costs the kubelets."`
	CAFile     string      `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"With direct: the certificates that those of kubelets are checked with; the cluster's own without it."`
	SkipVerify bool        `yaml:"skip_verify,omitempty" json:"skip_verify,omitempty" doc:"Believe any certificate of kubelets that are asked directly, and of pods. Who can come between then sees the token."`
	APIServer  bool        `yaml:"api_server,omitempty" json:"api_server,omitempty" doc:"Scrape the API server that is collected from."`
	Annotated  bool        `yaml:"annotated,omitempty" json:"annotated,omitempty" doc:"Scrape the pods that ask for it by the annotations prometheus.io/scrape, port, path and scheme."`
	Pods       []PodTarget `yaml:"pods,omitempty" json:"pods,omitempty" doc:"Pods to scrape by their labels, such as those of coredns."`
}

// PodTarget describes pods that are scraped.
type PodTarget struct {
	Namespace string            `yaml:"namespace,omitempty" json:"namespace,omitempty" doc:"Their namespace; any without it."`
	Labels    map[string]string `yaml:"labels" json:"labels" doc:"The labels that they have, such as k8s-app: kube-dns."`
	Port      int               `yaml:"port" json:"port" doc:"The port."`
	Path      string            `yaml:"path,omitempty" json:"path,omitempty" doc:"The path; /metrics without it."`
	Scheme    string            `yaml:"scheme,omitempty" json:"scheme,omitempty" doc:"http, which is the default, or https."`
}

// kubeletPaths are what a kubelet gives, by the words of the configuration.
func kubeletPaths() map[string]string {
	return map[string]string{"metrics": "/metrics", "cadvisor": "/metrics/cadvisor", "resource": "/metrics/resource", "probes": "/metrics/probes"}
}

// Needs are what finding and scraping these targets needs.
func (o *TargetsOptions) Needs() Needs {
	var n Needs
	reads := Needs{}
	if o.Annotated || len(o.Pods) > 0 {
		reads = append(reads, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}})
	}
	if len(o.Kubelet) > 0 {
		through := "nodes/proxy"
		if o.Direct {
			through = "nodes/metrics"
		}
		reads = append(
			reads, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list", "watch"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{through}, Verbs: []string{"get"}})
	}
	n = append(n, reads...)
	if o.APIServer {
		n = append(n, rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	}
	return n
}

// Targets finds kubelets and pods, and keeps what it knows of them up to date by watching. Its memory follows the targets, not the cluster.
type Targets struct {
	o      TargetsOptions
	client *Client
	common collector.Common
	node   string

	server  *http.Client // with our credentials, for the API server
	kubelet *http.Client // the same for kubelets that are asked directly
	pod     *http.Client // without any
	ready   chan struct{}

	mu    sync.Mutex
	known map[targetOwner][]metrics.Target
}

// targetOwner is the object that targets are of.
type targetOwner struct{ kind, namespace, name string }

var _ metrics.Discovery = (*Targets)(nil)

// NewTargets makes a discovery of targets: those on one node, or in the whole cluster when node is empty.
func NewTargets(o TargetsOptions, client *Client, node string, c collector.Common) (*Targets, error) {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if client == nil {
		add("targets need a client: see Connect")
	}
	words := slices.Sorted(maps.Keys(kubeletPaths()))
	for _, what := range o.Kubelet {
		if !slices.Contains(words, what) {
			add("kubelet: there is no %q: use %s", what, strings.Join(words, ", "))
		}
	}
	if o.CAFile != "" && !o.Direct {
		add("ca_file: it is of use with direct alone; leave it out")
	}
	if o.CAFile != "" && o.SkipVerify {
		add("ca_file and skip_verify exclude each other: set one of them")
	}
	for i, p := range o.Pods {
		if p.Port < 1 || p.Port > 65535 {
			add("pods[%d].port: %d is no port: use one from 1 to 65535", i, p.Port)
		}
		if len(p.Labels) == 0 {
			add("pods[%d].labels: there are none: name at least one, or every pod would be scraped", i)
		}
		if p.Scheme != "" && p.Scheme != "http" && p.Scheme != "https" {
			add("pods[%d].scheme: %q is none: use http or https", i, p.Scheme)
		}
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			add("pods[%d].path: %q does not begin with /", i, p.Path)
		}
	}
	t := &Targets{o: o, client: client, common: c, node: node, ready: make(chan struct{}), known: map[targetOwner][]metrics.Target{}}
	var err error
	if t.pod, err = (metrics.Access{SkipVerify: o.SkipVerify}).Client(); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if client.Config != nil { // a client without one is for checking options
		problems = append(problems, t.credentials())
	}
	return t, errors.Join(problems...)
}

// credentials makes the clients that show who we are. The token is read anew by them when it is rotated.
func (t *Targets) credentials() error {
	own := rest.CopyConfig(t.client.Config)
	var err error
	if t.server, err = rest.HTTPClientFor(own); err != nil {
		return fmt.Errorf("client for the API server: %w", err)
	}
	direct := rest.CopyConfig(t.client.Config)
	direct.ServerName = "" // that is the API server's
	if t.o.CAFile != "" {
		direct.CAFile, direct.CAData = t.o.CAFile, nil
	}
	if t.o.SkipVerify {
		direct.Insecure, direct.CAFile, direct.CAData = true, "", nil
	}
	if t.kubelet, err = rest.HTTPClientFor(direct); err != nil {
		return fmt.Errorf("client for kubelets: %w", err)
	}
	t.server, t.kubelet = staying(t.server), staying(t.kubelet)
	return nil
}

// staying returns a client that follows no redirects, for they would carry the credentials elsewhere.
func staying(c *http.Client) *http.Client {
	own := *c // it may be shared
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Run implements [metrics.Discovery].
func (t *Targets) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	var feeds []*targetFeed
	follow := func(r resource, f *targetFeed) {
		feeds = append(feeds, f)
		group.Go(func() error { return newReflector(t.client, r, f, &t.common).run(ctx) })
	}
	if len(t.o.Kubelet) > 0 {
		r := resource{version: "v1", name: "nodes", kind: "Node"}
		if t.node != "" {
			r.fields = "metadata.name=" + t.node
		}
		follow(r, newTargetFeed(t, "Node", t.ofNode))
	}
	if t.o.Annotated || len(t.o.Pods) > 0 {
		r := resource{version: "v1", name: "pods", kind: "Pod"}
		if t.node != "" {
			r = podsOf(t.node)
		}
		follow(r, newTargetFeed(t, "Pod", t.ofPod))
	}
	group.Go(func() error {
		for _, f := range feeds { // before everything was told once, nobody may take what is missing for gone
			select {
			case <-f.first:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		close(t.ready)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	return group.Wait()
}

// Targets implements [metrics.Discovery]. It waits for the first list.
func (t *Targets) Targets(ctx context.Context) ([]metrics.Target, error) {
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	select {
	case <-t.ready:
	case <-wait.Done():
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errors.New("the API server has not told the nodes and pods yet")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []metrics.Target
	for _, list := range t.known {
		out = append(out, list...)
	}
	if t.o.APIServer {
		out = append(out, metrics.Target{
			Name: "apiserver", URL: t.serverURL() + "/metrics", Client: t.server, Self: record.Attrs{{Key: record.Component, Value: "kube-apiserver"}},
		})
	}
	slices.SortFunc(out, func(a, b metrics.Target) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
