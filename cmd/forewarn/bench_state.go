package main

import (
	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchState(g *globals) *cobra.Command {
	b := &benchFlags{}
	counts := []int{1000, 100_000, 1_000_000}
	c := &cobra.Command{
		Use:   "state",
		Short: "Measure the tracker with many open progresses",
		Long: `state opens progresses, each of a key of its own with a window and a timer, and measures what they have in memory and what one more hit costs,
on keys in an order that no cache can follow. What changed is given to a store every 10,000 hits, as in a running process; the store itself is left out.
In memory is the part of a hit that comes before that.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			for _, n := range counts {
				if n < 1 || n > 100_000_000 {
					return usage("--progresses %d: use 1 to 100000000", n)
				}
			}
			rows, err := bench.RunState(c.Context(), counts, b.rounds, b.tell(g))
			if err != nil {
				return err
			}
			result := bench.NewResult("state", version)
			result.Rows = rows
			return b.report(g, result)
		},
	}
	b.flags(c.Flags())
	c.Flags().IntSliceVar(&counts, "progresses", counts, "how many are open")
	return c
}
