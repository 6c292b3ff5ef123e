package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// loss counts what a stream removed before a consumer got it. The server does not tell, so it is derived: what lies between
// two deliveries is lost as far as the stream has moved its beginning over it.
type loss struct {
	seen    uint64 // the last sequence that came
	counted uint64 // everything up to here is decided
	total   uint64
	fresh   bool // nothing was ever delivered at the start

	first, last uint64 // of the stream, when it was asked
	asked       time.Time
}

// begin starts at the position that the server has. A consumer that never got anything and finds nothing now had
// nothing to lose.
func (l *loss) begin(info *jetstream.ConsumerInfo) {
	l.counted = info.AckFloor.Stream
	l.fresh = info.Delivered.Consumer == 0 && info.NumPending == 0
}

// stale reports whether the stream's beginning must be asked for before a delivery of seq can be judged: now and then, and
// always when it is near: the stream would have to move over a quarter of itself within a tenth of a second to slip by.
func (l *loss) stale(seq uint64, now time.Time) bool {
	at := max(l.seen, l.counted)
	return seq > at+1 && (now.Sub(l.asked) >= 100*time.Millisecond || at < l.first+(l.last-l.first)/4)
}

func (l *loss) tell(state jetstream.StreamState, now time.Time) {
	l.first, l.last, l.asked = state.FirstSeq, state.LastSeq, now
	if l.fresh && l.first > 0 {
		l.counted = max(l.counted, l.first-1)
	}
	l.fresh = false
}

// deliver notes that seq came.
func (l *loss) deliver(seq uint64) {
	l.count(min(seq, l.first))
	l.seen, l.fresh = max(l.seen, seq), false
}

// count counts what is before the sequence and neither came nor is counted.
func (l *loss) count(before uint64) {
	if at := max(l.seen, l.counted); before > at+1 {
		l.total += before - 1 - at
		l.counted = before - 1
	}
}

// look judges without a delivery. What another owner acknowledged came. What is on its way to us is judged when it comes.
// When nothing waits, all that is in the stream is of others or came.
func (l *loss) look(info *jetstream.ConsumerInfo) {
	l.counted = max(l.counted, info.AckFloor.Stream)
	if info.Delivered.Stream <= max(l.seen, l.counted) {
		l.count(l.first)
	}
	if info.NumPending == 0 && info.NumAckPending == 0 {
		l.counted = max(l.counted, l.last)
	}
}

// Lost returns how many messages the stream removed, because it was full or they were too old, before this consumer got
// them. It is an upper bound: messages of other subjects between the lost ones count too, as the server does not tell them
// apart. It stays 0 when nothing is lost; call it every few seconds, as it also notes that nothing waits.
func (c *Consumer) Lost(ctx context.Context) (uint64, error) {
	if err := c.ask(ctx); err != nil { // before the consumer: what comes in between is no loss
		return 0, err
	}
	info, err := c.cons.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("count what %s lost: %w", c.c.Durable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loss.look(info)
	return c.loss.total, nil
}

// ask asks the server where the stream begins.
func (c *Consumer) ask(ctx context.Context) error {
	st, err := c.s.js.Stream(ctx, c.c.Stream)
	if err != nil {
		return fmt.Errorf("count what %s lost: %w", c.c.Durable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loss.tell(st.CachedInfo().State, time.Now())
	return nil
}

// came judges a delivery.
func (c *Consumer) came(ctx context.Context, seq uint64) error {
	c.mu.Lock()
	stale := c.loss.stale(seq, time.Now())
	c.mu.Unlock()
	if stale {
		if err := c.ask(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loss.deliver(seq)
	return nil
}
