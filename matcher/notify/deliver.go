package notify

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Feed gives warnings in order, with their positions, which grow (0: it has none). Next blocks until there is one or ctx ends; done is
// called once the warning needs no further try, and the Feed may then forget it and those before it. A warning whose done was not called comes
// again after a restart.
type Feed interface {
	Next(ctx context.Context) (w matcher.Warning, position uint64, done func() error, err error)
}

// Keeper keeps a destination's state where every process that may serve it finds it. Save fails when another one saved since this one
// loaded or saved last. It is used by one goroutine.
type Keeper interface {
	// Load returns nil when nothing is kept under the name.
	Load(name string) ([]byte, error)
	Save(name string, state []byte) error
}

// Deliverer carries warnings from a Feed to one Notifier, as a Router decides. Create it as a literal; Run may be called once.
//
// A warning is acknowledged when its destination has it, or when the state in which it waits is stored. Of several processes that serve one
// destination the one that the feed gives warnings to owns the state; when that one dies, another one sends what waits.
type Deliverer struct {
	Name     string   // the destination's name in logs and status; required
	Notifier Notifier // required
	Feed     Feed     // required
	// Router decides what is told; nil tells every revision alone and at once. It belongs to the Deliverer from Run on.
	Router *Router
	// Keeper keeps the Router's state; nil keeps nothing, and what waits is lost when the process ends.
	Keeper Keeper
	// Instance names this process among those that serve the destination; required with a Keeper.
	Instance string
	// Last, if set, returns the last position of the feed, so that a state is not ahead of a feed that was made anew.
	Last func(ctx context.Context) (uint64, error)
	// Silences, if set, returns the silences of now. A list is not changed after it was returned.
	Silences func() []Silence
	// Prepare, if set, completes each warning in the moment before it is told. It must be quick.
	Prepare func(w *matcher.Warning)
	Log     *slog.Logger
	// First and Most bound the wait between two tries of the same warning: it doubles from First (default 500ms) to Most (default 1m), less up to a
	// fifth by chance. A longer Retry-After of the destination is honoured up to ten minutes.
	First, Most time.Duration
	// Timeout bounds one try; default 15s.
	Timeout time.Duration

	delivered, failed, refused atomic.Uint64
	lastError                  atomic.Pointer[string]
	shown                      atomic.Pointer[Counts] // what the Router says
}

// longestWait bounds what a destination may ask for, so that a wrong header cannot silence it for a day.
const longestWait = 10 * time.Minute

// Counts says what became of the warnings so far.
type Counts struct {
	Delivered uint64 `json:"delivered"` // warnings that the destination took, in messages of one or more
	Failed    uint64 `json:"failed"`    // tries that failed and were repeated
	Refused   uint64 `json:"refused"`   // warnings that the destination refused for good: they are in the log
	LastError string `json:"last_error,omitempty"`

	Active  bool         `json:"active"`  // this process serves the destination
	Waiting int          `json:"waiting"` // warnings with something to tell: they are gathered, over the budget, or the destination is away
	Held    int          `json:"held"`    // open warnings that are silenced or inhibited now
	Router  RouterCounts `json:"router"`
}

// Counts may be called at any time, from any goroutine.
func (d *Deliverer) Counts() Counts {
	var c Counts
	if s := d.shown.Load(); s != nil {
		c = *s
	}
	c.Delivered, c.Failed, c.Refused = d.delivered.Load(), d.failed.Load(), d.refused.Load()
	if e := d.lastError.Load(); e != nil {
		c.LastError = *e
	}
	return c
}

// Run delivers until ctx ends or the Feed fails, and returns that error. It returns nil when ctx ended.
func (d *Deliverer) Run(ctx context.Context) error {
	d.defaults()
	var ticks <-chan time.Time
	if t, ok := d.Notifier.(Ticker); ok {
		ticker := time.NewTicker(t.Interval())
		defer ticker.Stop()
		ticks = ticker.C
	}
	ctx, stop := context.WithCancel(ctx)
	s := &serving{Deliverer: d, items: d.read(ctx), results: make(chan result, 1), ticks: ticks}
	defer func() { // the reader is waited for
		stop()
		for range s.items {
		}
	}()
	return s.run(ctx)
}

// given is what the feed gave.
type given struct {
	warning  matcher.Warning
	position uint64
	done     func() error
	err      error
}

const (
	// ahead is how many warnings are read ahead, so that those of a storm are decided together.
	ahead = 64
	// most is how many of them are decided, and stored, together.
	most = 256
	// pause is how long a further one is waited for then.
	pause = 5 * time.Millisecond
)

// read pulls from the feed until it fails or ctx ends, and closes the channel then. For a direct destination nothing is read ahead: another process
// may have delivered it by the time that it is its turn.
func (d *Deliverer) read(ctx context.Context) <-chan given {
	n := ahead
	if d.Router.Direct() {
		n = 0
	}
	items := make(chan given, n)
	go func() {
		defer close(items)
		for {
			w, position, done, err := d.Feed.Next(ctx)
			select {
			case items <- given{w, position, done, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return items
}

func (d *Deliverer) defaults() {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Router == nil {
		d.Router = NewRouter(RouterOptions{Destination: d.Name})
	}
	if d.First <= 0 {
		d.First = 500 * time.Millisecond
	}
	if d.Most < d.First {
		d.Most = max(time.Minute, d.First)
	}
	if d.Timeout <= 0 {
		d.Timeout = 15 * time.Second
	}
}

func (d *Deliverer) note(err error) {
	s := err.Error()
	d.lastError.Store(&s)
}
