package pipeline

import (
	"context"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
)

// publisher is a [stream.Publisher]: it keeps the order, blocks when too much is unacknowledged, and tries until ctx ends.
type publisher interface {
	PublishHits(ctx context.Context, partition int, id string, payload []byte) error
	PublishWarning(ctx context.Context, id string, payload []byte) error
	PublishRecords(ctx context.Context, partition int, id string, frame []byte) error
	Flush(ctx context.Context) error
}

var _ publisher = (*stream.Publisher)(nil)

// consumer is a [stream.Consumer].
type consumer interface {
	Next(ctx context.Context) (stream.Message, error)
	AckThrough(seq uint64) error
}

var _ consumer = (*stream.Consumer)(nil)

// ledger is a [store.Store] as the owner of a partition uses it.
type ledger interface {
	Position(partition int) (uint64, error)
	LoadProgress(partition int, without string, fn func(key, value []byte) error) error
	ProgressEntry(partition int, key []byte) ([]byte, error)
	Commit(partition int, c store.Commit) (first uint64, err error)
	Outbox(partition int, fn func(store.Pending) error) error
	OutboxDone(partition int, numbers ...uint64) error
	Signature(digest string) (*signatures.Signature, bool, error)
}

var _ ledger = (*store.Store)(nil)

// tracker is a [matcher.Tracker]. It belongs to its partition's owner.
type tracker interface {
	ObserveAll(hits []matcher.Hit)
	Mark(m matcher.Mark)
	Advance()
	Changes() []matcher.Change
	Swap(p matcher.Lookup)
	Restore(key, value []byte) error
	Dirty(fn func(key, value []byte))
	Stats() matcher.Stats
	OpenStates(fn func(matcher.OpenState))
}

var _ tracker = (*matcher.Tracker)(nil)
