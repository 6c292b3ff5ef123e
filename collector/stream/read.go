package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// LastSeq returns the sequence of the last message of the subject that the stream keeps, 0 when there is none. The
// subject may have wildcards; empty is the whole stream.
func (s *Stream) LastSeq(ctx context.Context, stream, subject string) (uint64, error) {
	st, err := s.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("last sequence of stream %s: %w", stream, err)
	}
	if subject == "" {
		return st.CachedInfo().State.LastSeq, nil
	}
	m, err := st.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("last sequence of %s in stream %s: %w", subject, stream, err)
	}
	return m.Sequence, nil
}

// Read calls fn for each message of the subject with from <= sequence <= to, in order, that the stream still keeps. A to of 0
// is the last message at the moment; an empty subject is the whole stream. It leaves no trace on the server, and does
// not touch the positions of consumers. An error of fn ends it and is returned as it is.
func (s *Stream) Read(ctx context.Context, stream, subject string, from, to uint64, fn func(Message) error) error {
	last, err := s.LastSeq(ctx, stream, subject)
	if err != nil {
		return err
	}
	if to == 0 || to > last {
		to = last
	}
	from = max(from, 1)
	if from > to {
		return nil
	}
	fail := func(err error) error {
		return fmt.Errorf("read %d to %d of %s in stream %s: %w", from, to, subject, stream, err)
	}
	config := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: 30 * time.Second,
	}
	if subject != "" {
		config.FilterSubjects = []string{subject}
	}
	cons, err := s.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return fail(err)
	}
	if cons.CachedInfo().NumPending == 0 {
		return s.forget(ctx, stream, cons) // they were all removed meanwhile
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(32))
	if err != nil {
		return fail(err)
	}
	defer iter.Stop()
	for {
		raw, err := next(ctx, iter)
		if errors.Is(err, errIdle) {
			if st, err := s.js.Stream(ctx, stream); err != nil {
				return fail(err)
			} else if st.CachedInfo().State.FirstSeq > to {
				return s.forget(ctx, stream, cons) // the rest was removed while we read
			}
			continue
		}
		if err != nil {
			return fail(err)
		}
		meta, err := raw.Metadata()
		if err != nil {
			return fail(err)
		}
		if meta.Sequence.Stream <= to {
			m := Message{Data: raw.Data(), Subject: raw.Subject(), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: raw.Headers()}
			if err := fn(m); err != nil {
				return err
			}
		}
		if meta.Sequence.Stream >= to || meta.NumPending == 0 {
			return s.forget(ctx, stream, cons)
		}
	}
}

// forget deletes the consumer of a finished read. The server would do it too, later.
func (s *Stream) forget(ctx context.Context, stream string, cons jetstream.Consumer) error {
	if info := cons.CachedInfo(); info != nil {
		_ = s.js.DeleteConsumer(ctx, stream, info.Name)
	}
	return nil
}

var errIdle = errors.New("no message came")

// next waits for a message, but not for ever.
func next(ctx context.Context, iter jetstream.MessagesContext) (jetstream.Msg, error) {
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	m, err := iter.Next(jetstream.NextContext(short))
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, errIdle
	}
	return m, err
}
