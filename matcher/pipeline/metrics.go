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

	warnings                      *prometheus.CounterVec
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

		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "revisions_total", Help: "Revisions of warnings, by the state that they tell.",
		}, []string{"state"}),
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
	all = append(all, m.warnings, m.commitSeconds, m.commitMessages, m.lag, m.signatures, m.tracker)
	for _, s := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Averted, matcher.Resolved, matcher.Expired} {
		m.warnings.WithLabelValues(string(s))
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
	losses, open *prometheus.Desc
	read         func() (losses map[string]uint64, open map[matcher.State]int)
}

func newTrackerCounts() *trackerCounts {
	return &trackerCounts{
		losses: prometheus.NewDesc("forewarn_pipeline_losses_total", "Everything that was lost, late, evicted or passed over, by what it was; see the READMEs of matcher and matcher/pipeline.", []string{"what"}, nil),
		open:   prometheus.NewDesc("forewarn_pipeline_open_warnings", "Warnings that are open, by state.", []string{"state"}, nil),
		read:   func() (map[string]uint64, map[matcher.State]int) { return nil, nil },
	}
}

// Describe implements prometheus.Collector.
func (t *trackerCounts) Describe(ch chan<- *prometheus.Desc) { ch <- t.losses; ch <- t.open }

// Collect implements prometheus.Collector.
func (t *trackerCounts) Collect(ch chan<- prometheus.Metric) {
	losses, open := t.read()
	for what, n := range losses {
		ch <- prometheus.MustNewConstMetric(t.losses, prometheus.CounterValue, float64(n), what)
	}
	for _, s := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident} {
		ch <- prometheus.MustNewConstMetric(t.open, prometheus.GaugeValue, float64(open[s]), string(s))
	}
}
