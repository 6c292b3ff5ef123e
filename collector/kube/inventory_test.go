package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/signatures"
)

// inventoryServer answers with a small cluster whose kubelets have these versions.
func inventoryServer(kubelets ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		list := func(items string) { _, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1"},"items":[%s]}`, items) }
		switch r.URL.Path {
		case "/version":
			_, _ = io.WriteString(w, `{"major":"1","minor":"37","gitVersion":"v1.37.1"}`)
		case "/api/v1/nodes": // a page a node
			i := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &i)
			next := ""
			if i+1 < len(kubelets) {
				next = fmt.Sprint(i + 1)
			}
			_, _ = fmt.Fprintf(w, `{"metadata":{"continue":%q},"items":[{"spec":{"providerID":"kind://docker/x"},"status":{"images":[{"names":["x"]}],"nodeInfo":{"kubeletVersion":%q,`+
				`"containerRuntimeVersion":"containerd://1.6.20","operatingSystem":"linux","osImage":"Debian GNU/Linux 12","kernelVersion":"6.1.%d","architecture":"amd64"}}}]}`, next, kubelets[i], i)
		case "/apis/apps/v1/daemonsets":
			list(`{"metadata":{"name":"calico-node","namespace":"kube-system"},"spec":{"template":{"spec":{"containers":[{"image":"docker.io/calico/node:v3.28.0"}]}}}},
				{"metadata":{"name":"kube-proxy","namespace":"kube-system"},"spec":{"template":{"spec":{"containers":[{"image":"registry.k8s.io/kube-proxy:v1.37.1@sha256:00"}]}}}}`)
		case "/apis/apps/v1/deployments":
			list(`{"metadata":{"name":"coredns","namespace":"kube-system"},"spec":{"template":{"spec":{"containers":[{"image":"registry.k8s.io:443/coredns/coredns:v1.11.3"}]}}}},
				{"metadata":{"name":"cert-manager","namespace":"cert","labels":{"app.kubernetes.io/name":"cert-manager","app.kubernetes.io/version":"v1.14.0","helm.sh/chart":"cert-manager-v1.14.0"}}},
				{"metadata":{"name":"a","namespace":"a","labels":{"app.kubernetes.io/name":"redis","app.kubernetes.io/version":"7.2"}}},
				{"metadata":{"name":"b","namespace":"b","labels":{"app.kubernetes.io/name":"redis","app.kubernetes.io/version":"6.0"}}},
				{"metadata":{"name":"c","namespace":"shop"},"spec":{"template":{"spec":{"containers":[{"image":"shop/cart:9"}]}}}}`)
		case "/apis/apps/v1/statefulsets":
			_, _ = io.WriteString(w, `{"metadata":{},"items":null}`)
		case "/api/v1/namespaces/kube-system/pods":
			list(`{"metadata":{"name":"etcd-node1"},"spec":{"containers":[{"name":"etcd","image":"registry.k8s.io/etcd:3.5.12-0"}]}}`)
		default:
			status(w, http.StatusNotFound, "NotFound", r.URL.Path)
		}
	}
}

func TestInventoryTellsVersionsAndWhatIsAmbiguousIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		kubelets []string
		kubelet  string
	}{"one version": {[]string{"v1.37.1", "v1.37.1"}, "v1.37.1"}, "in the middle of an upgrade": {[]string{"v1.36.4", "v1.37.1", "v1.36.4"}, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := make(chan []byte, 1)
			put := func(_ context.Context, source string, facts []byte) error {
				require.Equal(t, "inventory/prod", source)
				found <- facts
				return nil
			}
			inv, err := NewInventory(InventoryOptions{}, newTestClient(t, inventoryServer(x.kubelets...)), put, collector.Common{Name: "inventory", Cluster: "prod"})
			require.NoError(t, err)
			runUntilStopped(t, inv, nil)
			var got Facts
			require.NoError(t, json.Unmarshal(<-found, &got))
			want := Facts{
				Kubernetes: "v1.37.1",
				Components: map[string]string{"containerd": "1.6.20", "calico-node": "v3.28.0", "kube-proxy": "v1.37.1", "coredns": "v1.11.3", "cert-manager": "v1.14.0", "etcd": "3.5.12-0"},
				Facts: map[string]string{
					"os": "linux", "os_image": "Debian GNU/Linux 12", "architecture": "amd64", "container_runtime": "containerd", "provider": "kind", "cni": "calico", "chart.cert-manager": "v1.14.0",
				},
			}
			if x.kubelet != "" {
				want.Components["kubelet"] = x.kubelet
			}
			require.Equal(t, want, got)
		})
	}
}

// TestInventoryIsPutAgainOnlyWhenItChanged, and is tried again when the server or the one who takes it was away.
func TestInventoryIsPutAgainOnlyWhenItChanged(t *testing.T) {
	t.Parallel()
	var asked, version atomic.Int64
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" && asked.Add(1) == 1 {
			status(w, http.StatusInternalServerError, "InternalError", "not yet")
			return
		}
		inventoryServer(fmt.Sprintf("v1.37.%d", version.Load()))(w, r)
	})
	puts, refused := make(chan string, 100), false
	put := func(_ context.Context, _ string, facts []byte) error {
		if !refused {
			refused = true
			return fmt.Errorf("not yet")
		}
		var f Facts
		if err := json.Unmarshal(facts, &f); err != nil {
			return err
		}
		puts <- f.Components["kubelet"]
		return nil
	}
	x, err := NewInventory(InventoryOptions{Every: signatures.Duration(time.Second)}, c, put, collector.Common{Name: "inventory"})
	require.NoError(t, err)
	inv := x.(*inventory)
	inv.o.Every, inv.backoff = signatures.Duration(time.Millisecond), collector.Backoff{Min: time.Millisecond, Max: time.Millisecond}
	runUntilStopped(t, inv, nil)
	require.Equal(t, "v1.37.0", <-puts)
	before := asked.Load()
	require.Eventually(t, func() bool { return asked.Load() > before+5 }, patience, time.Millisecond)
	require.Empty(t, puts)
	version.Store(5)
	require.Equal(t, "v1.37.5", <-puts)
}

func TestImagesAndChartsAreSplit(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][2]string{
		"registry.k8s.io:443/coredns/coredns:v1.11.3": {"coredns", "v1.11.3"}, "etcd": {"etcd", ""}, "a/b@sha256:12": {"b", ""}, "a/b:1@sha256:12": {"b", "1"}, "docker.io/calico/node:v3": {"calico-node", "v3"}, "node:1": {"node", "1"}, "": {"", ""},
	} {
		name, tag := cutImage(image)
		require.Equal(t, want, [2]string{name, tag}, image)
	}
	for label, want := range map[string][2]string{
		"cert-manager-v1.14.0": {"cert-manager", "v1.14.0"}, "a-1-b-2.0.1-beta.3": {"a-1-b", "2.0.1-beta.3"}, "plain": {"", ""}, "": {"", ""}, "-1.0": {"", ""}, "x-": {"", ""},
	} {
		name, version, ok := cutChart(label)
		require.Equal(t, want, [2]string{name, version}, label)
		require.Equal(t, want[0] != "", ok)
	}
}

func TestInventoryRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	_, err := NewInventory(InventoryOptions{Every: 1}, nil, nil, collector.Common{})
	for _, want := range []string{"every", "Connect", "facts"} {
		require.ErrorContains(t, err, want)
	}
}
