package pipeline

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// owner follows one partition of HITS: it alone has its tracker. One goroutine runs it.
//
// A message's effect is applied in memory, then written with the position and the revisions it made in one transaction, then
// the revisions are published, and only then is it acknowledged. What a crash leaves is the state at the position; every later message
// comes again, from the consumer or by reading the stream.
type owner struct {
	partition  int
	program    func() *matcher.Program
	newTracker func(p matcher.Lookup, d matcher.Details) (tracker, error)
	tracker    tracker // made by restore
	store      ledger
	out        publisher
	history    history
	dead       *deadLetters
	metrics    *metrics
	log        *slog.Logger

	commitEvery time.Duration        // the longest that an applied message waits for its commit
	commitMax   int                  // messages in a commit
	behind      func() time.Duration // how late the scanners of this process are

	decoder  hitsDecoder
	current  *matcher.Program
	position uint64 // the last message whose effect is in the tracker
	stored   uint64 // and in the store
	window   int    // messages that are not acknowledged
	last     uint64 // the sequence of the last of them
	ack      func(through uint64) error
	changes  []matcher.Change
	done     []uint64          // numbers of published outbox entries that the next commit takes away
	applied  int               // messages since the last commit
	next     time.Time         // there is no commit for what is to be told before this
	told     map[string]uint32 // while catching up: what the stream already told, by warning
	open     openWarnings
	state    atomic.Pointer[ownerState]
}

// ownerState is what the status says of a partition.
type ownerState struct {
	Position uint64
	Active   bool
	Tracker  matcher.Stats
	Open     map[openKind]int
}

// history is what the owner asks the streams about the past.
type history interface {
	// LastHits returns the last sequence of HITS.
	LastHits(ctx context.Context) (uint64, error)
	// Told returns the last revision of each warning that WARNINGS holds.
	Told(ctx context.Context) (map[string]uint32, error)
}

// restore brings the tracker to where the store is, and publishes what was left in the outbox.
func (o *owner) restore(ctx context.Context) error {
	at, err := o.store.Position(o.partition)
	if err != nil {
		return err
	}
	if err := o.load(); err != nil {
		return err
	}
	if at, err = o.sameStream(ctx, at); err != nil {
		return err
	}
	o.position, o.stored = at, at
	o.open = openWarnings{}
	o.tracker.OpenStates(o.open.restore)
	if at > 0 {
		o.log.Info("partition restored", "partition", o.partition, "position", at, "open", len(o.open.byID))
	}
	if err := o.leftovers(ctx); err != nil {
		return err
	}
	o.report(false)
	return nil
}

// details finds what the tracker left to the store.
type details struct{ *owner }

var _ matcher.Details = details{}

// Detail implements matcher.Details.
func (d details) Detail(key []byte) ([]byte, error) {
	value, err := d.store.ProgressEntry(d.partition, key)
	if err != nil {
		d.log.Error("evidence of a warning cannot be read and is not shown", "partition", d.partition, "error", err)
	}
	return value, err
}

// load makes the tracker of what is stored. An entry that it does not take is left out, and all others are given to a new one: one
// damaged progress must not take the partition with it.
func (o *owner) load() error {
	const most = 16
	left := map[string]bool{}
	for {
		p := o.program()
		t, err := o.newTracker(p, details{o})
		if err != nil {
			return err
		}
		var bad []byte
		var refused error
		err = o.store.LoadProgress(o.partition, matcher.DetailPrefix, func(key, value []byte) error {
			if left[string(key)] {
				return nil
			}
			if refused = t.Restore(key, value); refused != nil {
				bad = key
			}
			return refused
		})
		switch {
		case err == nil:
			o.tracker, o.current = t, p
			return nil
		case refused == nil, len(left) == most:
			return err
		}
		left[string(bad)] = true
		o.metrics.lostProgress.Inc()
		o.log.Error("a stored progress cannot be read and is left out; its warning stays open at its destinations until they forget it",
			"partition", o.partition, "error", refused)
	}
}

// sameStream returns the position to go on from. A stream that was made anew, or that lost its end with the power, counts again
// over numbers that the position has passed; their messages must not be skipped.
func (o *owner) sameStream(ctx context.Context, at uint64) (uint64, error) {
	last, err := o.history.LastHits(ctx)
	if err != nil || at <= last {
		return at, err
	}
	o.log.Warn("HITS ends before the stored position: it lost its end or was made anew; the state goes on with its next message",
		"partition", o.partition, "position", at, "last", last)
	o.metrics.streamResets.Inc()
	_, err = o.store.Commit(o.partition, store.Commit{Position: last})
	return last, err
}

// leftovers publishes what an earlier process committed and did not publish, or does not know that it did.
func (o *owner) leftovers(ctx context.Context) error {
	var left []store.Revision
	var numbers []uint64
	err := o.store.Outbox(o.partition, func(p store.Pending) error {
		left, numbers = append(left, p.Revision), append(numbers, p.Number)
		return nil
	})
	if err != nil || len(left) == 0 {
		return err
	}
	if err := o.publish(ctx, numbers, left); err != nil {
		return err
	}
	o.log.Info("revisions of an earlier run published", "partition", o.partition, "revisions", len(o.done))
	return nil
}

// run follows what comes from in until it is closed or ctx ends, then commits and publishes what is under way with drain.
func (o *owner) run(ctx, drain context.Context, in <-chan stream.Message, ack func(through uint64) error) error {
	o.ack, o.window = ack, 0
	timer, later := time.NewTimer(o.commitEvery), time.NewTimer(0)
	defer timer.Stop()
	defer later.Stop()
	ready := make(chan struct{})
	close(ready)
	for {
		idle, due := o.urge(ready, later)
		select {
		case <-ctx.Done():
			return o.finish(drain)
		case m, ok := <-in:
			if !ok {
				return o.finish(drain)
			}
			if o.applied == 0 && o.window == 0 {
				timer.Reset(o.commitEvery)
			}
			if err := o.receive(drain, m); err != nil {
				return err
			}
			continue
		case <-timer.C:
			timer.Reset(o.commitEvery)
			if err := o.commit(drain); err != nil {
				return err
			}
			continue
		case <-due: // the next round finds it due
			continue
		case <-idle:
		}
		select { // a message that is ready goes first, up to the limit of a commit
		case m, ok := <-in:
			if !ok {
				return o.finish(drain)
			}
			if err := o.receive(drain, m); err != nil {
				return err
			}
		default:
			if err := o.commit(drain); err != nil {
				return err
			}
		}
	}
}

// urge says what to wait for before a commit of what is to be told, for which people wait: for nothing but that no message is ready, or
// first for the end of what it waits in a backlog. Both are nil when there is nothing to tell.
func (o *owner) urge(ready <-chan struct{}, later *time.Timer) (idle <-chan struct{}, due <-chan time.Time) {
	if len(o.changes) == 0 {
		return nil, nil
	}
	if wait := time.Until(o.next); wait > 0 {
		later.Reset(wait)
		return nil, later.C
	}
	return ready, nil
}

func (o *owner) finish(ctx context.Context) error {
	if err := o.commit(ctx); err != nil {
		return err
	}
	if len(o.done) > 0 {
		if err := o.store.OutboxDone(o.partition, o.done...); err != nil {
			return err
		}
		o.done = nil
	}
	o.report(false)
	return nil
}

// reload takes up the program that the scanners use, before any hit of it is observed. It is called with a message only: who
// gets none may be waiting for another process's partition, with a state of long ago, and must not close warnings by it.
func (o *owner) reload() {
	if p := o.program(); p != o.current {
		o.current = p
		o.tracker.Swap(p)
		o.changes = append(o.changes, o.tracker.Changes()...)
		o.applied++
	}
}

// receive applies one message of the consumer, which gives them in order and without gaps: what an earlier owner had taken, and
// this state does not know, is read again and comes first.
func (o *owner) receive(ctx context.Context, m stream.Message) error {
	if !m.Redelivered && o.told != nil { // caught up; what it made is committed while it is known what was told
		if err := o.commit(ctx); err != nil {
			return err
		}
		o.told = nil
	}
	o.window++
	o.last = m.Seq
	if m.Seq <= o.position {
		o.metrics.repeats.Inc()
		return o.commitIfFull(ctx)
	}
	if err := o.taken(ctx, &m); err != nil {
		return err
	}
	o.apply(&m)
	return o.commitIfFull(ctx)
}

// taken learns what an earlier owner of the partition has told, when its messages come again, so that it is not told twice.
func (o *owner) taken(ctx context.Context, m *stream.Message) (err error) {
	if !m.Redelivered {
		return nil
	}
	o.metrics.caughtUp.Inc()
	if o.told == nil {
		o.log.Info("catching up with what an earlier owner of the partition had taken", "partition", o.partition, "position", o.position)
		o.told, err = o.history.Told(ctx)
	}
	return err
}

func (o *owner) commitIfFull(ctx context.Context) error {
	if o.applied < o.commitMax && o.window < o.commitMax {
		return nil
	}
	return o.commit(ctx)
}

// apply gives one message to the tracker.
func (o *owner) apply(m *stream.Message) {
	o.reload()
	o.position = m.Seq
	o.applied++
	hits, marks, err := o.decoder.decode(m.Data)
	if err != nil {
		o.metrics.badHits.Inc()
		o.dead.put("HITS", o.partition, m, err)
		return
	}
	o.tracker.ObserveAll(hits)
	for i := range marks {
		o.tracker.Mark(marks[i])
	}
	if len(marks) > 0 {
		o.tracker.Advance()
	}
	o.changes = append(o.changes, o.tracker.Changes()...)
}
