package stream

import (
	"context"
	"fmt"
)

// deliveryBucket holds what destinations must not forget, silencesBucket the silences.
const (
	deliveryBucket = "FOREWARN_DELIVERY"
	silencesBucket = "FOREWARN_SILENCES"
)

// Delivery returns where the states of destinations are kept, with what [Checkpoints] promise. It works until ctx is done.
func (s *Stream) Delivery(ctx context.Context) (*Checkpoints, error) {
	kv, err := s.js.KeyValue(ctx, deliveryBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", deliveryBucket, err)
	}
	return &Checkpoints{ctx: ctx, kv: kv, heads: map[string]head{}}, nil
}

// PutSilence stores a silence under its id, which is made of letters and digits.
func (s *Stream) PutSilence(ctx context.Context, id string, silence []byte) error {
	kv, err := s.js.KeyValue(ctx, silencesBucket)
	if err == nil {
		_, err = kv.Put(ctx, id, silence)
	}
	if err != nil {
		return fmt.Errorf("store silence %s: %w", id, err)
	}
	return nil
}

// RemoveSilences takes silences away.
func (s *Stream) RemoveSilences(ctx context.Context, ids ...string) error {
	kv, err := s.js.KeyValue(ctx, silencesBucket)
	for i := 0; err == nil && i < len(ids); i++ {
		err = kv.Purge(ctx, ids[i])
	}
	if err != nil {
		return fmt.Errorf("remove silences: %w", err)
	}
	return nil
}

// Silences returns all silences by id.
func (s *Stream) Silences(ctx context.Context) (map[string][]byte, error) {
	all, err := s.all(ctx, silencesBucket)
	if err != nil {
		return nil, fmt.Errorf("get silences: %w", err)
	}
	return all, nil
}

// WatchSilences calls changed with all silences by id, first with those that there are, and whenever one changes, until ctx is done.
func (s *Stream) WatchSilences(ctx context.Context, changed func(silences map[string][]byte)) error {
	if err := s.watch(ctx, silencesBucket, changed); err != nil {
		return fmt.Errorf("watch silences: %w", err)
	}
	return nil
}
