// Package pipeline runs the matching process: it owns every goroutine between RECORDS and WARNINGS.
//
//	RECORDS ──► scanner, one a partition ──► HITS ──► owner, one a partition ──► WARNINGS
//	                program                            tracker + store
//
// [New] checks everything that can be wrong, [Matcher.Run] runs until its context ends and then drains: it stops taking
// batches, finishes those under way, commits, publishes, and gives its partitions to others. [Matcher.Swap] takes up
// another program without a pause.
//
// Every process consumes every partition, and the server lets one of them have it at a time. State moves with it: the
// new owner reads again from HITS what its own store does not know.
//
// [Publisher] is the other end: collectors give it batches for RECORDS. README.md says what can be lost, and where it
// is counted.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// Config says what a matching process works with. Stream, Store and Program are required and stay the caller's: they are
// closed after [Matcher.Run] returned.
type Config struct {
	Stream  *stream.Stream // its streams exist
	Store   *store.Store
	Program *matcher.Program
	// Refused says which signatures are not in the program, and why, for the status.
	Refused []string
	// Tracker bounds each tracker.
	Tracker matcher.TrackerOptions
	// Intake takes JSON records from the intake too.
	Intake bool
	// IntakeDelay is how far the intake's mark stays behind its newest record; 0 means 10 s. See README.md.
	IntakeDelay time.Duration
	// IntakeAttrs are put onto the intake's records, as collectors do with theirs; what a record says itself wins.
	IntakeAttrs record.Attrs
	// Clean takes secrets out of the intake's records, as collectors do out of theirs, and returns how many there were. The one goroutine
	// that calls it keeps nothing of the record. Nil leaves them in.
	Clean func(*record.Record) int

	// Version and Instance are told in the status; Instance is unique among the processes on one stream, and is the host's name
	// and the process id without it.
	Version, Instance string
	// Logger gets changes of state; nil means none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil means none.
	Registerer prometheus.Registerer

	// Workers is how many batches are scanned at once; 0 means as many as there are cores to use (GOMAXPROCS).
	Workers int
	// Fetch is how many batches of a partition are asked for ahead; 0 means 32. Each is held in memory. A window of fewer fetches is slower,
	// more of them make the first record of a large backlog wait no longer.
	Fetch int
	// Window is how many batches of a partition are scanned before they are acknowledged together; 0 means 64. They are acknowledged
	// at the latest after MarkEvery. More of them come again after a crash.
	Window int

	// CommitEvery is the longest that an applied hit waits for its commit; 0 means 2 s. Warnings do not wait for it, but in a backlog a tenth of what
	// they are late already, and never longer. What is not committed is
	// applied again after a crash; a commit writes each progress that was hit since the last one, so that a shorter time writes
	// those that are hit all the time again and again.
	CommitEvery time.Duration
	// CommitMessages is the most messages in a commit; 0 means 4000.
	CommitMessages int
	// MarkEvery is the least time between two messages of marks of a partition; 0 means 100 ms.
	MarkEvery time.Duration
	// StatusEvery is the time between two statuses; 0 means 5 s.
	StatusEvery time.Duration
	// TakeoverAfter is how long a process may be silent before its partitions go to others; 0 means 10 s, the least is 2 s.
	TakeoverAfter time.Duration
	// DrainTimeout bounds what is done after the context ended; 0 means 20 s.
	DrainTimeout time.Duration
	// Now is the clock of the status; nil means time.Now. Matching has no clock.
	Now func() time.Time

	newTracker func(p matcher.Lookup, d matcher.Details) (tracker, error)
}

func (c Config) withDefaults() (Config, error) {
	if c.Stream == nil || c.Store == nil || c.Program == nil {
		return c, errors.New("pipeline: a stream, a store and a program are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Instance = host + "-" + strconv.Itoa(os.Getpid())
	}
	c.IntakeDelay = cmp.Or(c.IntakeDelay, 10*time.Second)
	c.Workers, c.Fetch, c.Window = cmp.Or(c.Workers, runtime.GOMAXPROCS(0)), cmp.Or(c.Fetch, 32), cmp.Or(c.Window, 64)
	c.CommitEvery = cmp.Or(c.CommitEvery, 2*time.Second)
	c.CommitMessages = cmp.Or(c.CommitMessages, 4000)
	c.MarkEvery = cmp.Or(c.MarkEvery, 100*time.Millisecond)
	c.StatusEvery = cmp.Or(c.StatusEvery, 5*time.Second)
	c.TakeoverAfter = cmp.Or(c.TakeoverAfter, 10*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 20*time.Second)
	for name, d := range map[string]time.Duration{
		"CommitEvery": c.CommitEvery, "MarkEvery": c.MarkEvery, "StatusEvery": c.StatusEvery, "DrainTimeout": c.DrainTimeout,
		"IntakeDelay": c.IntakeDelay, "TakeoverAfter": c.TakeoverAfter - 2*time.Second + 1,
	} {
		if d <= 0 {
			return c, fmt.Errorf("pipeline: %s is too small", name)
		}
	}
	for name, n := range map[string]int{"CommitMessages": c.CommitMessages, "Workers": c.Workers, "Fetch": c.Fetch, "Window": c.Window} {
		if n < 1 {
			return c, fmt.Errorf("pipeline: %s is %d and must be positive", name, n)
		}
	}
	if c.newTracker == nil {
		c.newTracker = func(p matcher.Lookup, d matcher.Details) (tracker, error) {
			o := c.Tracker
			o.Details = d
			return matcher.NewTracker(p, o)
		}
	}
	return c, nil
}

// Matcher is a matching process. Run may be called once; the other methods at any time, from any goroutine.
type Matcher struct {
	c       Config
	program atomic.Pointer[matcher.Program]
	refused atomic.Pointer[[]string]
	inputs  *inputs
	census  *Census
	dead    *deadLetters
	metrics *metrics
	began   time.Time
	owners  []*owner
	workers workers

	mu        sync.Mutex
	consumers map[string]*stream.Consumer // by durable name
	lag       map[string]uint64           // messages that wait, by durable name; as of the last status
	lost      map[string]uint64           // messages that the streams removed unread, by durable name
	unowned   []string                    // consumers that no process has
}

// New makes a matching process. It restores nothing and starts nothing.
func New(c Config) (*Matcher, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Matcher{
		c: c, inputs: newInputs(c.Now, silentAfter(c.Tracker)), census: NewCensus(c.Now), began: c.Now(),
		consumers: map[string]*stream.Consumer{}, lag: map[string]uint64{}, lost: map[string]uint64{},
	}
	if m.metrics, err = newMetrics(c.Registerer); err != nil {
		return nil, fmt.Errorf("pipeline: register metrics: %w", err)
	}
	m.metrics.tracker.read = m.losses
	m.dead = newDeadLetters(c.Store, c.Logger, c.Now)
	if err := m.census.restore(c.Store); err != nil {
		c.Logger.Warn("what was seen before cannot be read", "error", err)
	}
	m.take(c.Program, c.Refused)
	if _, err := c.newTracker(c.Program, nil); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	_, hits := c.Stream.Partitions()
	m.workers = newWorkers(c.Workers, hits, m.program.Load, m.inputs, m.census, m.metrics)
	for p := range hits {
		m.owners = append(m.owners, &owner{
			partition: p, program: m.program.Load, newTracker: c.newTracker, store: c.Store, history: past{c.Stream},
			dead: m.dead, metrics: m.metrics, log: c.Logger, commitEvery: c.CommitEvery, commitMax: c.CommitMessages,
		})
	}
	return m, nil
}

// Swap takes up another program: scanners with their next batch, trackers with their next message. It
// never waits. refused says which signatures are not in it, and why.
func (m *Matcher) Swap(p *matcher.Program, refused []string) {
	m.take(p, refused)
	m.metrics.reloads.Inc()
	m.c.Logger.Info("program taken up", "signatures", p.Len(), "disarmed", len(p.Disarmed()), "refused", len(refused), "digest", p.Digest())
}

func (m *Matcher) take(p *matcher.Program, refused []string) {
	m.refused.Store(&refused)
	m.program.Store(p)
	m.metrics.signatures.WithLabelValues("armed").Set(float64(p.Len()))
	m.metrics.signatures.WithLabelValues("disarmed").Set(float64(len(p.Disarmed())))
	m.metrics.signatures.WithLabelValues("refused").Set(float64(len(refused)))
}

// Program returns what is scanned with, and what was refused when it was made.
func (m *Matcher) Program() (p *matcher.Program, refused []string) {
	return m.program.Load(), *m.refused.Load()
}

// Run matches until ctx ends, then drains and returns nil, or what the drain could not do. Before that it returns only when
// going on would be wrong: the store is closed or damaged.
func (m *Matcher) Run(ctx context.Context) error {
	drain, stopDrain := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopDrain(nil)
	release := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(m.c.DrainTimeout, func() { stopDrain(fmt.Errorf("draining took longer than %s", m.c.DrainTimeout)) })
		context.AfterFunc(drain, func() { timer.Stop() })
	})
	defer release()

	for _, o := range m.owners {
		out, err := m.c.Stream.Publisher(stream.PublisherConfig{})
		if err != nil {
			return err
		}
		defer out.Close(drain) //nolint:errcheck // all of it was flushed, or is told as an error of the owner
		o.out = out
		if err := o.restore(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("restore partition %d: %w", o.partition, err)
		}
	}

	records, hits := m.c.Stream.Partitions()
	together, err := m.pace(ctx, records)
	if err != nil && ctx.Err() == nil {
		return err
	}

	// Owners outlive scanners, so that what is scanned while draining is still followed if it comes in time.
	hitsCtx, stopHits := context.WithCancel(drain)
	defer stopHits()
	intakeCtx, stopIntake := context.WithCancel(ctx)
	defer stopIntake()

	owners, ownersCtx := errgroup.WithContext(hitsCtx)
	for _, o := range m.owners {
		o.behind = together.behind
		owners.Go(func() error { return m.own(ownersCtx, drain, o) })
	}
	context.AfterFunc(ownersCtx, stopIntake) // an owner that cannot go on stops everything
	scanners, scanCtx := errgroup.WithContext(intakeCtx)
	for p := range records {
		scanners.Go(func() error { return m.scan(scanCtx, drain, p, hits, together) })
	}
	if m.c.Intake {
		scanners.Go(func() error { return m.intake(scanCtx, drain) })
	}
	var background sync.WaitGroup
	background.Go(func() { m.tell(scanCtx, drain) })
	background.Go(func() { m.maintain(scanCtx) })

	err = scanners.Wait()
	stopIntake()
	stopHits()
	err = errors.Join(err, owners.Wait())
	background.Wait()
	return err
}

// pace lets those partitions rest from the beginning that have no backlog.
func (m *Matcher) pace(ctx context.Context, partitions int) (*pace, error) {
	together := newPace(partitions, 64)
	all, err := m.c.Stream.Info(ctx)
	if err != nil {
		return together, err
	}
	acked := map[string]uint64{}
	for _, s := range all {
		for _, c := range s.Consumers {
			acked[c.Name] = c.AckedSeq
		}
	}
	for p := range partitions {
		last, err := m.c.Stream.LastSeq(ctx, stream.Records, stream.RecordsSubject(p))
		if err != nil {
			return together, err
		}
		if last <= acked[scanName(p)] {
			together.rest(p)
		}
	}
	return together, nil
}

// The names of the consumers of RECORDS and HITS begin so; the partition follows.
const (
	scanNames  = "scan-"
	trackNames = "track-"
)

func scanName(partition int) string { return scanNames + strconv.Itoa(partition) }

func trackName(partition int) string { return trackNames + strconv.Itoa(partition) }

// scan scans one partition of RECORDS.
func (m *Matcher) scan(ctx, drain context.Context, partition, hits int, together *pace) error {
	out, err := m.c.Stream.Publisher(stream.PublisherConfig{Stream: stream.Hits, Readers: trackNames})
	if err != nil {
		return err
	}
	defer out.Close(drain) //nolint:errcheck // what was not flushed is not acknowledged and comes again
	s := &scanner{
		partition: partition, hits: hits, workers: m.workers, out: out, dead: m.dead, metrics: m.metrics,
		log: m.c.Logger, pace: together, markEvery: m.c.MarkEvery, windowMax: m.c.Window, fetch: m.c.Fetch, now: m.c.Now,
	}
	return m.follow(ctx, drain, func(context.Context) (stream.ConsumerConfig, error) {
		return stream.ConsumerConfig{
			Stream: stream.Records, Subject: stream.RecordsSubject(partition), Durable: scanName(partition),
			Pinned: true, Ordered: true, PinnedTTL: m.c.TakeoverAfter, MaxAckPending: 4 * m.c.Window, Prefetch: m.c.Fetch,
		}, nil
	}, s.run)
}

// own follows one partition of HITS.
func (m *Matcher) own(ctx, drain context.Context, o *owner) error {
	return m.follow(ctx, drain, func(ctx context.Context) (stream.ConsumerConfig, error) {
		at, err := o.sameStream(ctx, o.position)
		o.position = at
		return stream.ConsumerConfig{
			Stream: stream.Hits, Subject: stream.HitsSubject(o.partition), Durable: trackName(o.partition),
			Pinned: true, Ordered: true, PinnedTTL: m.c.TakeoverAfter, MaxAckPending: 2 * m.c.CommitMessages, Prefetch: 64,
			After: at, Everything: true, // a state that is empty is built from all that HITS keeps
		}, err
	}, o.run)
}

// maintain keeps the store small.
func (m *Matcher) maintain(ctx context.Context) {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := m.c.Store.Maintain(ctx); err != nil && ctx.Err() == nil {
				m.c.Logger.Warn("the store could not be cleaned up; it is tried again in ten minutes", "error", err)
			}
		}
	}
}
