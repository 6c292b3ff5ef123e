//go:build e2e

package e2e

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
	"github.com/forewarn/forewarn/signatures"
)

// clusterName is on every record, and the first part of most keys.
const clusterName = "testbed"

// connect gives a client that may do what needs say and nothing else.
func connect(t *testing.T, c *cluster.Cluster, name string, needs ...kube.Needs) *kube.Client {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, n := range needs {
		rules = append(rules, n...)
	}
	_, kubeconfig, err := c.ServiceAccount(t.Context(), "forewarn", name, rules...)
	require.NoError(t, err)
	client, err := kube.Connect(kube.ConnectOptions{Kubeconfig: kubeconfig})
	require.NoError(t, err)
	return client
}

// run runs collectors until the test ends, and fails it when one ended before or for another reason.
func run(t *testing.T, w *witness, collectors ...collector.Collector) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, len(collectors))
	for _, c := range collectors {
		go func() {
			err := c.Run(ctx, w.emit)
			if ctx.Err() == nil {
				t.Errorf("a collector ended by itself: %v", err)
			}
			ended <- err
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range collectors {
			require.ErrorIs(t, <-ended, context.Canceled)
		}
	})
}

func common(t *testing.T, name string, meters *collector.Meters) collector.Common {
	t.Helper()
	return collector.Common{
		Name: name, Cluster: clusterName, Meter: meters.For(name),
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// collectMetrics scrapes the API server every two seconds, as a service account that may do that and nothing else.
func collectMetrics(t *testing.T, c *cluster.Cluster, w *witness, keep ...string) {
	t.Helper()
	config, _, err := c.ServiceAccount(t.Context(), "forewarn", "metrics", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	require.NoError(t, err)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(config.BearerToken), 0o600))
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	x, err := metrics.New(metrics.Options{Keep: keep, Scrape: &metrics.ScrapeOptions{
		Interval: signatures.Duration(2 * time.Second),
		Timeout:  signatures.Duration(2 * time.Second),
		Static: []metrics.StaticTargets{{
			URLs:   []string{c.Endpoints.APIServer + "/metrics"},
			Attrs:  map[string]string{record.Component: cluster.APIServer},
			Access: metrics.Access{TokenFile: token, CAFile: filepath.Join(c.Dir, "pki", "ca.crt")},
		}},
	}}, common(t, "metrics", meters))
	require.NoError(t, err)
	run(t, w, x)
}

// collect runs the collectors of events and of changes, which share a topology. Each may do what it says it needs and nothing else, and may
// lose nothing but what is named.
func collect(t *testing.T, c *cluster.Cluster, w *witness, losses ...string) {
	t.Helper()
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	topology := kube.NewTopology(kube.TopologyOptions{})
	o := kube.ChangesOptions{Certificates: true}
	needs, err := o.Needs()
	require.NoError(t, err)
	forChanges, forEvents := common(t, "changes", meters), common(t, "events", meters)
	forEvents.Enricher = topology
	changes, err := kube.NewChanges(o, connect(t, c, "changes", needs), topology, forChanges)
	require.NoError(t, err)
	events, err := kube.NewEvents(kube.EventsOptions{}, connect(t, c, "events", kube.EventsNeeds()), forEvents)
	require.NoError(t, err)
	run(t, w, changes, events)
	t.Cleanup(func() {
		for _, s := range meters.States() {
			for _, known := range losses {
				delete(s.Lost, known)
			}
			require.Empty(t, s.Lost, "%s lost something", s.Collector)
		}
	})
}
