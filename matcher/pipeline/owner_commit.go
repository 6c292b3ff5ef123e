package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// commit writes the state, the revisions and the position in one transaction, publishes the revisions, and acknowledges the
// messages. While the store refuses (a full disk), it waits and tries again, and the partition stands still: its
// messages wait in the stream.
func (o *owner) commit(ctx context.Context) error {
	if o.applied == 0 && len(o.changes) == 0 {
		o.acknowledge()
		return nil
	}
	c := store.Commit{Position: o.position, Done: o.done}
	o.tracker.Dirty(func(key, value []byte) {
		c.Progress = append(c.Progress, store.Entry{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	})
	c.Outbox, c.Kept = o.revisions()
	began := time.Now()
	first, err := o.persist(ctx, c)
	if err != nil {
		return err
	}
	o.metrics.committed(time.Since(began), o.applied)
	o.stored, o.applied, o.changes, o.done = o.position, 0, o.changes[:0], o.done[:0]
	numbers := make([]uint64, len(c.Outbox))
	for i := range numbers {
		numbers[i] = first + uint64(i)
	}
	if err := o.publish(ctx, numbers, c.Outbox); err != nil {
		return err
	}
	o.report(true)
	o.acknowledge()
	o.next = time.Now().Add(min(o.behind()/lateness, o.commitEvery))
	return nil
}

// lateness is the part of what warnings are late already that they may wait for the commit with the next ones, in a backlog. A commit writes each
// progress that was hit since the last one, with all that waits in it, so that one for each warning writes those that are hit all the time again and again,
// and makes all that follows later than this does.
const lateness = 10

// revisions encodes the changes: those that are to be told, and those that an earlier owner told.
func (o *owner) revisions() (tell, kept []store.Revision) {
	for i := range o.changes {
		c := &o.changes[i]
		reached := o.open.take(&c.Warning)
		o.dress(&c.Warning)
		body, err := EncodeWarning(c)
		if err != nil { // only a number that JSON lacks can get here
			o.metrics.lostWarnings.Inc()
			o.log.Error("a warning cannot be written and is lost; please report this with the signature", "signature", c.Warning.Signature, "error", err)
			continue
		}
		r := Revision(&c.Warning, body)
		if known, ok := o.told[r.ID]; ok && r.Revision <= known {
			kept = append(kept, r)
			continue
		}
		o.metrics.tell(c, reached)
		tell = append(tell, r)
	}
	return tell, kept
}

// dress adds what the signature's body says. A warning of a signature that has changed since is dressed from the store.
func (o *owner) dress(w *matcher.Warning) {
	if o.current.Dress(w) == nil {
		return
	}
	switch body, found, err := o.store.Signature(w.Digest); {
	case err != nil:
		o.log.Error("a warning goes out without its remedies, because its signature's body cannot be read", "signature", w.Signature, "error", err)
	case found:
		matcher.Dress(w, body)
	}
}

// persist commits c, however long the store refuses.
func (o *owner) persist(ctx context.Context, c store.Commit) (first uint64, err error) {
	wait := 100 * time.Millisecond
	for tries := 0; ; tries++ {
		first, err = o.store.Commit(o.partition, c)
		if err == nil {
			if tries > 0 {
				o.log.Info("the state is written again", "partition", o.partition)
			}
			return first, nil
		}
		o.metrics.commitErrors.Inc()
		if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrCorrupt) {
			return 0, err
		}
		if tries == 0 {
			o.log.Error("the state cannot be written; the partition stands still until it can", "partition", o.partition, "error", err)
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(err, context.Cause(ctx))
		case <-time.After(wait):
		}
		wait = min(2*wait, 10*time.Second)
	}
}

// publish sends what was committed, and remembers what is to be taken out of the outbox.
func (o *owner) publish(ctx context.Context, numbers []uint64, list []store.Revision) error {
	if len(list) == 0 {
		return nil
	}
	var sent []uint64
	for i := range list {
		err := o.out.PublishWarning(ctx, WarningID(list[i].ID, list[i].Revision), list[i].Body)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("publish warning %s: %w: it is in the outbox and is published by the next start", list[i].ID, err)
		case err != nil: // it is larger than the server takes
			o.metrics.lostWarnings.Inc()
			o.log.Error("a warning cannot be published; it stays in the outbox until a start succeeds", "warning", list[i].ID, "error", err)
		default:
			sent = append(sent, numbers[i])
		}
	}
	if err := o.out.Flush(ctx); err != nil {
		return fmt.Errorf("store %d warnings: %w: they are in the outbox and are published by the next start", len(sent), err)
	}
	o.done = append(o.done, sent...)
	return nil
}

func (o *owner) acknowledge() {
	if o.window == 0 {
		return
	}
	if err := o.ack(o.last); err != nil {
		o.metrics.ackErrors.Inc() // they come again and are skipped
		o.log.Warn("hits were not acknowledged and come again", "partition", o.partition, "error", err)
	}
	o.window = 0
}

// report keeps what the status says of the partition.
func (o *owner) report(active bool) {
	o.state.Store(&ownerState{Position: o.stored, Active: active, Tracker: o.tracker.Stats(), Open: o.open.counts()})
}
