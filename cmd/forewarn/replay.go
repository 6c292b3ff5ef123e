package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/recording"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
)

func newReplay(g *globals) *cobra.Command {
	var (
		from     signatureFlags
		lateness time.Duration
		quiet    bool
	)
	c := &cobra.Command{
		Use:   "replay RECORDING",
		Short: "Take a recording through the engine in virtual time",
		Long: `replay raises the warnings that a live run raised for the same records, tells how much lead time each won, and prints a digest. The
digest is the same for the same warnings, live (see forewarn status) or replayed, whatever order the records came in.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if lateness < 0 {
				return usage("--lateness %s: a duration cannot be negative", lateness)
			}
			program, err := from.program(g)
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("read recording: %w", err)
			}
			defer func() { _ = file.Close() }() // it was only read
			r, err := recording.NewReader(file)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			defer r.Close()
			engine, err := matcher.NewEngine(program, tracking(lateness))
			if err != nil {
				return err
			}
			p := &replay{globals: g, program: program, quiet: quiet, last: map[string]matcher.Warning{}}
			if err := p.run(c.Context(), r, engine); err != nil {
				return err
			}
			return p.report(r.Problem())
		},
	}
	from.flags(c.Flags())
	spanVar(c.Flags(), &lateness, "lateness", 30*time.Second, "the allowed lateness of the live run")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the summary only")
	return c
}

// replay collects the last revision of each warning.
type replay struct {
	*globals
	program *matcher.Program
	quiet   bool
	last    map[string]matcher.Warning
}

func (p *replay) run(ctx context.Context, r *recording.Reader, engine *matcher.Engine) error {
	var batch record.Batch
	for {
		frame, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil // and not Finish: a live run stands where the last mark left it
		}
		if err != nil {
			return err
		}
		if err := batch.Decode(frame); err != nil {
			return fmt.Errorf("read a batch of the recording: %w", err)
		}
		changes := engine.Feed(&batch)
		for i := range changes {
			w := &changes[i].Warning
			if err := p.program.Dress(w); err != nil {
				return err
			}
			p.last[w.ID] = *w
			if p.quiet || p.output != "text" {
				continue
			}
			if err := p.notifier().Notify(ctx, notify.Single(*w)); err != nil {
				return err
			}
		}
	}
}

// replayed is the summary of a replay.
type replayed struct {
	Warnings []outcome `json:"warnings"`
	Digest   string    `json:"digest"`
}

// outcome is what became of one warning.
type outcome struct {
	Signature string        `json:"signature"`
	Key       string        `json:"key"`
	State     matcher.State `json:"state"`
	Stages    string        `json:"stages"`
	Opened    time.Time     `json:"opened"`
	Lead      string        `json:"lead,omitempty"` // empty when it did not come to an incident
}

func (p *replay) report(problem error) error {
	all := make([]matcher.Warning, 0, len(p.last))
	sum := replayed{Warnings: []outcome{}}
	for _, w := range p.last {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b matcher.Warning) int {
		if c := a.Opened.Compare(b.Opened); c != 0 {
			return c
		}
		return strings.Compare(a.Signature+a.KeyText, b.Signature+b.KeyText)
	})
	for i := range all {
		if !all[i].Retracted {
			sum.Warnings = append(sum.Warnings, outcomeOf(&all[i]))
		}
	}
	sum.Digest = matcher.DigestWarnings(all)
	err := p.print(sum, func(w io.Writer) error {
		if err := outcomeTable(w, sum.Warnings, p.style().Location); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s, digest %s\n", plural(uint64(len(sum.Warnings)), "warning"), sum.Digest)
		return err
	})
	if err == nil && problem != nil {
		err = fmt.Errorf("the recording is not whole: %w; the above is what the rest of it gives", problem)
	}
	return err
}

func outcomeOf(w *matcher.Warning) outcome {
	stages := 0
	for _, r := range w.Reached {
		if r.Stage != "incident" {
			stages++
		}
	}
	o := outcome{
		Signature: w.Signature, Key: w.KeyText, State: w.State, Stages: fmt.Sprintf("%d of %d", stages, w.Total), Opened: w.Opened,
	}
	if w.Incident != nil {
		o.Lead = w.Lead.Round(time.Second).String()
	}
	return o
}

func outcomeTable(w io.Writer, all []outcome, zone *time.Location) error {
	rows := [][]string{{"OPENED", "SIGNATURE", "KEY", "STAGES", "STATE", "LEAD"}}
	for _, o := range all {
		rows = append(rows, []string{o.Opened.In(zone).Format("2006-01-02 15:04:05"), o.Signature, o.Key, o.Stages, string(o.State), o.Lead})
	}
	return table(w, rows)
}
