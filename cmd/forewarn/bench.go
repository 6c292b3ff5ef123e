package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/forewarn/forewarn/bench"
)

func newBench(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure forewarn on this machine, and others beside it",
		Long: `bench measures on workloads that know what must be found: whatever finds something else is refused, however fast it is. Every result tells
the machine and every round, and can be kept as JSON, shown as a page with charts, and compared with another one.

  forewarn bench scan mixed --peers all --html scan.html
  forewarn bench scan cre -o json > before.json
  forewarn bench compare before.json after.json`,
	}
	c.AddCommand(newBenchScan(g), newBenchIndex(g), newBenchState(g), newBenchStart(g), newBenchPipeline(g), newBenchTune(g), newBenchPeers(g), newBenchCompare(g))
	return c
}

// benchFlags are the flags of every benchmark that gives a result.
type benchFlags struct {
	rounds int
	html   string
	save   string
	quiet  bool
}

func (b *benchFlags) flags(f *pflag.FlagSet) {
	f.IntVar(&b.rounds, "rounds", 5, "how many rounds count, after one to warm up")
	f.StringVar(&b.html, "html", "", "write a page with charts into this file")
	f.StringVar(&b.save, "save", "", "write the result as JSON into this file, for forewarn bench compare")
	f.BoolVarP(&b.quiet, "quiet", "q", false, "do not tell on stderr what is being done")
}

func (b *benchFlags) check() error {
	if b.rounds < 1 || b.rounds > 1000 {
		return usage("--rounds %d: use 1 to 1000; 5 are enough to tell noise from change", b.rounds)
	}
	return nil
}

// tell says on stderr what is being done.
func (b *benchFlags) tell(g *globals) func(string, ...any) {
	return func(format string, args ...any) {
		if !b.quiet {
			_, _ = fmt.Fprintf(g.err, format+"\n", args...)
		}
	}
}

// report writes the result wherever the flags ask for it.
func (b *benchFlags) report(g *globals, r *bench.Result) error {
	if b.save != "" {
		if err := r.Save(b.save); err != nil {
			return err
		}
	}
	if b.html != "" {
		var page bytes.Buffer
		if err := r.WriteHTML(&page); err != nil {
			return err
		}
		if err := os.WriteFile(b.html, page.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return g.print(r, r.WriteText)
}
