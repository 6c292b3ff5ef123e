package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

func newFeedback(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "feedback",
		Short: "Say what became of a warning: it feeds forecasts, remedies and scorecards",
	}
	c.AddCommand(
		newVerdict(g, sightings.Acknowledged, &cobra.Command{
			Use: "ack WARNING", Aliases: []string{"acknowledge"}, Short: "Somebody is at it; --by names what is being tried",
			Example: "  forewarn feedback ack 00c0ffee",
		}),
		newVerdict(g, sightings.FalseAlarm, &cobra.Command{
			Use: "false-alarm WARNING", Short: "Nothing was about to happen",
			Example: "  forewarn feedback false-alarm 00c0ffee --note planned",
		}),
		newVerdict(g, sightings.AvertedBy, &cobra.Command{
			Use: "averted WARNING --by REMEDY", Short: "Something was done, and it helped",
			Long: `averted says what helped: the number of a remedy as the warning lists it, its risk class, how its text begins, or your own words. What is in the signature's list counts
for other clusters too, by its number; your own words stay here.`,
			Example: "  forewarn feedback averted 00c0ffee --by 2\n  forewarn feedback averted 00c0ffee --by restart",
		}),
		newFeedbackShow(g),
	)
	return c
}

func newVerdict(g *globals, v sightings.Verdict, c *cobra.Command) *cobra.Command {
	var f settingsFlags
	said := sightings.Feedback{Verdict: v}
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if v == sightings.AvertedBy && said.Remedy == "" {
			return usage("averted by what? --by names the remedy, or says in your own words what was done")
		}
		return g.withSightings(c.Context(), &f, func(ctx context.Context, _ *settings, o opened) error {
			ws, err := pipeline.Latest(ctx, o.stream)
			if err != nil {
				return err
			}
			x := said
			w, err := findWarning(ws, args[0])
			switch {
			case err == nil:
				x.Warning, x.Remedy = w.ID, sightings.FindRemedy(w.Remedies, said.Remedy)
			case o.book.Counted(args[0]): // the stream forgot it, and the sightings did not
				x.Warning = args[0]
			default:
				return err
			}
			x.Time = time.Now().UTC()
			if err := o.book.Give(ctx, x); err != nil {
				return err
			}
			return g.print(x, func(out io.Writer) error {
				text := string(x.Verdict)
				if x.Remedy != "" {
					text += " by " + x.Remedy
				}
				_, err := fmt.Fprintf(out, "%s: %s, as %s says\n", x.Warning, text, x.By)
				return err
			})
		})
	}
	f.connection(c.Flags())
	if v != sightings.FalseAlarm {
		c.Flags().StringVar(&said.Remedy, "by", "", "the remedy: its number, its risk class, how it begins, or your own words")
	}
	c.Flags().StringVar(&said.Note, "note", "", "what else there is to say; it never leaves the cluster")
	c.Flags().StringVar(&said.By, "as", "", "who says so (default: you); it never leaves the cluster")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if said.By == "" {
			said.By = whoAmI()
		}
		return run(c, args)
	}
	return c
}

func whoAmI() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return os.Getenv("USER")
}

func newFeedbackShow(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "show WARNING",
		Short: "What people said of a warning",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.withSightings(c.Context(), &f, func(ctx context.Context, _ *settings, o opened) error {
				ws, err := pipeline.Latest(ctx, o.stream)
				if err != nil {
					return err
				}
				id := args[0]
				if w, err := findWarning(ws, id); err == nil {
					id = w.ID
				} else if !o.book.Counted(id) {
					return err
				}
				all := append([]sightings.Feedback{}, o.book.Feedback(id)...)
				return g.print(all, func(out io.Writer) error { return feedbackTable(out, all, g.style()) })
			})
		},
	}
	f.connection(c.Flags())
	return c
}

func feedbackTable(out io.Writer, all []sightings.Feedback, style notify.Style) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "nobody has said anything of it yet")
		return err
	}
	rows := [][]string{{"TIME", "WHO", "SAYS", "REMEDY", "NOTE"}}
	for _, x := range all {
		rows = append(rows, []string{x.Time.In(style.Location).Format("2006-01-02 15:04"), x.By, string(x.Verdict), x.Remedy, x.Note})
	}
	return table(out, rows)
}

// shownWarnings are the warnings of a running forewarn as people are shown them.
func shownWarnings(ctx context.Context, s *settings, o opened) ([]matcher.Warning, error) {
	ws, err := pipeline.Latest(ctx, o.stream)
	for i := range ws {
		dress(&ws[i], o.book, s.consoleURL())
	}
	return ws, err
}
