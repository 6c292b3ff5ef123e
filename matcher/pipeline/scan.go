package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// scanner turns one partition of RECORDS into hits. One goroutine owns it; workers scan its batches, several at once, and what
// comes of them is sent in the order in which they came.
//
// Hits are published as soon as a batch is scanned. Marks wait until every hit of the batches before them is stored, so that
// no mark overtakes a hit, and are sent at most every markEvery. A batch is acknowledged when its hits and its mark are
// stored: what is between two flushes is the window.
type scanner struct {
	partition int
	hits      int // partitions of HITS
	workers   workers
	out       publisher
	dead      *deadLetters
	metrics   *metrics
	log       *slog.Logger
	pace      *pace
	markEvery time.Duration
	windowMax int // batches
	fetch     int // batches that are asked for ahead: what waits beyond them is a backlog
	now       func() time.Time

	queue  []*scanned  // being scanned, in the order in which they came; no more than there are workers
	window int         // batches that are scanned and not acknowledged
	last   uint64      // the sequence of the last of them
	timer  *time.Timer // of the flush
	ack    func(through uint64) error
	marks  map[string]matcher.Mark
}

// A scanner rests when the stream holds nothing more for it. It also rests when nothing came for so long that another process
// must have the partition; finding that out at the start takes less.
const (
	restFirst = 2 * time.Second
	restAfter = 5 * time.Second
)

// run scans what comes from in until it is closed or ctx ends, then flushes what is under way with drain.
func (s *scanner) run(ctx, drain context.Context, in <-chan stream.Message, ack func(through uint64) error) error {
	s.ack = ack
	s.window, s.last = 0, 0
	if s.marks == nil {
		s.marks = map[string]matcher.Mark{}
	}
	s.timer = time.NewTimer(s.markEvery)
	defer s.timer.Stop()
	resting := time.NewTimer(restFirst)
	defer resting.Stop()
	defer s.pace.rest(s.partition)
	defer s.abandon()
	for {
		var first chan struct{}
		if len(s.queue) > 0 {
			first = s.queue[0].done
		}
		more := in
		if len(s.queue) >= cap(s.workers) {
			more = nil
		}
		select {
		case <-ctx.Done():
			return s.finish(drain)
		case <-resting.C:
			s.pace.rest(s.partition)
		case <-s.timer.C:
			if err := s.flush(drain); err != nil {
				return err
			}
		case <-first:
			if err := s.sendFirst(drain); err != nil {
				return err
			}
		case m, ok := <-more:
			if !ok {
				return s.finish(drain)
			}
			if s.pace.waits(s.partition, s.oldest(m.Seq), m.Seq) { // what came before it must not wait with it
				if err := s.sendAll(drain); err != nil {
					return err
				}
				if !s.pace.begin(ctx, s.partition, m.Seq) {
					return s.finish(drain)
				}
			}
			resting.Reset(restAfter)
			s.queue = append(s.queue, s.workers.start(s.partition, m))
		}
	}
}

// oldest is the sequence of the first batch that is not sent, or that of the next one.
func (s *scanner) oldest(next uint64) uint64 {
	if len(s.queue) > 0 {
		return s.queue[0].message.Seq
	}
	return next
}

// abandon waits for the workers. What they found is not sent, and comes again.
func (s *scanner) abandon() {
	for _, x := range s.queue {
		<-x.done
	}
	s.queue = nil
}

// finish sends what is being scanned and flushes.
func (s *scanner) finish(ctx context.Context) error {
	if err := s.sendAll(ctx); err != nil {
		return err
	}
	return s.flush(ctx)
}

func (s *scanner) sendAll(ctx context.Context) error {
	for len(s.queue) > 0 {
		if err := s.sendFirst(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sendFirst waits until the first batch of the queue is scanned, publishes its hits and takes it into the window. Its errors are those of ctx.
func (s *scanner) sendFirst(ctx context.Context) error {
	x := s.queue[0]
	<-x.done
	for _, why := range x.unusable {
		s.dead.put(stream.Records, s.partition, &x.message, why)
	}
	for i := range x.hits {
		if err := s.send(ctx, &x.message, &x.hits[i]); err != nil {
			return err
		}
	}
	if x.mark.Source != "" {
		s.mark(x.mark)
	}
	s.queue = slices.Delete(s.queue, 0, 1)
	if s.window == 0 {
		s.timer.Reset(s.markEvery)
	}
	s.window++
	s.last = x.message.Seq
	s.pace.scanned(s.partition, s.age(&x.message))
	switch {
	case len(s.queue) > 0:
		s.pace.reach(s.partition, s.queue[0].message.Seq)
	case x.message.Pending == 0:
		s.pace.rest(s.partition)
	}
	if s.window >= s.windowMax {
		return s.flush(ctx)
	}
	return nil
}

// age is how long a batch lay in the stream, when so many lie behind it that they are a backlog; else 0. Alone the time would say little: the clock is
// the server's.
func (s *scanner) age(m *stream.Message) time.Duration {
	if m.Pending <= uint64(s.fetch) || m.Time.IsZero() {
		return 0
	}
	return s.now().Sub(m.Time)
}

// send publishes hits of m. Those that the server will never take are counted and kept as a dead letter: they must not hold up
// the partition.
func (s *scanner) send(ctx context.Context, m *stream.Message, h *hitsMessage) error {
	switch err := s.out.PublishHits(ctx, h.partition, h.id, h.data); {
	case errors.Is(err, stream.ErrTooLarge):
		s.metrics.lostHits.AddN(h.n)
		s.dead.put(stream.Records, s.partition, m, err)
	case err != nil:
		return fmt.Errorf("publish hits of partition %d: %w", s.partition, err)
	}
	return nil
}

// mark remembers the source's last mark until the next flush.
func (s *scanner) mark(m matcher.Mark) {
	if was, known := s.marks[m.Source]; known {
		m.Time = max(m.Time, was.Time)
	}
	s.marks[m.Source] = m
}

// flush waits until all hits are stored, sends the marks, waits for them, and acknowledges the window. After an error nothing of
// the window is acknowledged, and all of it comes again.
func (s *scanner) flush(ctx context.Context) error {
	if s.window == 0 {
		return nil
	}
	if err := s.out.Flush(ctx); err != nil {
		return fmt.Errorf("store the hits of partition %d: %w", s.partition, err)
	}
	if len(s.marks) > 0 {
		if !s.pace.level(ctx, s.partition, s.last) {
			return fmt.Errorf("wait with the marks of partition %d: %w", s.partition, ctx.Err())
		}
		list := make([]matcher.Mark, 0, len(s.marks))
		for _, m := range s.marks {
			list = append(list, m)
		}
		slices.SortFunc(list, func(a, b matcher.Mark) int { return cmp.Compare(a.Source, b.Source) })
		for _, message := range encodeMarks(list) {
			for p := range s.hits {
				// No id: a mark that comes twice does nothing.
				if err := s.out.PublishHits(ctx, p, "", bytes.Clone(message)); errors.Is(err, stream.ErrTooLarge) {
					s.log.Error("a source's mark cannot be sent, so it is silent: its name or scope is too long", "partition", s.partition, "error", err)
				} else if err != nil {
					return fmt.Errorf("publish the marks of partition %d: %w", s.partition, err)
				}
			}
		}
		if err := s.out.Flush(ctx); err != nil {
			return fmt.Errorf("store the marks of partition %d: %w", s.partition, err)
		}
		clear(s.marks)
	}
	if err := s.ack(s.last); err != nil {
		// They come again, their hits are recognised by their ids, and their records by theirs.
		s.metrics.ackErrors.Inc()
		s.log.Warn("batches were not acknowledged and come again", "partition", s.partition, "error", err)
	}
	s.window = 0
	return nil
}
