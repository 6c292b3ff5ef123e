package main

import (
	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchIndex(g *globals) *cobra.Command {
	b := &benchFlags{}
	c := &cobra.Command{
		Use:   "index [WORKLOAD...]",
		Short: "Measure building, loading and extending the index of signatures",
		Long: `index measures for each number of a workload's signatures how long a program takes to build, to load as it was stored and to be extended by one
signature, and how much memory it has when its bodies stay on disk. Without a workload it takes mixed.`,
		Args: cobra.ArbitraryArgs,
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
			result := bench.NewResult("index", version)
			for _, w := range workloads {
				corpus, err := w.Corpus()
				if err != nil {
					return err
				}
				rows, err := bench.RunIndex(c.Context(), corpus, w.Signatures.Counts, b.rounds, b.tell(g))
				if err != nil {
					return err
				}
				result.Rows = append(result.Rows, rows...)
			}
			return b.report(g, result)
		},
		ValidArgsFunction: completeWorkloads,
	}
	b.flags(c.Flags())
	return c
}
