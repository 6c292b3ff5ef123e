package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchStart(g *globals) *cobra.Command {
	b := &benchFlags{}
	most := 10_000
	c := &cobra.Command{
		Use:   "start [WORKLOAD]",
		Short: "Measure cold and warm starts of the real process",
		Long: `start starts forewarn run with each number of a workload's signatures until it says that it is ready: cold, on an empty data directory, where all
signature files are read, and warm, on what the start before left there. Without a workload it takes mixed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"mixed"}
			}
			workloads, err := findWorkloads(args)
			if err != nil {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program: %w", err)
			}
			corpus, err := workloads[0].Corpus()
			if err != nil {
				return err
			}
			var counts []int
			for _, n := range workloads[0].Signatures.Counts {
				if n <= most {
					counts = append(counts, n)
				}
			}
			if len(counts) == 0 {
				return usage("--most %d: the workload has no smaller number of signatures", most)
			}
			result := bench.NewResult("start", version)
			if result.Rows, err = bench.RunStart(c.Context(), binary, corpus, counts, b.rounds, b.tell(g)); err != nil {
				return err
			}
			return b.report(g, result)
		},
		ValidArgsFunction: completeWorkloads,
	}
	b.flags(c.Flags())
	c.Flags().IntVar(&most, "most", most, "leave out more signatures than this")
	return c
}
