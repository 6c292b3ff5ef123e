package otlp

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
)

// maxLabels is how many labels of a series are kept; see [record.MaxAttrs].
const maxLabels = 40

func (x *Collector) takeMetrics(ctx context.Context, in *receive.Intake, m proto.Message) (rejected int, why string, err error) {
	data, ok := m.(*metrics.MetricsData)
	if !ok {
		return 0, "", fmt.Errorf("a %T is no metrics", m)
	}
	t := x.newIntake()
	for _, rm := range data.GetResourceMetrics() {
		r := t.resource(rm.GetResource().GetAttributes())
		for _, sm := range rm.GetScopeMetrics() {
			for _, metric := range sm.GetMetrics() {
				r.metric(metric)
			}
		}
	}
	if err := t.accept(ctx, in); err != nil {
		return 0, "", err
	}
	x.c.Meter.Lost("forgotten_series", x.sums.forgot())
	return t.rejected, t.why, nil
}

// resource is what a request's series of one resource share.
type resource struct {
	*intake

	labels map[string]string
	base   record.Attrs
}

// resource tells job and instance as Prometheus would, and the topology, as labels and as attributes.
func (t *intake) resource(attrs []*common.KeyValue) *resource {
	r := &resource{intake: t, labels: map[string]string{}}
	set := map[string]string{}
	for _, a := range attrs {
		if key := a.GetKey(); t.x.matters(key) && len(key) <= record.MaxKey && len(set) < maxLabels/4 || topology(key) != "" {
			value := valueText(a.GetValue())
			set[key] = value[:min(len(value), record.MaxValue)]
		}
	}
	complete(set)
	r.base = record.NewAttrs(set)
	job := find(record.Component, attrs)
	if space := find("service.namespace", attrs); space != "" && job != "" {
		job = space + "/" + job
	}
	r.label("job", job)
	r.label("instance", find("service.instance.id", attrs))
	for key, value := range set {
		r.label(topology(key), value)
	}
	return r
}

func (r *resource) label(name, value string) {
	if name != "" && value != "" {
		r.labels[name] = value[:min(len(value), record.MaxValue)]
	}
}

// topology is the label that Prometheus' targets in Kubernetes have for a resource's attribute.
func topology(key string) string {
	switch key {
	case record.Namespace:
		return "namespace"
	case record.Pod:
		return "pod"
	case record.Container:
		return "container"
	case record.Node:
		return "node"
	}
	return ""
}

// metric makes samples of one metric's points, of those series that are kept.
func (r *resource) metric(m *metrics.Metric) {
	switch d := m.GetData().(type) {
	case *metrics.Metric_Gauge:
		r.numbers(promName(m.GetName(), m.GetUnit(), gaugeShape), d.Gauge.GetDataPoints(), cumulative)
	case *metrics.Metric_Sum:
		is := plainShape
		if d.Sum.GetIsMonotonic() {
			is = counterShape
		}
		if a, ok := r.temporality(m, d.Sum.GetAggregationTemporality(), len(d.Sum.GetDataPoints())); ok {
			r.numbers(promName(m.GetName(), m.GetUnit(), is), d.Sum.GetDataPoints(), a)
		}
	case *metrics.Metric_Histogram:
		if a, ok := r.temporality(m, d.Histogram.GetAggregationTemporality(), len(d.Histogram.GetDataPoints())); ok {
			r.histogram(promName(m.GetName(), m.GetUnit(), plainShape), d.Histogram.GetDataPoints(), a)
		}
	case *metrics.Metric_ExponentialHistogram:
		if a, ok := r.temporality(m, d.ExponentialHistogram.GetAggregationTemporality(), len(d.ExponentialHistogram.GetDataPoints())); ok {
			r.exponential(promName(m.GetName(), m.GetUnit(), plainShape), d.ExponentialHistogram.GetDataPoints(), a)
		}
	case *metrics.Metric_Summary:
		r.summary(promName(m.GetName(), m.GetUnit(), plainShape), d.Summary.GetDataPoints())
	default:
		r.reject(1, "the metric %.80q has no data that is known", m.GetName())
	}
}

const (
	cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	delta      = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
)

func (r *resource) temporality(m *metrics.Metric, a metrics.AggregationTemporality, points int) (metrics.AggregationTemporality, bool) {
	if a != cumulative && a != delta {
		r.reject(points, "the metric %.80q has neither cumulative nor delta temporality", m.GetName())
		return a, false
	}
	return a, true
}

func (r *resource) numbers(name string, points []*metrics.NumberDataPoint, a metrics.AggregationTemporality) {
	if !r.x.keeps(name) {
		return
	}
	for _, p := range points {
		if absent(p.GetFlags()) {
			continue
		}
		var value float64
		switch v := p.GetValue().(type) {
		case *metrics.NumberDataPoint_AsDouble:
			value = v.AsDouble
		case *metrics.NumberDataPoint_AsInt:
			value = float64(v.AsInt)
		default:
			r.reject(1, "a point of the metric %.80q has no value", name)
			continue
		}
		if !r.sample(name, p.GetAttributes(), p.GetTimeUnixNano(), value, a) {
			r.reject(1, "a delta point of the metric %.80q is older than the one before", name)
		}
	}
}

func (r *resource) histogram(name string, points []*metrics.HistogramDataPoint, a metrics.AggregationTemporality) {
	buckets, counted, summed := r.x.keeps(name+"_bucket"), r.x.keeps(name+"_count"), r.x.keeps(name+"_sum")
	for _, p := range points {
		if absent(p.GetFlags()) || !buckets && !counted && !summed {
			continue
		}
		bounds, counts := p.GetExplicitBounds(), p.GetBucketCounts()
		if len(counts) != 0 && len(counts) != len(bounds)+1 {
			r.reject(1, "a point of the metric %.80q has %d buckets and %d bounds: there is one bound less", name, len(counts), len(bounds))
			continue
		}
		ok := true
		if buckets && len(counts) > 0 {
			n := 0.0
			for i, bound := range bounds {
				n += float64(counts[i])
				ok = r.sample(name+"_bucket", p.GetAttributes(), p.GetTimeUnixNano(), n, a, format.Label{Name: "le", Value: number(bound)}) && ok
			}
		}
		if buckets {
			ok = r.sample(name+"_bucket", p.GetAttributes(), p.GetTimeUnixNano(), float64(p.GetCount()), a, format.Label{Name: "le", Value: "+Inf"}) && ok
		}
		if counted {
			ok = r.sample(name+"_count", p.GetAttributes(), p.GetTimeUnixNano(), float64(p.GetCount()), a) && ok
		}
		if summed && p.Sum != nil {
			ok = r.sample(name+"_sum", p.GetAttributes(), p.GetTimeUnixNano(), p.GetSum(), a) && ok
		}
		if !ok {
			r.reject(1, "a delta point of the metric %.80q is older than the one before", name)
		}
	}
}

// exponential keeps how many there were and their sum; buckets of exponential histograms have no series in Prometheus' classic form.
func (r *resource) exponential(name string, points []*metrics.ExponentialHistogramDataPoint, a metrics.AggregationTemporality) {
	buckets, counted, summed := r.x.keeps(name+"_bucket"), r.x.keeps(name+"_count"), r.x.keeps(name+"_sum")
	for _, p := range points {
		if absent(p.GetFlags()) {
			continue
		}
		if buckets {
			r.lost["exponential_buckets"]++
		}
		ok := !counted || r.sample(name+"_count", p.GetAttributes(), p.GetTimeUnixNano(), float64(p.GetCount()), a)
		if summed && p.Sum != nil {
			ok = r.sample(name+"_sum", p.GetAttributes(), p.GetTimeUnixNano(), p.GetSum(), a) && ok
		}
		if !ok {
			r.reject(1, "a delta point of the metric %.80q is older than the one before", name)
		}
	}
}

func (r *resource) summary(name string, points []*metrics.SummaryDataPoint) {
	quantiles, counted, summed := r.x.keeps(name), r.x.keeps(name+"_count"), r.x.keeps(name+"_sum")
	for _, p := range points {
		if absent(p.GetFlags()) {
			continue
		}
		if quantiles {
			for _, q := range p.GetQuantileValues() {
				r.sample(name, p.GetAttributes(), p.GetTimeUnixNano(), q.GetValue(), cumulative, format.Label{Name: "quantile", Value: number(q.GetQuantile())})
			}
		}
		if counted {
			r.sample(name+"_count", p.GetAttributes(), p.GetTimeUnixNano(), float64(p.GetCount()), cumulative)
		}
		if summed {
			r.sample(name+"_sum", p.GetAttributes(), p.GetTimeUnixNano(), p.GetSum(), cumulative)
		}
	}
}

// absent reports whether a point says that its series has no value any more.
func absent(flags uint32) bool {
	return flags&uint32(metrics.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// sample makes one sample. It returns false for a delta that cannot be added any more. A value that is none (NaN) is left out.
func (r *resource) sample(name string, attrs []*common.KeyValue, stamp uint64, value float64, a metrics.AggregationTemporality, more ...format.Label) bool {
	if math.IsNaN(value) {
		return true
	}
	labels := r.series(attrs, more)
	key := seriesKey(name, labels)
	at := r.time(stamp)
	if a == delta {
		var ok bool
		if value, ok = r.x.sums.add(key, at, value); !ok {
			return false
		}
	}
	r.add(record.Record{
		Kind: record.Sample, Time: at, Count: 1, Value: value, Attrs: format.SeriesAttrs(name, labels, r.base),
		ID: record.Identity("otlp sample", key, strconv.FormatInt(at, 10)),
	})
	return true
}

// series returns a series' labels, sorted: the resource's, then the point's, which win.
func (r *resource) series(attrs []*common.KeyValue, more []format.Label) []format.Label {
	set := maps.Clone(r.labels)
	own := make(map[string]string, len(attrs))
	for _, kv := range slices.SortedFunc(slices.Values(attrs), func(a, b *common.KeyValue) int { return strings.Compare(a.GetKey(), b.GetKey()) }) {
		name, value := labelName(kv.GetKey()), valueText(kv.GetValue())
		if name == "" || value == "" || len(name) > 200 {
			continue
		}
		if before, twice := own[name]; twice { // names that differ in what Prometheus has no character for
			value = before + ";" + value
		}
		own[name] = value[:min(len(value), record.MaxValue)]
	}
	maps.Copy(set, own)
	for _, l := range more {
		set[l.Name] = l.Value
	}
	labels := make([]format.Label, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		labels = append(labels, format.Label{Name: name, Value: set[name]})
	}
	if len(labels) > maxLabels { // those of the resource say where it is
		all, edge := len(labels), labels[maxLabels-1].Name
		labels = slices.DeleteFunc(labels, func(l format.Label) bool { return l.Name > edge && r.labels[l.Name] == "" })
		r.lost["labels"] += all - len(labels)
	}
	return labels
}

func seriesKey(name string, labels []format.Label) string {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range labels {
		b.WriteString(strconv.Quote(l.Name))
		b.WriteString(strconv.Quote(l.Value))
	}
	return b.String()
}
