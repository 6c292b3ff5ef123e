package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
	"github.com/forewarn/forewarn/signatures/cre"
)

func newBlindSpots(g *globals) *cobra.Command {
	var (
		f   settingsFlags
		all bool
	)
	c := &cobra.Command{
		Use:   "blindspots [FILE...|-]",
		Short: "Tell which signatures cannot fire here, because an input was never seen, and which",
		Long: `blindspots asks the running forewarn which records it was given so far, and tells of each signature whether it can fire here: it cannot when a stage
needs logs of a component, a metric or a kind of record that never comes. What is missing is listed first, that which opens most eyes at the top.

With files it looks at their records instead, and tells what could be recognised in them; no forewarn need run.

An event, an alert or a change that never came is no blind spot while a source gives such records: that it is rare is the point.`,
		Example: `  forewarn signature blindspots
  forewarn signature blindspots -o json | jq '.gaps[].need'
  forewarn signature blindspots support-bundle/`,
		RunE: func(c *cobra.Command, files []string) error {
			s, err := f.load()
			if err != nil {
				return err
			}
			set, problems := s.signatureSet()
			for _, p := range signatures.Errors(problems) {
				_, _ = fmt.Fprintln(g.err, p.Error())
			}
			given, err := g.given(c.Context(), s, files)
			if err != nil {
				return err
			}
			b := console.FindBlindSpots(set.All(), given)
			return g.print(b, func(w io.Writer) error { return blindSpotsText(w, b, all) })
		},
	}
	f.flags(c.Flags())
	c.Flags().BoolVar(&all, "all", false, "list those that can fire, too")
	return c
}

// signatureSet reads the signatures that the settings arm.
func (s *settings) signatureSet() (*signatures.Set, []signatures.Problem) {
	var builtin *signatures.Set
	var problems []signatures.Problem
	if !s.NoCatalog {
		builtin, problems = signatures.LoadFS(catalog.FS, signatures.Options{})
	}
	own, more := signatures.Load(s.Signatures, signatures.Options{Foreign: cre.Options{Sources: s.Sources}.Read})
	return signatures.Merge(builtin, own), append(problems, more...)
}

// given says what is given to see: in files, or to the running processes.
func (g *globals) given(ctx context.Context, s settings, files []string) (console.Given, error) {
	if len(files) > 0 {
		return givenIn(ctx, collector.Options{Paths: files, Stdin: g.in})
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	st, err := g.connect(ctx, s)
	if err != nil {
		return console.Given{}, err
	}
	defer func() { _ = st.Close() }() // nothing is under way
	raw, err := st.Statuses(ctx)
	if err != nil {
		return console.Given{}, err
	}
	var o overview
	if err := o.decode(raw); err != nil {
		return console.Given{}, err
	}
	given := console.GivenOf(time.Now(), o.Processes)
	if given.Processes == 0 {
		return given, errors.New("no matching process has told what it sees: is `forewarn run` or `forewarn match` running, and of this version?")
	}
	return given, nil
}

// givenIn says what files hold. All of it was looked at, so that nothing is left open.
func givenIn(ctx context.Context, o collector.Options) (console.Given, error) {
	files, err := collector.Open(o)
	if err != nil {
		return console.Given{}, err
	}
	defer func() { _ = files.Close() }() // it only reads
	now := time.Now()
	census := pipeline.NewCensus(func() time.Time { return now })
	counter := census.Counter()
	given := console.Given{Now: now, Processes: 1, Whole: true}
	var batch record.Batch
	for {
		frame, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return given, err
		}
		if err := batch.Decode(frame); err != nil {
			return given, fmt.Errorf("decode a batch of %d bytes: %w: this is a fault of forewarn, please report it", len(frame), err)
		}
		given.Kinds |= batch.Header().Kinds
		counter.Count(&batch)
	}
	if read := files.Stats(); read.Records == 0 {
		return given, errors.New("the input held no record: check that it is a log, a dump of kubectl or a scrape")
	}
	given.Seen = *census.Seen()
	return given, nil
}

// blindSpotsText writes what is missing, and then the signatures that are short of it.
func blindSpotsText(w io.Writer, b *console.BlindSpots, all bool) error {
	var text strings.Builder
	for _, v := range console.Verdicts() {
		if n := b.Counts[string(v)]; n > 0 {
			fmt.Fprintf(&text, "%d %s  ", n, verdictWord(v))
		}
	}
	if _, err := fmt.Fprintln(w, strings.TrimSpace(text.String())); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if len(b.Gaps) > 0 {
		rows := [][]string{{"MISSING", "SIGNATURES", "WHAT IS KNOWN"}}
		for _, g := range b.Gaps {
			rows = append(rows, []string{g.Need, strconv.Itoa(len(g.Signatures)), g.Says})
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		if err := table(w, rows); err != nil {
			return err
		}
	}
	rows := [][]string{{"SIGNATURE", "SEVERITY", "HERE", "WHY"}}
	for _, s := range b.Spots {
		if s.Verdict == console.CanFire && !all {
			continue
		}
		why := strings.Join(s.Says, "; ")
		if s.Verdict == console.NotTested {
			why = firstDoubt(&s)
		}
		rows = append(rows, []string{s.Signature, string(s.Severity), verdictWord(s.Verdict), why})
	}
	if len(rows) == 1 {
		_, err := fmt.Fprintln(w, "every signature can fire here")
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return table(w, rows)
}

// firstDoubt is the first thing that is not known of a signature.
func firstDoubt(s *console.Spot) string {
	for _, r := range s.Roles {
		for _, n := range r.Needs {
			if n.Sight == console.Untested {
				return n.Need + ": " + n.Says
			}
		}
	}
	return ""
}

func verdictWord(v console.Verdict) string {
	switch v {
	case console.CannotFire:
		return "cannot fire"
	case console.SeesPart:
		return "sees a part"
	case console.NotTested:
		return "not known"
	default:
		return "can fire"
	}
}
