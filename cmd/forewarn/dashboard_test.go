package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/deploy/dashboard"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/prometheus"
)

// metricNames are the names of all metrics that a process of every role registers.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	data := t.TempDir()
	p := &process{
		globals:  &globals{stdio: stdio{nil, io.Discard, io.Discard}, log: slog.New(slog.DiscardHandler)},
		settings: settings{DataDir: data, Files: []fileSettings{{Path: file(t, "a.log", "2026-11-20T19:08:48Z hello\n")}}},
		roles:    roles{collect: true, match: true, notify: true},
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	eventually(t, "every part runs", func() bool {
		return regexp.MustCompile(`"collector": *"files"`).MatchString(cli(t, "status", "--data-dir", data, "-o", "json").out)
	})
	stop()
	require.NoError(t, <-ended)

	names := map[string]bool{}
	descs := make(chan *client.Desc)
	go func() {
		p.registry.Describe(descs)
		close(descs)
	}()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		names[name.FindStringSubmatch(d.String())[1]] = true
	}
	return names
}

// TestTheShippedRulesAskForMetricsThatExist: a rule on a metric that nobody has never fires, and nobody misses it.
func TestTheShippedRulesAskForMetricsThatExist(t *testing.T) {
	names := metricNames(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "rules", "forewarn.yaml"))
	require.NoError(t, err)
	groups, problems := prometheus.Read("forewarn.yaml", text)
	require.Empty(t, problems)
	rules := 0
	for _, g := range groups {
		for _, r := range g.Rules {
			rules++
			if r.Alert == "ForewarnDown" {
				continue // asks for what Prometheus itself has
			}
			found := regexp.MustCompile(`\bforewarn_[a-z0-9_]+`).FindAllString(r.Expr, -1)
			require.NotEmpty(t, found, r.Alert)
			for _, m := range found {
				require.True(t, names[m], "%s: no process has the metric %s", r.Alert, m)
			}
			require.NotEmpty(t, r.Annotations["remedy"], r.Alert)
			require.Less(t, signatures.Severity(r.Labels["severity"]).Rank(), len(signatures.Severities()), r.Alert)
		}
	}
	require.Greater(t, rules, 10)
}

func TestTheDashboardAsksForMetricsThatExist(t *testing.T) {
	names := metricNames(t)
	asked := map[string]bool{}
	metric := regexp.MustCompile(`\b(?:forewarn|go|process)_[a-z0-9_]+`)
	for _, q := range dashboard.Queries() {
		found := metric.FindAllString(q, -1)
		require.NotEmpty(t, found, q)
		for _, m := range found {
			m = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(m, "")
			require.True(t, names[m], "%s: no process has the metric %s", q, m)
			asked[m] = true
		}
	}
	require.Greater(t, len(asked), 12)
}
