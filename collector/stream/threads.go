package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// threadsBucket holds where notifiers keep the messages that they change in place.
const threadsBucket = "FOREWARN_THREADS"

// threadsAge is how long a place is kept since it was last remembered: a warning that changes later begins a new message.
const threadsAge = 30 * day

// Threads keep, for notifiers, where the message of a thread is, so that a process that takes over goes on with it. It is a notify.Threads, safe for concurrent
// use. It needs the buckets of [Stream.EnsureStreams].
type Threads struct{ s *Stream }

// Threads returns the places that are kept in the server.
func (s *Stream) Threads() Threads { return Threads{s} }

// Recall returns what was last remembered of key, nil if nothing was.
func (t Threads) Recall(ctx context.Context, key string) ([]byte, error) {
	kv, err := t.s.js.KeyValue(ctx, threadsBucket)
	if err == nil {
		var e jetstream.KeyValueEntry
		if e, err = kv.Get(ctx, checkpointKey(key)); err == nil {
			return e.Value(), nil
		}
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	return nil, fmt.Errorf("recall thread %s: %w", key, err)
}

// Remember keeps a place under key, in the place of the one before.
func (t Threads) Remember(ctx context.Context, key string, place []byte) error {
	kv, err := t.s.js.KeyValue(ctx, threadsBucket)
	if err == nil {
		_, err = kv.Put(ctx, checkpointKey(key), place)
	}
	if err != nil {
		return fmt.Errorf("remember thread %s: %w", key, err)
	}
	return nil
}

func (s *Stream) ensureThreads(ctx context.Context) error {
	c := jetstream.KeyValueConfig{
		Bucket: threadsBucket, Description: "forewarn: where notifiers keep the messages that they change", TTL: threadsAge,
		MaxBytes: 64 * mebibyte, Replicas: s.opts.Replicas,
	}
	if _, err := s.js.CreateOrUpdateKeyValue(ctx, c); err != nil {
		return fmt.Errorf("prepare bucket %s: %w", threadsBucket, err)
	}
	return nil
}
