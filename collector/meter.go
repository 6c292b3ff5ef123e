package collector

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forewarn/forewarn/collector/record"
)

// Meters count what collectors do, as Prometheus metrics. Labels are names of collectors, kinds and reasons, all of which are fixed in the
// code or the configuration.
type Meters struct {
	records, lost, removed, reconnects *prometheus.CounterVec
	connected, promised                *prometheus.GaugeVec
}

// NewMeters makes meters and registers their metrics. A nil r registers nothing.
func NewMeters(r prometheus.Registerer) (*Meters, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "forewarn", Subsystem: "collector", Name: name, Help: help}, append([]string{"collector"}, labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "forewarn", Subsystem: "collector", Name: name, Help: help}, []string{"collector"})
	}
	m := &Meters{
		records:    counter("records_total", "Records that were collected, by kind.", "kind"),
		lost:       counter("lost_total", "What was seen and is in no record, or not wholly, by the reason; see the READMEs of the collectors.", "reason"),
		removed:    counter("removed_secrets_total", "Secrets that were taken out before a record left the collector."),
		reconnects: counter("reconnects_total", "Times that a connection to a source was made anew."),
		connected:  gauge("connected", "1 while the collector has its source, else 0."),
		promised:   gauge("collected_up_to_timestamp_seconds", "Up to when everything that the source had was collected, in seconds since 1970."),
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.records), r.Register(m.lost), r.Register(m.removed), r.Register(m.reconnects), r.Register(m.connected),
		r.Register(m.promised))
}

// For returns the meter of the collector that is called name.
func (m *Meters) For(name string) *Meter {
	x := &Meter{name: name, all: m}
	x.Connected(false)
	x.removedCount().Add(0)
	return x
}

// Meter counts for one collector. A nil Meter counts nothing. It is safe for concurrent use.
type Meter struct {
	name string
	all  *Meters
}

// Lost counts n of what the source had and no record has. reason is one of few words that are fixed in the code.
func (m *Meter) Lost(reason string, n int) {
	if m != nil && n > 0 {
		m.all.lost.WithLabelValues(m.name, reason).Add(float64(n))
	}
}

// Connected says whether the collector has its source.
func (m *Meter) Connected(ok bool) {
	if m == nil {
		return
	}
	value := 0.0
	if ok {
		value = 1
	}
	m.all.connected.WithLabelValues(m.name).Set(value)
}

// Reconnect counts a connection that was made anew.
func (m *Meter) Reconnect() {
	if m != nil {
		m.all.reconnects.WithLabelValues(m.name).Inc()
	}
}

func (m *Meter) added(k record.Kind, n int) {
	if m != nil && n > 0 {
		m.all.records.WithLabelValues(m.name, k.String()).Add(float64(n))
	}
}

func (m *Meter) secrets(n int) {
	if m != nil {
		m.removedCount().Add(float64(n))
	}
}

func (m *Meter) removedCount() prometheus.Counter { return m.all.removed.WithLabelValues(m.name) }

func (m *Meter) alive(upTo time.Time) {
	if m != nil {
		m.all.promised.WithLabelValues(m.name).Set(float64(upTo.UnixMilli()) / 1000)
	}
}
