package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forewarn/forewarn/matcher"
)

// metrics of the matching process. What can be lost has a counter of its own: README.md lists them.
type metrics struct {
	records, bytes, batches, hits            *counted
	celErrors, badBatches, badHits, lostHits *counted
	lostWarnings, lostProgress, streamResets *counted
	repeats, caughtUp                        *counted
	ackErrors, commitErrors                  *counted
	intakeRecords, intakeBad, intakeSecrets  *counted
	reloads                                  *counted

	revisions, warnings, stages   *prometheus.CounterVec
	lead                          *prometheus.HistogramVec
	names                         names
	commitSeconds, commitMessages prometheus.Histogram
	lag, signatures               *prometheus.GaugeVec
	tracker                       *trackerCounts
}

// counted is a counter whose value the status reads too.
type counted struct {
	prometheus.Counter // exported; only Inc and AddN may move it
	n                  atomic.Uint64
}

// Inc adds one.
func (c *counted) Inc() { c.AddN(1) }

// AddN adds n.
func (c *counted) AddN(n int) {
	c.n.Add(uint64(n))
	c.Add(float64(n))
}

// Value returns the count.
func (c *counted) Value() uint64 { return c.n.Load() }

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) *counted {
		c := &counted{Counter: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "forewarn", Subsystem: "pipeline", Name: name, Help: help})}
		all = append(all, c)
		return c
	}
	m := &metrics{
		records:       counter("records_total", "Records that were scanned."),
		bytes:         counter("scanned_bytes_total", "Bytes of the batches that were scanned, as they came."),
		batches:       counter("batches_total", "Batches that were scanned."),
		hits:          counter("hits_total", "Hits that scanning found."),
		celErrors:     counter("cel_errors_total", "CEL expressions that failed or were too dear for a record; their condition is then not met."),
		badBatches:    counter("bad_batches_total", "Batches that could not be read; they are kept as dead letters and passed over."),
		badHits:       counter("bad_hit_messages_total", "Messages of hits that could not be read; they are kept as dead letters and passed over."),
		lostHits:      counter("lost_hits_total", "Hits that could not be sent to their partition."),
		repeats:       counter("repeated_messages_total", "Messages of hits that came again and were in the state already."),
		caughtUp:      counter("caught_up_messages_total", "Messages of hits that were read again after a partition moved here."),
		streamResets:  counter("stream_resets_total", "Times that the stream of hits ended before the stored position."),
		ackErrors:     counter("acknowledgement_errors_total", "Acknowledgements that failed; the messages come again."),
		commitErrors:  counter("commit_errors_total", "Tries to write state that failed; they are repeated and the partition waits."),
		lostWarnings:  counter("lost_warnings_total", "Revisions of warnings that could not be encoded or published."),
		lostProgress:  counter("lost_progress_total", "Stored progress that could not be read and began anew."),
		intakeRecords: counter("intake_records_total", "JSON records that were taken from the intake."),
		intakeSecrets: counter("intake_removed_secrets_total", "Secrets that were taken out of records of the intake."),
		intakeBad:     counter("intake_bad_records_total", "JSON records that were refused; they are kept as dead letters."),
		reloads:       counter("reloads_total", "Times that another program was taken up."),

		revisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "revisions_total", Help: "Revisions of warnings, by the state that they tell.",
		}, []string{"state"}),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "warnings_total", Help: "Warnings that came to be in a state, by signature and severity; signatures beyond the bound are called other.",
		}, []string{"signature", "severity", "state"}),
		stages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "stages_reached_total", Help: "Stages that warnings reached, the incident among them, by signature; signatures and stages beyond the bound are called other.",
		}, []string{"signature", "stage"}),
		lead: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "lead_time_seconds", Help: "How long before their incidents people could first be told, by signature; signatures beyond the bound are called other.",
			Buckets:                     []float64{60, 300, 900, 3600, 4 * 3600, 24 * 3600},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, []string{"signature"}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "commit_duration_seconds", Help: "How long it took to write a step of a partition.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		commitMessages: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "commit_messages", Help: "How many messages of hits a step of a partition covered.",
			Buckets: []float64{1, 3, 10, 30, 100, 300, 1000},
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "lag_messages", Help: "Messages that wait, by stream and consumer.",
		}, []string{"stream", "consumer"}),
		signatures: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "signatures", Help: "Signatures, by whether they are armed, disarmed or refused.",
		}, []string{"state"}),
	}
	m.tracker = newTrackerCounts()
	m.tracker.names = &m.names
	all = append(all, m.revisions, m.warnings, m.stages, m.lead, m.commitSeconds, m.commitMessages, m.lag, m.signatures, m.tracker)
	for _, s := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Averted, matcher.Resolved, matcher.Expired} {
		m.revisions.WithLabelValues(string(s))
	}
	if r == nil {
		return m, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// tell counts a revision that people are told, and the rungs that it tells as reached for the first time.
func (m *metrics) tell(c *matcher.Change, reached []matcher.Reached) {
	w := &c.Warning
	m.revisions.WithLabelValues(string(w.State)).Inc()
	if w.Retracted {
		return // it never was
	}
	signature := m.names.signature(w.Signature)
	if c.Was != w.State {
		m.warnings.WithLabelValues(signature, string(w.Severity), string(w.State)).Inc()
		if w.State == matcher.InIncident {
			m.lead.WithLabelValues(signature).Observe(w.Lead.Seconds())
		}
	}
	for i := range reached {
		m.stages.WithLabelValues(m.names.stage(signature, reached[i].Stage)).Inc()
	}
}

func (m *metrics) scanned(bytes, records, hits int) {
	m.batches.Inc()
	m.bytes.AddN(bytes)
	m.records.AddN(records)
	m.hits.AddN(hits)
}

func (m *metrics) committed(d time.Duration, messages int) {
	m.commitSeconds.Observe(d.Seconds())
	m.commitMessages.Observe(float64(messages))
}

// trackerCounts exports what the trackers count, summed over the partitions of this process.
type trackerCounts struct {
	losses, open, openOf *prometheus.Desc
	names                *names
	read                 func() (losses map[string]uint64, open map[openKind]int)
}

func newTrackerCounts() *trackerCounts {
	return &trackerCounts{
		losses: prometheus.NewDesc("forewarn_pipeline_losses_total", "Everything that was lost, late, evicted or passed over, by what it was; see the READMEs of matcher and matcher/pipeline.", []string{"what"}, nil),
		open:   prometheus.NewDesc("forewarn_pipeline_open_warnings", "Warnings that are open, by state.", []string{"state"}, nil),
		openOf: prometheus.NewDesc("forewarn_pipeline_signature_open_warnings", "Warnings that are open, by signature, severity and state; signatures beyond the bound are called other.", []string{"signature", "severity", "state"}, nil),
		read:   func() (map[string]uint64, map[openKind]int) { return nil, nil },
	}
}

// Describe implements prometheus.Collector.
func (t *trackerCounts) Describe(ch chan<- *prometheus.Desc) {
	ch <- t.losses
	ch <- t.open
	ch <- t.openOf
}

// Collect implements prometheus.Collector.
func (t *trackerCounts) Collect(ch chan<- prometheus.Metric) {
	losses, open := t.read()
	for what, n := range losses {
		ch <- prometheus.MustNewConstMetric(t.losses, prometheus.CounterValue, float64(n), what)
	}
	states, named := map[matcher.State]int{}, map[openKind]int{}
	for kind, n := range open {
		states[kind.State] += n
		kind.Signature = t.names.signature(kind.Signature)
		named[kind] += n
	}
	for _, s := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident} {
		ch <- prometheus.MustNewConstMetric(t.open, prometheus.GaugeValue, float64(states[s]), string(s))
	}
	for kind, n := range named {
		ch <- prometheus.MustNewConstMetric(t.openOf, prometheus.GaugeValue, float64(n), kind.Signature, string(kind.Severity), string(kind.State))
	}
}
