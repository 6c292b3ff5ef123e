package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchTune(g *globals) *cobra.Command {
	b := &benchFlags{}
	o := bench.TuneOptions{Cores: runtime.GOMAXPROCS(0)}
	var p bench.PipelineOptions
	var out string
	c := &cobra.Command{
		Use:   "tune",
		Short: "Find the settings that suit this machine",
		Long: `tune runs the whole path with one setting after the other: the size of batches, workers, partitions, how many batches are asked for ahead, how
many are under way and how many are acknowledged together, and compression. Each is measured at full speed and, for the time that warnings take, at a fixed rate. It shows what a
shorter latency costs, and writes the settings that it recommends as a configuration for forewarn run -c. It takes ten minutes and more; --for and
--rounds make it shorter and less sure, and --within ends it with the best so far.

  forewarn bench tune --write tuned.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			if p.For < time.Second || o.Rate < 0 || o.Limit <= 0 || o.Within < 0 {
				return usage("--for needs a second or more, --rate and --within no less than 0 and --limit more than 0")
			}
			o.Rounds, o.Tell = b.rounds, b.tell(g)
			tuned, err := bench.Tune(c.Context(), bench.DrivePipeline(p), o)
			if err != nil {
				return err
			}
			result := bench.NewResult("tune", version)
			result.Rows = tuned.Rows
			if err := b.report(g, result); err != nil {
				return err
			}
			if g.output == "text" {
				if err := tuned.WriteChart(g.out); err != nil {
					return err
				}
			}
			if out == "" {
				_, _ = fmt.Fprint(g.err, "\n"+tuned.Config())
				return nil
			}
			if err := os.WriteFile(out, []byte(tuned.Config()), 0o644); err != nil {
				return fmt.Errorf("write the configuration: %w", err)
			}
			return nil
		},
	}
	f := c.Flags()
	b.flags(f)
	f.Lookup("rounds").DefValue = "1"
	b.rounds = 1
	spanVar(f, &p.For, "for", 3*time.Second, "how long records are sent with a setting")
	f.Float64Var(&o.Rate, "rate", 0, "records a second at which latency is measured; 0 takes half of what the start can carry")
	spanVar(f, &o.Limit, "limit", 25*time.Millisecond, "the p99 of latency that the recommended setting is to keep")
	spanVar(f, &o.Within, "within", 20*time.Minute, "end the search then, with the best setting so far; 0 is never")
	f.StringVar(&out, "write", "", "write the recommended configuration into this file instead of on stderr")
	f.StringVar(&p.Dir, "dir", "", "where the embedded server and the store keep their files (default the directory for temporary files)")
	return c
}
