package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchPipeline(g *globals) *cobra.Command {
	b := &benchFlags{}
	var o bench.PipelineOptions
	var server settingsFlags
	alone := true
	c := &cobra.Command{
		Use:   "pipeline",
		Short: "Measure the whole path: records in, warnings out",
		Long: `pipeline sends log records through JetStream, with its files on the disk, to the matcher, and takes the warnings at the other end, all in this
process. One record in 10,000 (at a rate one in 500) must raise a warning of its own. The run fails when one of these does not come, when one comes that nothing
was planted for, and when the pipeline counts a
loss; only hits of stormed keys that were settled early are told and do not fail it. JetStream alone carries the same batches in the same run: what the rest of the path costs is the difference.

Without --rate it sends as fast as records are taken. With it, it sends at that rate whatever becomes of it, and latency counts from when a record was to
be sent.

--nats uses an existing server instead of an embedded one. It must hold no stream of forewarn, so that nothing that is matched there is disturbed; what a
run makes is removed at its end.

  forewarn bench pipeline --for 60s --rounds 1
  forewarn bench pipeline --anchored
  forewarn bench pipeline --rate 100000 --jetstream=false --html latency.html`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			switch {
			case o.For < time.Second:
				return usage("--for %s: a second is the least that says anything", o.For)
			case o.Rate < 0:
				return usage("--rate %v: how many records a second, or 0 for as fast as they are taken", o.Rate)
			case o.Signatures < 20 || o.Signatures > 10_000:
				return usage("--signatures %d: use 20 to 10000", o.Signatures)
			}
			s, err := server.load()
			if err != nil {
				return err
			}
			if s.NATS.URL != "" {
				if o.NATS, err = s.streams(g); err != nil {
					return err
				}
			}
			rows, err := bench.RunPipelineRows(c.Context(), o, b.rounds, alone, b.tell(g))
			if err != nil {
				return err
			}
			result := bench.NewResult("pipeline", version)
			result.Rows = rows
			return b.report(g, result)
		},
	}
	f := c.Flags()
	b.flags(f)
	spanVar(f, &o.For, "for", 10*time.Second, "how long records are sent in a round")
	f.Float64Var(&o.Rate, "rate", 0, "records a second; 0 sends as fast as they are taken")
	f.IntVar(&o.Signatures, "signatures", 1000, "how many signatures are looked for: 70 % literals, 25 % regexes with a literal, 5 % that only a component anchors")
	f.BoolVar(&o.Anchored, "anchored", false, "leave out the signatures without a literal")
	f.BoolVar(&alone, "jetstream", true, "run JetStream alone beside it")
	f.StringVarP(&server.file, "config", "c", "", "a configuration file whose nats section says how to reach an existing server")
	f.StringVar(&server.nats, "nats", "", "the URL of an existing NATS with JetStream; without it one is embedded")
	f.StringVar(&o.Dir, "dir", "", "where the embedded server and the store keep their files (default the directory for temporary files)")
	return c
}
