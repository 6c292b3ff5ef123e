package metrics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/signatures"
)

func TestOptionsTellEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err := New(Options{
		Keep: []string{" "},
		Scrape: &ScrapeOptions{
			Of: "pod", Interval: 1, Concurrency: -1, BodyMB: 5000, Static: []StaticTargets{
				{},
				{URLs: []string{"host:9090", "ftp://host", "http://u:hunter2@host/metrics", "http://a/metrics", "http://a/metrics", "http://u:hunter2 @host"}},
				{URLs: []string{"http://b"}, Access: Access{TokenFile: "/nowhere/token", User: "u", CertFile: "c", CAFile: empty}, Attrs: map[string]string{"": "x"}},
			},
		},
		RemoteWrite: &RemoteWriteOptions{Path: "write", Server: receive.Options{Listen: "9201", TokenFile: empty, ClientCAFile: "x", MaxRequests: 1 << 20, Wait: -1}},
		Prometheus: []PrometheusOptions{
			{Name: "a", URL: "prometheus:9090", Queries: []Query{{}, {Metric: "m", Expr: "x"}, {Metric: "m", Expr: "y"}}},
			{Name: "a", URL: "http://p"},
			{Name: "a/b", URL: "http://p", Backfill: -5, Queries: []Query{{Metric: "m", Expr: "x"}}},
		},
	}, collector.Common{})
	for _, want := range []string{
		"keep[0]: ", `scrape.of: "pod" is neither`, "scrape.interval: 1ns is too short", "scrape.concurrency: -1", "scrape.body_mb: 5000", "scrape.static[0].urls: there is no URL",
		"scrape.static[1].urls[0]: ", "scrape.static[1].urls[1]: ", "scrape.static[1].urls[2]: the URL of host holds credentials", "scrape.static[1].urls[4]: it stands twice",
		"scrape.static[1].urls[5]: it is no URL", "scrape.static[2].access: ", "exclude each other", "user and password_file", "cert_file and key_file", "/nowhere/token", "no certificate in PEM form",
		"scrape.static[2].attrs: ", `listen "9201"`, "remote_write.path: ", "no token is in it", "client_ca_file needs", "max_requests: ", "wait cannot be negative",
		"prometheus[0].url: ", "prometheus[0].queries[0].metric", "prometheus[0].queries[0].expr", `prometheus[0].queries[2].metric: "m" stands twice`,
		`prometheus[1].name: the name "a" stands twice`, "prometheus[1].queries: there is none", "prometheus[2].name: use 1 to 64", "prometheus[2].backfill",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "hunter2")
	_, err = New(Options{}, collector.Common{})
	require.ErrorContains(t, err, "metrics has no source")
}

func TestOptionsAreReadFromTheConfiguration(t *testing.T) {
	t.Parallel()
	var o Options
	problems, _ := signatures.Decode("the configuration", "x.yaml", []byte(`
keep: [up]
scrape:
  interval: 15s
  static:
    - {urls: ["http://etcd-0:2381/metrics"], node: cp1, attrs: {service.name: etcd}}
remote_write: {server: {listen: ":9201"}}
prometheus:
  - name: main
    url: http://prometheus:9090
    access: {skip_verify: true}
    queries: [{metric: m, expr: "rate(x[5m])"}]
`), &o)
	require.Empty(t, problems)
	x, err := New(o, collector.Common{})
	require.NoError(t, err)
	require.Len(t, x.static, 1)
	require.Equal(t, "cp1", x.static[0].Scope[0].Value)
	require.NotNil(t, x.filter.now().find([]byte("up")))

	problems, _ = signatures.Decode("the configuration", "x.yaml", []byte("scrape: {intervall: 15s}\nremote_write: {}\n"), &o)
	require.Len(t, problems, 2)
}
