package collector

import (
	"errors"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// batcher puts the records of one source into frames. It is the parsers' sink.
type batcher struct {
	builder record.Builder
	limit   int // the size from which on a frame is finished
	counts  *format.Counts
	mark    int64
	seen    uint8 // kinds of the records so far, as bits 1<<Kind
	narrow  bool  // say that the source gives what it was seen to give, and nothing else
	gone    bool  // when it ends it gives nothing at all any more
	// promised says that mark is what the collector promised, and not the newest time of a record.
	promised bool
	records  [record.Alert + 1]uint64 // by kind
	frames   [][]byte                 // finished, oldest first
	free     []byte                   // memory of a frame that was given back
	redact   *redactor                // nil leaves secrets where they are
	clean    record.Attrs             // shared attributes in which there is no secret

	meter       *Meter        // nil counts nothing
	told        format.Counts // what the meter knows
	toldRecords [record.Alert + 1]uint64
}

var _ format.Sink = (*batcher)(nil)

// newBatcher makes a batcher whose builder has no header yet.
func newBatcher(o *Options, counts *format.Counts) *batcher {
	b := &batcher{limit: o.BatchBytes, counts: counts, meter: o.Meter}
	b.builder.Compress = o.Compress
	if !o.KeepSecrets {
		b.redact = newRedactor(o.Secrets)
	}
	return b
}

// Add implements [format.Sink].
func (b *batcher) Add(r *record.Record) {
	if b.redact != nil {
		b.counts.Add(format.RemovedSecret, b.redact.record(r))
	}
	b.add(r, b.builder.Add)
}

// shared is the sink of parsers whose records share their attributes.
type shared struct{ *batcher }

// Add implements [format.Sink].
func (s shared) Add(r *record.Record) {
	if s.redact == nil || len(r.Attrs) > 0 && len(r.Attrs) == len(s.clean) && &r.Attrs[0] == &s.clean[0] { // there was no secret in them
		s.add(r, s.builder.AddShared)
		return
	}
	before := r.Attrs
	s.counts.Add(format.RemovedSecret, s.redact.record(r))
	if len(before) > 0 && &r.Attrs[0] != &before[0] { // the redactor writes there again
		s.add(r, s.builder.Add)
		return
	}
	s.clean = before
	s.add(r, s.builder.AddShared)
}

func (b *batcher) add(r *record.Record, add func(*record.Record) error) {
	err := add(r)
	if err != nil && errors.Is(err, record.ErrFull) {
		b.cut(false)
		err = add(r)
	}
	if err != nil {
		b.counts.Add(format.RefusedRecord, 1)
		return
	}
	b.records[r.Kind]++
	b.seen |= 1 << r.Kind
	if !b.promised {
		b.mark = max(b.mark, r.Time)
	}
	if b.builder.Size() >= b.limit {
		b.cut(false)
	}
}

// cut finishes the frame under way. One without records is worth its bytes only when it says that the source has ended.
func (b *batcher) cut(ended bool) {
	if b.redact != nil { // all texts of a frame at once
		b.counts.Add(format.RemovedSecret, b.redact.batch(&b.builder, b.limit/2))
	}
	b.tell()
	if b.builder.Len() == 0 && !ended {
		return
	}
	switch {
	case ended && b.gone:
		b.builder.SetKinds(0)
	case b.narrow || ended: // what was empty gives nothing, and its end hides nothing
		b.builder.SetKinds(b.seen)
	}
	b.builder.SetMark(b.mark, ended)
	b.frames = append(b.frames, b.builder.AppendTo(b.free[:0]))
	b.free = nil
}

// heartbeat makes a frame that carries a mark and no records, after what is under way.
func (b *batcher) heartbeat(mark int64) {
	b.cut(false)
	b.mark = max(b.mark, mark)
	b.builder.SetMark(b.mark, false)
	b.frames = append(b.frames, b.builder.AppendTo(nil))
}

// take returns the oldest finished frame, nil when there is none.
func (b *batcher) take() []byte {
	if len(b.frames) == 0 {
		return nil
	}
	f := b.frames[0]
	b.frames = b.frames[1:]
	if len(b.frames) == 0 {
		b.frames = nil
	}
	return f
}

// give returns a frame's memory for the next one.
func (b *batcher) give(frame []byte) {
	if cap(frame) > cap(b.free) {
		b.free = frame
	}
}

// tell passes on to the meter what was counted since it was told last.
func (b *batcher) tell() {
	if b.meter == nil {
		return
	}
	for _, k := range record.Kinds() {
		b.meter.added(k, int(b.records[k]-b.toldRecords[k]))
	}
	b.toldRecords = b.records
	b.counts.Each(func(what format.Count, n uint64) {
		more := int(n - b.told.Get(what))
		switch {
		case more == 0:
		case what == format.RemovedSecret:
			b.meter.secrets(more)
		case what.Loss():
			b.meter.Lost(what.String(), more)
		}
	})
	b.told = *b.counts
}

// total returns how many records there were.
func (b *batcher) total() (n uint64) {
	for _, of := range b.records {
		n += of
	}
	return n
}
