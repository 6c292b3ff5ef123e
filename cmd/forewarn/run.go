package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/matcher/store"
)

// roles say what a process does.
type roles struct{ collect, match, notify, console bool }

// everything is the role of `forewarn run`; it serves the console where the configuration says so.
var everything = roles{true, true, true, true}

func newRun(g *globals) *cobra.Command {
	return newRole(g, everything, &cobra.Command{
		Use:   "run [FILE...]",
		Short: "Run everything in one process: collect, match and notify",
		Long: `run follows the files of the configuration and of the command line, collects what the configuration lists under collect, takes JSON records from the intake subject
forewarn.intake, matches everything against the signatures and delivers warnings. NATS is embedded unless --nats names one.
It stops on SIGTERM after it has finished what is under way.`,
		Example: `  forewarn run /var/log/pods
  forewarn run -c forewarn.yaml`,
	})
}

func newCollect(g *globals) *cobra.Command {
	return newRole(g, roles{collect: true}, &cobra.Command{
		Use:   "collect [FILE...]",
		Short: "Run collectors only, for a NATS that others match from",
		Long: `collect follows files and what the configuration lists under collect, and publishes the records to an existing NATS (--nats). Any number of them
may run: what one process a cluster collects is agreed on by a Lease.`,
	})
}

func newMatch(g *globals) *cobra.Command {
	return newRole(g, roles{match: true}, &cobra.Command{
		Use:   "match",
		Short: "Run the matcher only, on an existing NATS",
		Long: `match takes records from an existing NATS (--nats) and raises warnings there. Any number of them may run, each with a
--data-dir of its own; the server gives every partition to one of them and moves it when that one goes.`,
		Args: cobra.NoArgs,
	})
}

func newNotify(g *globals) *cobra.Command {
	c := newRole(g, roles{notify: true}, &cobra.Command{
		Use:   "notify",
		Short: "Deliver warnings only, from an existing NATS",
		Long: `notify delivers the warnings of an existing NATS (--nats) to the destinations of the configuration, or to the terminal. Several may
run; each destination is served by one of them.`,
		Args: cobra.NoArgs,
	})
	c.AddCommand(newNotifyTest(g), newNotifyPreview(g), newNotifyRoute(g))
	return c
}

func newRole(g *globals, r roles, c *cobra.Command) *cobra.Command {
	var f settingsFlags
	var listen, consoleAt string
	var dryRun bool
	f.flags(c.Flags())
	if r.console {
		c.Flags().StringVar(&consoleAt, "console", "", "serve the web console there, such as 127.0.0.1:9465")
	}
	c.Flags().StringVar(&listen, "listen", "", "serve /metrics, /healthz and /readyz there, such as 127.0.0.1:9464")
	if r == (roles{collect: true}) {
		c.Flags().BoolVar(&dryRun, "dry-run", false, "print the records as JSON lines instead of sending them")
	}
	c.RunE = func(c *cobra.Command, files []string) error {
		s, err := f.load()
		if err != nil {
			return err
		}
		for _, path := range files {
			s.Files = append(s.Files, fileSettings{Path: path})
		}
		if listen != "" {
			if err := checkListen(listen); err != nil {
				return usage("--listen: %w: %s", err, mendListen)
			}
			s.Listen = listen
		}
		if consoleAt != "" {
			s.Console.Listen = consoleAt
			if faults := s.Console.Check(); len(faults) > 0 {
				return usage("console.%s: %s: %s", faults[0].Path, faults[0].Message, faults[0].Mend)
			}
		}
		if r == (roles{console: true}) && s.Console.Listen == "" {
			return usage("where should the console be served? Name it with --console 127.0.0.1:9465, or set console.listen in the configuration")
		}
		if !dryRun && r != everything && s.NATS.URL == "" {
			return usage("a role of its own needs a NATS that all roles share: name it with --nats, or use `forewarn run`")
		}
		if r == (roles{collect: true}) && len(s.Files) == 0 && !s.Collect.any() {
			return usage("nothing to collect: name files, or list what to collect in the configuration, such as `files` (see forewarn config schema)")
		}
		if dryRun {
			return g.dryRun(c.Context(), &s)
		}
		served := r
		served.console = r.console && s.Console.Listen != ""
		p := &process{globals: g, settings: s, roles: served}
		return p.run(c.Context())
	}
	return c
}

// process is one running forewarn.
type process struct {
	*globals
	settings settings
	roles    roles
	// notifiers, if set, replace the configured destinations, by name.
	notifiers map[string]notify.Notifier
	// clock, if set, is what the console compares warnings with instead of the wall's.
	clock func() time.Time
	// feed, if set, is collected besides the configured files.
	feed func(ctx context.Context, publish *pipeline.Publisher) error

	registry   *prometheus.Registry
	stream     *stream.Stream
	store      *store.Store
	armory     *armory
	matcher    *pipeline.Matcher
	publish    *pipeline.Publisher
	deliveries []delivery
	silences   silences
	view       *console.View
	console    *console.Console

	book             *sightings.Book
	keeper           *sightings.Keeper
	factsOfSightings *foundFacts
	sharing          *sharing
}

// part is something that runs until its context ends and then finishes what is under way.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// run opens what the roles need, runs them until ctx ends or one of them fails, and closes everything.
func (p *process) run(ctx context.Context) (err error) {
	p.registry = prometheus.NewRegistry()
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBuildInfo(p.roles))
	if p.roles.match { // first, because it refuses a second process on the directory
		o := store.Options{Dir: p.settings.DataDir, Retention: time.Duration(p.settings.Retention), Logger: p.log}
		if p.store, err = store.Open(o); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.store.Close()) }()
	}
	so, err := p.settings.streams(p.globals)
	if err != nil {
		return err
	}
	if p.stream, err = stream.Open(ctx, so); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stream.Close()) }()
	if err := p.stream.EnsureStreams(ctx); err != nil {
		return err
	}
	parts, err := p.parts(ctx)
	if err != nil {
		return err
	}
	return p.supervise(ctx, parts)
}

// parts lists what runs, in the order of the flow backwards: whoever takes is there before whoever gives.
func (p *process) parts(ctx context.Context) ([]part, error) {
	var parts []part
	if p.settings.Listen != "" {
		parts = append(parts, part{"listen", p.serve})
	}
	shows := p.roles.console && p.settings.Console.Listen != ""
	if p.roles != (roles{collect: true}) { // whoever shows a warning
		if err := p.openSightings(ctx); err != nil {
			return nil, err
		}
		parts = append(parts, part{"sightings", p.runSightings})
	}
	if shows {
		if err := p.openConsole(ctx); err != nil {
			return nil, err
		}
		parts = append(parts, part{"console", p.runConsole})
	}
	if p.roles.notify {
		if err := p.openFeeds(ctx); err != nil {
			return nil, err
		}
		parts = append(parts, part{"notify", p.runNotify})
	}
	if p.roles.match {
		if err := p.newMatcher(ctx); err != nil {
			return nil, err
		}
		parts = append(parts, part{"match", p.matcher.Run}, part{"signatures", p.watchSignatures})
	}
	if p.roles.collect {
		var err error
		if p.publish, err = pipeline.NewPublisher(p.stream, p.settings.Send.InFlight, p.registry); err != nil {
			return nil, err
		}
		parts = append(parts, part{"collect", p.runCollect})
	}
	return parts, nil
}

// supervise runs the parts until ctx ends or one of them ends by itself, then stops them, the last first, so that what was
// taken in is matched and what was matched is told.
func (p *process) supervise(ctx context.Context, parts []part) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stops := make([]func() error, 0, len(parts))
	for _, x := range parts {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan error, 1)
		go func() {
			err := x.run(own)
			if err != nil {
				err = fmt.Errorf("%s: %w", x.name, err)
				fail(err)
			}
			ended <- err
		}()
		stops = append(stops, func() error {
			cancel()
			return <-ended
		})
	}
	p.log.Info("running", "data_dir", p.settings.DataDir, "nats", cmp.Or(stream.Places(p.settings.NATS.URL), "embedded"))
	<-ctx.Done()
	p.log.Info("stopping: what is under way is finished first")
	cause := context.Cause(ctx)
	var all []error
	for _, stop := range slices.Backward(stops) {
		// That a part was stopped because another one failed is no error of its own.
		if err := stop(); !errors.Is(err, context.Canceled) || errors.Is(err, cause) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// newMatcher loads and compiles the signatures and makes the matcher.
func (p *process) newMatcher(ctx context.Context) error {
	tracking, err := p.settings.tracking()
	if err != nil {
		return err
	}
	secrets, err := collector.NewSecrets(p.settings.Secrets)
	if err != nil {
		return err
	}
	p.armory = &armory{globals: p.globals, store: p.store, settings: &p.settings}
	if p.settings.Resources {
		if p.armory.cluster, err = p.openCluster(ctx); err != nil {
			return err
		}
	}
	p.armory.found = p.openFacts(ctx)
	program, refused := p.armory.open()
	p.matcher, err = pipeline.New(pipeline.Config{
		Stream: p.stream, Store: p.store, Program: program, Refused: refused, Tracker: tracking, Intake: true, Clean: secrets.Cleaner(),
		IntakeAttrs: p.settings.attrs(), Version: version, Logger: p.log, Registerer: p.registry,
		Workers: p.settings.Match.Workers, Fetch: p.settings.Match.Fetch, Window: p.settings.Match.Window,
	})
	return err
}

// watchSignatures takes up signatures whose files change.
func (p *process) watchSignatures(ctx context.Context) error {
	return p.armory.watch(ctx, p.matcher.Swap)
}
