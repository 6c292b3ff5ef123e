package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	recorded "github.com/forewarn/forewarn/signatures/catalog/demo"
)

func newDemo(g *globals) *cobra.Command {
	var lasts time.Duration
	var consoleAt string
	c := &cobra.Command{
		Use:   "demo",
		Short: "See a genuine failure being forewarned; no cluster needed",
		Long: `demo starts everything in one process (an embedded NATS, the store, the matcher, a notifier) on a temporary directory, plays a genuine
recording of a cluster in trouble in fast time, and shows the ladders being climbed: a node under memory pressure, a crash loop, a quota that
stops a rollout. It ends with the lead time that each warning won. On a terminal it also serves the web console on this machine, and goes on until it is interrupted, so that
there is time to look around.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if lasts < 0 {
				return usage("--for %s: a duration cannot be negative", lasts)
			}
			d := &demo{globals: g, lasts: lasts, consoleAt: consoleAt}
			if err := d.chooseConsole(c.Context()); err != nil {
				return err
			}
			return d.run(c.Context())
		},
	}
	spanVar(c.Flags(), &lasts, "for", 15*time.Second, "how long the demo lasts; 0 plays it as fast as it can")
	c.Flags().StringVar(&consoleAt, "console", "", "serve the web console there until the demo is interrupted, or off (default on a terminal "+demoConsole+")")
	return c
}

// demo plays a recording through a whole forewarn.
type demo struct {
	*globals
	lasts time.Duration
	// consoleAt is where the console is served; empty for nowhere.
	consoleAt string
	began     atomic.Int64 // when playing began, in nanoseconds since 1970
	frames    [][]byte
	first     int64 // the first and last record's time
	last      int64
	want      string // the digest that an undisturbed run in one thread gives
}

func (d *demo) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "forewarn-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := d.read(ctx, dir); err != nil {
		return err
	}
	if err := d.rehearse(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.err, "A genuine recording of %s of a Kubernetes cluster, played in %s. Everything runs in this process.\n\n",
		time.Duration(d.last-d.first).Round(time.Second), d.lasts)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	quiet := *d.globals
	if quiet.logLevel == "info" {
		quiet.log = slog.New(slog.NewTextHandler(d.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	p := &process{
		globals: &quiet, settings: settings{DataDir: dir, Console: console.Options{Listen: d.consoleAt, Writable: true}}, roles: everything, clock: d.now,
		notifiers: map[string]notify.Notifier{"demo": d.notifier()},
	}
	var shown error
	p.feed = func(ctx context.Context, publish *pipeline.Publisher) error {
		defer stop()
		if d.consoleAt != "" {
			_, _ = fmt.Fprintf(d.err, "Watch it in a browser: %s\n\n", p.console.Address())
		}
		if err := d.play(ctx, publish); err != nil {
			return err
		}
		if err := d.finish(ctx, p); ctx.Err() == nil { // a demo that is interrupted has nothing to tell
			shown = err
		}
		if d.consoleAt != "" && shown == nil && ctx.Err() == nil {
			_, _ = fmt.Fprintf(d.err, "The console goes on at %s; Ctrl-C ends it.\n", p.console.Address())
			<-ctx.Done()
		}
		return nil
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	return shown
}

// demoConsole is where a terminal's demo serves the console.
const demoConsole = "127.0.0.1:9465"

// chooseConsole decides where the console is served. The usual place may be taken, by another demo for one: then any will do.
func (d *demo) chooseConsole(ctx context.Context) error {
	switch {
	case d.consoleAt == "off":
		d.consoleAt = ""
		return nil
	case d.consoleAt != "":
		o := console.Options{Listen: d.consoleAt}
		if faults := o.Check(); len(faults) > 0 {
			return usage("--console %s: %s: %s", d.consoleAt, faults[0].Message, "listen on this machine alone, such as on "+demoConsole)
		}
		return nil
	case !isTerminal(d.out):
		return nil
	}
	d.consoleAt = demoConsole
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", demoConsole)
	if err != nil {
		d.consoleAt = "127.0.0.1:0"
		return nil //nolint:nilerr // it is taken, and any other place will do
	}
	return l.Close()
}

// now is the time of the recording that is being played. When it is over its clock goes on with the wall's.
func (d *demo) now() time.Time {
	began := d.began.Load()
	if began == 0 {
		return time.Unix(0, d.first)
	}
	wall := time.Since(time.Unix(0, began))
	if wall >= d.lasts {
		return time.Unix(0, d.last).Add(wall - d.lasts)
	}
	return time.Unix(0, d.first+int64(float64(d.last-d.first)*float64(wall)/float64(d.lasts)))
}

// read takes the recording into memory, in batches that are small in time.
func (d *demo) read(ctx context.Context, dir string) error {
	path := filepath.Join(dir, recorded.Name)
	b, err := io.ReadAll(recorded.Recording())
	if err != nil {
		return fmt.Errorf("read the demo's recording: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("unpack the demo's recording: %w", err)
	}
	files, err := collector.Open(collector.Options{Paths: []string{path}, BatchBytes: 4 << 10})
	if err != nil {
		return err
	}
	defer func() { _ = files.Close() }() // it was only read
	for {
		frame, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d.frames = append(d.frames, slices.Clone(frame))
		var b record.Batch
		if err := b.Decode(frame); err != nil {
			return fmt.Errorf("read the demo's recording: %w", err)
		}
		for i := range b.Len() {
			if d.first == 0 || b.Time(i) < d.first {
				d.first = b.Time(i)
			}
			d.last = max(d.last, b.Time(i))
		}
	}
}

// rehearse learns which warnings the recording must raise, by the engine alone.
func (d *demo) rehearse() error {
	var from signatureFlags
	program, err := from.program(d.globals)
	if err != nil {
		return err
	}
	engine, err := matcher.NewEngine(program, matcher.TrackerOptions{})
	if err != nil {
		return err
	}
	last := map[string]matcher.Warning{}
	for _, frame := range d.frames {
		var b record.Batch
		if err := b.Decode(frame); err != nil {
			return fmt.Errorf("read the demo's recording: %w", err)
		}
		for _, c := range engine.Feed(&b) {
			last[c.Warning.ID] = c.Warning
		}
	}
	all := make([]matcher.Warning, 0, len(last))
	for _, w := range last {
		all = append(all, w)
	}
	d.want = matcher.DigestWarnings(all)
	return nil
}

// play publishes the batches at the pace of the demo.
func (d *demo) play(ctx context.Context, publish *pipeline.Publisher) error {
	began := time.Now()
	d.began.Store(began.UnixNano())
	span := max(1, float64(d.last-d.first))
	for _, frame := range d.frames {
		var b record.Batch
		if err := b.Decode(frame); err != nil {
			return fmt.Errorf("read the demo's recording: %w", err)
		}
		if b.Len() > 0 {
			at := time.Duration(float64(b.Time(b.Len()-1)-d.first) / span * float64(d.lasts))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(began.Add(at))):
			}
		}
		if err := publish.Emit(ctx, frame); err != nil {
			return err
		}
	}
	return publish.Flush(ctx)
}

// finish waits until the warnings are those of the rehearsal, and tells what they won.
func (d *demo) finish(ctx context.Context, p *process) error {
	var ws []matcher.Warning
	for deadline := time.Now().Add(10 * time.Second); ; {
		var err error
		if ws, err = pipeline.Latest(ctx, p.stream); err != nil {
			return err
		}
		if matcher.DigestWarnings(ws) == d.want {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the live run raised other warnings than the engine alone: this is a fault of forewarn, please report it")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	slices.SortFunc(ws, func(a, b matcher.Warning) int { return a.Opened.Compare(b.Opened) })
	var all []outcome
	for i := range ws {
		if !ws[i].Retracted {
			all = append(all, outcomeOf(&ws[i]))
		}
	}
	if err := d.delivered(ctx, p); err != nil {
		return err
	}
	if err := outcomeTable(d.err, all, d.style().Location); err != nil {
		return err
	}
	_, err := fmt.Fprintf(d.err, "\n%s; LEAD is how long before the incident people were told. Digest %s, live as replayed.\nNext, a log of your own: forewarn scan app.log\n",
		plural(uint64(len(all)), "warning"), d.want[:16])
	return err
}

// delivered waits until the notifier has shown everything, so that the table comes last.
func (d *demo) delivered(ctx context.Context, p *process) error {
	last, err := p.stream.LastSeq(ctx, "WARNINGS", "")
	if err != nil {
		return err
	}
	for range 100 {
		var n uint64
		for _, x := range p.deliveries {
			n += x.Counts().Delivered
		}
		if n >= last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("the notifier did not show every warning in time")
}
