package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
)

// IntakeSource is the source of records that came as JSON.
const IntakeSource = "intake"

const (
	intakeBytes = 256 << 10
	intakeEvery = 200 * time.Millisecond
)

// taker turns single JSON records into batches of RECORDS. One goroutine owns it.
//
// The intake speaks for nobody: its batches name no kinds, so that no absence is believed because of it. Its mark follows
// the newest record that is not of the future at a distance, so that time moves when it is the only source.
type taker struct {
	partition int
	out       publisher
	dead      *deadLetters
	metrics   *metrics
	now       func() time.Time
	delay     time.Duration
	clean     func(*record.Record) int // nil leaves secrets in
	attrs     record.Attrs

	builder record.Builder
	rec     record.Record
	newest  int64
	window  int
	first   uint64
	last    uint64
}

func (m *Matcher) intake(ctx, drain context.Context) error {
	out, err := m.c.Stream.Publisher(stream.PublisherConfig{Stream: stream.Records, Readers: scanNames})
	if err != nil {
		return err
	}
	defer out.Close(drain) //nolint:errcheck // what was not flushed is not acknowledged and comes again
	records, _ := m.c.Stream.Partitions()
	t := &taker{
		partition: RecordPartition(IntakeSource, records), out: out, dead: m.dead, metrics: m.metrics, now: m.c.Now, delay: m.c.IntakeDelay, clean: m.c.Clean,
		attrs: m.c.IntakeAttrs,
	}
	return m.follow(ctx, drain, func(context.Context) (stream.ConsumerConfig, error) {
		return stream.ConsumerConfig{
			Stream: stream.Intake, Subject: stream.IntakeSubject, Durable: "intake", Pinned: true, Ordered: true,
			PinnedTTL: m.c.TakeoverAfter, MaxAckPending: 8192, Prefetch: 1024,
		}, nil
	}, t.run)
}

func (t *taker) run(ctx, drain context.Context, in <-chan stream.Message, ack func(through uint64) error) error {
	t.window = 0
	if err := t.builder.Reset(record.Header{Source: IntakeSource}); err != nil {
		return err
	}
	timer := time.NewTimer(intakeEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return t.flush(drain, ack)
		case <-timer.C:
			if err := t.flush(drain, ack); err != nil {
				return err
			}
		case m, ok := <-in:
			if !ok {
				return t.flush(drain, ack)
			}
			if t.window == 0 {
				t.first = m.Seq
				timer.Reset(intakeEvery)
			}
			t.window++
			if err := t.take(drain, &m); err != nil {
				return err
			}
			t.last = m.Seq
			if t.builder.Size() >= intakeBytes || t.window >= 4096 {
				if err := t.flush(drain, ack); err != nil {
					return err
				}
			}
		}
	}
}

// take adds one record. One that cannot be used is counted and kept, and stops nothing.
func (t *taker) take(ctx context.Context, m *stream.Message) error {
	err := record.ParseJSON(m.Data, &t.rec)
	if err == nil {
		if t.rec.Observed == 0 {
			t.rec.Observed = t.now().UnixNano()
		}
		for _, a := range t.attrs {
			if _, told := t.rec.Attrs.Get(a.Key); !told {
				t.rec.Attrs = t.rec.Attrs.With(a.Key, a.Value)
			}
		}
		if t.builder.Len() > 0 && t.builder.Size()+len(m.Data) > 2*intakeBytes { // a large one travels alone
			if err := t.send(ctx); err != nil {
				return err
			}
		}
		if t.clean != nil {
			t.metrics.intakeSecrets.AddN(t.clean(&t.rec))
		}
		err = t.builder.Add(&t.rec)
	}
	if err != nil {
		t.metrics.intakeBad.Inc()
		t.dead.put(stream.Intake, 0, m, err)
		return nil
	}
	t.metrics.intakeRecords.Inc()
	// A wrong clock, or seconds that were meant as another unit, must not move time for everybody: it never goes back.
	t.newest = max(t.newest, min(t.rec.Time, t.now().UnixNano()))
	return nil
}

// send publishes the batch under way.
func (t *taker) send(ctx context.Context) error {
	if t.builder.Len() == 0 {
		return nil
	}
	n := t.builder.Len()
	t.builder.SetMark(t.newest-int64(t.delay), false)
	frame := t.builder.AppendTo(nil)
	id := fmt.Sprintf("%s-%d-%d-%016x", IntakeSource, t.first, n, xxhash.Sum64(frame))
	switch err := t.out.PublishRecords(ctx, t.partition, id, frame); {
	case errors.Is(err, stream.ErrTooLarge): // it must not hold up what comes after it
		t.metrics.intakeBad.AddN(n)
		t.dead.put(stream.Intake, 0, &stream.Message{Seq: t.first, Data: frame}, err)
	case err != nil:
		return fmt.Errorf("publish records of the intake: %w", err)
	}
	return nil
}

// flush publishes, waits until it is stored, and acknowledges.
func (t *taker) flush(ctx context.Context, ack func(through uint64) error) error {
	if t.window == 0 {
		return nil
	}
	if err := t.send(ctx); err != nil {
		return err
	}
	if err := t.out.Flush(ctx); err != nil {
		return fmt.Errorf("store records of the intake: %w", err)
	}
	if err := ack(t.last); err != nil {
		t.metrics.ackErrors.Inc() // they come again, and their identities are known
	}
	t.window = 0
	return nil
}
