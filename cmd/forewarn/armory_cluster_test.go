package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures/crd"
)

// apiServer answers lists of custom resources, and keeps the statuses that are written.
type apiServer struct {
	items map[string][]map[string]any // by the plural
	away  bool
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plural := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if a.away || r.URL.Query().Get("watch") != "" {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	items := a.items[plural]
	if items == nil {
		items = []map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "forewarn.dev/v1alpha1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

// put sets the resource of a name in a namespace, or the cluster-wide one, to a signature of one log line.
func (a *apiServer) put(namespace, name, contains string) {
	plural, kind := "signatures", "Signature"
	if namespace == "" {
		plural, kind = "clustersignatures", "ClusterSignature"
	}
	var spec map[string]any
	text := fmt.Sprintf(`{"title":"A case","severity":"low","by":"pod","stages":[{"name":"seen","when":{"log":{"contains":%q}}}],"clear":{"quiet":"1h"}}`, contains)
	if contains == "" {
		text = `{"title":"A case"}`
	}
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		panic(err)
	}
	object := map[string]any{
		"apiVersion": "forewarn.dev/v1alpha1", "kind": kind, "spec": spec,
		"metadata": map[string]any{"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1", "generation": 1},
	}
	for i, old := range a.items[plural] {
		meta := old["metadata"].(map[string]any)
		if meta["name"] == name && meta["namespace"] == namespace {
			a.items[plural][i] = object
			return
		}
	}
	a.items[plural] = append(a.items[plural], object)
}

// withCluster returns an armory like place.armory that follows the server.
func (p *place) withCluster(a *apiServer) *armory {
	p.Helper()
	server := httptest.NewServer(a)
	p.Cleanup(server.Close)
	client, err := kube.Connect(kube.ConnectOptions{Kubeconfig: kubeconfig(p, server.URL)})
	require.NoError(p, err)
	out := p.armory()
	out.cluster = &cluster{}
	out.cluster.watcher, err = crd.NewWatcher(crd.Options{Config: client.Config})
	require.NoError(p, err)
	out.cluster.reporter, err = crd.NewReporter(crd.ReporterOptions{Watcher: out.cluster.watcher})
	require.NoError(p, err)
	return out
}

func kubeconfig(tb testing.TB, url string) string {
	tb.Helper()
	file := tb.TempDir() + "/kubeconfig"
	require.NoError(tb, os.WriteFile(file, []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, url)), 0o600))
	return file
}

func ids(t *testing.T, p *matcher.Program) string {
	t.Helper()
	var out []string
	for digest := range p.Digests() {
		s, err := p.Body(digest)
		require.NoError(t, err)
		out = append(out, s.ID+"="+s.Stages[0].When.Log.Contains.Any[0])
	}
	return strings.Join(slices.Sorted(slices.Values(out)), " ")
}

// states are the verdicts, by resource.
func (a *armory) states(t *testing.T) map[string]crd.State {
	t.Helper()
	out := map[string]crd.State{}
	known := a.known()
	resources := a.cluster.resources()
	c, err := a.change(known, nil, resources)
	require.NoError(t, err)
	for ref, v := range c.verdicts(a.program, resources) {
		out[ref.String()] = v.State
		if v.Before {
			out[ref.String()] += " as before"
		}
	}
	return out
}

func TestResourcesAreArmedBesideFiles(t *testing.T) {
	p := newPlace(t)
	s := &apiServer{items: map[string][]map[string]any{}}
	p.write("a.yaml", sig("disk", "of the file"))
	s.put("shop", "disk", "of the shop")
	s.put("bank", "disk", "of the bank")
	s.put("", "disk", "of the cluster")
	s.put("", "net", "of the cluster")
	a := p.withCluster(s)
	require.NoError(t, a.cluster.watcher.Prime(t.Context()))
	program, refused := a.open()
	require.Equal(t, "bank/disk=of the bank disk=of the file net=of the cluster shop/disk=of the shop", ids(t, program))
	require.Len(t, refused, 1)
	require.Contains(t, refused[0], `ClusterSignature disk: the id "disk" is taken by a signature of `+p.dir)

	t.Run("one that becomes bad goes on as it was", func(t *testing.T) {
		s.put("shop", "disk", "")
		s.put("bank", "disk", "of the new bank")
		require.NoError(t, a.cluster.watcher.Prime(t.Context()))
		a.look()
		require.Equal(t, "bank/disk=of the new bank disk=of the file net=of the cluster shop/disk=of the shop", ids(t, a.program))
		require.Equal(t, crd.State("Refused as before"), a.states(t)["Signature shop/disk"])
		require.Equal(t, crd.Armed, a.states(t)["Signature bank/disk"])
	})
	t.Run("a start without the API server arms what the store knows", func(t *testing.T) {
		s.away = true
		a = p.withCluster(s)
		require.Error(t, a.cluster.watcher.Prime(t.Context()))
		program, _ := a.open()
		require.Equal(t, "bank/disk=of the new bank disk=of the file net=of the cluster shop/disk=of the shop", ids(t, program))
	})
	t.Run("one that is gone is disarmed", func(t *testing.T) {
		s.away = false
		s.items["signatures"] = nil
		require.NoError(t, a.cluster.watcher.Prime(t.Context()))
		a.look()
		require.Equal(t, "disk=of the file net=of the cluster", ids(t, a.program))
	})
	t.Run("without custom resources in the settings none is armed", func(t *testing.T) {
		program, _ := p.armory().open()
		require.Equal(t, "disk=of the file", ids(t, program))
	})
}
