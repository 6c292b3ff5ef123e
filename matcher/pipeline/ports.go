package pipeline

import (
	"context"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
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

// tracker is a [matcher.Tracker]. It belongs to its partition's owner.
type tracker interface {
	Observe(h *matcher.Hit)
	Mark(m matcher.Mark)
	Advance()
	Changes() []matcher.Change
	Swap(p matcher.Lookup)
	Restore(key, value []byte) error
	Dirty(fn func(key, value []byte))
	Stats() matcher.Stats
	Open() []matcher.Warning
}

var _ tracker = (*matcher.Tracker)(nil)
