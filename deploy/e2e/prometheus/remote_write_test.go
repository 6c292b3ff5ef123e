//go:build e2e

// Package prometheus runs a real Prometheus against forewarn's collector of metrics. `make remote-write` builds it and runs these tests.
package prometheus

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// patience is how long a test waits for what will come on any machine.
const patience = 90 * time.Second

// taken keeps what a collector emits, or refuses it.
type taken struct {
	mu      sync.Mutex
	records map[uint64]record.Record
	repeats int
	refuse  atomic.Bool
}

func (k *taken) emit(ctx context.Context, frame []byte) error {
	for k.refuse.Load() { // as a stream that does not answer
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.records == nil {
		k.records = map[uint64]record.Record{}
	}
	for i := range b.Len() {
		r := b.At(i)
		if _, known := k.records[r.ID]; known {
			k.repeats++
		}
		k.records[r.ID] = r.Clone()
	}
	return nil
}

// values returns the values of a metric, each once.
func (k *taken) values(metric string) map[float64]record.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[float64]record.Record{}
	for _, r := range k.records {
		if r.Attrs.Value(record.MetricName) == metric {
			out[r.Value] = r
		}
	}
	return out
}

// needs are what some signature looks at.
func needs() []signatures.MetricNeed {
	return []signatures.MetricNeed{
		{Metric: "visits_total"}, {Metric: "visit_seconds_bucket"}, {Metric: "native_seconds_count"}, {Metric: "native_seconds_sum"}, {Metric: "visits_doubled", Window: time.Minute},
	}
}

// collect runs a collector until the test ends.
func collect(t *testing.T, o metrics.Options, k *taken, meters *collector.Meters) *metrics.Collector {
	t.Helper()
	x, err := metrics.New(o, collector.Common{
		Name: "metrics", Meter: meters.For("metrics"), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	x.Need(needs())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx, k.emit) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return x
}

// site is what Prometheus scrapes: a counter that counts the scrapes themselves, so that what is missing shows.
type site struct {
	*httptest.Server
	visits atomic.Int64
	down   atomic.Bool
}

func newSite(t *testing.T) *site {
	t.Helper()
	registry := client.NewRegistry()
	visits := client.NewCounter(client.CounterOpts{Name: "visits_total", Help: "Scrapes."})
	classic := client.NewHistogram(client.HistogramOpts{Name: "visit_seconds", Help: "A histogram.", Buckets: []float64{1, 2}})
	native := client.NewHistogram(client.HistogramOpts{Name: "native_seconds", Help: "A native histogram.", NativeHistogramBucketFactor: 1.1})
	registry.MustRegister(visits, classic, native)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		s.visits.Add(1)
		visits.Inc()
		classic.Observe(1.5)
		native.Observe(3)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// start runs a Prometheus with a configuration and returns its URL.
func start(t *testing.T, config string) string {
	t.Helper()
	binary := os.Getenv("PROMETHEUS")
	require.NotEmpty(t, binary, "PROMETHEUS names no binary: run `make remote-write`")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0", "--log.format=logfmt")
	out, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address := make(chan string, 1)
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if _, after, ok := strings.Cut(line, `msg="Listening on" component=web address=`); ok {
				address <- strings.TrimSpace(after)
			}
			if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
				_, _ = fmt.Fprintln(t.Output(), line)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		read.Wait()
		_ = cmd.Wait() // it was killed
	})
	select {
	case a := <-address:
		return "http://" + a
	case <-time.After(patience):
		t.Fatal("Prometheus does not listen")
		return ""
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// lost returns how often something was counted as lost.
func lost(t *testing.T, r *client.Registry, reason string) float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "forewarn_collector_lost_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == reason {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// TestARealPrometheusSends: everything that it scraped arrives, by either version, though the stream refused it for a while.
func TestARealPrometheusSends(t *testing.T) {
	for version, message := range map[string]string{"1.0": "prometheus.WriteRequest", "2.0": "io.prometheus.write.v2.Request"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			token := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(token, []byte("let me in"), 0o600))
			l := listen(t)
			registry := client.NewRegistry()
			meters, err := collector.NewMeters(registry)
			require.NoError(t, err)
			var k taken
			x := collect(t, metrics.Options{RemoteWrite: &metrics.RemoteWriteOptions{Server: receive.Options{Listener: l, TokenFile: token, Wait: signatures.Duration(2 * time.Second)}}}, &k, meters)
			url := start(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: prod}}
scrape_configs:
  - job_name: site
    scrape_native_histograms: true
    static_configs: [{targets: [%q], labels: {namespace: shop, pod: web-0}}]
remote_write:
  - url: http://%s/api/v1/write
    protobuf_message: %s
    send_native_histograms: true
    send_exemplars: true
    authorization: {credentials_file: %s}
    queue_config: {batch_send_deadline: 500ms, min_backoff: 30ms, max_backoff: 500ms}
    metadata_config: {send_interval: 1s}
`, strings.TrimPrefix(s.URL, "http://"), l.Addr(), message, token))

			upTo := func(n int) func() bool {
				return func() bool {
					got := k.values("visits_total")
					for i := 1; i <= n; i++ {
						if _, ok := got[float64(i)]; !ok {
							return false
						}
					}
					return true
				}
			}
			require.Eventually(t, upTo(5), patience, 100*time.Millisecond)
			k.refuse.Store(true)
			require.Eventually(t, func() bool { return lost(t, registry, "requests_put_off") > 3 }, patience, 100*time.Millisecond, "it comes again")
			refused := len(k.values("visits_total"))
			k.refuse.Store(false)
			require.Eventually(t, upTo(refused+10), patience, 100*time.Millisecond, "every scrape arrives")

			r := k.values("visits_total")[2]
			require.Equal(t, "shop", r.Attrs.Value(record.Namespace))
			require.Equal(t, "web-0", r.Attrs.Value(record.Pod))
			require.Equal(t, "prod", r.Attrs.Value("label.cluster"))
			require.InDelta(t, time.Now().Unix(), r.When().Unix(), 600)
			require.NotEmpty(t, k.values("visit_seconds_bucket"))
			require.Eventually(t, func() bool { return len(k.values("native_seconds_count")) > 3 }, patience, 100*time.Millisecond, "native histograms give count and sum")
			require.InDelta(t, 3, k.values("native_seconds_sum")[3].Value, 1e-9)
			require.Empty(t, k.values("go_goroutines"), "what nobody needs is left out")

			s.down.Store(true)
			require.Eventually(t, func() bool { return x.Stats().Stale > 0 }, patience, 100*time.Millisecond, "marks of staleness are no samples")
			for _, bad := range []string{"requests_bad", "requests_unsupported", "requests_unauthorized", "requests_too_large", "refused_samples"} {
				require.Zero(t, lost(t, registry, bad), bad)
			}
			require.Equal(t, "0", ask(t, url, `sum(prometheus_remote_storage_samples_failed_total) or vector(0)`))
		})
	}
}

// ask evaluates an expression by the collector of expressions, in a collector of its own.
func ask(t *testing.T, url, expr string) string {
	t.Helper()
	var k taken
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	collect(t, metrics.Options{Prometheus: []metrics.PrometheusOptions{{
		Name: "main", URL: url, Interval: signatures.Duration(time.Second), Queries: []metrics.Query{{Metric: "visits_doubled", Expr: expr}},
	}}}, &k, meters)
	require.Eventually(t, func() bool { return len(k.values("visits_doubled")) > 0 }, patience, 50*time.Millisecond)
	for v := range k.values("visits_doubled") {
		return fmt.Sprint(v)
	}
	return ""
}

// TestARealPrometheusIsAsked: an expression gives its past and its present.
func TestARealPrometheusIsAsked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	url := start(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: site, static_configs: [{targets: [%q], labels: {namespace: shop}}]}]
`, strings.TrimPrefix(s.URL, "http://")))
	require.Eventually(t, func() bool { return s.visits.Load() > 8 }, patience, 100*time.Millisecond, "there has to be a past")
	began := time.Now()
	registry := client.NewRegistry()
	meters, err := collector.NewMeters(registry)
	require.NoError(t, err)
	var k taken
	collect(t, metrics.Options{Prometheus: []metrics.PrometheusOptions{
		{Name: "main", URL: url, Interval: signatures.Duration(time.Second), Queries: []metrics.Query{{Metric: "visits_doubled", Expr: "2 * visits_total"}}},
		{Name: "wrong", URL: url, Interval: signatures.Duration(time.Second), Queries: []metrics.Query{{Metric: "visits_total", Expr: "2 *"}}},
	}}, &k, meters)
	require.Eventually(t, func() bool {
		past, present := 0, 0
		for _, r := range k.values("visits_doubled") {
			if r.When().Before(began.Add(-time.Second)) {
				past++
			} else {
				present++
			}
		}
		return past >= 3 && present >= 3
	}, patience, 100*time.Millisecond)
	for v, r := range k.values("visits_doubled") {
		require.Zero(t, int(v)%2)
		require.Equal(t, "shop", r.Attrs.Value(record.Namespace))
	}
	require.Positive(t, lost(t, registry, "failed_queries"), "an expression that is none is counted")
	require.Empty(t, k.values("visits_total"))
}
