package sightings

import "github.com/prometheus/client_golang/prometheus"

var (
	countedDesc = prometheus.NewDesc("forewarn_sightings_counted_total", "Finished warnings that this process counted or corrected.", nil, nil)
	givenDesc   = prometheus.NewDesc("forewarn_sightings_feedback_total", "What people said of warnings through this process.", nil, nil)
	failedDesc  = prometheus.NewDesc("forewarn_sightings_failures_total", "Times that sightings could not be followed, stored or shared, and were tried again.", nil, nil)
	knownDesc   = prometheus.NewDesc("forewarn_sightings_known", "Finished warnings that forecasts rest on, by where they were.", []string{"place"}, nil)
)

var _ prometheus.Collector = (*Keeper)(nil)

// Describe implements [prometheus.Collector].
func (k *Keeper) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{countedDesc, givenDesc, failedDesc, knownDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (k *Keeper) Collect(ch chan<- prometheus.Metric) {
	here, elsewhere := k.Book.Sightings()
	s := k.Status()
	ch <- prometheus.MustNewConstMetric(countedDesc, prometheus.CounterValue, float64(s.Counted))
	ch <- prometheus.MustNewConstMetric(givenDesc, prometheus.CounterValue, float64(s.Feedback))
	ch <- prometheus.MustNewConstMetric(failedDesc, prometheus.CounterValue, float64(s.Failed))
	ch <- prometheus.MustNewConstMetric(knownDesc, prometheus.GaugeValue, float64(here), "here")
	ch <- prometheus.MustNewConstMetric(knownDesc, prometheus.GaugeValue, float64(elsewhere), "elsewhere")
}
