package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// OutletOptions say what an [Outlet] puts on its batches and when it gives them out.
type OutletOptions struct {
	// Source names the source in batches, such as "events/prod". It is the same after a restart. Required.
	Source string
	// Scope is what the source speaks for, by which its silence is judged; empty is the whole cluster.
	Scope record.Attrs
	// Kinds are what the source can give. Required.
	Kinds []record.Kind
	// Attrs are put onto every record that has no attribute of that name.
	Attrs record.Attrs
	// Enricher completes every record; nil leaves them as they are.
	Enricher Enricher
	// BatchBytes is the size from which on a batch is given out: 256 KiB.
	BatchBytes int
	// Idle is how long a record waits for others at most: 50 ms.
	Idle time.Duration
	// Heartbeat is how often a source that is alive and has nothing to say tells so: 10 s. Negative: never.
	Heartbeat time.Duration
	// KeepSecrets leaves passwords, tokens and keys in texts; without it they are replaced.
	KeepSecrets bool
	// Secrets say what is replaced; nil is everything that is known to be secret.
	Secrets *Secrets
	// Compress makes smaller batches; for networks.
	Compress bool
	// Stored, if set, waits until everything that was emitted is stored; see [Outlet.Flush].
	Stored func(ctx context.Context) error
	// Meter counts; nil counts nothing.
	Meter *Meter
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Outlet puts the records of one source into batches and gives them to an [Emit], one at a time and in order. It takes secrets out of
// texts, and says by heartbeats up to when the source has given everything. It is safe for concurrent use.
type Outlet struct {
	o    OutletOptions
	emit Emit

	turn chan struct{} // who holds it gives out; so nobody waits for an emit longer than its own context lasts

	mu      sync.Mutex // never held while something is given out
	batches batcher
	counts  format.Counts
	attrs   record.Attrs // of the record under way
	since   time.Time    // when the oldest record that waits came; zero when none does
	alive   int64        // Unix nanoseconds
	beaten  int64        // the newest promise that is in a batch
}

// NewOutlet makes an outlet.
func NewOutlet(o OutletOptions, emit Emit) (*Outlet, error) {
	d := Options{BatchBytes: o.BatchBytes, Idle: o.Idle, Heartbeat: o.Heartbeat, Now: o.Now}.withDefaults()
	o.BatchBytes, o.Idle, o.Heartbeat, o.Now = d.BatchBytes, d.Idle, d.Heartbeat, d.Now
	x := &Outlet{o: o, emit: emit, turn: make(chan struct{}, 1)}
	x.batches = batcher{limit: o.BatchBytes, counts: &x.counts, promised: true, meter: o.Meter}
	x.batches.builder.Compress = o.Compress
	if !o.KeepSecrets {
		x.batches.redact = newRedactor(o.Secrets)
	}
	h := record.Header{Source: o.Source, Scope: o.Scope}
	for _, k := range o.Kinds {
		h.Kinds |= 1 << k
	}
	if h.Kinds == 0 {
		return nil, errors.New("an outlet needs the kinds of record that its source gives")
	}
	return x, x.batches.builder.Reset(h)
}

// Add takes a copy of r. It blocks while the emit does, but no longer than ctx lasts. A record beyond the limits of a batch is counted and left
// out. After an error r may have been added or not; nothing that was added is lost: it is given out by the next call.
func (x *Outlet) Add(ctx context.Context, r *record.Record) error {
	x.mu.Lock()
	if len(x.batches.frames) > 0 { // or what can't be given out would grow with every try
		x.mu.Unlock()
		if err := x.give(ctx); err != nil {
			return err
		}
		x.mu.Lock()
	}
	own := *r
	own.Attrs = r.Attrs
	if x.o.Enricher != nil {
		own.Attrs = x.o.Enricher.Enrich(own.Attrs)
	}
	own.Attrs = x.complete(own.Attrs)
	now := x.o.Now()
	if own.Observed == 0 {
		own.Observed = now.UnixNano()
	}
	if x.since.IsZero() {
		x.since = now
	}
	x.batches.Add(&own)
	finished := x.finished()
	x.mu.Unlock()
	if finished {
		return x.give(ctx)
	}
	return nil
}

// finished reports whether batches wait to be given out. They carry the newest promise.
func (x *Outlet) finished() bool {
	if len(x.batches.frames) == 0 {
		return false
	}
	x.beaten = x.alive
	return true
}

// complete returns the attributes with the outlet's own. The result is valid until the next call.
func (x *Outlet) complete(a record.Attrs) record.Attrs {
	if len(x.o.Attrs) == 0 {
		return a
	}
	x.attrs = x.attrs[:0]
	base := x.o.Attrs
	for _, own := range a {
		for len(base) > 0 && base[0].Key < own.Key {
			x.attrs, base = append(x.attrs, base[0]), base[1:]
		}
		if len(base) > 0 && base[0].Key == own.Key {
			base = base[1:]
		}
		x.attrs = append(x.attrs, own)
	}
	x.attrs = append(x.attrs, base...)
	return x.attrs
}

// Alive promises that everything which happened up to a time was added. Batches carry the newest promise. A source that makes none is
// silent, which makes it unknown whether something did not happen; so a collector promises only what its source told it.
func (x *Outlet) Alive(upTo time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.alive = max(x.alive, upTo.UnixNano())
	x.batches.mark = x.alive
	x.o.Meter.alive(time.Unix(0, x.alive))
}

// Flush gives out everything that was added. When it returns nil, that was emitted and, with OutletOptions.Stored, is stored: a
// checkpoint may cover it.
func (x *Outlet) Flush(ctx context.Context) error {
	if err := x.cut(ctx); err != nil || x.o.Stored == nil {
		return err
	}
	return x.o.Stored(ctx)
}

func (x *Outlet) cut(ctx context.Context) error {
	x.mu.Lock()
	x.batches.cut(false)
	x.finished()
	x.mu.Unlock()
	return x.give(ctx)
}

// give emits what is finished, also what others finished. A batch whose emit failed is kept.
func (x *Outlet) give(ctx context.Context) error {
	select {
	case x.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-x.turn }()
	for {
		x.mu.Lock()
		if len(x.batches.frames) == 0 {
			if x.batches.builder.Len() == 0 {
				x.since = time.Time{}
			}
			x.mu.Unlock()
			return nil
		}
		frame := x.batches.frames[0]
		x.mu.Unlock()
		if err := x.emit(ctx, frame); err != nil {
			return err
		}
		x.mu.Lock()
		x.batches.take()
		x.batches.give(frame)
		x.mu.Unlock()
	}
}

// Run gives out what waits longer than OutletOptions.Idle, and heartbeats, until ctx is done; what waits then is given out still. It returns
// nil when ctx ended it, and the error of an emit.
func (x *Outlet) Run(ctx context.Context) error {
	idle := time.NewTicker(x.o.Idle)
	defer idle.Stop()
	var beat <-chan time.Time
	if x.o.Heartbeat > 0 {
		t := time.NewTicker(x.o.Heartbeat)
		defer t.Stop()
		beat = t.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			return x.cut(last)
		case <-idle.C:
			err = x.settle(ctx)
		case <-beat:
			err = x.beat(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// lastWords bounds how long giving out may take when a collector is asked to end.
const lastWords = 5 * time.Second

func (x *Outlet) settle(ctx context.Context) error {
	x.mu.Lock()
	wait := x.since.IsZero() || x.o.Now().Sub(x.since) < x.o.Idle
	x.mu.Unlock()
	if wait {
		return nil
	}
	return x.cut(ctx)
}

// beat tells the newest promise if no batch has told it.
func (x *Outlet) beat(ctx context.Context) error {
	x.mu.Lock()
	if x.alive == x.beaten {
		x.mu.Unlock()
		return nil
	}
	x.batches.heartbeat(x.alive)
	x.finished()
	x.mu.Unlock()
	return x.give(ctx)
}
