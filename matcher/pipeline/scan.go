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

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// scanner turns one partition of RECORDS into hits. One goroutine owns it.
//
// Hits are published as soon as a batch is scanned. Marks wait until every hit of the batches before them is stored, so that
// no mark overtakes a hit, and are sent at most every markEvery. A batch is acknowledged when its hits and its mark are
// stored: what is between two flushes is the window.
type scanner struct {
	partition int
	hits      int // partitions of HITS
	program   func() *matcher.Program
	out       publisher
	inputs    *inputs
	dead      *deadLetters
	metrics   *metrics
	log       *slog.Logger
	pace      *pace
	markEvery time.Duration
	windowMax int // batches

	batch    record.Batch
	scratch  matcher.Scratch
	encoders []hitsEncoder
	used     []int  // the partitions with hits of the batch
	window   int    // batches that are not acknowledged
	last     uint64 // the sequence of the last of them
	ack      func(through uint64) error
	marks    map[string]matcher.Mark
	digest   uint64 // of the program, for message ids
	digestOf *matcher.Program
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
	if s.encoders == nil {
		s.encoders, s.marks = make([]hitsEncoder, s.hits), map[string]matcher.Mark{}
	}
	timer, resting := time.NewTimer(s.markEvery), time.NewTimer(restFirst)
	defer timer.Stop()
	defer resting.Stop()
	defer s.pace.rest(s.partition)
	for {
		select {
		case <-ctx.Done():
			return s.flush(drain)
		case <-resting.C:
			s.pace.rest(s.partition)
		case <-timer.C:
			if err := s.flush(drain); err != nil {
				return err
			}
		case m, ok := <-in:
			if !ok {
				return s.flush(drain)
			}
			if !s.pace.begin(ctx, s.partition, m.Seq) {
				return s.flush(drain)
			}
			resting.Reset(restAfter)
			if s.window == 0 {
				timer.Reset(s.markEvery)
			}
			s.window++
			s.last = m.Seq
			if err := s.scan(drain, &m); err != nil {
				return err
			}
			if m.Pending == 0 {
				s.pace.rest(s.partition)
			}
			if s.window >= s.windowMax {
				if err := s.flush(drain); err != nil {
					return err
				}
			}
		}
	}
}

// scan scans one batch and publishes its hits. Its errors are those of ctx.
func (s *scanner) scan(ctx context.Context, m *stream.Message) error {
	if err := s.batch.Decode(m.Data); err != nil {
		s.metrics.badBatches.Inc()
		s.dead.put("RECORDS", s.partition, m, err)
		return nil
	}
	header := s.batch.Header()
	program := s.program()
	before := s.scratch.Stats.CELErrors
	hits := program.Scan(&s.batch, &s.scratch)
	s.metrics.celErrors.AddN(int(s.scratch.Stats.CELErrors - before))
	s.inputs.note(header, s.batch.Len())
	s.metrics.scanned(len(m.Data), s.batch.Len(), len(hits))
	if header.Mark != 0 || header.Ended {
		s.mark(header)
	}
	if len(hits) == 0 {
		return nil
	}
	base := s.base(program, m)
	chunk := 0
	s.used = s.used[:0]
	for i := range hits {
		h := &hits[i]
		p := HitPartition(h.Signature, h.Key, s.hits)
		e := &s.encoders[p]
		if !slices.Contains(s.used, p) {
			if err := e.reset(header.Source); err != nil { // the batch had this very source
				s.dead.put("RECORDS", s.partition, m, err)
				return nil
			}
			s.used = append(s.used, p)
		}
		err := e.add(h)
		if errors.Is(err, record.ErrFull) && e.hits > 0 {
			if err := s.send(ctx, m, p, fmt.Sprintf("%s-%d-%d", base, p, chunk)); err != nil {
				return err
			}
			chunk++
			err = e.add(h)
		}
		if err != nil {
			s.metrics.lostHits.Inc()
			s.dead.put("RECORDS", s.partition, m, fmt.Errorf("encode a hit of record %016x: %w", h.Record.ID, err))
		}
	}
	for _, p := range s.used {
		e := &s.encoders[p]
		if e.hits == 0 {
			continue
		}
		if err := s.send(ctx, m, p, fmt.Sprintf("%s-%d", base, p)); err != nil {
			return err
		}
	}
	return nil
}

// send publishes the hits of m that were collected for a partition. Those that the server will never take are counted and kept
// as a dead letter: they must not hold up the partition.
func (s *scanner) send(ctx context.Context, m *stream.Message, partition int, id string) error {
	e := &s.encoders[partition]
	n := e.hits
	switch err := s.out.PublishHits(ctx, partition, id, e.take()); {
	case errors.Is(err, stream.ErrTooLarge):
		s.metrics.lostHits.AddN(n)
		s.dead.put("RECORDS", s.partition, m, err)
	case err != nil:
		return fmt.Errorf("publish hits of partition %d: %w", s.partition, err)
	}
	return nil
}

// base begins the message ids of a batch's hits. With the program's digest, because a batch that is scanned again after a
// reload may have other hits, which must not be taken for repeats; with the batch's hash, because a stream that was
// made anew counts from 1 again.
func (s *scanner) base(p *matcher.Program, m *stream.Message) string {
	if s.digestOf != p {
		s.digestOf, s.digest = p, xxhash.Sum64String(p.Digest())
	}
	return fmt.Sprintf("%d-%d-%016x", s.partition, m.Seq, xxhash.Sum64(m.Data)^s.digest)
}

// mark remembers the source's last mark until the next flush.
func (s *scanner) mark(h *record.Header) {
	was, known := s.marks[h.Source]
	m := matcher.Mark{Source: was.Source, Kinds: h.Kinds, Scope: was.Scope, Time: h.Mark, Ended: h.Ended}
	if !known {
		m.Source = string([]byte(h.Source)) // the batch's memory is used again
	}
	if !sameAttrs(m.Scope, h.Scope) {
		m.Scope = h.Scope.Clone()
	}
	if known {
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
