package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
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
			theirs.take(r)
		}
		r, err := RunPipeline(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("run the pipeline: %w", err)
		}
		ours.take(r)
		if tell != nil {
			tell("round %d: %.0f records/s, %.0f MB/s, %d warnings, nothing lost", n+1, r.RecordsPerSecond, r.MBPerSecond, r.Warnings)
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

// take adds a round.
func (r *Row) take(x PipelineResult) {
	r.Records += int(x.Records)
	r.Bytes += int(x.Bytes)
	for i, v := range []float64{x.RecordsPerSecond, x.MBPerSecond, x.RecordsPerCPUSecond} {
		r.Metrics[i].Rounds = append(r.Metrics[i].Rounds, v)
	}
	if x.Latency.Samples == 0 {
		return
	}
	for _, q := range []struct {
		name    string
		seconds float64
	}{{LatencyP50, x.Latency.P50.Seconds()}, {LatencyP99, x.Latency.P99.Seconds()}, {LatencyP999, x.Latency.P999.Seconds()}} {
		if m := r.Metric(q.name); m != nil {
			m.Rounds = append(m.Rounds, q.seconds)
		} else {
			r.Metrics = append(r.Metrics, Metric{Name: q.name, Unit: "s", Less: true, Rounds: []float64{q.seconds}})
		}
	}
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
		x.Match.Workers, x.Match.Fetch, x.Match.Window = s.Workers, s.Fetch, s.Window
		r, err := RunPipeline(ctx, x)
		if errors.Is(err, ErrLost) {
			err = fmt.Errorf("%w: %v: %w", errUnfit, s, err)
		}
		return r.RecordsPerSecond, r.Latency.quantiles(), err
	}
}
