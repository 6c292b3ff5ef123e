package kube

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/record"
)

const (
	nodesPath = "/api/v1/nodes"
)

func aNode(name, address string, port int) string {
	return fmt.Sprintf(`{"kind":"Node","metadata":{"name":%q,"uid":%q},"status":{"addresses":[{"type":"Hostname","address":"h"},{"type":"InternalIP","address":%q}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`,
		name, name, address, port)
}

func aPod(name, phase, ip, meta, containers string) string {
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"name":%q,"namespace":"shop","uid":%q%s},"spec":{"nodeName":"n1","containers":[%s]},"status":{"phase":%q,"podIP":%q}}`,
		name, name, meta, containers, phase, ip)
}

// finding runs a discovery until the test ends.
func finding(t *testing.T, o TargetsOptions, client *Client, node string) *Targets {
	t.Helper()
	x, err := NewTargets(o, client, node, collector.Common{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return x
}

// described returns the names of targets with their URLs, less the API server's own.
func described(t *testing.T, x *Targets) map[string]string {
	t.Helper()
	list, err := x.Targets(t.Context())
	require.NoError(t, err)
	out := map[string]string{}
	for _, x := range list {
		out[x.Name] = strings.Replace(x.URL, x.URL[:strings.Index(x.URL, "//")+2], "", 1)
	}
	return out
}

func TestTargetsAreKubeletsAndPodsThatWantIt(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(nodesPath, "n1", aNode("n1", "10.0.0.1", 10250))
	s.set(nodesPath, "n2", aNode("n2", "10.0.0.2", 10250))
	ask := func(extra string) string { return `,"annotations":{"prometheus.io/scrape":"true"` + extra + `}` }
	port := `{"name":"a","ports":[{"name":"http","containerPort":8080}]}`
	s.set(podsPath, "a", aPod("by-port", "Running", "10.1.0.1", ask(`,"prometheus.io/port":"9090","prometheus.io/path":"stats","prometheus.io/scheme":"https"`), port))
	s.set(podsPath, "b", aPod("by-container", "Running", "10.1.0.2", ask(""), `{"name":"x"},`+port))
	s.set(podsPath, "c", aPod("no-port", "Running", "10.1.0.3", ask(""), `{"name":"x"}`))
	s.set(podsPath, "d", aPod("waits", "Pending", "", ask(""), port))
	s.set(podsPath, "e", aPod("done", "Succeeded", "10.1.0.4", ask(""), port))
	s.set(podsPath, "f", aPod("asks-not", "Running", "10.1.0.5", `,"annotations":{"prometheus.io/scrape":"false"}`, port))
	s.set(podsPath, "g", aPod("dns", "Running", "fd00::1", `,"labels":{"k8s-app":"kube-dns","x":"y"}`, port))
	s.set(podsPath, "h", aPod("wrong-port", "Running", "10.1.0.6", ask(`,"prometheus.io/port":"http"`), port))
	x := finding(t, TargetsOptions{
		Kubelet: []string{"metrics", "cadvisor"}, Annotated: true, APIServer: true, Pods: []PodTarget{
			{Labels: map[string]string{"k8s-app": "kube-dns"}, Port: 9153}, {Namespace: "other", Labels: map[string]string{"k8s-app": "kube-dns"}, Port: 1},
		},
	}, s.client(t), "")
	host := strings.TrimPrefix(s.server.URL, "http://")
	require.Equal(t, map[string]string{
		"apiserver":                          host + "/metrics",
		"node/n1/metrics":                    host + "/api/v1/nodes/n1/proxy/metrics",
		"node/n1/cadvisor":                   host + "/api/v1/nodes/n1/proxy/metrics/cadvisor",
		"node/n2/metrics":                    host + "/api/v1/nodes/n2/proxy/metrics",
		"node/n2/cadvisor":                   host + "/api/v1/nodes/n2/proxy/metrics/cadvisor",
		"pod/shop/by-port/9090/stats":        "10.1.0.1:9090/stats",
		"pod/shop/by-container/8080/metrics": "10.1.0.2:8080/metrics",
		"pod/shop/dns/9153/metrics":          "[fd00::1]:9153/metrics",
	}, described(t, x))

	s.set(nodesPath, "n2", "")
	s.set(podsPath, "b", aPod("by-container", "Failed", "10.1.0.2", ask(""), port))
	s.set(podsPath, "d", aPod("waits", "Running", "10.1.0.9", ask(""), port))
	require.Eventually(t, func() bool {
		got := described(t, x)
		return got["node/n2/metrics"] == "" && got["pod/shop/by-container/8080/metrics"] == "" && got["pod/shop/waits/8080/metrics"] != ""
	}, patience, 10*time.Millisecond)

	s.do(func() { delete(s.objects[nodesPath], "n1") }) // while nobody looks
	s.compact()
	require.Eventually(t, func() bool { return described(t, x)["node/n1/metrics"] == "" }, patience, 10*time.Millisecond, "what a list lacks is gone")

	list, err := x.Targets(t.Context())
	require.NoError(t, err)
	for _, target := range list {
		if target.Name == "pod/shop/dns/9153/metrics" {
			require.Equal(t, record.Attrs{{Key: record.Namespace, Value: "shop"}, {Key: record.Pod, Value: "dns"}}, target.Scope)
			require.Equal(t, target.Scope.With(record.Node, "n1"), target.Self)
			require.Empty(t, target.Attrs)
		}
	}
}

func TestTargetsAreNotTakenForGoneBeforeTheServerHasToldThem(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(nodesPath, "n1", aNode("n1", "10.0.0.1", 10250))
	s.do(func() { s.refuse[nodesPath] = http.StatusInternalServerError })
	x := finding(t, TargetsOptions{Kubelet: []string{"metrics"}}, s.client(t), "")
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := x.Targets(soon)
	require.Error(t, err)
	s.do(func() { delete(s.refuse, nodesPath) })
	require.Eventually(t, func() bool {
		list, err := x.Targets(t.Context())
		return err == nil && len(list) == 1
	}, patience, 10*time.Millisecond)
}

func TestANodesAgentFindsItsOwnKubeletAndPods(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(nodesPath, "n1", aNode("n1", "10.0.0.1", 12345))
	x := finding(t, TargetsOptions{Kubelet: []string{"cadvisor"}, Annotated: true, Direct: true}, s.client(t), "n1")
	require.Equal(t, map[string]string{"node/n1/cadvisor": "10.0.0.1:12345/metrics/cadvisor"}, described(t, x))
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.selected["metadata.name=n1"] && s.selected["spec.nodeName=n1"]
	}, patience, 10*time.Millisecond)
}

// TestAKubeletIsScrapedWithOurTokenAndItsOwnAuthority goes all the way: a discovery, a scraper, a kubelet that wants a token, and a pod that must not see it.
func TestAKubeletIsScrapedWithOurTokenAndItsOwnAuthority(t *testing.T) {
	t.Parallel()
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ours" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "container_memory_working_set_bytes{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 7\nkubelet_running_pods 3\n")
	}))
	t.Cleanup(kubelet.Close)
	podServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a pod got our token")
		}
		_, _ = io.WriteString(w, "wanted 1\n")
	}))
	t.Cleanup(podServer.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: kubelet.Certificate().Raw}), 0o600))
	s := newObjectServer(t)
	at, err := url.Parse(kubelet.URL)
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscan(at.Port(), &port)
	require.NoError(t, err)
	s.set(nodesPath, "n1", aNode("n1", at.Hostname(), port))
	at, err = url.Parse(podServer.URL)
	require.NoError(t, err)
	s.set(podsPath, "a", aPod("web-1", "Running", at.Hostname(), `,"annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"`+at.Port()+`"}`, ""))
	client, err := newClient(&rest.Config{Host: s.server.URL, BearerToken: "ours", QPS: 1000, Burst: 1000}, 10*time.Second)
	require.NoError(t, err)
	x, err := NewTargets(TargetsOptions{Kubelet: []string{"cadvisor"}, Direct: true, CAFile: ca, Annotated: true}, client, "", collector.Common{})
	require.NoError(t, err)
	m, err := metrics.New(metrics.Options{Keep: []string{"container_memory_working_set_bytes", "kubelet_running_pods", "wanted"}, Scrape: &metrics.ScrapeOptions{Interval: 1e9}}, collector.Common{}, x)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan map[string]string, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- m.Run(ctx, func(_ context.Context, frame []byte) error {
			var b record.Batch
			if err := b.Decode(frame); err != nil {
				return err
			}
			for i := range b.Len() {
				a := b.At(i).Attrs
				select {
				case got <- map[string]string{a.Value(record.MetricName): strings.Join([]string{a.Value(record.Node), a.Value(record.Namespace), a.Value(record.Pod)}, "/")}:
				default:
				}
			}
			return nil
		})
	}()
	seen := map[string]string{}
	for deadline := time.After(patience); len(seen) < 3; {
		select {
		case one := <-got:
			maps.Copy(seen, one)
		case <-deadline:
			t.Fatal("not everything was scraped: ", seen)
		}
	}
	require.Equal(t, map[string]string{"container_memory_working_set_bytes": "n1/shop/web-0", "kubelet_running_pods": "n1//", "wanted": "n1/shop/web-1"}, seen)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestTargetsOptionsTellEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := NewTargets(TargetsOptions{
		Kubelet: []string{"stats"}, CAFile: "x", SkipVerify: true, Pods: []PodTarget{{Port: 70000, Scheme: "ftp", Path: "x"}},
	}, nil, "", collector.Common{})
	for _, want := range []string{"need a client", `no "stats": use cadvisor, metrics, probes, resource`, "of use with direct alone", "exclude each other", "pods[0].port", "pods[0].labels", "pods[0].scheme", "pods[0].path"} {
		require.ErrorContains(t, err, want)
	}
}

func TestTargetsNeedNoMoreThanTheyUse(t *testing.T) {
	t.Parallel()
	words := func(o TargetsOptions) string {
		var out []string
		for _, r := range o.Needs() {
			out = append(out, strings.Join(append(r.Resources, r.NonResourceURLs...), ",")+" "+strings.Join(r.Verbs, ","))
		}
		return strings.Join(out, "; ")
	}
	require.Empty(t, words(TargetsOptions{}))
	require.Equal(t, "nodes list,watch; nodes/proxy get", words(TargetsOptions{Kubelet: []string{"metrics"}}))
	require.Equal(t, "nodes list,watch; nodes/metrics get", words(TargetsOptions{Kubelet: []string{"metrics"}, Direct: true}))
	require.Equal(t, "pods list,watch; /metrics get", words(TargetsOptions{Annotated: true, APIServer: true}))
}

// FuzzTargets reads any object as a pod and as a node: whatever it is, what is made of it can be asked for.
func FuzzTargets(f *testing.F) {
	f.Add(aPod("a", "Running", "10.0.0.1", `,"labels":{"a":"b"},"annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"1","prometheus.io/path":"x y"}`, `{"ports":[{"containerPort":5}]}`))
	f.Add(aNode("n", "10.0.0.1", 1))
	f.Fuzz(func(t *testing.T, object string) {
		x := &Targets{o: TargetsOptions{Kubelet: []string{"metrics"}, Direct: true, Annotated: true, Pods: []PodTarget{{Labels: map[string]string{"a": "b"}, Port: 1}}}, client: &Client{Config: &rest.Config{Host: "h"}}}
		for _, target := range append(x.ofNode([]byte(object)), x.ofPod([]byte(object))...) {
			require.NotEmpty(t, target.Name)
			require.Contains(t, target.URL, "://")
		}
	})
}
