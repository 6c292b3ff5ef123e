package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
)

// newWarnings is for those who reach the stream; kubectl forewarn warnings asks through the API server.
func newWarnings(g *globals) *cobra.Command {
	var f settingsFlags
	var all bool
	c := &cobra.Command{
		Use:   "warnings",
		Short: "List the open warnings of a running forewarn",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return g.withSightings(c.Context(), &f, func(ctx context.Context, s *settings, o opened) error {
				ws, err := shownWarnings(ctx, s, o)
				if err != nil {
					return err
				}
				ws = slices.DeleteFunc(ws, func(w matcher.Warning) bool { return w.Retracted || !all && w.State.Final() })
				slices.SortFunc(ws, func(a, b matcher.Warning) int { return a.Opened.Compare(b.Opened) })
				kept, err := silencesOf(ctx, o.stream)
				if err != nil {
					return err
				}
				var held overview
				held.silence(ws, kept.list, s.windows(), time.Now())
				return g.print(filled(ws), func(w io.Writer) error {
					if len(ws) == 0 {
						_, err := fmt.Fprintln(w, "no open warning; forewarn status tells whether everything was seen")
						return err
					}
					return warningTable(w, ws, held.Silenced, g.style().Location)
				})
			})
		},
	}
	f.connection(c.Flags())
	c.Flags().BoolVarP(&all, "all", "a", false, "those that are over too")
	return c
}

func newExplainWarning(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "explain WARNING|SIGNATURE",
		Short: "Tell a warning of a running forewarn: how long there is, how often it got that far, what helped, and its evidence",
		Long: `explain tells the warning whose id begins so, or all warnings of a signature, with what finished warnings tell of it, here and in clusters whose sightings are shared.
forewarn signature explain tells a signature itself in words.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.withSightings(c.Context(), &f, func(ctx context.Context, s *settings, o opened) error {
				ws, err := shownWarnings(ctx, s, o)
				if err != nil {
					return err
				}
				chosen := slices.DeleteFunc(slices.Clone(ws), func(w matcher.Warning) bool { return w.Retracted || w.Signature != args[0] })
				if len(chosen) == 0 {
					w, err := findWarning(ws, args[0])
					if err != nil {
						return err
					}
					chosen = []matcher.Warning{*w}
				}
				slices.SortFunc(chosen, func(a, b matcher.Warning) int { return a.Opened.Compare(b.Opened) })
				return g.print(filled(chosen), func(w io.Writer) error {
					style := g.style()
					style.Evidence = 20
					var b strings.Builder
					for i := range chosen {
						b.WriteString(notify.Text(&chosen[i], style))
						if said := o.book.Feedback(chosen[i].ID); len(said) > 0 {
							if err := feedbackTable(&b, said, style); err != nil {
								return err
							}
						}
						b.WriteByte('\n')
					}
					_, err := io.WriteString(w, b.String())
					return err
				})
			})
		},
	}
	f.connection(c.Flags())
	return c
}

// filled is never nil, so that none is an empty list.
func filled(ws []matcher.Warning) []matcher.Warning {
	all := make([]matcher.Warning, 0, len(ws))
	for i := range ws {
		all = append(all, notify.Filled(&ws[i]))
	}
	return all
}
