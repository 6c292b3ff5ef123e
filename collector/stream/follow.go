package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Follow calls fn for each message of the subject with a sequence of at least from, in order, first what the stream keeps and then what comes, until
// ctx ends, which is no error. caughtUp, if it is not nil, is called once, when what was there at the start has been given. Like [Stream.Read] it leaves no trace on the server and touches no position of
// a consumer, so that any number may follow. An error of fn ends it and is returned as it is.
func (s *Stream) Follow(ctx context.Context, stream, subject string, from uint64, fn func(Message) error, caughtUp func()) error {
	fail := func(err error) error {
		return fmt.Errorf("follow %s in stream %s: %w", subject, stream, err)
	}
	config := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1), InactiveThreshold: time.Minute,
	}
	if subject != "" {
		config.FilterSubjects = []string{subject}
	}
	cons, err := s.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return fail(err)
	}
	reached := func() {
		if caughtUp != nil {
			caughtUp()
			caughtUp = nil
		}
	}
	if cons.CachedInfo().NumPending == 0 {
		reached()
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return fail(err)
	}
	defer iter.Stop()
	for {
		raw, err := next(ctx, iter)
		switch {
		case errors.Is(err, errIdle):
			continue
		case ctx.Err() != nil:
			// The server forgets the consumer by itself a little later, if it cannot be told now.
			forgetting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			return s.forget(forgetting, stream, cons)
		case err != nil:
			return fail(err)
		}
		meta, err := raw.Metadata()
		if err != nil {
			return fail(err)
		}
		if err := fn(Message{Data: raw.Data(), Subject: raw.Subject(), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: raw.Headers()}); err != nil {
			return err
		}
		if meta.NumPending == 0 {
			reached()
		}
	}
}
