package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/matcher"
)

// ScanOptions say what RunScan measures. The zero value is five rounds of the engine alone.
type ScanOptions struct {
	Rounds int      // that count, after one to warm up; 5 when 0
	Most   int      // leaves out larger numbers of signatures; 0 for none
	Peers  []string // by their names; nil for the engine alone
	// Tell gets a line now and then about what is being done. May be nil.
	Tell func(format string, args ...any)

	drag int // how often the engine does each batch's work over again, so that tests can see a slow engine be refused
}

func (o *ScanOptions) tell(format string, args ...any) {
	if o.Tell != nil {
		o.Tell(format, args...)
	}
}

// RunScan measures the engine and its peers on a corpus, with each number of signatures, all of them interleaved. It is an error when
// anything finds something else than it must. Candidates that are absent are told of, and left out.
func RunScan(ctx context.Context, c *Corpus, counts []int, o ScanOptions) ([]Row, error) {
	dir, err := os.MkdirTemp("", "forewarn-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the peers' work: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left in a directory for temporary files harms nobody
	o.Rounds = max(o.Rounds, 0)
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	l := lineup{corpus: c, options: &o}
	for i, n := range counts {
		if o.Most > 0 && n > o.Most && i > 0 {
			o.tell("%s: not with %d signatures", c.Name, n)
			continue
		}
		o.tell("%s: prepare %d signatures", c.Name, n)
		if err := l.add(ctx, n, dir, i == 0); err != nil {
			return nil, err
		}
	}
	o.tell("%s: measure %d candidates in %d rounds", c.Name, len(l.candidates), o.Rounds)
	times, err := measure(ctx, l.candidates, o.Rounds)
	if err != nil {
		return nil, err
	}
	for i := range l.rows {
		r := &l.rows[i]
		r.Metrics = append([]Metric{
			{Name: Throughput, Unit: "MB/CPU-s", Rounds: speeds(times[i], r.Bytes)},
			{Name: RecordsRate, Unit: "million/CPU-s", Rounds: speeds(times[i], r.Records)},
		}, r.Metrics...)
	}
	return l.rows, nil
}

// lineup are the candidates of a run, with a row for each.
type lineup struct {
	corpus     *Corpus
	options    *ScanOptions
	candidates []candidate
	rows       []Row
}

// add adds the engine with n signatures, and the peers. The limits are the same with any number, so only the first has them.
func (l *lineup) add(ctx context.Context, n int, dir string, first bool) error {
	j, err := newJob(l.corpus, n, dir)
	if err != nil {
		return err
	}
	e := j.engine(l.options.drag)
	row := l.row(engineName, n, l.corpus.Records, l.corpus.Bytes, e.want)
	allocations, err := j.allocations()
	if err != nil {
		return err
	}
	row.Metrics = []Metric{{Name: Allocations, Unit: "a record", Less: true, Rounds: []float64{allocations}}}
	l.candidates, l.rows = append(l.candidates, e), append(l.rows, row)
	for _, p := range peers() {
		if !slices.Contains(l.options.Peers, p.name) || p.name == newlinesName && !first {
			continue
		}
		if p.most > 0 && n > p.most || p.name != newlinesName && (l.corpus.kindsOnly() || !j.hasPatterns()) {
			l.options.tell("%s: %s is not asked to look for %d signatures", l.corpus.Name, p.name, n)
			continue
		}
		c, part, err := p.prepare(ctx, j)
		if errors.Is(err, errAbsent) {
			l.options.tell("%s: without %s: %v", l.corpus.Name, p.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s with %d signatures: %w", p.name, n, err)
		}
		row := l.row(p.name, n, len(part.texts), part.bytes, c.want)
		row.Note = j.note(&part)
		l.candidates, l.rows = append(l.candidates, c), append(l.rows, row)
	}
	return nil
}

func (l *lineup) row(name string, n, records, size, want int) Row {
	r := Row{Workload: l.corpus.Name, Digest: l.corpus.Digest, Set: l.corpus.Set, Candidate: name, Signatures: n, Records: records, Bytes: size}
	if want >= 0 && name != newlinesName {
		r.Hits, r.Expected = &want, &want // measure refuses any other number
	}
	return r
}

// allocations counts what a scan allocates a record, after a first one that lets the scratch grow.
func (j *job) allocations() (float64, error) {
	e := j.engine(0)
	var before, after runtime.MemStats
	for range 2 {
		runtime.GC()
		runtime.ReadMemStats(&before)
		if _, err := e.run(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
	}
	return float64(after.Mallocs-before.Mallocs) / float64(max(1, j.corpus.Records)), nil
}

// RunCores measures how many times as fast the engine is on several cores as on one: records a second of wall time, rounds of one
// and of many in turn.
func RunCores(ctx context.Context, c *Corpus, n, cores, rounds int) (Row, error) {
	p, err := c.Compile(n)
	if err != nil {
		return Row{}, err
	}
	const passes = 4 // of each worker, so that starting them does not count
	pass := func(workers int) (float64, error) {
		began := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		for range workers {
			g.Go(func() error {
				s := matcher.NewScratch(p)
				for range passes {
					for _, b := range c.Batches {
						p.Scan(b, s)
					}
				}
				return ctx.Err()
			})
		}
		err := g.Wait()
		return float64(workers*passes*c.Bytes) / 1e6 / time.Since(began).Seconds(), err
	}
	row := Row{Workload: c.Name, Digest: c.Digest, Set: c.Set, Candidate: engineName, Signatures: n, Records: c.Records, Bytes: c.Bytes, Settings: map[string]string{"cores": fmt.Sprint(cores)}}
	speed := Metric{Name: Throughput, Unit: "MB/s"}
	ratio := Metric{Name: Cores, Unit: "times one core"}
	for round := range rounds + 1 {
		one, err := pass(1)
		if err != nil {
			return row, err
		}
		many, err := pass(cores)
		if err != nil {
			return row, err
		}
		if round > 0 {
			speed.Rounds, ratio.Rounds = append(speed.Rounds, many), append(ratio.Rounds, many/one)
		}
	}
	row.Metrics = []Metric{speed, ratio}
	return row, nil
}
