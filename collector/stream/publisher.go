package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/semaphore"
)

// PublisherConfig bounds what a publisher holds. The zero value is good.
type PublisherConfig struct {
	// Outstanding is how many messages may be unacknowledged. Default 256.
	Outstanding int
	// OutstandingBytes is how many bytes they may have together. Default 64 MiB.
	OutstandingBytes int64
	// AckTimeout is how long an acknowledgement may take before the message is sent again. Default 10 seconds.
	AckTimeout time.Duration
	// Readers makes messages for Stream wait while it is nearly full of what its readers did not read, which are the consumers whose
	// names begin with this. Without it a full stream removes its oldest messages, read or not.
	Stream, Readers string
	// Recycle is given each payload when it is stored and nobody has it any more, so that its memory can serve another one. It runs on the publisher's
	// goroutine and must not wait. nil leaves payloads to the garbage collector.
	Recycle func(payload []byte)
}

// Publisher sends messages in the order in which it gets them and keeps each until the server has stored it. It blocks when
// too much is unacknowledged, and loses nothing but what is unacknowledged when it is closed.
//
// When a message fails, or the connection goes, nothing more is sent; the oldest message is then tried until it is stored,
// and the others follow in their order. The server recognises what it had stored already by the message ids. Only a
// message that the server refuses while others are on their way can be overtaken, by at most these.
//
// It is safe for concurrent use; the order of concurrent calls is not defined.
type Publisher struct {
	s      *Stream
	c      PublisherConfig
	prefix string // of replies, and of ids for messages that have none
	room   *semaphore.Weighted
	bytes  *semaphore.Weighted
	in     chan *outgoing
	acks   chan ack
	flush  chan chan struct{}
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once
	gate   *gate // nil when nobody is waited for

	retries, stored, duplicates, held atomic.Uint64
	trouble                           atomic.Pointer[error]
}

type outgoing struct {
	msg    *nats.Msg
	number uint64
	size   int64
	stored bool
	sent   time.Time
}

// ack is the server's answer to a message, as it was sent in one round.
type ack struct {
	number, round uint64
	duplicate     bool
	err           error
}

// PublisherStats are counts since the publisher was made, and what it holds now.
type PublisherStats struct {
	Stored, Duplicates, Retries uint64
	Outstanding                 int
	// Waits is how often Publish waited for the readers of the stream.
	Waits uint64
	// Trouble is why nothing is stored at the moment, or nil.
	Trouble error
}

// Publisher makes a publisher. Close it before the Stream.
func (s *Stream) Publisher(c PublisherConfig) (*Publisher, error) {
	c.Outstanding = cmp.Or(c.Outstanding, 256)
	c.OutstandingBytes = cmp.Or(c.OutstandingBytes, 64*mebibyte)
	c.AckTimeout = cmp.Or(c.AckTimeout, 10*time.Second)
	if c.Outstanding < 1 || c.OutstandingBytes < 1 || c.AckTimeout < 0 {
		return nil, fmt.Errorf("publisher: %d messages and %d bytes outstanding, acknowledged within %s: all must be positive",
			c.Outstanding, c.OutstandingBytes, c.AckTimeout)
	}
	p := &Publisher{
		s: s, c: c, prefix: s.conn.NewInbox() + ".",
		room:  semaphore.NewWeighted(int64(c.Outstanding)),
		bytes: semaphore.NewWeighted(c.OutstandingBytes),
		in:    make(chan *outgoing), acks: make(chan ack, 2*c.Outstanding), flush: make(chan chan struct{}),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	if c.Readers != "" {
		g, err := s.gate(c.Stream, c.Readers)
		if err != nil {
			return nil, fmt.Errorf("publisher: %w", err)
		}
		p.gate = g
	}
	sub, err := s.conn.Subscribe(p.prefix+"*.*", p.answer)
	if err != nil {
		return nil, fmt.Errorf("publisher: listen for acknowledgements: %w", err)
	}
	status := s.conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	go p.run(sub, status)
	if err := s.use(p, p.end); err != nil {
		p.end()
		return nil, fmt.Errorf("publisher: %w", err)
	}
	return p, nil
}

// ErrTooLarge says that a message is larger than the server takes, however often it is tried.
var ErrTooLarge = errors.New("the message is too large")

// Publish sends a message to the subject of a stream and returns as soon as it is on its way; it waits while too much is
// unacknowledged. Messages with an id that the server has stored already are dropped there; an empty id is given one. The
// payload belongs to the publisher from now on. An error means that the message is not sent and will not be.
func (p *Publisher) Publish(ctx context.Context, subject, id string, payload []byte, header map[string]string) error {
	m := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{}}
	for k, v := range header {
		m.Header.Set(k, v)
	}
	if id != "" {
		m.Header.Set(nats.MsgIdHdr, id)
	}
	size := int64(m.Size()) + 64 // the id that we may add
	if limit := p.s.conn.MaxPayload(); limit > 0 && size > limit {
		return fmt.Errorf("publish %d bytes to %s: %w: the server takes %d at most: raise max_payload in its configuration or send smaller batches",
			len(payload), subject, ErrTooLarge, limit)
	}
	size = min(size, p.c.OutstandingBytes) // a message larger than all room waits for all of it
	if err := p.acquire(ctx, size); err != nil {
		return p.refuse(subject, err)
	}
	select {
	case p.in <- &outgoing{msg: m, size: size}:
		return nil
	case <-p.stop:
		p.release(size) // for others that wait, who must learn of it too
		return fmt.Errorf("publish to %s: the publisher is closed", subject)
	case <-ctx.Done(): // the connection takes nothing, not even into its buffer
		p.release(size)
		return p.refuse(subject, ctx.Err())
	}
}

// acquire waits until a message may be on its way: until the stream has room for it that costs nobody anything, and not too much is
// unacknowledged. The gate is first: who waits there must not hold up what others may send.
func (p *Publisher) acquire(ctx context.Context, size int64) error {
	if p.gate != nil {
		if err := p.gate.pass(ctx, p.stop, size); err != nil {
			return err
		}
	}
	err := p.room.Acquire(ctx, 1)
	if err == nil {
		if err = p.bytes.Acquire(ctx, size); err != nil {
			p.room.Release(1)
		}
	}
	if err != nil && p.gate != nil {
		p.gate.stored(size)
	}
	return err
}

// release undoes acquire.
func (p *Publisher) release(size int64) {
	p.room.Release(1)
	p.bytes.Release(size)
	if p.gate != nil {
		p.gate.stored(size)
	}
}

func (p *Publisher) refuse(subject string, err error) error {
	if why := p.Stats().Trouble; why != nil {
		err = fmt.Errorf("%w, while nothing could be stored: %w", err, why)
	}
	return fmt.Errorf("publish to %s: %w", subject, err)
}

// PublishRecords sends a batch to a partition of RECORDS. See [Publisher.Publish].
func (p *Publisher) PublishRecords(ctx context.Context, partition int, id string, frame []byte) error {
	return p.Publish(ctx, RecordsSubject(partition), id, frame, nil)
}

// PublishHits sends hits to a partition of HITS. See [Publisher.Publish].
func (p *Publisher) PublishHits(ctx context.Context, partition int, id string, payload []byte) error {
	return p.Publish(ctx, HitsSubject(partition), id, payload, nil)
}

// PublishWarning sends a revision of a warning. See [Publisher.Publish].
func (p *Publisher) PublishWarning(ctx context.Context, id string, payload []byte) error {
	return p.Publish(ctx, WarningsSubject, id, payload, nil)
}

// Flush waits until everything that was published before is stored.
func (p *Publisher) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case p.flush <- done:
	case <-p.ended:
		return errors.New("flush: the publisher is closed")
	case <-ctx.Done():
		return p.refuse("the streams", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-p.ended:
		return errors.New("flush: the publisher was closed before everything was stored")
	case <-ctx.Done():
		return p.refuse("the streams", ctx.Err())
	}
}

// Close waits until everything is stored, or ctx is done, and stops. Its error says how many messages were not stored, as
// far as the publisher knows.
func (p *Publisher) Close(ctx context.Context) error {
	err := p.Flush(ctx)
	p.end()
	p.s.unuse(p)
	if n := p.held.Load(); n > 0 {
		return fmt.Errorf("close the publisher with %d messages not stored: %w", n, err)
	}
	return nil
}

// end stops the goroutine and waits for it.
func (p *Publisher) end() {
	p.once.Do(func() { close(p.stop) })
	<-p.ended
}

// Stats returns counts.
func (p *Publisher) Stats() PublisherStats {
	st := PublisherStats{
		Stored: p.stored.Load(), Duplicates: p.duplicates.Load(), Retries: p.retries.Load(), Outstanding: int(p.held.Load()),
	}
	if t := p.trouble.Load(); t != nil {
		st.Trouble = *t
	}
	if g := p.gate; g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		st.Waits = g.held
		if st.Trouble == nil {
			st.Trouble = g.full
		}
	}
	return st
}

// answer runs on NATS's goroutine of the subscription, one answer after the other.
func (p *Publisher) answer(m *nats.Msg) {
	number, round, ok := strings.Cut(strings.TrimPrefix(m.Subject, p.prefix), ".")
	n, err := strconv.ParseUint(number, 10, 64)
	r, err2 := strconv.ParseUint(round, 10, 64)
	if !ok || err != nil || err2 != nil {
		return
	}
	a := ack{number: n, round: r}
	a.duplicate, a.err = parseAck(m)
	select {
	case p.acks <- a:
	case <-p.ended:
	}
}

func parseAck(m *nats.Msg) (duplicate bool, err error) {
	if m.Header.Get("Status") == "503" {
		return false, errors.New("no stream listens there: JetStream is not ready, or the streams were deleted; they are made again by a start of forewarn")
	}
	var body struct {
		Stream    string `json:"stream"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &body); {
	case err != nil:
		return false, fmt.Errorf("the server's answer is no acknowledgement: %w", err)
	case body.Error != nil:
		return false, fmt.Errorf("the server refused the message: %s (%d)", body.Error.Description, body.Error.Code)
	case body.Stream == "":
		return false, errors.New("the server's answer is no acknowledgement")
	}
	return body.Duplicate, nil
}

// withID gives the message an id, without which a retry could store it twice.
func (p *Publisher) withID(o *outgoing) {
	if o.msg.Header.Get(nats.MsgIdHdr) == "" {
		o.msg.Header = maps.Clone(o.msg.Header)
		o.msg.Header.Set(nats.MsgIdHdr, nuid.Next()+"."+strconv.FormatUint(o.number, 10))
	}
}
