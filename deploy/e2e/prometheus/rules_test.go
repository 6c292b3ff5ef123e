//go:build e2e

package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// forewarn builds the binary of this tree.
func forewarn(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "forewarn")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/forewarn/forewarn/cmd/forewarn").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// runForewarn follows a log and serves its metrics until the test ends, or stop is called.
func runForewarn(t *testing.T, binary, log string) (address string, stop func()) {
	t.Helper()
	l := listen(t)
	address = l.Addr().String()
	require.NoError(t, l.Close())
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "run", "--data-dir", dir, "--listen", address, log)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			_ = cmd.Wait() // it was stopped
		}
	}
	t.Cleanup(stop)
	return address, stop
}

// get reads an answer of Prometheus's API; false when there is none yet.
func get(t *testing.T, url string, into any) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK { // it is starting
		return false
	}
	if err := json.NewDecoder(answer.Body).Decode(&struct{ Data any }{into}); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// alert is one that Prometheus has.
type alert struct {
	Labels, Annotations map[string]string
	State               string
}

// firing returns the alerts that fire, by name.
func firing(t *testing.T, url string) map[string]alert {
	t.Helper()
	var x struct{ Alerts []alert }
	get(t, url+"/api/v1/alerts", &x)
	out := map[string]alert{}
	for _, a := range x.Alerts {
		if a.State == "firing" {
			out[a.Labels["alertname"]] = a
		}
	}
	return out
}

// TestARealPrometheusFiresTheGeneratedRules has the rules of the whole catalogue, and those that are shipped for forewarn itself, scrapes a forewarn that
// follows a log, and an exporter: what forewarn warns of fires, and so does what the metrics alone say.
func TestARealPrometheusFiresTheGeneratedRules(t *testing.T) {
	t.Parallel()
	binary := forewarn(t)
	rules := t.TempDir()
	out, err := exec.CommandContext(t.Context(), binary, "rules", "generate", "--out", rules).CombinedOutput()
	require.NoError(t, err, "%s", out)
	own, err := filepath.Abs(filepath.Join("..", "..", "rules", "forewarn.yaml"))
	require.NoError(t, err)

	log := filepath.Join(t.TempDir(), "ingress.log")
	file, err := os.Create(log)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	var readOnly atomic.Int64
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "node_filesystem_readonly{mountpoint=\"/\"} %d\nnode_filesystem_readonly{mountpoint=\"/mnt/backup\"} 1\n", readOnly.Load())
	}))
	t.Cleanup(exporter.Close)
	address, stop := runForewarn(t, binary, log)
	url := start(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q, %q]
scrape_configs:
  - {job_name: forewarn, scrape_native_histograms: true, static_configs: [{targets: [%q]}]}
  - {job_name: node, static_configs: [{targets: [%q]}]}
`, rules+"/*.yaml", own, address, strings.TrimPrefix(exporter.URL, "http://")))

	type rule struct{ Name, Health, LastError string }
	var loaded struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	require.Eventually(t, func() bool {
		loaded.Groups = nil
		if !get(t, url+"/api/v1/rules", &loaded) {
			return false
		}
		n := 0
		for _, g := range loaded.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return false
				}
				n++
			}
		}
		return n > 100
	}, patience, time.Second, "every rule is loaded and evaluated: %+v", &loaded)
	files, err := filepath.Glob(rules + "/*.yaml")
	require.NoError(t, err)
	require.Len(t, loaded.Groups, len(files)+1)
	require.Empty(t, firing(t, url), "all is well")

	for range 4 {
		_, err := fmt.Fprintf(file, "%s Unexpected failure reloading the backend: exit status 1\n", time.Now().UTC().Format(time.RFC3339Nano))
		require.NoError(t, err)
	}
	readOnly.Store(1)
	require.Eventually(t, func() bool {
		a := firing(t, url)
		_, warned := a["ForewarnIngressReloadFailedImminent"]
		_, measured := a["NodeReadonlyFilesystemIncident"]
		return warned && measured
	}, patience, time.Second)
	a := firing(t, url)
	require.Len(t, a, 2, "and nothing else: %v", a)
	require.Equal(t, "high", a["ForewarnIngressReloadFailedImminent"].Labels["severity"])
	require.Contains(t, a["ForewarnIngressReloadFailedImminent"].Annotations["description"], "Open warnings: 1.")
	require.Equal(t, "/", a["NodeReadonlyFilesystemIncident"].Labels["mountpoint"])
	require.NotEmpty(t, a["NodeReadonlyFilesystemIncident"].Annotations["remedy"])

	readOnly.Store(0)
	require.Eventually(t, func() bool {
		_, measured := firing(t, url)["NodeReadonlyFilesystemIncident"]
		return !measured
	}, patience, time.Second, "it ends with what it says")

	stop()
	pending := func(name string) bool {
		var x struct{ Alerts []alert }
		return get(t, url+"/api/v1/alerts", &x) && slices.ContainsFunc(x.Alerts, func(a alert) bool { return a.Labels["alertname"] == name })
	}
	require.Eventually(t, func() bool { return pending("ForewarnDown") }, patience, time.Second, "without the matcher the rules on forewarn itself begin to wait")
	readOnly.Store(1)
	require.Eventually(t, func() bool {
		_, measured := firing(t, url)["NodeReadonlyFilesystemIncident"]
		return measured
	}, patience, time.Second, "and those on metrics go on without it")
}
