package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer gives the messages of one subject. Next belongs to one goroutine; the rest is safe for concurrent use.
type Consumer struct {
	s    *Stream
	c    ConsumerConfig
	cons jetstream.Consumer
	iter jetstream.MessagesContext

	last    uint64    // the last sequence that was given
	serial  uint64    // the server's number of the last delivery, while they follow each other; else 0
	waiting []Message // to be given before anything else
	until   uint64    // up to here the stream is read again, from last on; else 0
	behind  *Message  // to be given after that
	begun   bool      // Next was called
	asked   time.Time // when Next returned last
	stale   string    // the ownership that we lost while the caller was busy

	mu      sync.Mutex
	pending []jetstream.Msg // given and not acknowledged, by sequence
	acked   uint64
	sent    uint64 // the last sequence whose acknowledgement is under way or done
	pin     string // the server's name of our ownership
	closed  bool
	loss    loss
}

// Next waits for the next message. It returns ctx's error when that is done, and an error that wraps [ErrClosed] after
// Close or when the connection was closed. After other errors it may be called again; when they stay, close the consumer
// and open it again.
func (c *Consumer) Next(ctx context.Context) (Message, error) {
	defer func() { c.asked = time.Now() }()
	if c.c.Pinned && !c.asked.IsZero() && time.Since(c.asked) > c.c.PinnedTTL/2 {
		if err := c.stillOurs(ctx); err != nil {
			return Message{}, fmt.Errorf("next message of %s: ask who owns it: %w", c.c.Durable, err)
		}
	}
	for {
		if len(c.waiting) > 0 {
			m := c.waiting[0]
			c.waiting = c.waiting[1:]
			c.given(m)
			return m, nil
		}
		if !c.begun && c.c.Ordered && c.c.positioned() {
			if err := c.begin(ctx); err != nil {
				return Message{}, fmt.Errorf("next message of %s: %w", c.c.Durable, err)
			}
		}
		if c.until > 0 {
			if err := c.readAgain(ctx); err != nil {
				return Message{}, fmt.Errorf("next message of %s: read again what was not acknowledged: %w", c.c.Durable, err)
			}
			continue
		}
		raw, err := c.iter.Next(jetstream.NextContext(ctx))
		if err != nil {
			switch {
			case ctx.Err() != nil:
				err = ctx.Err()
			case errors.Is(err, jetstream.ErrMsgIteratorClosed):
				err = ErrClosed
			case errors.Is(err, jetstream.ErrConsumerDeleted):
				err = fmt.Errorf("%w: somebody deleted it, and its position with it", err)
			}
			return Message{}, fmt.Errorf("next message of %s: %w", c.c.Durable, err)
		}
		if c.isClosed() {
			_ = raw.Nak() // best effort, as in Close
			return Message{}, fmt.Errorf("next message of %s: %w", c.c.Durable, ErrClosed)
		}
		if err := c.take(ctx, raw); err != nil {
			return Message{}, fmt.Errorf("next message of %s: %w", c.c.Durable, err)
		}
	}
}

// pinHeader is where the server writes which owner a message is for.
const pinHeader = "Nats-Pin-Id"

// ErrClosed says that a consumer was closed.
var ErrClosed = errors.New("the consumer is closed")

// take puts what a delivery means in the line: itself, with what must come before it, or nothing when it is a repeat.
func (c *Consumer) take(ctx context.Context, raw jetstream.Msg) error {
	meta, err := raw.Metadata()
	if err != nil {
		return err
	}
	m := Message{
		Data: raw.Data(), Subject: raw.Subject(), Seq: meta.Sequence.Stream, Time: meta.Timestamp,
		Redelivered: meta.NumDelivered > 1, Pending: meta.NumPending, Header: raw.Headers(), raw: raw,
	}
	if pin := raw.Headers().Get(pinHeader); pin != "" {
		if pin == c.stale {
			return nil // another owner has it by now
		}
		c.mu.Lock()
		c.pin = pin
		c.mu.Unlock()
	}
	// An error here is a server that does not answer. The message goes its way; the count is made up for with the next one.
	_ = c.came(ctx, m.Seq)
	if !c.c.Ordered {
		c.waiting = append(c.waiting, m)
		return nil
	}
	if m.Seq <= c.last {
		c.repeated(m)
		c.serial = 0
		return nil
	}
	// Deliveries that are new and follow each other skip nothing. Anything else may: another owner got what lies between.
	follows := c.serial != 0 && meta.Sequence.Consumer == c.serial+1 && !m.Redelivered
	c.serial = meta.Sequence.Consumer
	if m.Redelivered {
		c.serial = 0
	}
	if !follows && !c.c.positioned() {
		if err := c.skipAcked(ctx); err != nil {
			c.serial = 0 // this message is a gap for the next one
			return fmt.Errorf("ask how far other owners are: %w", err)
		}
	}
	if !follows && m.Seq > c.last+1 {
		c.until, c.behind = m.Seq-1, &m
		return nil
	}
	c.waiting = append(c.waiting, m)
	return nil
}

// stillOurs drops what is held ready when another owner came while the caller was busy: that one reads it again, and may
// be far ahead already.
func (c *Consumer) stillOurs(ctx context.Context) error {
	c.mu.Lock()
	pin := c.pin
	c.mu.Unlock()
	if pin == "" {
		return nil
	}
	info, err := c.cons.Info(ctx)
	if err != nil {
		return err
	}
	for _, g := range info.PriorityGroups {
		if g.PinnedClientID != "" && g.PinnedClientID != pin {
			c.stale, c.serial = pin, 0
			c.waiting, c.until, c.behind = nil, 0, nil
		}
	}
	return nil
}

// positioned reports whether the caller's position decides, and not the server's.
func (c *ConsumerConfig) positioned() bool { return c.After > 0 || c.Everything }

// skipAcked moves our position to the server's, which other owners may have moved on.
func (c *Consumer) skipAcked(ctx context.Context) error {
	info, err := c.cons.Info(ctx)
	if err != nil {
		return err
	}
	c.last = max(c.last, info.AckFloor.Stream)
	return nil
}

// readAgain reads some of what lies before the message that waits behind it. A gap may be as large as the stream, so it is
// not read at once.
func (c *Consumer) readAgain(ctx context.Context) error {
	const some = 64
	enough := errors.New("enough")
	var got []Message
	err := c.s.Read(ctx, c.c.Stream, c.c.Subject, c.last+1, c.until, func(m Message) error {
		m.Redelivered, m.Pending = true, 1 // what lies behind
		if got = append(got, m); len(got) == some {
			return enough
		}
		return nil
	})
	all := !errors.Is(err, enough)
	if all && err != nil {
		return err
	}
	c.waiting = append(c.waiting, got...)
	if !all {
		return nil
	}
	if c.until = 0; c.behind != nil {
		c.waiting, c.behind = append(c.waiting, *c.behind), nil
	}
	return nil
}

// begin reads again what the caller does not have and the server does not give, because it was acknowledged. With an
// owner at work it is left until the ownership is ours.
func (c *Consumer) begin(ctx context.Context) error {
	info, err := c.cons.Info(ctx)
	if err != nil {
		return err
	}
	c.begun = true
	for _, g := range info.PriorityGroups {
		if g.PinnedClientID != "" {
			return nil
		}
	}
	if floor := info.AckFloor.Stream; floor > c.last {
		c.until = floor
	}
	return nil
}

// given notes that the caller has the message now.
func (c *Consumer) given(m Message) {
	c.last = max(c.last, m.Seq)
	if m.raw == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, m.raw)
}

// repeated acknowledges a repeat of what is done, and keeps one of what is not, whose acknowledgement is still to come.
func (c *Consumer) repeated(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Seq > c.acked {
		return // the acknowledgement of the first delivery, or of a later message, will do for it
	}
	_ = m.raw.Ack() // when it is lost, it comes again and is acknowledged then
}

// AckThrough acknowledges all messages with a sequence of seq or less that Next gave. Nothing is acknowledged twice, and
// an acknowledgement that is lost costs a repeat.
func (c *Consumer) AckThrough(seq uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = max(c.acked, seq)
	n := 0
	for n < len(c.pending) && sequence(c.pending[n]) <= seq {
		n++
	}
	if n == 0 {
		return nil
	}
	done := c.pending[:n]
	c.sent = sequence(done[n-1])
	c.pending = append([]jetstream.Msg(nil), c.pending[n:]...)
	if c.c.Pinned || c.c.Ordered {
		done = done[n-1:] // the server acknowledges all before it too
	}
	var errs []error
	for _, m := range done {
		if err := m.Ack(); !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("acknowledge up to %d as %s: %w", seq, c.c.Durable, err)
	}
	return nil
}

func sequence(m jetstream.Msg) uint64 {
	meta, err := m.Metadata()
	if err != nil {
		return 0
	}
	return meta.Sequence.Stream
}

// Close gives back what is not acknowledged, and the ownership, so that another consumer goes on at once. It waits no
// longer than ctx. A Next that waits returns.
func (c *Consumer) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	back, pin, sent := c.pending, c.pin, c.sent
	c.pending = nil
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if c.s.conn.IsConnected() {
		c.iter.Drain()
	} else {
		c.iter.Stop() // nothing can be given back
	}
	for { // what was fetched and not given
		m, err := c.iter.Next(jetstream.NextContext(ctx))
		if err != nil {
			break
		}
		back = append(back, m)
		if id := m.Headers().Get(pinHeader); id != "" && pin == "" {
			pin = id // the server made us the owner, and nobody had asked for what it gave
		}
	}
	c.iter.Stop()
	c.s.unuse(c)
	var errs []error
	if err := c.unpin(ctx, pin, sent); err != nil {
		errs = append(errs, err)
	}
	// Only now: what an owner gives back comes to it again at once, to requests that nobody waits for any more.
	for _, m := range back {
		_ = m.Nak() // best effort: otherwise it comes again after AckWait
	}
	if c.s.conn.IsConnected() {
		errs = append(errs, c.s.flush(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close consumer %s: %w", c.c.Durable, err)
	}
	return nil
}

func (c *Consumer) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// unpin gives the ownership back if we still have it, after the server has counted the acknowledgements up to sent.
func (c *Consumer) unpin(ctx context.Context, pin string, sent uint64) error {
	if pin == "" || !c.s.conn.IsConnected() {
		return nil
	}
	info, err := c.settled(ctx, sent)
	if err != nil {
		return err
	}
	for _, g := range info.PriorityGroups {
		if g.Group == group && g.PinnedClientID == pin {
			st, err := c.s.js.Stream(ctx, c.c.Stream)
			if err != nil {
				return err
			}
			return st.UnpinConsumer(ctx, c.c.Durable, group)
		}
	}
	return nil
}

// settled asks for the server's view until that includes the acknowledgement of sent. The server takes acknowledgements
// from a queue of its own, so the next owner could be told of a position that lies before them. One that was lost is not
// waited for long: it costs a repeat.
func (c *Consumer) settled(ctx context.Context, sent uint64) (*jetstream.ConsumerInfo, error) {
	for deadline := time.Now().Add(time.Second); ; {
		info, err := c.cons.Info(ctx)
		if err != nil || info.AckFloor.Stream >= sent || time.Now().After(deadline) {
			return info, err
		}
		select {
		case <-ctx.Done():
			return info, nil
		case <-time.After(time.Millisecond):
		}
	}
}
