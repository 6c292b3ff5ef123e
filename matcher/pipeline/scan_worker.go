package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// worker scans batches, one at a time. The scanners of a process share a few of them, so that no more batches are scanned at once than there are
// cores, and a partition with all the load can use all of them.
type worker struct {
	hits    int // partitions of HITS
	program func() *matcher.Program
	inputs  *inputs
	counter *Counter
	metrics *metrics

	batch    record.Batch
	scratch  matcher.Scratch
	encoders []hitsEncoder
	used     []int  // the partitions with hits of the batch
	digest   uint64 // of the program, for message ids
	digestOf *matcher.Program
}

// workers are those of a process that are free.
type workers chan *worker

func newWorkers(n, hits int, program func() *matcher.Program, x *inputs, c *Census, m *metrics) workers {
	free := make(workers, n)
	for range n {
		free <- &worker{hits: hits, program: program, inputs: x, counter: c.Counter(), metrics: m, encoders: make([]hitsEncoder, hits)}
	}
	return free
}

// scanned is what came of a batch, or will.
type scanned struct {
	message stream.Message
	done    chan struct{} // closed when the rest is there
	hits    []hitsMessage
	mark    matcher.Mark // without a source when the batch says nothing of its progress
	// unusable is what of it could not be used, and why: it was counted, and is to be kept as a dead letter.
	unusable []error
}

// hitsMessage is a message of HITS that is to be sent.
type hitsMessage struct {
	partition int
	id        string
	data      []byte
	n         int // of hits
}

// start scans a batch of a partition of RECORDS as soon as a worker is free.
func (free workers) start(partition int, m stream.Message) *scanned {
	s := &scanned{message: m, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		w := <-free
		defer func() { free <- w }()
		w.scan(partition, s)
	}()
	return s
}

// scan fills in what came of a batch.
func (w *worker) scan(partition int, s *scanned) {
	m := &s.message
	if err := w.batch.Decode(m.Data); err != nil {
		w.metrics.badBatches.Inc()
		s.unusable = append(s.unusable, err)
		return
	}
	header := w.batch.Header()
	program := w.program()
	before := w.scratch.Stats.CELErrors
	hits := program.Scan(&w.batch, &w.scratch)
	w.metrics.celErrors.AddN(int(w.scratch.Stats.CELErrors - before))
	w.inputs.note(header, w.batch.Len())
	w.counter.Count(&w.batch)
	w.metrics.scanned(len(m.Data), w.batch.Len(), len(hits))
	if header.Mark != 0 || header.Ended {
		// The batch's memory is used again.
		s.mark = matcher.Mark{Source: string([]byte(header.Source)), Kinds: header.Kinds, Scope: header.Scope.Clone(), Time: header.Mark, Ended: header.Ended}
	}
	if len(hits) > 0 {
		w.encode(partition, s, hits, program)
	}
}

// encode makes messages of the hits, by the partition of HITS that owns their state.
func (w *worker) encode(partition int, s *scanned, hits []matcher.Hit, program *matcher.Program) {
	base := w.base(partition, program, &s.message)
	chunk := 0
	w.used = w.used[:0]
	take := func(p int, id string) {
		e := &w.encoders[p]
		n := e.hits
		s.hits = append(s.hits, hitsMessage{p, id, e.take(), n})
	}
	for i := range hits {
		h := &hits[i]
		p := HitPartition(h.Signature, h.Key, w.hits)
		e := &w.encoders[p]
		if !slices.Contains(w.used, p) {
			if err := e.reset(h.Source); err != nil { // the batch had this very source
				s.unusable = append(s.unusable, err)
				return
			}
			w.used = append(w.used, p)
		}
		err := e.add(h)
		if errors.Is(err, record.ErrFull) && e.hits > 0 {
			take(p, fmt.Sprintf("%s-%d-%d", base, p, chunk))
			chunk++
			err = e.add(h)
		}
		if err != nil {
			w.metrics.lostHits.Inc()
			s.unusable = append(s.unusable, fmt.Errorf("encode a hit of record %016x: %w", h.Record.ID, err))
		}
	}
	for _, p := range w.used {
		if w.encoders[p].hits > 0 {
			take(p, fmt.Sprintf("%s-%d", base, p))
		}
	}
}

// base begins the message ids of a batch's hits. With the program's digest, because a batch that is scanned again after a
// reload may have other hits, which must not be taken for repeats; with the batch's checksum, because a stream that was
// made anew counts from 1 again.
func (w *worker) base(partition int, p *matcher.Program, m *stream.Message) string {
	if w.digestOf != p {
		w.digestOf, w.digest = p, xxhash.Sum64String(p.Digest())
	}
	return fmt.Sprintf("%d-%d-%016x", partition, m.Seq, w.batch.Sum()^w.digest)
}
