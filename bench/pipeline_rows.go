package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Names of what carries records in a run of the pipeline.
const (
	pipelineWorkload = "pipeline"
	jetStreamName    = "jetstream" // the same batches through the same stream, and nothing done with them
)

// RunPipelineRows runs the pipeline and JetStream alone in turn, so that a busy minute of the machine falls on both, and returns a row of each. Without
// reference it runs the pipeline only.
func RunPipelineRows(ctx context.Context, o PipelineOptions, rounds int, reference bool, tell func(string, ...any)) ([]Row, error) {
	work := pipelineWorkload
	if o.Anchored {
		work += " anchored"
	}
	ours, theirs := pipelineRow(work, engineName), pipelineRow(work, jetStreamName)
	for n := range rounds {
		if reference {
			r, err := RunJetStream(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("run JetStream alone: %w", err)
			}
			theirs.take(r, false)
		}
		r, err := RunPipeline(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("run the pipeline: %w", err)
		}
		ours.take(r, o.Rate > 0)
		if tell != nil {
			tell("round %d: %.0f records/s, %.0f MB/s, every one of %d planted warnings came, %d hits settled early", n+1, r.RecordsPerSecond, r.MBPerSecond, r.Warnings, r.Losses[settledEarly])
		}
	}
	ours.Signatures = o.filled().Signatures
	if !reference {
		return []Row{ours}, nil
	}
	ours.Metrics = append(ours.Metrics, ratio(ours.Metrics[0], theirs.Metrics[0]))
	return []Row{ours, theirs}, nil
}

func pipelineRow(work, candidate string) Row {
	return Row{Workload: work, Candidate: candidate, Metrics: []Metric{
		{Name: RecordsRate, Unit: "records/s"}, {Name: Throughput, Unit: "MB/s"}, {Name: "cpu", Unit: "records/CPU-s"},
	}}
}

// leastBeyond is how many latencies must lie beyond a quantile for it to be told: with fewer it is little more than the greatest of all.
const leastBeyond = 3

// take adds a round. It is timed when records had a time at which they were to be sent: at full speed latency is the age of a backlog.
func (r *Row) take(x PipelineResult, timed bool) {
	r.Records += int(x.Records)
	r.Bytes += int(x.Bytes)
	for i, v := range []float64{x.RecordsPerSecond, x.MBPerSecond, x.RecordsPerCPUSecond} {
		r.Metrics[i].Rounds = append(r.Metrics[i].Rounds, v)
	}
	var notes []string
	if n := x.Losses[settledEarly]; n > 0 {
		notes = append(notes, fmt.Sprintf("%d hits of stormed keys settled early in the last round", n))
	}
	r.Note = strings.Join(notes, "; ")
	if !timed {
		return
	}
	for _, q := range []struct {
		name    string
		part    float64
		seconds float64
	}{{LatencyP50, .5, x.Latency.P50.Seconds()}, {LatencyP99, .99, x.Latency.P99.Seconds()}, {LatencyP999, .999, x.Latency.P999.Seconds()}} {
		if (1-q.part)*float64(x.Latency.Samples) < leastBeyond {
			continue
		}
		if m := r.Metric(q.name); m != nil {
			m.Rounds = append(m.Rounds, q.seconds)
		} else {
			r.Metrics = append(r.Metrics, Metric{Name: q.name, Unit: "s", Less: true, Rounds: []float64{q.seconds}})
		}
	}
	r.Note = strings.Join(append(notes, fmt.Sprintf("%d latencies a round", x.Latency.Samples)), "; ")
	r.Latency = x.Latency.quantiles()
}

// quantiles are the curve for a plot.
func (l *Latency) quantiles() (out []Quantile) {
	for i, d := range l.Curve {
		part := float64(i) / 100
		if i >= 100 {
			part = .99 + float64(i-100)/1000
		}
		out = append(out, Quantile{Part: math.Min(part, 1), Seconds: d.Seconds()})
	}
	return out
}

// ratio is a metric's rounds against another's of the same turns.
func ratio(a, b Metric) Metric {
	m := Metric{Name: "of-jetstream", Unit: "times JetStream alone"}
	for i := range min(len(a.Rounds), len(b.Rounds)) {
		m.Rounds = append(m.Rounds, a.Rounds[i]/b.Rounds[i])
	}
	return m
}

// DrivePipeline is a [Drive] that runs the pipeline of o with a setting.
func DrivePipeline(o PipelineOptions) Drive {
	return func(ctx context.Context, s Setting, rate float64) (float64, []Quantile, error) {
		x := o
		x.BatchBytes, x.RecordPartitions, x.Sources, x.Compress, x.Rate = s.BatchKB<<10, s.Partitions, s.Partitions, s.Compress, rate
		x.InFlight, x.Match.Workers, x.Match.Fetch, x.Match.Window = s.InFlight, s.Workers, s.Fetch, s.Window
		r, err := RunPipeline(ctx, x)
		if errors.Is(err, ErrLost) {
			err = fmt.Errorf("%w: %v: %w", errUnfit, s, err)
		}
		return r.RecordsPerSecond, r.Latency.quantiles(), err
	}
}
