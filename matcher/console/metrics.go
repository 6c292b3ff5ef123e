package console

import "github.com/prometheus/client_golang/prometheus"

var (
	openPagesDesc = prometheus.NewDesc("forewarn_console_open_pages", "Pages of the console that are open and told of changes.", nil, nil)
	droppedDesc   = prometheus.NewDesc("forewarn_console_dropped_warnings_total", "Open warnings that the console let go, because it holds no more.", nil, nil)
)

var _ prometheus.Collector = (*Console)(nil)

// Describe implements prometheus.Collector.
func (k *Console) Describe(ch chan<- *prometheus.Desc) {
	ch <- openPagesDesc
	ch <- droppedDesc
}

// Collect implements prometheus.Collector.
func (k *Console) Collect(ch chan<- prometheus.Metric) {
	moment, _ := k.c.View.now()
	ch <- prometheus.MustNewConstMetric(openPagesDesc, prometheus.GaugeValue, float64(len(k.live)))
	ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(moment.dropped))
}
