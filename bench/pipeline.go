package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/store"
)

// PipelineOptions say what a run of the pipeline works on. The zero value is a sound run of ten seconds at full speed.
type PipelineOptions struct {
	Seed       uint64
	Signatures int  // default 1,000
	Anchored   bool // leave out the signatures without a literal
	// Rate is how many records a second are sent, whatever becomes of them; 0 sends as fast as they are taken.
	Rate float64
	// For is how long records are sent. Default 10 s. What is sent in the first Warm, default a tenth of it, has no part in the latencies.
	For, Warm time.Duration
	// Sources are as many collectors. Default: as many as RECORDS has partitions.
	Sources int
	// BatchBytes is the size of a batch, default 256 KiB; at a fixed rate it is sent after Linger, default 5 ms, however small.
	BatchBytes int
	Linger     time.Duration
	Compress   bool
	// One in PlantEvery records raises a warning of its own, and one in HitEvery hits a signature that has warned already. Default
	// 10,000, at a fixed rate 500, and 500; negative for none.
	PlantEvery, HitEvery int

	patience time.Duration // how long nothing may come before what is missing is given up; default 20 s
	deaf     int           // signatures that the matcher is not given, for tests
	// RecordPartitions and HitPartitions are those of the streams. Default 4 and 8.
	RecordPartitions, HitPartitions int
	// InFlight is how many batches may be sent that are not stored yet. Default 256.
	InFlight int
	// Match overrides settings of the matching process, but for what it works on.
	Match pipeline.Config
	// Dir is where the embedded server and the store keep their files while it runs; without it the directory for temporary files.
	Dir string
	// NATS says which server to use instead of an embedded one. It must hold no stream of forewarn; those that a run makes are removed
	// when it ends.
	NATS stream.Options
	// Logger gets what goes wrong; nil means none.
	Logger *slog.Logger
}

func (o *PipelineOptions) filled() PipelineOptions {
	f := *o
	f.fill()
	return f
}

func (o *PipelineOptions) fill() {
	o.Seed, o.Signatures = cmp.Or(o.Seed, 1), cmp.Or(o.Signatures, 1000)
	o.For = cmp.Or(o.For, 10*time.Second)
	o.Warm = cmp.Or(o.Warm, o.For/10)
	o.RecordPartitions, o.HitPartitions = cmp.Or(o.RecordPartitions, 4), cmp.Or(o.HitPartitions, 8)
	o.Sources = cmp.Or(o.Sources, o.RecordPartitions)
	o.BatchBytes, o.Linger = cmp.Or(o.BatchBytes, 256<<10), cmp.Or(o.Linger, 5*time.Millisecond)
	if o.Rate > 0 { // a quantile of a latency needs many
		o.PlantEvery = cmp.Or(o.PlantEvery, 500)
	}
	o.PlantEvery, o.HitEvery = cmp.Or(o.PlantEvery, 10_000), cmp.Or(o.HitEvery, 500)
	o.patience = cmp.Or(o.patience, 20*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// PipelineResult is what a run of the pipeline came to.
type PipelineResult struct {
	Records, Bytes, Batches uint64
	Seconds                 float64 // from the first record to the last warning, or to the last batch consumed
	RecordsPerSecond        float64
	MBPerSecond             float64 // of the batches as they travel
	CPUSeconds              float64 // of the whole process: load, server, matching, warnings
	RecordsPerCPUSecond     float64
	Warnings                uint64 // that were planted and told
	Hits                    uint64
	// Latency is from the time when a record was to be sent to the delivery of its warning.
	Latency Latency
	// Losses are what the pipeline says that it lost; empty in a sound run.
	Losses map[string]uint64
}

// ErrLost is what the error of a run wraps in which something that was sent did not come to its warning.
var ErrLost = errors.New("records were lost")

// rig is a stream in a directory of its own, or on a server of somebody else's.
type rig struct {
	*stream.Stream
	dir  string
	made bool // streams on a server that stays
}

func (o *PipelineOptions) open(ctx context.Context) (*rig, error) {
	dir, err := os.MkdirTemp(o.Dir, "forewarn-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the streams: %w", err)
	}
	r := &rig{dir: dir}
	so := o.NATS
	so.DataDir, so.RecordPartitions, so.HitPartitions, so.Logger = dir, o.RecordPartitions, o.HitPartitions, o.Logger
	if r.Stream, err = stream.Open(ctx, so); err == nil {
		err = r.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// prepare makes the streams. A server that others use has none yet, or a benchmark would write into what they match.
func (r *rig) prepare(ctx context.Context) error {
	if !r.Embedded() {
		names, err := r.Existing(ctx)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			return fmt.Errorf("the server has %s already, and a benchmark would write into what is matched there: give it a server or an account of its own, or remove what an earlier benchmark left",
				strings.Join(names, ", "))
		}
		r.made = true
	}
	return r.EnsureStreams(ctx)
}

func (r *rig) close() (err error) {
	if r.made {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = r.RemoveStreams(ctx)
	}
	if r.Stream != nil {
		err = errors.Join(err, r.Close())
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// RunPipeline sends records through the streams and the matcher to the feed of a notifier. Its error wraps [ErrLost] when a record that was
// planted did not raise its warning, or a warning came that nothing was planted for.
func RunPipeline(ctx context.Context, o PipelineOptions) (result PipelineResult, err error) {
	o.fill()
	l, err := newLoad(o)
	if err != nil {
		return result, err
	}
	sigs, err := l.signatures()
	if err != nil {
		return result, err
	}
	program, problems := matcher.Compile(sigs[o.deaf:], matcher.CompileOptions{})
	if len(problems) > 0 {
		return result, problems[0]
	}
	r, err := o.open(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	st, err := store.Open(store.Options{Dir: r.dir, Logger: o.Logger})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c := o.Match
	c.Stream, c.Store, c.Program, c.Logger = r.Stream, st, program, o.Logger
	m, err := pipeline.New(c)
	if err != nil {
		return result, err
	}
	feed, err := pipeline.NewFeed(ctx, r.Stream, "bench", o.Logger)
	if err != nil {
		return result, err
	}
	w := newWatch(l)
	running, stop := context.WithCancel(ctx)
	defer stop()
	parts, partsCtx := errgroup.WithContext(running)
	parts.Go(func() error { return m.Run(partsCtx) })
	parts.Go(func() error { return w.run(partsCtx, feed) })

	runtime.GC()
	began, cpu := time.Now(), cpuSeconds()
	w.from = began.Add(o.Warm)
	err = l.run(partsCtx, r.Stream, began)
	if err == nil {
		err = w.wait(partsCtx, func() bool { return l.compare(m) == nil })
	}
	result = l.result(began, w.last(), cpu)
	result.Warnings, result.Latency = w.told(), w.latency()
	result.Losses = m.Status().Losses
	result.Hits = m.Hits()
	stop()
	err = errors.Join(err, parts.Wait(), feed.Close(ctx))
	return result, errors.Join(err, w.check(), l.compare(m), result.lost())
}

// settledEarly is the one count that does not fail a run: the records that storm the same few keys are more than a key's pending hits. They
// count, but those that come late are put in order over a shorter time than the lateness. The result tells how many there were.
const settledEarly = "settled_early"

// lost reports what the pipeline itself counted as lost.
func (r *PipelineResult) lost() error {
	var what []string
	for name, n := range r.Losses {
		if name != settledEarly {
			what = append(what, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(what) == 0 {
		return nil
	}
	slices.Sort(what)
	return fmt.Errorf("%w: the pipeline counts %s", ErrLost, strings.Join(what, ", "))
}

// run publishes what all sources have to say, and waits until it is stored.
func (l *load) run(ctx context.Context, s *stream.Stream, began time.Time) (err error) {
	p, err := pipeline.NewPublisher(s, l.o.InFlight, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	sending, sendCtx := errgroup.WithContext(ctx)
	for _, x := range l.sources {
		sending.Go(func() error { return x.send(sendCtx, began, began.Add(l.o.For), l.o.Compress, p.Emit) })
	}
	if err := sending.Wait(); err != nil {
		return err
	}
	return p.Flush(ctx)
}

// result sums what was sent.
func (l *load) result(began, ended time.Time, cpu float64) (r PipelineResult) {
	for _, s := range l.sources {
		r.Records, r.Bytes, r.Batches = r.Records+s.sent, r.Bytes+s.bytes, r.Batches+s.batches
	}
	r.Seconds, r.CPUSeconds = ended.Sub(began).Seconds(), cpuSeconds()-cpu
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Seconds
	r.RecordsPerCPUSecond = float64(r.Records) / r.CPUSeconds
	return r
}

// compare checks that every record that was sent was scanned, once or more.
func (l *load) compare(m *pipeline.Matcher) error {
	scanned := map[string]uint64{}
	for _, in := range m.Status().Inputs {
		scanned[in.Source] = in.Records
	}
	var all []error
	for _, s := range l.sources {
		if n := scanned[s.name]; n < s.sent {
			all = append(all, fmt.Errorf("%w: %s sent %d records and %d were scanned", ErrLost, s.name, s.sent, n))
		}
	}
	return errors.Join(all...)
}
