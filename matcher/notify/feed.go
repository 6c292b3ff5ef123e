package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// StreamFeed is a [Feed] over the WARNINGS stream. Create it as a literal.
type StreamFeed struct {
	// Consumer reads WARNINGS under the destination's own name; required. It must be ordered.
	Consumer interface {
		Next(ctx context.Context) (stream.Message, error)
		AckThrough(seq uint64) error
	}
	// Wants, if set, chooses; what it does not want is acknowledged and passed over.
	Wants func(*matcher.Warning) bool
	Log   *slog.Logger // required

	unreadable atomic.Uint64
}

// Unreadable counts messages that were no warnings. They are passed over, with a line in the log.
func (f *StreamFeed) Unreadable() uint64 { return f.unreadable.Load() }

// Next implements [Feed].
func (f *StreamFeed) Next(ctx context.Context) (matcher.Warning, func() error, error) {
	for {
		m, err := f.Consumer.Next(ctx)
		if err != nil {
			return matcher.Warning{}, nil, fmt.Errorf("read the warnings stream: %w", err)
		}
		var w matcher.Warning
		if err := json.Unmarshal(m.Data, &w); err != nil {
			f.unreadable.Add(1)
			f.Log.Error("a message of the warnings stream is no warning and is passed over: see that nothing else publishes there", "sequence", m.Seq, "error", err)
			if err := f.Consumer.AckThrough(m.Seq); err != nil {
				f.Log.Warn("a message could not be acknowledged and will come again", "sequence", m.Seq, "error", err)
			}
			continue
		}
		if f.Wants != nil && !f.Wants(&w) {
			if err := f.Consumer.AckThrough(m.Seq); err != nil {
				f.Log.Warn("a message could not be acknowledged and will come again", "sequence", m.Seq, "error", err)
			}
			continue
		}
		return w, func() error { return f.Consumer.AckThrough(m.Seq) }, nil
	}
}

// Latest reads the newest revision of each warning that the stream still holds, for [Ticker.Prime], `forewarn status` and [matcher.DigestWarnings]. They come in
// no order.
func Latest(ctx context.Context, s *stream.Stream) ([]matcher.Warning, error) {
	newest := map[string]matcher.Warning{}
	err := s.Read(ctx, stream.Warnings, stream.WarningsSubject, 0, 0, func(m stream.Message) error {
		var w matcher.Warning
		if json.Unmarshal(m.Data, &w) == nil && w.Revision >= newest[w.ID].Revision {
			newest[w.ID] = w
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("read the warnings stream: %w", err)
	}
	all := make([]matcher.Warning, 0, len(newest))
	for _, w := range newest {
		all = append(all, w)
	}
	return all, err
}
