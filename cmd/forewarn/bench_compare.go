package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchCompare(g *globals) *cobra.Command {
	var failOn float64
	c := &cobra.Command{
		Use:   "compare OLD.json NEW.json",
		Short: "Compare two results, and tell change from noise",
		Long: `compare compares the rounds of two results by the Mann-Whitney test: it calls a change better or worse only when rounds so far apart come of
noise in fewer than one case in twenty. That takes four rounds at least. Results of other machines or of other work are compared, but said to be.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if failOn < 0 {
				return usage("--fail-on %v: a part cannot be negative", failOn)
			}
			old, err := bench.ReadResult(args[0])
			if err != nil {
				return err
			}
			now, err := bench.ReadResult(args[1])
			if err != nil {
				return err
			}
			x := bench.Compare(old, now)
			if err := g.print(x, x.WriteText); err != nil {
				return err
			}
			if failOn > 0 && x.Worse(failOn/100) {
				return errors.New("something got worse by more than noise and more than --fail-on allows")
			}
			return nil
		},
	}
	c.Flags().Float64Var(&failOn, "fail-on", 0, "exit with 1 when something got worse by more than noise and by more than this many percent")
	return c
}
