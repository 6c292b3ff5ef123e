package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
	"github.com/forewarn/forewarn/signatures"
)

// benchScan are the flags of bench scan.
type benchScan struct {
	*globals
	benchFlags
	most       int
	peers      []string
	logs       []string
	logMB      int
	signatures []string
	cores      bool
	floors     bool
}

func newBenchScan(g *globals) *cobra.Command {
	b := &benchScan{globals: g}
	c := &cobra.Command{
		Use:   "scan [WORKLOAD...]",
		Short: "Measure the engine alone: batches to hits",
		Long: `scan measures how much text a second of processor time of one thread is scanned, on each workload with each number of its signatures,
all of them in turn within one run, five rounds after one to warm up. Without a workload it takes mixed, anchored, cre and events;
A workload may also be a file that ends in .yaml; forewarn bench peers lists those that are there, and what else can run beside the engine.

With --log it scans your own logs instead of generated text, and with --signatures for your own signatures.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			return b.run(c.Context(), args)
		},
		ValidArgsFunction: completeWorkloads,
	}
	f := c.Flags()
	b.benchFlags.flags(f)
	f.IntVar(&b.most, "most", 0, "leave out more signatures than this")
	f.StringSliceVar(&b.peers, "peers", []string{"newlines"}, "what else runs beside: all, none, or names")
	f.StringArrayVar(&b.logs, "log", nil, "scan this file or directory of logs instead of generated text; may be repeated")
	f.IntVar(&b.logMB, "log-mb", 64, "how many million bytes of --log are taken")
	f.StringArrayVarP(&b.signatures, "signatures", "s", nil, "look for the signatures of this file or directory instead of generated ones; may be repeated")
	f.BoolVar(&b.cores, "cores", false, "measure on all cores as well, against one")
	f.BoolVar(&b.floors, "floors", false, "exit with 1 when a workload is slower, beside its peers, than its floors allow")
	return c
}

// completeWorkloads completes the names of workloads.
func completeWorkloads(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := bench.Workloads()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, w := range all {
		out = append(out, w.Name+"\t"+w.Title)
	}
	return out, cobra.ShellCompDirectiveDefault // files are workloads too
}

func (b *benchScan) check() error {
	if err := b.benchFlags.check(); err != nil {
		return err
	}
	if b.most < 0 || b.logMB < 1 {
		return usage("--most and --log-mb count from 1 up")
	}
	switch {
	case slices.Equal(b.peers, []string{"all"}):
		b.peers = bench.PeerNames()
	case slices.Equal(b.peers, []string{"none"}):
		b.peers = nil
	}
	for _, p := range b.peers {
		if !slices.Contains(bench.PeerNames(), p) {
			return usage("--peers %q: use all, none, or some of %s", p, strings.Join(bench.PeerNames(), ", "))
		}
	}
	return nil
}

func (b *benchScan) run(ctx context.Context, names []string) error {
	if len(names) == 0 {
		names = []string{"mixed", "anchored", "cre", "events"}
	}
	workloads, err := findWorkloads(names)
	if err != nil {
		return err
	}
	result := bench.NewResult("scan", version)
	o := bench.ScanOptions{Rounds: b.rounds, Most: b.most, Peers: b.peers, Tell: b.tell(b.globals)}
	var slow []string
	for _, w := range workloads {
		c, counts, err := b.corpus(ctx, w)
		if err != nil {
			return err
		}
		rows, err := bench.RunScan(ctx, c, counts, o)
		if err != nil {
			return err
		}
		if b.floors {
			slow = append(slow, w.BelowFloors(rows)...)
		}
		if b.cores && runtime.GOMAXPROCS(0) > 1 {
			row, err := bench.RunCores(ctx, c, counts[0], runtime.GOMAXPROCS(0), b.rounds)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		result.Rows = append(result.Rows, rows...)
	}
	if err := b.report(b.globals, result); err != nil {
		return err
	}
	if len(slow) > 0 {
		return fmt.Errorf("too slow beside what was measured in the same run:\n%s", strings.Join(slow, "\n"))
	}
	return nil
}

func findWorkloads(names []string) ([]*bench.Workload, error) {
	var all []*bench.Workload
	for _, name := range names {
		w, err := bench.FindWorkload(name)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		all = append(all, w)
	}
	return all, nil
}

// corpus is the work of a workload, with the user's own logs and signatures where they are given.
func (b *benchScan) corpus(ctx context.Context, w *bench.Workload) (*bench.Corpus, []int, error) {
	c, err := w.Corpus()
	if err != nil {
		return nil, nil, err
	}
	counts := w.Signatures.Counts
	if len(b.logs) > 0 {
		own, err := bench.Logs(ctx, b.logs, b.logMB*1e6)
		if err != nil {
			return nil, nil, err
		}
		c = own.With(c.Set, c.Patterns, c.Signatures)
		c.Name = w.Name + " on own logs"
	}
	if len(b.signatures) > 0 {
		set, problems := signatures.Load(b.signatures, signatures.Options{})
		for _, p := range signatures.Errors(problems) {
			return nil, nil, exitError{exitRefused, p}
		}
		if set.Len() == 0 {
			return nil, nil, fmt.Errorf("no signature in %s: name a YAML file or a directory of them", strings.Join(b.signatures, ", "))
		}
		c = c.With("own", nil, set.All())
		counts = []int{set.Len()}
	}
	return c, counts, nil
}
