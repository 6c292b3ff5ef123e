package sightings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// count follows the log of warnings and stores those that are over. The position is stored after what came before it, so that after a restart some
// come again; they are known by their ids, and change nothing.
func (k *Keeper) count(ctx context.Context) error {
	position, err := k.position(ctx)
	if err != nil {
		return err
	}
	stored, closedAt := position, ""
	for {
		err := k.History.Read(ctx, position, func(w *matcher.Warning, at uint64) error {
			if err := k.store(ctx, w); err != nil {
				return err
			}
			position = at
			return nil
		})
		if err != nil {
			return fmt.Errorf("read finished warnings: %w", err)
		}
		if position != stored {
			if _, err := k.Sightings.Put(ctx, positionKey, []byte(strconv.FormatUint(position, 10))); err != nil {
				return err
			}
			stored = position
		}
		if month := k.Book.now().UTC().Format(monthLayout); month != closedAt {
			if err := k.closeMonths(ctx); err != nil {
				return err
			}
			closedAt = month
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(k.Every):
		}
	}
}

func (k *Keeper) position(ctx context.Context) (uint64, error) {
	e, has, err := k.Sightings.Get(ctx, positionKey)
	if err != nil || !has {
		return 0, err
	}
	n, err := strconv.ParseUint(string(e.Value), 10, 64)
	if err != nil {
		k.Log.Warn("how far warnings were counted cannot be read; all that there are are looked at again, and none counts twice", "error", err)
		return 0, nil
	}
	return n, nil
}

// store counts one warning if it is over, or corrects what was counted. Another process that does the same at the same time is noticed by the
// sequence of what it replaces.
func (k *Keeper) store(ctx context.Context, w *matcher.Warning) error {
	version := ""
	if k.Kubernetes != nil {
		version = k.Kubernetes()
	}
	s, ok := Of(w, version, k.Book.now())
	for tries := 0; ; tries++ {
		old, seq := k.Book.counted(w.Signature, w.ID)
		if seq == 0 && !ok || seq != 0 && old.Revision >= w.Revision {
			return nil
		}
		if seq != 0 {
			s.Month = old.Month
			if !ok { // it was counted, and is open again or never was
				s = old
				s.Revision, s.Retracted = w.Revision, true
			}
		}
		b, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode the sighting of warning %s: %w", w.ID, err)
		}
		seq, err = k.Sightings.Replace(ctx, sighted+w.ID, b, seq)
		if errors.Is(err, stream.ErrConflict) && tries < 8 {
			if err := k.refresh(ctx, sighted+w.ID); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		k.counted.Add(1)
		k.Book.take(s, seq)
		return nil
	}
}

// refresh takes an entry as it is now, which the one who follows may not have told yet.
func (k *Keeper) refresh(ctx context.Context, key string) error {
	e, has, err := k.Sightings.Get(ctx, key)
	if err == nil && has {
		k.takeSighting(e)
	}
	return err
}

// closeMonths puts one entry in the place of all sightings of a signature in a month that is long over, and of what was said of them. It is made once: whoever
// makes it has everything, for nothing of that month is removed before it is there; the others find it, and remove what it stands for too.
func (k *Keeper) closeMonths(ctx context.Context) error {
	now := k.Book.now().UTC()
	before := time.Date(now.Year(), now.Month()-keepMonths, 1, 0, 0, 0, 0, time.UTC).Format(monthLayout)
	months, warnings := k.Book.due(before)
	for _, c := range months {
		b, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode month %s of %s: %w", c.Tally.Month, c.Signature, err)
		}
		key := monthly + c.Tally.Digest + "." + c.Tally.Month
		if _, err := k.Sightings.Replace(ctx, key, b, 0); err != nil && !errors.Is(err, stream.ErrConflict) {
			return err
		}
		if err := k.refresh(ctx, key); err != nil {
			return err
		}
	}
	for _, of := range warnings {
		for _, id := range of {
			if err := k.remove(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) remove(ctx context.Context, warning string) error {
	if err := k.Sightings.Remove(ctx, sighted+warning); err != nil {
		return err
	}
	for _, key := range k.Book.keys(warning) {
		if err := k.Feedback.Remove(ctx, warning+"."+key); err != nil {
			return err
		}
	}
	return nil
}
