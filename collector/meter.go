package collector

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forewarn/forewarn/collector/record"
)

// Meters count what collectors do, as Prometheus metrics. Labels are names of collectors, kinds and reasons, all of which are fixed in the
// code or the configuration.
type Meters struct {
	records, lost, removed, reconnects *prometheus.CounterVec
	connected, promised                *prometheus.GaugeVec

	mu     sync.Mutex
	byName map[string]*Meter
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
		byName:     map[string]*Meter{},
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

// For returns the meter of the collector that is called name; each name has one.
func (m *Meters) For(name string) *Meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.byName[name]; x != nil {
		return x
	}
	x := &Meter{all: m, state: State{Collector: name}}
	m.byName[name] = x
	m.connected.WithLabelValues(name).Set(0)
	m.removed.WithLabelValues(name).Add(0)
	return x
}

// States returns what every collector did so far, by name. Any goroutine may call it.
func (m *Meters) States() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []State
	for _, name := range slices.Sorted(maps.Keys(m.byName)) {
		x := m.byName[name]
		x.mu.Lock()
		s := x.state
		s.Lost = maps.Clone(s.Lost)
		x.mu.Unlock()
		all = append(all, s)
	}
	return all
}

// Status is what a collecting process says of itself. Numbers are since Began.
type Status struct {
	Instance   string    `json:"instance"`
	Version    string    `json:"version,omitempty"`
	Began      time.Time `json:"began"`
	Time       time.Time `json:"time"` // when it was made
	Stopped    bool      `json:"stopped,omitempty"`
	Collectors []State   `json:"collectors"`
}

// State is what a collector did since its process began.
type State struct {
	Collector string `json:"collector"`
	Connected bool   `json:"connected"`
	Records   uint64 `json:"records"`
	// UpTo is up to when everything that its sources had was collected; zero when it cannot tell.
	UpTo           time.Time         `json:"up_to,omitzero"`
	Lost           map[string]uint64 `json:"lost,omitempty"` // by reason
	RemovedSecrets uint64            `json:"removed_secrets,omitempty"`
	Reconnects     uint64            `json:"reconnects,omitempty"`
}

// Meter counts for one collector. A nil Meter counts nothing. It is safe for concurrent use.
type Meter struct {
	all   *Meters
	mu    sync.Mutex
	state State
}

// Lost counts n of what the source had and no record has. reason is one of few words that are fixed in the code.
func (m *Meter) Lost(reason string, n int) {
	if m == nil || n <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Lost == nil {
		m.state.Lost = map[string]uint64{}
	}
	m.state.Lost[reason] += uint64(n)
	m.all.lost.WithLabelValues(m.state.Collector, reason).Add(float64(n))
}

// Connected says whether the collector has its source.
func (m *Meter) Connected(ok bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Connected = ok
	value := 0.0
	if ok {
		value = 1
	}
	m.all.connected.WithLabelValues(m.state.Collector).Set(value)
}

// Reconnect counts a connection that was made anew.
func (m *Meter) Reconnect() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Reconnects++
	m.all.reconnects.WithLabelValues(m.state.Collector).Inc()
}

func (m *Meter) added(k record.Kind, n int) {
	if m == nil || n <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Records += uint64(n)
	m.all.records.WithLabelValues(m.state.Collector, k.String()).Add(float64(n))
}

func (m *Meter) secrets(n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.RemovedSecrets += uint64(n)
	m.all.removed.WithLabelValues(m.state.Collector).Add(float64(n))
}

func (m *Meter) alive(upTo time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.UpTo = upTo.UTC()
	m.all.promised.WithLabelValues(m.state.Collector).Set(float64(upTo.UnixMilli()) / 1000)
}
