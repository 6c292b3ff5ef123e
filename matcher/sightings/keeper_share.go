package sightings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
)

// share reads what other clusters counted, and puts there what this one did, until ctx is done or the shared ledger fails. Everything that is
// put there is a [Tally]: nothing else has a way out.
func (k *Keeper) share(ctx context.Context) error {
	shared, err := k.Shared(ctx)
	if err != nil {
		return err
	}
	var following sync.WaitGroup
	defer following.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	following.Go(func() {
		cancel(shared.Follow(ctx, func(e stream.Entry) {
			if e.Value == nil {
				return
			}
			if err := k.takeTally(e); err != nil {
				k.Log.Warn("an entry of the shared sightings cannot be read and counts nothing", "key", e.Key, "error", err)
			}
		}, nil))
	})
	told := map[Key]uint64{}
	for {
		if k.History != nil {
			for _, t := range k.Book.Own() {
				if told[t.Key()] >= t.Version {
					continue
				}
				if err := offer(ctx, shared, t.Key().shared(), t); err != nil {
					return errors.Join(err, context.Cause(ctx))
				}
				told[t.Key()] = t.Version
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(k.ShareEvery):
		}
	}
}

func (k Key) shared() string { return k.Origin + "." + k.Digest + "." + k.Month }

// offer merges a tally into a ledger.
func offer(ctx context.Context, l Ledger, key string, t *Tally) error {
	for range 8 {
		e, has, err := l.Get(ctx, key)
		if err != nil {
			return err
		}
		if has {
			if old, err := ReadTally(e.Value); err == nil && !old.less(t) {
				return nil // what cannot be read is replaced
			}
		}
		if _, err = l.Replace(ctx, key, []byte(t.encoding()), e.Sequence); !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("share %s: %w", key, stream.ErrConflict)
}

// Import merges tallies into what this cluster knows of others, and returns how many were new or newer. Those of this cluster itself are passed over.
func (k *Keeper) Import(ctx context.Context, all []*Tally) (taken int, err error) {
	for _, t := range all {
		if !k.Book.share(t) {
			continue
		}
		if err := offer(ctx, k.Sightings, foreign+t.Key().shared(), t); err != nil {
			return taken, fmt.Errorf("import: %w", err)
		}
		taken++
	}
	return taken, nil
}
