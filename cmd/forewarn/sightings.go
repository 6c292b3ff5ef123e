package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

func newSightings(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "sightings",
		Aliases: []string{"sighting"},
		Short:   "What finished warnings tell: how far they got, how long it took, what helped",
	}
	c.AddCommand(newSightingsShow(g), newSightingsExport(g), newSightingsImport(g), newScorecard(g))
	return c
}

// opened is what a command reads and writes of a running forewarn.
type opened struct {
	stream *stream.Stream
	keeper *sightings.Keeper
	book   *sightings.Book
}

// withSightings calls do with the book of a running forewarn.
func (g *globals) withSightings(ctx context.Context, f *settingsFlags, do func(context.Context, *settings, opened) error) (err error) {
	s, err := f.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	st, err := g.connect(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	book := &sightings.Book{}
	k, err := keeperOf(ctx, st, book)
	if err != nil {
		return err
	}
	k.Log = g.log
	if err := k.Open(ctx); err != nil {
		return err
	}
	return do(ctx, &s, opened{st, k, book})
}

// idsByDigest names the signatures that this machine has by their digests.
func idsByDigest(s *settings) map[string]string {
	var builtin *signatures.Set
	if !s.NoCatalog {
		builtin, _ = signatures.LoadFS(catalog.FS, signatures.Options{}) // what is wrong with one is `signature lint`'s
	}
	own, _ := signatures.Load(s.Signatures, signatures.Options{})
	ids := map[string]string{}
	for _, x := range signatures.Merge(builtin, own).All() {
		d := x.Digest()
		ids[hex.EncodeToString(d[:])] = x.ID
	}
	return ids
}

func newSightingsShow(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "show [SIGNATURE...]",
		Short: "List what is known of signatures, or tell it step by step",
		Long: `show lists for each signature how many of its warnings are over, here and in the other clusters whose sightings are shared or were imported, and how
they ended. With signatures it tells for each stage how long it took to the next one and to the incident: the interval of 80 %, and of how many.`,
		ValidArgsFunction: completeIDs,
		RunE: func(c *cobra.Command, ids []string) error {
			return g.withSightings(c.Context(), &f, func(_ context.Context, s *settings, o opened) error {
				all := o.book.Summaries(idsByDigest(s))
				if len(ids) > 0 {
					chosen, err := chooseSummaries(all, ids)
					if err != nil {
						return err
					}
					all = chosen
				}
				return g.print(all, func(w io.Writer) error {
					if len(ids) == 0 {
						return summaryTable(w, all)
					}
					for i := range all {
						if err := tellSummary(w, &all[i]); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
	f.flags(c.Flags())
	return c
}

func chooseSummaries(all []sightings.Summary, ids []string) (chosen []sightings.Summary, err error) {
	for _, id := range ids {
		found := false
		for i := range all {
			if all[i].Signature == id || len(id) >= 8 && strings.HasPrefix(all[i].Digest, id) {
				chosen, found = append(chosen, all[i]), true
			}
		}
		if !found {
			return nil, fmt.Errorf("nothing is known of %q: `forewarn sightings show` lists of what something is", id)
		}
	}
	return chosen, nil
}

func summaryName(s *sightings.Summary) string {
	if s.Signature != "" {
		return s.Signature
	}
	return "(unknown " + s.Digest[:12] + ")"
}

func summaryTable(w io.Writer, all []sightings.Summary) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no warning is over yet, and no sightings were shared or imported")
		return err
	}
	rows := [][]string{{"SIGNATURE", "HERE", "INCIDENTS", "AVERTED", "EXPIRED", "ELSEWHERE", "INCIDENTS", "CLUSTERS", "LEAD"}}
	for i := range all {
		s := &all[i]
		lead := "-"
		if s.Lead != nil {
			lead = secondsText(*s.Lead)
		}
		n := func(x uint64) string { return strconv.FormatUint(x, 10) }
		rows = append(rows, []string{
			summaryName(s), n(s.Here.Reached), n(s.Here.Incident), n(s.Here.Averted), n(s.Here.Expired),
			n(s.Elsewhere.Reached), n(s.Elsewhere.Incident), strconv.Itoa(s.Clusters), lead,
		})
	}
	return table(w, rows)
}

func tellSummary(w io.Writer, s *sightings.Summary) error {
	rows := [][]string{{"STAGES", "SEEN", "INCIDENTS", "AVERTED", "EXPIRED", "TO THE NEXT", "TO THE INCIDENT"}}
	for _, x := range s.Steps {
		rows = append(rows, []string{
			strconv.Itoa(x.Stage), strconv.FormatUint(x.Past.Reached, 10), strconv.FormatUint(x.Past.Incident, 10), strconv.FormatUint(x.Past.Averted, 10),
			strconv.FormatUint(x.Past.Expired, 10), timesText(x.Next), timesText(x.ToIncident),
		})
	}
	if _, err := fmt.Fprintf(w, "%s, digest %s\n  %d here, %d in %s\n", summaryName(s), s.Digest[:12], s.Here.Reached, s.Elsewhere.Reached, plural(uint64(s.Clusters), "other cluster")); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if err := table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func timesText(t *sightings.Times) string {
	if t == nil {
		return "no forecast yet"
	}
	end := "no end seen"
	if t.Late > 0 {
		end = secondsText(t.Late)
	}
	return fmt.Sprintf("%s (%s to %s, of %d)", secondsText(t.Typical), secondsText(t.Early), end, t.Of)
}

func secondsText(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Minute:
		d = d.Round(time.Second)
	case d < time.Hour:
		d = d.Round(10 * time.Second)
	default:
		d = d.Round(time.Minute)
	}
	return signatures.Duration(d).String()
}

func newSightingsExport(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write what was counted, for another cluster to import",
		Long: `export writes what this cluster counted, and what it knows of others, as JSON: to FILE, or to stdout. It holds digests of signatures, a random number for
each cluster, months, minor versions of Kubernetes, counts, and durations to a tenth of them: no name, no address, no text, no time of day. It may be imported
by any number of clusters, in any order and again: nothing counts twice.`,
		Example: `  forewarn sightings export | ssh other forewarn sightings import -
  forewarn sightings export sightings.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.withSightings(c.Context(), &f, func(_ context.Context, _ *settings, o opened) error {
				all := o.book.Tallies()
				if len(args) == 0 || args[0] == "-" {
					return sightings.Write(g.out, all)
				}
				var out bytes.Buffer
				if err := sightings.Write(&out, all); err != nil {
					return err
				}
				if err := os.WriteFile(args[0], out.Bytes(), 0o600); err != nil {
					return fmt.Errorf("write sightings: %w", err)
				}
				_, _ = fmt.Fprintf(g.err, "%s written to %s\n", plural(uint64(len(all)), "count"), args[0])
				return nil
			})
		},
	}
	f.connection(c.Flags())
	return c
}

// imported is what an import did.
type imported struct {
	File  string `json:"file"`
	Read  int    `json:"read"`
	Taken int    `json:"taken"` // those that were new or newer than what was known
}

func newSightingsImport(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Take what other clusters counted",
		Long: `import takes a file that forewarn sightings export wrote elsewhere. What is known already changes nothing, so a file may be imported again. A file that is not as it should
be is refused as a whole, with the place and the mend (exit code 4).`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in, name := g.in, "standard input"
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("read sightings: %w", err)
				}
				defer func() { _ = file.Close() }() // it was only read
				in, name = file, args[0]
			}
			all, err := sightings.Read(name, in)
			if err != nil {
				return exitError{exitRefused, err}
			}
			return g.withSightings(c.Context(), &f, func(ctx context.Context, _ *settings, o opened) error {
				taken, err := o.keeper.Import(ctx, all)
				if err != nil {
					return err
				}
				return g.print(imported{name, len(all), taken}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s read from %s, %d new or newer than what was known\n", plural(uint64(len(all)), "count"), name, taken)
					return err
				})
			})
		},
	}
	f.connection(c.Flags())
	return c
}

func newScorecard(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "scorecard [SIGNATURE...]",
		Short: "How well each signature serves here: right or not, how early, how noisy, and what to do with it",
		Long: `scorecard tells for each signature whose warnings are over in this cluster: how many were right of those that are known to be right or wrong (an incident, or somebody
said what averted it; a false alarm, as people said) with the interval of 95 %, the median lead before incidents, the warnings a week that nobody found right, and whether to keep,
tune or retire it, and why. What people say comes by forewarn feedback and by the console.`,
		ValidArgsFunction: completeIDs,
		RunE: func(c *cobra.Command, ids []string) error {
			return g.withSightings(c.Context(), &f, func(_ context.Context, _ *settings, o opened) error {
				cards, err := chooseCards(o.book.Scorecards(), ids)
				if err != nil {
					return err
				}
				return g.print(cards, func(w io.Writer) error { return cardTable(w, cards) })
			})
		},
	}
	f.connection(c.Flags())
	return c
}

func chooseCards(all []sightings.Scorecard, ids []string) ([]sightings.Scorecard, error) {
	if len(ids) == 0 {
		return append([]sightings.Scorecard{}, all...), nil
	}
	var chosen []sightings.Scorecard
	for _, id := range ids {
		n := len(chosen)
		for i := range all {
			if all[i].Signature == id {
				chosen = append(chosen, all[i])
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("no warning of %q is over here: `forewarn sightings scorecard` lists of which one is", id)
		}
	}
	return chosen, nil
}

func cardTable(w io.Writer, cards []sightings.Scorecard) error {
	if len(cards) == 0 {
		_, err := fmt.Fprintln(w, "no warning is over yet")
		return err
	}
	rows := [][]string{{"SIGNATURE", "FINISHED", "RIGHT", "WRONG", "PRECISION", "LEAD", "NOISE A WEEK", "ADVICE", "REASON"}}
	for i := range cards {
		s := &cards[i]
		precision, lead := "unknown", "-"
		if s.Precision != nil {
			precision = fmt.Sprintf("%.0f %% (%.0f to %.0f)", 100**s.Precision, 100*s.Low, 100*s.High)
		}
		if s.Lead != nil {
			lead = secondsText(*s.Lead)
		}
		rows = append(rows, []string{
			s.Signature, strconv.FormatUint(s.Finished, 10), strconv.FormatUint(s.Right, 10), strconv.FormatUint(s.Wrong, 10), precision, lead,
			strconv.FormatFloat(s.Noise, 'f', 1, 64), string(s.Advice), s.Reason,
		})
	}
	return table(w, rows)
}

// findWarning returns the warning whose id begins so.
func findWarning(ws []matcher.Warning, id string) (*matcher.Warning, error) {
	var found *matcher.Warning
	for i := range ws {
		if !strings.HasPrefix(ws[i].ID, id) || ws[i].Retracted {
			continue
		}
		if found != nil && found.ID != ws[i].ID {
			return nil, usage("%q begins the ids of several warnings, such as %s and %s: write more of it", id, found.ID, ws[i].ID)
		}
		found = &ws[i]
	}
	if found == nil {
		return nil, fmt.Errorf("there is no warning %q: `forewarn warnings --all` lists them", id)
	}
	return found, nil
}
