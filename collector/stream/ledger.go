package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The buckets of sightings and of what people say of warnings. They have no age: they are kept for years, and what is in them is made small by who
// writes it. A full one refuses what is new.
const (
	sightingsBucket = "FOREWARN_SIGHTINGS"
	feedbackBucket  = "FOREWARN_FEEDBACK"
	// SharedSightings is the bucket that clusters share, unless they name another one.
	SharedSightings = "FOREWARN_SHARED_SIGHTINGS"
)

// ErrConflict says that an entry is not as it was when it was read: read it again.
var ErrConflict = errors.New("it was written by another process meanwhile")

// Ledger is a bucket of which every process follows all entries. It is safe for concurrent use.
type Ledger struct{ kv jetstream.KeyValue }

// Entry is one entry of a ledger as it is now.
type Entry struct {
	Key      string
	Value    []byte // nil when it was removed
	Sequence uint64 // grows with every change of anything in the ledger
}

// Sightings returns the ledger of finished warnings.
func (s *Stream) Sightings(ctx context.Context) (*Ledger, error) {
	return s.ledger(ctx, sightingsBucket)
}

// Feedback returns the ledger of what people said.
func (s *Stream) Feedback(ctx context.Context) (*Ledger, error) { return s.ledger(ctx, feedbackBucket) }

func (s *Stream) ledger(ctx context.Context, name string) (*Ledger, error) {
	kv, err := s.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = fmt.Errorf("%w: was it made by an older forewarn? Start this version there once", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return &Ledger{kv}, nil
}

// Shared returns a ledger that several clusters use, and makes it when the server has none of this name.
func (s *Stream) Shared(ctx context.Context, name string) (*Ledger, error) {
	kv, err := s.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, Description: "forewarn: sightings that clusters share", MaxBytes: 256 * mebibyte, Replicas: s.opts.Replicas,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open shared bucket %s at %s: %w", name, Places(s.opts.URL), err)
	}
	return &Ledger{kv}, nil
}

// Put stores an entry, whatever was there, and returns its sequence.
func (l *Ledger) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	seq, err := l.kv.Put(ctx, key, value)
	if err != nil {
		return 0, fmt.Errorf("put %s into %s: %w", key, l.kv.Bucket(), err)
	}
	return seq, nil
}

// Replace stores an entry in place of the one with a sequence, 0 for none, and returns its own. Another one there is [ErrConflict].
func (l *Ledger) Replace(ctx context.Context, key string, value []byte, was uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	var seq uint64
	var err error
	if was == 0 {
		seq, err = l.kv.Create(ctx, key, value)
	} else {
		seq, err = l.kv.Update(ctx, key, value, was)
	}
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		err = ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("put %s into %s: %w", key, l.kv.Bucket(), err)
	}
	return seq, nil
}

// Get returns an entry; false when there is none.
func (l *Ledger) Get(ctx context.Context, key string) (Entry, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	e, err := l.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("get %s of %s: %w", key, l.kv.Bucket(), err)
	}
	return Entry{Key: key, Value: e.Value(), Sequence: e.Revision()}, true, nil
}

// Remove removes an entry; that it is not there is no error.
func (l *Ledger) Remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	if err := l.kv.Purge(ctx, key); err != nil {
		return fmt.Errorf("remove %s of %s: %w", key, l.kv.Bucket(), err)
	}
	return nil
}

const ledgerPatience = 15 * time.Second

// Follow calls changed with every entry that there is, calls whole when that was all, and then calls changed with what changes, in the order in which it does,
// until ctx is done. A nil whole is not called.
func (l *Ledger) Follow(ctx context.Context, changed func(Entry), whole func()) error {
	w, err := l.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("follow bucket %s: %w", l.kv.Bucket(), err)
	}
	for {
		select {
		case <-ctx.Done():
			_ = w.Stop() // the context has stopped it, too
			return nil
		case e, ok := <-w.Updates():
			switch {
			case !ok && ctx.Err() == nil:
				return fmt.Errorf("follow bucket %s: the server ended it", l.kv.Bucket())
			case !ok:
				return nil
			case e == nil:
				if whole != nil {
					whole()
				}
			case e.Operation() == jetstream.KeyValuePut:
				changed(Entry{Key: e.Key(), Value: e.Value(), Sequence: e.Revision()})
			default:
				changed(Entry{Key: e.Key(), Sequence: e.Revision()})
			}
		}
	}
}
