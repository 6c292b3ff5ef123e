package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/notify"
)

func newSilence(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "silence",
		Short: "Hold back warnings for a time, without losing them",
		Long: `A silenced warning is followed, counted and shown by forewarn status as ever, and no destination is told of it. What is still open when the silence
ends is told then. Silences are kept in NATS, where every process sees them.`,
	}
	c.AddCommand(newSilenceAdd(g), newSilenceList(g), newSilenceExpire(g))
	return c
}

func newSilenceAdd(g *globals) *cobra.Command {
	var f settingsFlags
	var start, end, by, comment string
	var lasts time.Duration
	c := &cobra.Command{
		Use:   "add MATCHER...",
		Short: "Silence the warnings that meet all matchers",
		Long: `add silences the warnings that meet all matchers: label=value, label!=value, label=~expression or label!~expression, where an expression matches the whole value.
Labels are signature, severity, state, stage, cluster, namespace, node, pod, container, workload, volume, component, id and every part of the key by its name. The id of the
new silence is printed.`,
		Example: `  forewarn silence add --for 2h --comment "new disks" node=worker-3
  forewarn silence add --start 2026-12-01T22:00:00Z --end 2026-12-02T04:00:00Z --comment "upgrade" 'namespace=~"pay.*"' severity!=critical`,
		RunE: func(c *cobra.Command, matchers []string) error {
			now := time.Now()
			s := notify.Silence{Match: matchers, By: by, Comment: comment, Start: now}
			var err error
			if start != "" {
				if s.Start, err = time.Parse(time.RFC3339, start); err != nil {
					return usage("--start %q: write a time like 2026-12-01T22:00:00Z", start)
				}
			}
			switch {
			case (end == "") == (lasts == 0):
				return usage("give either --for, such as --for 2h, or --end")
			case lasts < 0:
				return usage("--for %s: a duration cannot be negative", lasts)
			case end != "":
				if s.End, err = time.Parse(time.RFC3339, end); err != nil {
					return usage("--end %q: write a time like 2026-12-02T04:00:00Z", end)
				}
			default:
				s.End = s.Start.Add(lasts)
			}
			if s, err = notify.NewSilence(s, now.UTC()); err != nil {
				return usage("%w", err)
			}
			return g.withStream(c.Context(), &f, func(ctx context.Context, st *stream.Stream) error {
				if err := putSilence(ctx, st, &s); err != nil {
					return err
				}
				if err := sweepSilences(ctx, st, now); err != nil {
					_, _ = fmt.Fprintln(g.err, "forewarn: old silences were not removed:", err)
				}
				return g.print(&s, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, s.ID)
					return err
				})
			})
		},
	}
	f.connection(c.Flags())
	c.Flags().StringVar(&start, "start", "", "when it begins (RFC 3339); now without it")
	c.Flags().StringVar(&end, "end", "", "when it ends (RFC 3339)")
	spanVar(c.Flags(), &lasts, "for", 0, "how long it lasts, such as 2h; instead of --end")
	c.Flags().StringVar(&by, "by", whoAmI(), "who silences")
	c.Flags().StringVar(&comment, "comment", "", "why; whoever is told when it ends reads it")
	c.Flags().Lookup("by").DefValue = "the user's name"
	return c
}

func newSilenceList(g *globals) *cobra.Command {
	var f settingsFlags
	var expired bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the silences that hold, and those that are to come",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return g.withStream(c.Context(), &f, func(ctx context.Context, st *stream.Stream) error {
				kept, err := silencesOf(ctx, st)
				if err != nil {
					return err
				}
				kept.tellDamaged(g.err)
				now := time.Now()
				list := []notify.Silence{}
				for _, s := range kept.list {
					if expired || s.State(now) != "expired" {
						list = append(list, s)
					}
				}
				return g.print(list, func(w io.Writer) error {
					if len(list) == 0 {
						_, err := fmt.Fprintln(w, "nothing is silenced")
						return err
					}
					rows := [][]string{{"ID", "STATE", "ENDS", "BY", "MATCHERS", "COMMENT"}}
					for _, s := range list {
						rows = append(rows, []string{s.ID, s.State(now), s.End.In(g.style().Location).Format("2006-01-02 15:04:05"), s.By, strings.Join(s.Match, " "), s.Comment})
					}
					return table(w, rows)
				})
			})
		},
	}
	f.connection(c.Flags())
	c.Flags().BoolVar(&expired, "expired", false, "those that ended in the last five days, too")
	return c
}

func newSilenceExpire(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "expire ID...",
		Short: "End silences now; what they held back and is open is told",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, ids []string) error {
			return g.withStream(c.Context(), &f, func(ctx context.Context, st *stream.Stream) error {
				kept, err := silencesOf(ctx, st)
				if err != nil {
					return err
				}
				all, now := kept.list, time.Now().UTC()
				var chosen []notify.Silence
				var damaged []string
				for _, id := range ids { // all or none
					if kept.damaged[id] != nil {
						damaged = append(damaged, id)
						continue
					}
					i := slices.IndexFunc(all, func(s notify.Silence) bool { return s.ID == id })
					switch {
					case i < 0:
						return usage("there is no silence %q: see `forewarn silence list`", id)
					case all[i].State(now) == "expired":
						return usage("silence %s has ended already, at %s", id, all[i].End.UTC().Format(time.RFC3339))
					}
					chosen = append(chosen, all[i])
				}
				for _, s := range chosen {
					if s.End = now; s.Start.After(now) {
						s.Start = now
					}
					if err := putSilence(ctx, st, &s); err != nil {
						return err
					}
				}
				if err := st.RemoveSilences(ctx, damaged...); err != nil {
					return err
				}
				_, err = fmt.Fprintf(g.err, "%s ended\n", plural(uint64(len(ids)), "silence"))
				return err
			})
		},
	}
	f.connection(c.Flags())
	return c
}

// withStream connects to the stream of a running forewarn for a moment.
func (g *globals) withStream(ctx context.Context, f *settingsFlags, do func(ctx context.Context, st *stream.Stream) error) error {
	s, err := f.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	st, err := g.connect(ctx, s)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, st), st.Close())
}

func putSilence(ctx context.Context, st *stream.Stream, s *notify.Silence) error {
	b, err := s.Encode()
	if err != nil {
		return err
	}
	return st.PutSilence(ctx, s.ID, b)
}

// keptSilences are the silences that are kept: the one that ends first in front, and why others, by their ids, cannot be read.
type keptSilences struct {
	list    []notify.Silence
	damaged map[string]error
}

// silencesOf returns all silences that are kept.
func silencesOf(ctx context.Context, st *stream.Stream) (keptSilences, error) {
	raw, err := st.Silences(ctx)
	if err != nil {
		return keptSilences{}, err
	}
	return decodeSilences(raw), nil
}

func decodeSilences(raw map[string][]byte) keptSilences {
	k := keptSilences{damaged: map[string]error{}}
	for _, id := range slices.Sorted(maps.Keys(raw)) {
		s, err := notify.DecodeSilence(raw[id])
		if err != nil {
			k.damaged[id] = err
			continue
		}
		k.list = append(k.list, s)
	}
	slices.SortStableFunc(k.list, func(a, b notify.Silence) int { return a.End.Compare(b.End) })
	return k
}

// tellDamaged says which silences hold nothing back.
func (k *keptSilences) tellDamaged(w io.Writer) {
	for _, id := range slices.Sorted(maps.Keys(k.damaged)) {
		_, _ = fmt.Fprintf(w, "forewarn: silence %s cannot be read and holds nothing back: `forewarn silence expire %s` removes it: %v\n", id, id, k.damaged[id])
	}
}

// sweepSilences removes those that ended long ago.
func sweepSilences(ctx context.Context, st *stream.Stream, now time.Time) error {
	kept, err := silencesOf(ctx, st)
	if err != nil {
		return err
	}
	var old []string
	for _, s := range kept.list {
		if now.Sub(s.End) > notify.SilenceKeep {
			old = append(old, s.ID)
		}
	}
	return st.RemoveSilences(ctx, old...)
}

// silences are those of now, as a process that delivers knows them.
type silences struct {
	list atomic.Pointer[[]notify.Silence]
}

func (s *silences) now() []notify.Silence {
	if l := s.list.Load(); l != nil {
		return *l
	}
	return nil
}

// openSilences reads the silences, so that nothing is told that is silenced.
func (p *process) openSilences(ctx context.Context) error {
	raw, err := p.stream.Silences(ctx)
	if err != nil {
		return err
	}
	p.takeSilences(raw)
	return nil
}

// takeSilences replaces the silences that are known. One that cannot be read holds nothing back.
func (p *process) takeSilences(raw map[string][]byte) {
	kept := decodeSilences(raw)
	for id, err := range kept.damaged {
		p.log.Warn("a silence cannot be read and holds nothing back: expire it and add it again", "silence", id, "error", err)
	}
	p.silences.list.Store(&kept.list)
}

// watchSilences follows the silences until ctx ends.
func (p *process) watchSilences(ctx context.Context) error {
	return p.stream.WatchSilences(ctx, p.takeSilences)
}
