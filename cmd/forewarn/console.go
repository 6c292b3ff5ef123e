package main

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

func newConsole(g *globals) *cobra.Command {
	return newRole(g, roles{console: true}, &cobra.Command{
		Use:   "console",
		Short: "Serve the web console only, from an existing NATS",
		Long: `console serves the pages that ` + "`forewarn run`" + ` serves too when console.listen is set: what is about to break, each warning with its evidence, and
how forewarn itself is. It reads all of that from an existing NATS (--nats); any number of them may run. Where it listens and who may see it stands in the configuration under console.`,
		Example: `  forewarn console --nats nats://nats:4222 --console 127.0.0.1:9465
  forewarn console -c forewarn.yaml`,
		Args: cobra.NoArgs,
	})
}

// checkConsole finds what is wrong with the console's settings.
func (s *settings) checkConsole(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	for _, f := range s.Console.Check() {
		problems = append(problems, place("console."+f.Path, f.Message, f.Mend))
	}
	return problems
}

// openConsole makes the console and opens its address.
func (p *process) openConsole(ctx context.Context) error {
	var err error
	p.view = &console.View{}
	p.console, err = console.New(console.Config{
		Options: p.settings.Console, View: p.view, Facts: consoleFacts{p}, Book: p.book, Archive: p.revisionsOf, Held: p.heldBy(p.settings.windows()), Now: p.clock, Log: p.log, Version: version,
		Arms: &consoleArms{p: p}, Scores: p.book.Scorecards, Runner: consoleRunner(ctx, p.globals),
	})
	if err != nil {
		return err
	}
	if !p.roles.notify {
		if err := p.openSilences(ctx); err != nil {
			return err
		}
	}
	if err := p.registry.Register(p.console); err != nil {
		return err
	}
	_, err = p.console.Listen(ctx)
	return err
}

// heldBy makes what says which silence or maintenance window keeps a warning from people, or "".
func (p *process) heldBy(windows []notify.Window) func(*matcher.Warning) string {
	return func(w *matcher.Warning) string {
		return notify.HeldBy(notify.LabelsOf(w), p.silences.now(), windows, time.Now())
	}
}

// revisionsOf reads all that WARNINGS still keeps of one warning.
func (p *process) revisionsOf(ctx context.Context, id string) (all []pipeline.Told, err error) {
	err = p.stream.Read(ctx, stream.Warnings, stream.WarningsSubject, 0, 0, func(m stream.Message) error {
		if !bytes.Contains(m.Data, []byte(id)) { // most are others', and are not decoded
			return nil
		}
		if told, err := pipeline.DecodeWarning(m.Data); err == nil && told.Warning.ID == id {
			all = append(all, told)
		}
		return nil
	})
	return all, err
}

// runConsole serves the console and tells it every warning.
func (p *process) runConsole(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.console.Run(ctx) })
	group.Go(func() error { return p.tellView(ctx) })
	if !p.roles.notify {
		group.Go(func() error { return p.watchSilences(ctx) })
	}
	return group.Wait()
}

// tellView reads WARNINGS from its beginning and follows it. While the stream does not answer the console shows what it knows.
func (p *process) tellView(ctx context.Context) error {
	next := uint64(0)
	for {
		err := p.stream.Follow(ctx, stream.Warnings, stream.WarningsSubject, next, func(m stream.Message) error {
			next = m.Seq + 1
			told, err := pipeline.DecodeWarning(m.Data)
			if err != nil {
				return nil //nolint:nilerr // the feeds of the destinations count and tell what is no warning
			}
			p.view.Tell(told)
			return nil
		}, p.view.CaughtUp)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		p.log.Warn("the console cannot follow the warnings; it is tried again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

// consoleFacts tells a console how forewarn is: of this process at first hand, of others by what they told.
type consoleFacts struct{ p *process }

// Health implements console.Facts.
func (f consoleFacts) Health(ctx context.Context) (console.Health, error) {
	var h console.Health
	raw, err := f.p.stream.Statuses(ctx)
	if err != nil {
		return h, err
	}
	var o overview
	if err := o.decode(raw); err != nil {
		return h, err
	}
	if f.p.matcher != nil {
		own := f.p.matcher.Status()
		for i := range o.Processes {
			if o.Processes[i].Instance == own.Instance {
				o.Processes = slices.Delete(o.Processes, i, i+1)
				break
			}
		}
		o.Processes = append([]pipeline.Status{own}, o.Processes...)
	}
	h.Processes, h.Collectors = o.Processes, o.Collectors
	infos, err := f.p.stream.Info(ctx)
	if err != nil {
		return h, err
	}
	waiting := map[string]uint64{}
	for _, i := range infos {
		h.Streams = append(h.Streams, console.Stream{Name: i.Stream, Messages: i.Messages, Bytes: i.Bytes, First: i.First})
		for _, c := range i.Consumers {
			waiting[c.Name] = c.Pending + uint64(c.Unacked)
		}
	}
	h.Destinations = destinationsOf(o.Deliveries)
	for i := range h.Destinations {
		h.Destinations[i].Waiting += waiting["notify-"+h.Destinations[i].Name]
	}
	now := time.Now()
	for _, s := range f.p.silences.now() {
		if s.Active(now) {
			h.Silences = append(h.Silences, console.Silence{ID: s.ID, Matches: strings.Join(s.Match, ", "), By: s.By, Comment: s.Comment, From: s.Start, Until: s.End})
		}
	}
	return h, nil
}

// destinationsOf sums over the processes that serve a destination, one at a time.
func destinationsOf(told []deliveryStatus) (all []console.Destination) {
	by := map[string]int{}
	for _, st := range told {
		for _, d := range st.Destinations {
			i, known := by[d.Name]
			if !known {
				i = len(all)
				by[d.Name] = i
				all = append(all, console.Destination{Name: d.Name})
			}
			m := &all[i]
			m.Delivered, m.Failed, m.Refused = m.Delivered+d.Delivered, m.Failed+d.Failed, m.Refused+d.Refused
			m.Waiting, m.Held = m.Waiting+uint64(d.Waiting), m.Held+uint64(d.Held)
			m.LastError = cmp.Or(m.LastError, d.LastError)
		}
	}
	slices.SortFunc(all, func(a, b console.Destination) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
