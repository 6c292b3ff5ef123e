package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

func newScan(g *globals) *cobra.Command {
	var (
		from     signatureFlags
		format   string
		failOn   string
		explain  string
		zone     string
		lateness time.Duration
		progress string
		follow   bool
		inOrder  bool
	)
	c := &cobra.Command{
		Use:   "scan [flags] FILE...|-",
		Short: "Look for the stages of known failures in files or standard input",
		Long: `scan reads logs (plain, JSON, logfmt, klog, syslog, journald, CRI and Docker container logs), Kubernetes events
and objects (kubectl get ... -o json or yaml, raw watches, the events table) and Prometheus scrapes, compressed or not. It finds formats and time stamps by itself,
joins lines that belong together, and prints warnings as they happen; what was read, and what was lost, is told on stderr at the end.

CRE rule files are signatures as well: --signatures takes a file or a directory of them as they are. A rule fires on the same lines as in its
reference engine; of several firings the first is told, and how many there were is told at the end.

With -o json each revision of a warning is one JSON object a line.`,
		Example: `  forewarn scan /var/log/syslog
  kubectl logs -n shop deploy/cart --timestamps | forewarn scan -
  forewarn scan --signatures my-signatures/ --fail-on high test-run/*.log
  forewarn scan --signatures cre-rules/ --source cre.log.mq=rabbitmq app.log`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			if format != "" {
				if !slices.Contains([]string{"text", "json"}, format) {
					return usage("--format %q: use text or json", format)
				}
				g.output = format
			}
			if failOn != "" && signatures.Severity(failOn).Rank() >= len(signatures.Severities()) {
				return usage("--fail-on %q: use critical, high, medium, low or info", failOn)
			}
			if !slices.Contains([]string{"auto", "always", "never"}, progress) {
				return usage("--progress %q: use auto, always or never", progress)
			}
			if lateness < 0 {
				return usage("--lateness %s: a duration cannot be negative", lateness)
			}
			location, err := time.LoadLocation(zone)
			if err != nil {
				return usage("--zone %q: %w: use UTC, Local or a name such as Europe/Berlin", zone, err)
			}
			from.sample = collector.Sample(files, 1<<20)
			program, err := from.program(g)
			if err != nil {
				return err
			}
			if lower := strings.ToLower(explain); !program.Has(explain) && program.Has(lower) {
				explain = lower // CRE ids are written in capitals
			}
			if explain != "" && !program.Has(explain) {
				return usage("--explain %q: no such signature is armed; see `forewarn signature show`", explain)
			}
			s := &scan{globals: g, program: program, explain: explain, progress: progress, failOn: signatures.Severity(failOn), refused: from.refused, inOrder: inOrder}
			return s.run(c.Context(), collector.Options{Paths: files, Location: location, Follow: follow, Stdin: g.in}, tracking(lateness))
		},
	}
	f := c.Flags()
	from.flags(f)
	f.StringVar(&format, "format", "", "what to print: text or json (the same as -o)")
	f.StringVar(&failOn, "fail-on", "", "exit with 3 when a warning of this severity or a worse one was raised")
	f.StringVar(&explain, "explain", "", "at the end, tell of this signature which stages were seen, what is missing, and by how much")
	f.StringVar(&zone, "zone", "UTC", "the zone of time stamps that name none")
	spanVar(f, &lateness, "lateness", time.Minute, "how far records may come out of order and still be put right")
	f.BoolVar(&inOrder, "reference-order", false, "of CRE rules: drop lines that come out of order, as their reference engine does, instead of putting them right")
	f.StringVar(&progress, "progress", "auto", "show how far it is: auto (when stderr is a terminal), always or never")
	f.BoolVarP(&follow, "follow", "f", false, "go on reading what is appended, until interrupted")
	completeValues(c, map[string][]string{"format": {"text", "json"}, "fail-on": severities(), "progress": {"auto", "always", "never"}})
	_ = c.RegisterFlagCompletionFunc("explain", completeIDs) // the flag is there
	return c
}

// tracking are options with this lateness; to the tracker 0 is the default and less is none.
func tracking(lateness time.Duration) matcher.TrackerOptions {
	if lateness == 0 {
		lateness = -1
	}
	return matcher.TrackerOptions{Lateness: lateness}
}

// scan is one run over files.
type scan struct {
	*globals
	program  *matcher.Program
	explain  string
	progress string
	failOn   signatures.Severity
	inOrder  bool // lines out of order count for no CRE rule
	refused  int  // signatures that could not be used

	explainTo io.Writer          // where the explanation goes; nil is stderr, beside warnings on stdout
	short     map[int]*shortfall // by role of the signature to explain

	worst  int            // the rank of the worst severity that was raised
	raised map[string]int // warnings by their last state
	last   map[string]matcher.State
	fired  map[string]matcher.Warning // those that can fire more than once, as they are known last
}

func (s *scan) run(ctx context.Context, from collector.Options, tracking matcher.TrackerOptions) error {
	files, err := collector.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = files.Close() }() // it only reads
	engine, err := matcher.NewEngine(s.program, tracking)
	if err != nil {
		return err
	}
	if s.inOrder {
		engine.UseReferenceOrder()
	}
	s.worst, s.raised, s.last = len(signatures.Severities()), map[string]int{}, map[string]matcher.State{}
	s.fired = map[string]matcher.Warning{}
	bar := newBar(s.globals, s.progress, files.Progress)
	defer bar.clear()
	began := time.Now()
	var batch record.Batch
	for {
		frame, err := files.Next(ctx)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			break // interrupted: what was found so far is told
		}
		if err != nil {
			return err
		}
		if err := batch.Decode(frame); err != nil {
			return fmt.Errorf("decode a batch of %d bytes: %w: this is a fault of forewarn, please report it", len(frame), err)
		}
		if s.explain != "" {
			if err := s.compare(&batch); err != nil {
				return err
			}
		}
		if err := s.tell(bar, engine.Feed(&batch)); err != nil {
			return err
		}
		bar.show()
	}
	if err := s.tell(bar, engine.Finish()); err != nil {
		return err
	}
	bar.clear()
	s.count(engine.Open())
	seen := engine.Stats()
	if err := s.summary(files.Stats(), &seen, time.Since(began)); err != nil {
		return err
	}
	if s.explain != "" {
		if err := s.tellWhy(engine.Explain(s.explain, "")); err != nil {
			return err
		}
	}
	if s.failOn != "" && s.worst <= s.failOn.Rank() {
		return exitError{code: exitFound}
	}
	if s.refused > 0 {
		return exitError{exitRefused, errors.New("signatures were refused: what they look for may be there")}
	}
	return nil
}

func (s *scan) tell(bar *bar, changes []matcher.Change) error {
	for i := range changes {
		w := &changes[i].Warning
		if err := s.program.Dress(w); err != nil {
			return err
		}
		if !w.Retracted {
			s.worst = min(s.worst, w.Severity.Rank())
		}
		s.last[w.ID] = w.State
		s.count([]matcher.Warning{*w})
		bar.clear()
		if s.explainTo != nil {
			continue // asked why, not what
		}
		if err := s.notifier().Notify(context.Background(), notify.Single(*w)); err != nil {
			return err
		}
	}
	return nil
}

// count notes how often warnings fired.
func (s *scan) count(ws []matcher.Warning) {
	for i := range ws {
		if w := &ws[i]; w.Firings > 0 && !w.Retracted {
			s.fired[w.ID] = matcher.Warning{Signature: w.Signature, KeyText: w.KeyText, Severity: w.Severity, Firings: w.Firings}
		} else {
			delete(s.fired, w.ID)
		}
	}
}

// maxFired is how many lines are spent on what fired more than once.
const maxFired = 20

// firedText tells what fired more than once, the worst first.
func (s *scan) firedText() string {
	type entry struct {
		signature, key string
		rank           int
		n              uint64
	}
	sums := map[string]*entry{}
	for _, w := range s.fired {
		e := sums[w.Signature+" "+w.KeyText]
		if e == nil {
			e = &entry{signature: w.Signature, key: w.KeyText, rank: w.Severity.Rank()}
			sums[w.Signature+" "+w.KeyText] = e
		}
		e.n += w.Firings
	}
	var list []*entry
	for _, e := range sums {
		if e.n > 1 {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.n, a.n), cmp.Compare(a.signature, b.signature), cmp.Compare(a.key, b.key))
	})
	var b strings.Builder
	for i, e := range list {
		if i == maxFired {
			fmt.Fprintf(&b, "  and %d more fired more than once\n", len(list)-i)
			break
		}
		fmt.Fprintf(&b, "  %s fired %d times in %s\n", e.signature, e.n, e.key)
	}
	return b.String()
}

// summary says what was looked at, so that "nothing found" can be trusted.
func (s *scan) summary(read collector.Stats, seen *matcher.Stats, took time.Duration) error {
	for _, state := range s.last {
		s.raised[string(state)]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s looked at %s in %s of %s", plural(uint64(s.program.Len()), "signature"), plural(read.Records, "record"), bytesText(read.Read), formatsText(read.Formats))
	if took > time.Second {
		fmt.Fprintf(&b, " in %s (%s/s)", took.Round(100*time.Millisecond), bytesText(int64(float64(read.Read)/took.Seconds())))
	}
	b.WriteString(": ")
	if len(s.last) == 0 {
		b.WriteString("no warning; `forewarn signature new` begins a signature for what you look for")
	} else {
		b.WriteString(plural(uint64(len(s.last)), "warning"))
		b.WriteString(" (" + countsText(s.raised) + ")")
	}
	b.WriteByte('\n')
	b.WriteString(s.firedText())
	if lost := lossText(&read.Counts, seen); lost != "" {
		b.WriteString("not everything was taken as it came:\n" + lost)
	}
	if n := read.Counts.Get(format.NoStamp); n > 0 && n >= read.Records {
		b.WriteString("no time stamp was recognised: the records have the time of the file or of reading, so what happens within a time cannot be told\n")
	}
	for _, p := range read.Problems {
		b.WriteString("forewarn: " + p.Error() + "\n")
	}
	if read.Records == 0 && len(read.Problems) == 0 {
		b.WriteString("the input held no record: check that it is a log, a dump of kubectl or a scrape\n")
	}
	_, err := io.WriteString(s.err, b.String())
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	if len(read.Problems) > 0 {
		return exitError{code: exitFailure}
	}
	return nil
}
