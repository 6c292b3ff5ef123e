package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// errNoLoad says that a program cannot be stored and loaded.
var errNoLoad = errors.New("the program gave no bytes to store")

// noBodies stands for bodies that stay on disk: no scan needs them.
type noBodies struct{}

// Signature implements matcher.Bodies.
func (noBodies) Signature(string) (*signatures.Signature, bool, error) {
	return nil, false, nil
}

// RunIndex measures for each number of signatures how long a program takes to build, to load as it was stored and to be extended by one
// signature, and what it has in memory. The loaded and the extended program must find what the built one finds.
func RunIndex(ctx context.Context, c *Corpus, counts []int, rounds int, tell func(string, ...any)) ([]Row, error) {
	dir, err := os.MkdirTemp("", "forewarn-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the index: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left in a directory for temporary files harms nobody
	var rows []Row
	for _, n := range counts {
		if tell != nil {
			tell("%s: build, load and update an index of %d signatures", c.Name, n)
		}
		x := index{corpus: c, n: n, file: filepath.Join(dir, "program"), row: Row{
			Workload: c.Name, Digest: c.Digest, Set: c.Set, Candidate: engineName, Signatures: n, Metrics: []Metric{
				{Name: BuildTime, Unit: "s", Less: true},
				{Name: LoadTime, Unit: "s", Less: true},
				{Name: UpdateTime, Unit: "s", Less: true},
				{Name: Memory, Unit: "MB", Less: true},
				{Name: StoredSize, Unit: "MB", Less: true},
			},
		}}
		for round := range rounds + 1 {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			if err := x.round(round > 0); err != nil {
				return nil, err
			}
		}
		rows = append(rows, x.row)
	}
	return rows, nil
}

// index is the measurement of one number of signatures.
type index struct {
	corpus *Corpus
	n      int
	file   string
	row    Row
}

func (x *index) round(counts bool) error {
	began := time.Now()
	built, err := x.corpus.Compile(x.n)
	if err != nil {
		return err
	}
	build := time.Since(began)
	bytes := built.AppendTo(nil)
	if len(bytes) == 0 {
		return errNoLoad
	}
	if err := os.WriteFile(x.file, bytes, 0o600); err != nil {
		return fmt.Errorf("store the index: %w", err)
	}
	want, err := x.hits(built)
	if err != nil {
		return err
	}
	stored := len(bytes)

	before := heap() // of which the built program and its bytes are no part any more
	began = time.Now()
	loaded, err := x.load()
	if err != nil {
		return err
	}
	load := time.Since(began)
	resident := heap() - before
	if got, err := x.hits(loaded); err != nil || got != want {
		return errors.Join(err, foundError{"the loaded index", got, want})
	}

	one := *x.corpus.Signatures[0]
	one.ID, one.Title = "one-more", "One more"
	began = time.Now()
	more, problems := loaded.With([]*signatures.Signature{&one}, nil)
	update := time.Since(began)
	if len(problems) > 0 {
		return fmt.Errorf("add one signature: %w", problems[0])
	}
	if more.Len() != loaded.Len()+1 {
		return foundError{"the extended index", more.Len(), loaded.Len() + 1}
	}
	runtime.KeepAlive(loaded)
	if counts {
		for i, v := range []float64{build.Seconds(), load.Seconds(), update.Seconds(), float64(resident) / 1e6, float64(stored) / 1e6} {
			x.row.Metrics[i].Rounds = append(x.row.Metrics[i].Rounds, v)
		}
	}
	return nil
}

// load reads the stored program as a start does: from a file, without bodies.
func (x *index) load() (*matcher.Program, error) {
	bytes, err := os.ReadFile(x.file)
	if err != nil {
		return nil, fmt.Errorf("load the index: %w", err)
	}
	p, err := matcher.LoadProgram(bytes, matcher.CompileOptions{}, noBodies{})
	if err != nil {
		return nil, fmt.Errorf("load the index: %w", err)
	}
	return p, nil
}

// hits scans a part of the corpus.
func (x *index) hits(p *matcher.Program) (hits int, err error) {
	s := matcher.NewScratch(p)
	for _, b := range x.corpus.Batches[:min(20, len(x.corpus.Batches))] {
		hits += len(p.Scan(b, s))
	}
	if s.Stats.CELErrors > 0 {
		return 0, errors.New("expressions failed")
	}
	return hits, nil
}

// heap is what lives on the heap after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and cleanups let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
