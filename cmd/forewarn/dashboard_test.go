package main

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/deploy/dashboard"
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
	descs := make(chan *prometheus.Desc)
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
