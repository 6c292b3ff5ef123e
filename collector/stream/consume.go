package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// group is the name of the one priority group of pinned consumers.
const group = "owner"

// ConsumerConfig says what to consume. Stream, Subject and Durable are required.
type ConsumerConfig struct {
	// Stream and Subject select the messages.
	Stream, Subject string
	// Durable names the position that the server keeps. Consumers of the same name share it.
	Durable string
	// Pinned makes one consumer of this name active at a time; the others wait until the server moves to one of them, because the
	// active one was closed or has not asked for messages for PinnedTTL. The active one must call Next that often.
	Pinned bool
	// PinnedTTL is how long an active consumer may be silent. Default 30 seconds, at least 2.
	PinnedTTL time.Duration
	// Ordered gives messages in the order of the stream, each once: what an earlier owner got and did not acknowledge is
	// read again before newer messages, and repeats are dropped. It needs one active consumer, so it is for pinned ones, or
	// for a single process.
	Ordered bool
	// After is the caller's own position, for Ordered: all messages with a greater sequence are given that the stream keeps,
	// whatever other owners acknowledged, because the caller's state has not seen them. 0 is for callers who have no state, or
	// none yet: what any owner acknowledged is not given again.
	After uint64
	// Everything makes an After of 0 a position like any other: a caller whose state is still empty is given all that the stream
	// keeps, whatever other owners acknowledged.
	Everything bool
	// New begins at the end of the stream when the server has no position of this name yet, instead of at its beginning.
	New bool
	// AckWait is how long a message may stay unacknowledged before the server gives it again. Default 30 seconds.
	AckWait time.Duration
	// MaxAckPending is how many messages may be unacknowledged before the server stops giving more. Default 256.
	MaxAckPending int
	// Prefetch is how many messages are held ready. Default 16: batches are large.
	Prefetch int
}

// Message is one message. Its Data belongs to the receiver.
type Message struct {
	Data    []byte
	Subject string
	Seq     uint64    // its place in the stream
	Time    time.Time // when the server stored it
	// Redelivered says that it may have been given before, to this or another consumer.
	Redelivered bool
	// Pending is how many more the stream held for this consumer when the message was given; at least 1 when it was read again.
	Pending uint64
	Header  map[string][]string

	raw jetstream.Msg // nil when it was read again from the stream
}

// Ack acknowledges this one message, of a consumer that is neither Pinned nor Ordered.
func (m *Message) Ack() error {
	if m.raw == nil {
		return nil
	}
	return m.raw.Ack()
}

// Consume opens a consumer. EnsureStreams must have been called, by this process or another one.
func (s *Stream) Consume(ctx context.Context, c ConsumerConfig) (*Consumer, error) {
	c.AckWait = cmp.Or(c.AckWait, 30*time.Second)
	c.MaxAckPending = cmp.Or(c.MaxAckPending, 256)
	c.Prefetch = min(cmp.Or(c.Prefetch, 16), c.MaxAckPending)
	c.PinnedTTL = cmp.Or(c.PinnedTTL, 30*time.Second)
	fail := func(err error) (*Consumer, error) {
		return nil, fmt.Errorf("consume %s of stream %s as %s: %w", c.Subject, c.Stream, c.Durable, err)
	}
	if c.Stream == "" || c.Subject == "" || c.Durable == "" {
		return fail(errors.New("stream, subject and durable name are required"))
	}
	if c.PinnedTTL < 2*time.Second {
		return fail(fmt.Errorf("pinned time to live %s: use 2 seconds or more", c.PinnedTTL))
	}
	config := jetstream.ConsumerConfig{
		Durable: c.Durable, FilterSubject: c.Subject, AckWait: c.AckWait, MaxAckPending: c.MaxAckPending,
		AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if c.New {
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	// A pull lives for half of the pin's life, so that a waiting owner renews in time.
	options := []jetstream.PullMessagesOpt{
		jetstream.PullMaxMessages(c.Prefetch), jetstream.WithMessagesErrOnMissingHeartbeat(false),
		jetstream.PullExpiry(c.PinnedTTL / 2), jetstream.PullHeartbeat(c.PinnedTTL / 4),
	}
	if c.Pinned || c.Ordered {
		config.AckPolicy = jetstream.AckAllPolicy
	}
	if c.Pinned {
		config.PriorityPolicy, config.PriorityGroups, config.PinnedTTL = jetstream.PriorityPolicyPinned, []string{group}, c.PinnedTTL
		options = append(options, jetstream.PullPriorityGroup(group))
	}
	if c.After > 0 {
		if last, err := s.LastSeq(ctx, c.Stream, ""); err != nil {
			return fail(err)
		} else if c.After > last {
			return fail(fmt.Errorf("our position is %d, but the stream ends at %d: it was deleted and made again, so the state that "+
				"belongs to the position must go too", c.After, last))
		}
	}
	cons, err := s.js.Consumer(ctx, c.Stream, c.Durable)
	if err == nil {
		config.DeliverPolicy = cons.CachedInfo().Config.DeliverPolicy // it is fixed, and has done its work
	}
	if err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		cons, err = s.js.CreateOrUpdateConsumer(ctx, c.Stream, config)
	}
	if err != nil {
		return fail(err)
	}
	iter, err := cons.Messages(options...)
	if err != nil {
		return fail(err)
	}
	info := cons.CachedInfo()
	k := &Consumer{s: s, c: c, cons: cons, iter: iter, last: c.After, acked: c.After}
	k.loss.begin(info)
	if err := s.use(k, iter.Stop); err != nil {
		iter.Stop()
		return fail(err)
	}
	return k, nil
}
