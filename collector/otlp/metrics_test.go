package otlp

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource1 "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

func TestMetricsAreNamedAsPrometheusNamesThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, unit string
		is         shape
		want       string
	}{
		{"http.server.request.duration", "s", plainShape, "http_server_request_duration_seconds"},
		{"process.cpu.time", "s", counterShape, "process_cpu_time_seconds_total"},
		{"k8s.pod.memory.usage", "By", gaugeShape, "k8s_pod_memory_usage_bytes"},
		{"container_memory_usage_bytes", "By", gaugeShape, "container_memory_usage_bytes"},
		{"http_requests_total", "1", counterShape, "http_requests_total"},
		{"http.requests", "{request}", counterShape, "http_requests_total"},
		{"system.cpu.utilization", "1", gaugeShape, "system_cpu_utilization_ratio"},
		{"queue.total.size", "", counterShape, "queue_size_total"},
		{"disk.free", "%", gaugeShape, "disk_free_percent"},
		{"net.rate", "By/s", gaugeShape, "net_rate_bytes_per_second"},
		{"net.rate", "m/s", gaugeShape, "net_rate_meters_per_second"},
		{"lag", "ms", gaugeShape, "lag_milliseconds"},
		{"temperature", "Cel", gaugeShape, "temperature_celsius"},
		{"a..b--c  d", "", plainShape, "a_b_c_d"},
		{"1st.metric", "", plainShape, "_1st_metric"},
		{"with:colon", "", plainShape, "with:colon"},
		{"odd", "foo bar", plainShape, "odd_foo_bar"},
		{"naïve", "", plainShape, "na_ve"},
		{"", "", counterShape, "total"},
	} {
		require.Equal(t, c.want, promName(c.name, c.unit, c.is), "%q in %q", c.name, c.unit)
	}
	for key, want := range map[string]string{"http.status_code": "http_status_code", "1x": "key_1x", "_x": "key_x", "__x": "__x", "a-b": "a_b", "": "", "ä": "__"} {
		require.Equal(t, want, labelName(key), key)
	}
}

func measured(resource []*common.KeyValue, m ...*metrics.Metric) *metrics.MetricsData {
	return &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource: &resource1.Resource{Attributes: resource}, ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: m}},
	}}}
}

func double(at time.Duration, v float64, kv ...string) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{TimeUnixNano: ago(at), Attributes: pairs(kv...), Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}}
}

func gauge(name, unit string, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Unit: unit, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: points}}}
}

func total(name string, a metrics.AggregationTemporality, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{AggregationTemporality: a, IsMonotonic: true, DataPoints: points}}}
}

// series writes a sample as Prometheus does.
func series(r record.Record) string {
	var labels []string
	for _, a := range r.Attrs {
		if name, ok := strings.CutPrefix(a.Key, record.LabelPrefix); ok {
			labels = append(labels, fmt.Sprintf("%s=%q", name, a.Value))
		}
	}
	slices.Sort(labels)
	return fmt.Sprintf("%s{%s} %v", r.Attrs.Value(record.MetricName), strings.Join(labels, ","), r.Value)
}

func written(records []record.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, series(r))
	}
	return out
}

func TestEachKindOfMetricBecomesTheSeriesOfPrometheus(t *testing.T) {
	t.Parallel()
	sum := 12.5
	for _, c := range []struct {
		name     string
		give     *metrics.Metric
		want     []string
		rejected uint64
	}{
		{"gauge", gauge("temp", "Cel", double(0, 21.5, "room", "a"), double(0, 20, "room", "b")), []string{`temp_celsius{room="a"} 21.5`, `temp_celsius{room="b"} 20`}, 0},
		{"an integer", gauge("n", "", &metrics.NumberDataPoint{TimeUnixNano: ago(0), Value: &metrics.NumberDataPoint_AsInt{AsInt: 7}}), []string{`n{} 7`}, 0},
		{"counter", total("requests", cumulative, double(0, 9, "http.route", "/")), []string{`requests_total{http_route="/"} 9`}, 0},
		{"names that become equal", gauge("n", "", double(0, 1, "a.b", "x", "a_b", "y")), []string{`n{a_b="x;y"} 1`}, 0},
		{"not a number", gauge("n", "", double(0, math.NaN())), nil, 0},
		{"no value any more", gauge("n", "", &metrics.NumberDataPoint{TimeUnixNano: ago(0), Flags: 1}), nil, 0},
		{"a point without a value", gauge("n", "", &metrics.NumberDataPoint{}), nil, 1},
		{"no temporality", total("n", 0, double(0, 1), double(0, 2)), nil, 2},
		{"no data", &metrics.Metric{Name: "n"}, nil, 1},
		{"histogram", &metrics.Metric{Name: "lat", Unit: "s", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: ago(0), Count: 10, Sum: &sum, ExplicitBounds: []float64{0.1, 1}, BucketCounts: []uint64{3, 4, 3}},
		}}}}, []string{`lat_seconds_bucket{le="0.1"} 3`, `lat_seconds_bucket{le="1"} 7`, `lat_seconds_bucket{le="+Inf"} 10`, `lat_seconds_count{} 10`, `lat_seconds_sum{} 12.5`}, 0},
		{"histogram without buckets", &metrics.Metric{Name: "lat", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: ago(0), Count: 10},
		}}}}, []string{`lat_bucket{le="+Inf"} 10`, `lat_count{} 10`}, 0},
		{"a histogram that does not fit", &metrics.Metric{Name: "lat", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative, DataPoints: []*metrics.HistogramDataPoint{
			{ExplicitBounds: []float64{1, 2}, BucketCounts: []uint64{3}},
		}}}}, nil, 1},
		{"exponential", &metrics.Metric{Name: "lat", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{AggregationTemporality: cumulative, DataPoints: []*metrics.ExponentialHistogramDataPoint{
			{TimeUnixNano: ago(0), Count: 10, Sum: &sum, Positive: &metrics.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{10}}},
		}}}}, []string{`lat_count{} 10`, `lat_sum{} 12.5`}, 0},
		{"summary", &metrics.Metric{Name: "rpc", Data: &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: []*metrics.SummaryDataPoint{
			{TimeUnixNano: ago(0), Count: 3, Sum: 4, QuantileValues: []*metrics.SummaryDataPoint_ValueAtQuantile{{Quantile: 0.99, Value: 2}}},
		}}}}, []string{`rpc{quantile="0.99"} 2`, `rpc_count{} 3`, `rpc_sum{} 4`}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, nil)
			rejected, _, err := call(t.Context(), r.dial(t), metricsCall, measured(nil, c.give))
			require.NoError(t, err)
			require.Equal(t, c.rejected, rejected)
			require.Equal(t, c.want, written(r.taken()))
			if c.name == "exponential" {
				require.NoError(t, testutil.GatherAndCompare(r.registry, strings.NewReader(`
# HELP forewarn_collector_lost_total What was seen and is in no record, or not wholly, by the reason; see the READMEs of the collectors.
# TYPE forewarn_collector_lost_total counter
forewarn_collector_lost_total{collector="otlp",reason="exponential_buckets"} 1
`), "forewarn_collector_lost_total"))
			}
		})
	}
}

func TestSeriesOfAPodHaveItsTopology(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	pod := pairs("service.name", "web", "service.namespace", "shop", "service.instance.id", "i1", "k8s.namespace.name", "shop", "k8s.pod.name", "web-5c6f7d8b9c-x2k4z", "k8s.node.name", "n1", "telemetry.sdk.name", "x")
	_, _, err := call(t.Context(), r.dial(t), metricsCall, measured(pod, gauge("n", "", double(0, 1))))
	require.NoError(t, err)
	got := r.taken()
	require.Equal(t, []string{`n{instance="i1",job="shop/web",namespace="shop",node="n1",pod="web-5c6f7d8b9c-x2k4z"} 1`}, written(got))
	for key, want := range map[string]string{record.Namespace: "shop", record.Pod: "web-5c6f7d8b9c-x2k4z", record.Node: "n1", record.WorkloadName: "web", record.WorkloadKind: "Deployment", record.Component: "web"} {
		require.Equal(t, want, got[0].Attrs.Value(key), key)
	}
}

func TestDeltasAreAddedUpOnce(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.MaxSeries = 4 })
	c := r.dial(t)
	send := func(at time.Duration, v float64, key string) (uint64, []record.Record) {
		rejected, _, err := call(t.Context(), c, metricsCall, measured(nil, total("n", delta, double(at, v, "k", key))))
		require.NoError(t, err)
		return rejected, r.taken()
	}
	_, first := send(time.Minute, 3, "a")
	require.Equal(t, []string{`n_total{k="a"} 3`}, written(first))
	_, again := send(time.Minute, 3, "a")
	require.Equal(t, written(first), written(again), "a repeat adds nothing")
	require.Equal(t, first[0].ID, again[0].ID)
	_, got := send(0, 4, "a")
	require.Equal(t, []string{`n_total{k="a"} 7`}, written(got))
	rejected, got := send(time.Minute, 4, "a")
	require.Equal(t, uint64(1), rejected, "it comes too late to be added")
	require.Empty(t, got)
	for i := range 8 {
		send(0, 1, fmt.Sprint(i))
	}
	_, got = send(0, 5, "a")
	require.Equal(t, []string{`n_total{k="a"} 5`}, written(got), "a series that was forgotten begins again")
	n, err := testutil.GatherAndCount(r.registry, "forewarn_collector_lost_total")
	require.NoError(t, err)
	require.Equal(t, 2, n, "rejected and forgotten_series")
}

func TestOnlyWhatIsNeededIsKept(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Keep = []string{"kept"} })
	c := r.dial(t)
	m := measured(nil, gauge("kept", "", double(0, 1)), gauge("needed", "By", double(0, 2)), gauge("other", "", double(0, 3)), gauge("bad", "", &metrics.NumberDataPoint{}))
	send := func() []string {
		rejected, _, err := call(t.Context(), c, metricsCall, m)
		require.NoError(t, err)
		require.Zero(t, rejected, "what nobody looks at is not looked at")
		return written(r.taken())
	}
	require.Equal(t, []string{`kept{} 1`}, send())
	r.Need([]signatures.MetricNeed{{Metric: "needed_bytes"}})
	require.Equal(t, []string{`kept{} 1`, `needed_bytes{} 2`}, send())
}

func TestTheProtocolsExampleOfMetrics(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	src, err := os.ReadFile("testdata/metrics.json")
	require.NoError(t, err)
	require.Equal(t, 200, r.post(t, "POST", "/v1/metrics", "application/json", "", src).code)
	inJSON := r.taken()
	require.Equal(t, []string{
		`my_counter_total{job="my.service",my_counter_attr="some value"} 5`, `my_gauge_ratio{job="my.service",my_gauge_attr="some value"} 10`,
		`my_histogram_bucket{job="my.service",le="1",my_histogram_attr="some value"} 1`, `my_histogram_bucket{job="my.service",le="+Inf",my_histogram_attr="some value"} 2`,
		`my_histogram_count{job="my.service",my_histogram_attr="some value"} 2`, `my_histogram_sum{job="my.service",my_histogram_attr="some value"} 2`,
		`my_exponential_histogram_count{job="my.service",my_exponential_histogram_attr="some value"} 3`, `my_exponential_histogram_sum{job="my.service",my_exponential_histogram_attr="some value"} 10`,
	}, written(inJSON))
	m, err := r.exports()[1].decodeJSON(src)
	require.NoError(t, err)
	_, _, err = call(t.Context(), r.dial(t), metricsCall, proto.Clone(m))
	require.NoError(t, err)
	for i, x := range r.taken() {
		require.Equal(t, inJSON[i].ID, x.ID)
	}
}
