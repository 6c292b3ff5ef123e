package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// Feed gives the revisions of warnings to one destination, in the order of WARNINGS; it is a notify.Feed. The server keeps the
// destination's position, so that any number of processes may hold the same feed and one of them is active.
type Feed struct {
	c interface {
		consumer
		Close(ctx context.Context) error
	}
	log *slog.Logger
}

// How often a feed asks again when the server does not answer, and for how long.
const (
	feedEvery = time.Second
	feedFor   = 60
)

const (
	// feedSilent is how long a process may be silent before another one delivers in its place.
	feedSilent = 10 * time.Second
	// feedRepeat is how long after a restart a warning comes again that was under way when a server in this process stopped: the
	// server does not remember that it was given back. While a destination is dead the feed drops the repeats.
	feedRepeat = 5 * time.Second
)

// NewFeed opens the feed of a destination, whose name is made of letters, digits, dashes and underscores. A destination that is new begins
// with what is told from now on. Close it before the stream.
func NewFeed(ctx context.Context, s *stream.Stream, destination string, log *slog.Logger) (*Feed, error) {
	c, err := s.Consume(ctx, stream.ConsumerConfig{
		Stream: stream.Warnings, Subject: stream.WarningsSubject, Durable: "notify-" + destination, Pinned: true, Ordered: true, New: true,
		PinnedTTL: feedSilent, AckWait: feedRepeat,
	})
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Feed{c, log}, nil
}

// Next waits for the next revision; its position is its sequence in WARNINGS. done tells that it needs no further try; without it, it comes again after a restart. A server
// that does not answer is asked again for a minute before that is an error.
func (f *Feed) Next(ctx context.Context) (w matcher.Warning, position uint64, done func() error, err error) {
	for tries := 0; ; {
		m, err := f.c.Next(ctx)
		if err != nil {
			if tries++; tries > feedFor || ctx.Err() != nil || errors.Is(err, stream.ErrClosed) {
				return matcher.Warning{}, 0, nil, err
			}
			f.log.Warn("the next warning cannot be read; it is tried again", "error", err)
			select {
			case <-ctx.Done():
				return matcher.Warning{}, 0, nil, ctx.Err()
			case <-time.After(feedEvery):
			}
			continue
		}
		tries = 0
		told, err := DecodeWarning(m.Data)
		if err == nil {
			return told.Warning, m.Seq, func() error { return f.c.AckThrough(m.Seq) }, nil
		}
		f.log.Warn("a message of WARNINGS is no warning and is passed over", "sequence", m.Seq, "error", err)
		if err := f.c.AckThrough(m.Seq); err != nil { // the next acknowledgement covers it
			f.log.Warn("a message of WARNINGS was not acknowledged", "sequence", m.Seq, "error", err)
		}
	}
}

// Close gives the destination to another process.
func (f *Feed) Close(ctx context.Context) error { return f.c.Close(ctx) }

// Latest reads the last revision of each warning that WARNINGS still holds, in no order: for a destination that must know what it was
// told before, for `forewarn status` and for [matcher.DigestWarnings].
func Latest(ctx context.Context, s *stream.Stream) ([]matcher.Warning, error) {
	newest := map[string]matcher.Warning{}
	err := s.Read(ctx, stream.Warnings, stream.WarningsSubject, 0, 0, func(m stream.Message) error {
		told, err := DecodeWarning(m.Data)
		if err != nil {
			return nil //nolint:nilerr // the feeds of the destinations count and tell what is no warning
		}
		if old, known := newest[told.Warning.ID]; !known || told.Warning.Revision >= old.Revision {
			newest[told.Warning.ID] = told.Warning
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the warnings stream: %w", err)
	}
	return slices.Collect(maps.Values(newest)), nil
}
