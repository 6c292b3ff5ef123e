package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

// runRole runs a process in this one until the test ends, and returns what it registers once it is ready to be scraped.
func runRole(t *testing.T, r roles, s settings) *prometheus.Registry {
	t.Helper()
	s.DataDir = t.TempDir()
	var log buffer
	p := &process{globals: &globals{stdio: stdio{nil, io.Discard, io.Discard}, log: slog.New(slog.NewTextHandler(&log, nil))}, settings: s, roles: r}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	eventually(t, "every part runs", func() bool { return strings.Contains(log.String(), "msg=running") })
	return p.registry
}

// TestTheMetricsOfEveryRoleAreAsTheConventionsWant gathers what each role serves at /metrics.
func TestTheMetricsOfEveryRoleAreAsTheConventionsWant(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	server, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	require.NoError(t, server.EnsureStreams(t.Context()))
	nats, err := stream.FindURL(home)
	require.NoError(t, err)
	files := []fileSettings{{Path: file(t, "a.log", "2026-11-20T19:08:48Z hello\n")}}
	for _, c := range []struct {
		roles roles
		own   []string // what people look at
	}{
		{everything, []string{"forewarn_collector_records_total", "forewarn_pipeline_lag_messages", "forewarn_notify_warnings_total", "forewarn_console_open_pages"}},
		{roles{collect: true}, []string{"forewarn_collector_records_total", "forewarn_collector_connected", "forewarn_pipeline_published_batches_total"}},
		{roles{match: true}, []string{"forewarn_pipeline_signatures", "forewarn_pipeline_open_warnings", "forewarn_pipeline_lag_messages"}},
		{roles{notify: true}, []string{"forewarn_notify_warnings_total", "forewarn_notify_retries_total"}},
		{roles{console: true}, []string{"forewarn_console_open_pages", "forewarn_console_dropped_warnings_total"}},
	} {
		t.Run(c.roles.String(), func(t *testing.T) {
			s := settings{}
			if c.roles.console {
				s.Console.Listen = "127.0.0.1:0"
			}
			if c.roles.collect {
				s.Files = files
			}
			if c.roles != everything {
				s.NATS.URL = nats
			}
			registry := runRole(t, c.roles, s)
			for _, name := range append(c.own, "forewarn_build_info", "process_resident_memory_bytes") {
				eventually(t, name+" is served", func() bool {
					n, err := testutil.GatherAndCount(registry, name)
					return err == nil && n > 0
				})
			}
			problems, err := testutil.GatherAndLint(registry)
			require.NoError(t, err)
			for _, p := range problems {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		})
	}
}
