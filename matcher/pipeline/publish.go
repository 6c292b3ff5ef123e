package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
)

// Publisher sends the batches of collectors to RECORDS. Emit may be called from several goroutines, but for one source only
// from one at a time, because the order of its batches must be kept.
type Publisher struct {
	out        *stream.Publisher
	partitions int
	batches    prometheus.Counter
	bytes      prometheus.Counter
	summaries  sync.Pool // of *record.Summarizer
	payloads   sync.Pool // of *[]byte
}

// NewPublisher makes a publisher that has at most inFlight batches under way which are not stored yet; 0 is the stream's default. It is
// closed before the stream.
func NewPublisher(s *stream.Stream, inFlight int, r prometheus.Registerer) (*Publisher, error) {
	records, _ := s.Partitions()
	p := &Publisher{
		partitions: records,
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "published_batches_total", Help: "Batches of collectors that were sent to RECORDS.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "forewarn", Subsystem: "pipeline", Name: "published_bytes_total", Help: "Bytes of the batches that were sent to RECORDS.",
		}),
	}
	out, err := s.Publisher(stream.PublisherConfig{
		Stream: stream.Records, Readers: scanNames, Outstanding: inFlight,
		Recycle: func(payload []byte) { p.payloads.Put(&payload) },
	})
	if err != nil {
		return nil, err
	}
	p.out = out
	if r == nil {
		return p, nil
	}
	return p, errors.Join(r.Register(p.batches), r.Register(p.bytes))
}

// Emit sends one wire frame of a record.Builder; it is a collector.Emit. It blocks while too much is not stored yet, and copies the frame.
func (p *Publisher) Emit(ctx context.Context, frame []byte) error {
	x, _ := p.summaries.Get().(*record.Summarizer)
	if x == nil {
		x = new(record.Summarizer)
	}
	defer p.summaries.Put(x)
	s, err := x.Read(frame)
	if err != nil {
		return fmt.Errorf("publish a batch: %w", err)
	}
	var payload []byte
	if used, ok := p.payloads.Get().(*[]byte); ok {
		payload = (*used)[:0]
	}
	payload = append(payload, frame...)
	if err := p.out.PublishRecords(ctx, RecordPartition(s.Source, p.partitions), batchID(&s), payload); err != nil {
		return fmt.Errorf("publish a batch of %s: %w", s.Source, err)
	}
	p.batches.Inc()
	p.bytes.Add(float64(len(frame)))
	return nil
}

// batchID is the same for the same observations, whenever they were read. A heartbeat has none: each one counts.
func batchID(s *record.Summary) string {
	if s.Records == 0 {
		return ""
	}
	return fmt.Sprintf("%016x-%d-%d-%016x-%d-%t", xxhash.Sum64String(s.Source), s.Seq, s.Records, s.IDs, s.Mark, s.Ended)
}

// Frames is what batches are pulled from; a collector.Feed is one.
type Frames interface {
	// Next returns the next wire frame, valid until Next is called again, and io.EOF after the last one.
	Next(ctx context.Context) ([]byte, error)
}

// Drain sends all batches that f gives and waits until they are stored.
func (p *Publisher) Drain(ctx context.Context, f Frames) error {
	for {
		frame, err := f.Next(ctx)
		if errors.Is(err, io.EOF) {
			return p.out.Flush(ctx)
		}
		if err != nil {
			return err
		}
		if err := p.Emit(ctx, frame); err != nil {
			return err
		}
	}
}

// Flush waits until everything that was emitted is stored.
func (p *Publisher) Flush(ctx context.Context) error { return p.out.Flush(ctx) }

// Stats returns what was sent and what waits.
func (p *Publisher) Stats() stream.PublisherStats { return p.out.Stats() }

// Close waits until everything is stored, or ctx ends, and stops. Its error says how much was not stored.
func (p *Publisher) Close(ctx context.Context) error { return p.out.Close(ctx) }
