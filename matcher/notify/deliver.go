package notify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Feed gives warnings in order. Next blocks until there is one or ctx ends; done is called once the warning needs no further try, and
// the Feed may then forget it. A warning whose done was not called comes again after a restart.
type Feed interface {
	Next(ctx context.Context) (w matcher.Warning, done func() error, err error)
}

// Deliverer carries warnings from a Feed to one Notifier. Create it as a literal; Run may be called once.
type Deliverer struct {
	Name     string   // the destination's name in logs and status; required
	Notifier Notifier // required
	Feed     Feed     // required
	Log      *slog.Logger
	// First and Most bound the wait between two tries of the same warning: it doubles from First (default 500ms) to Most (default 1m), less up to a
	// fifth by chance. A longer Retry-After of the destination is honoured up to ten minutes.
	First, Most time.Duration
	// Timeout bounds one try; default 15s.
	Timeout time.Duration

	delivered, failed, refused atomic.Uint64
	lastError                  atomic.Pointer[string]
}

// longestWait bounds what a destination may ask for, so that a wrong header cannot silence it for a day.
const longestWait = 10 * time.Minute

// Counts says what became of the warnings so far.
type Counts struct {
	Delivered uint64 `json:"delivered"` // warnings taken by the destination
	Failed    uint64 `json:"failed"`    // tries that failed and were repeated
	Refused   uint64 `json:"refused"`   // warnings that the destination refused for good: they are in the log
	LastError string `json:"last_error,omitempty"`
}

// Counts may be called at any time, from any goroutine.
func (d *Deliverer) Counts() Counts {
	c := Counts{Delivered: d.delivered.Load(), Failed: d.failed.Load(), Refused: d.refused.Load()}
	if e := d.lastError.Load(); e != nil {
		c.LastError = *e
	}
	return c
}

// Run delivers until ctx ends or the Feed fails, and returns that error. It returns nil when ctx ended.
func (d *Deliverer) Run(ctx context.Context) error {
	d.defaults()
	var ticks <-chan time.Time
	ticker, isTicker := d.Notifier.(Ticker)
	if isTicker {
		t := time.NewTicker(ticker.Interval())
		defer t.Stop()
		ticks = t.C
	}
	ctx, stop := context.WithCancel(ctx)
	items := d.read(ctx)
	defer func() { // the reader is waited for
		stop()
		for range items {
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticks:
			if err := d.try(ctx, func(ctx context.Context) error { return ticker.Tick(ctx, now) }); err != nil {
				d.note(err)
			}
		case it, open := <-items:
			if !open || it.err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return it.err
			}
			if !d.deliver(ctx, it.warning) {
				return nil
			}
			if err := it.done(); err != nil {
				d.Log.Warn("a delivered warning could not be acknowledged: it will be delivered again", "destination", d.Name, "warning", it.warning.ID, "error", err)
			}
		}
	}
}

// item is what the feed gave.
type item struct {
	warning matcher.Warning
	done    func() error
	err     error
}

// read pulls from the feed until it fails or ctx ends, and closes the channel then. The channel is unbuffered, so at most one
// warning waits here.
func (d *Deliverer) read(ctx context.Context) <-chan item {
	items := make(chan item)
	go func() {
		defer close(items)
		for {
			w, done, err := d.Feed.Next(ctx)
			select {
			case items <- item{w, done, err}:
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

// deliver tries until the destination took the warning or refused it; false means that ctx ended first.
func (d *Deliverer) deliver(ctx context.Context, w matcher.Warning) bool {
	wait := d.First
	for try := 1; ; try++ {
		err := d.try(ctx, func(ctx context.Context) error { return d.Notifier.Notify(ctx, Single(w)) })
		switch {
		case err == nil:
			d.delivered.Add(1)
			if try > 1 {
				d.Log.Info("destination takes warnings again", "destination", d.Name, "tries", try)
			}
			return true
		case ctx.Err() != nil:
			return false
		case IsPermanent(err):
			d.refused.Add(1)
			d.note(err)
			d.Log.Error("destination refused a warning for good: mend its configuration, then see it with `forewarn status`",
				"destination", d.Name, "warning", w.ID, "revision", w.Revision, "signature", w.Signature, "key", w.KeyText, "state", w.State, "error", err)
			return true
		}
		d.failed.Add(1)
		d.note(err)
		if try == 1 {
			d.Log.Warn("destination cannot be reached: warnings wait and will be delivered in order", "destination", d.Name, "error", err)
		}
		pause := wait - time.Duration(rand.Int64N(int64(wait)/5+1))
		pause = max(pause, min(retryAfter(err), longestWait))
		wait = min(2*wait, d.Most)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

func (d *Deliverer) try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	return f(ctx)
}

func (d *Deliverer) note(err error) {
	s := err.Error()
	d.lastError.Store(&s)
}
