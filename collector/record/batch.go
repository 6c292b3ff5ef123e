package record

import "math"

// Batch is a decoded view of one wire frame: the records of one source, in the order in which the source gave them.
//
// The zero Batch is empty and ready for [Batch.Decode], which reuses its memory. A Batch is not safe for concurrent
// use while it is decoded; reading it from several goroutines is. An index i of a record must be in [0, Len), and an index
// of a set in [0, Sets).
//
// Everything that a Batch hands out aliases the wire bytes (or, when they were compressed, the Batch's own buffer): it is
// valid until the next Decode, and only while nobody writes to the wire bytes.
type Batch struct {
	header Header
	sum    uint64
	n      int
	cols   [columns]column
	ends   []uint32 // where each text ends, its separator not included
	text   []byte   // all texts, each with its separator; Padding more bytes in capacity

	attrs   []Attr   // the attributes of all sets, one after the other
	setEnds []uint32 // where each set ends in attrs; the last one is the scope's
	strings []string
	raw     []byte // the body of a compressed frame
}

// Header describes a batch as a whole.
type Header struct {
	// Source names the collector instance that the records come from, such as "logs/node-1". It is never empty.
	Source string
	// Scope says what the source speaks for, such as one node; empty means the whole cluster. A source that is silent makes
	// absence unknown only inside its scope.
	Scope Attrs
	// Kinds says which kinds of record the source can give, as a bit set: 1<<Kind.
	Kinds uint8
	// Mark is the source's heartbeat: it has given everything that happened up to this Unix nanosecond, as far as it can
	// know. A batch may carry a Mark and no records. 0 means that the batch says nothing of it.
	Mark int64
	// Ended says that the source gave everything it had and will say no more.
	Ended bool
}

// HasKind reports whether the source can give records of kind k.
func (h *Header) HasKind(k Kind) bool { return h.Kinds&(1<<k) != 0 }

// Header returns what the batch says as a whole. It is the batch's own: read it, do not write to it.
func (b *Batch) Header() *Header { return &b.header }

// Sum returns the frame's checksum, 0 of an empty Batch. [Batch.Decode] has compared it with the frame, and so it tells frames apart without reading one again.
func (b *Batch) Sum() uint64 { return b.sum }

// Len returns the number of records.
func (b *Batch) Len() int { return b.n }

// Text returns the texts of all records, contiguous, each followed by a new line. At least [Padding] zero bytes follow in
// its capacity and may be read.
func (b *Batch) Text() []byte { return b.text }

// TextEnds returns for each record where its text ends in [Batch.Text], its new line not included. A position p of Text
// belongs to the first record whose end is >= p.
func (b *Batch) TextEnds() []uint32 { return b.ends }

// TextRange returns where the text of record i lies in [Batch.Text], its new line not included.
func (b *Batch) TextRange(i int) (start, end uint32) {
	if i > 0 {
		start = b.ends[i-1] + 1
	}
	return start, b.ends[i]
}

// Kind returns the kind of record i.
func (b *Batch) Kind(i int) Kind { return Kind(b.cols[colKind].at(i)) }

// Time returns the time of record i.
func (b *Batch) Time(i int) int64 { return int64(b.cols[colTime].at(i)) }

// AttrSet returns which set record i has as its attributes. Records with equal attributes have the same set, so what
// depends on nothing but attributes needs to be looked at once a set.
func (b *Batch) AttrSet(i int) int { return int(b.cols[colSet].at(i)) }

// Sets returns the number of distinct sets of attributes.
func (b *Batch) Sets() int { return max(len(b.setEnds)-1, 0) }

// Set returns the attributes of set j; nil when it is empty.
func (b *Batch) Set(j int) Attrs {
	start, end := uint32(0), b.setEnds[j]
	if j > 0 {
		start = b.setEnds[j-1]
	}
	if start == end {
		return nil
	}
	return b.attrs[start:end:end]
}

// Get fills r with record i, without allocating.
func (b *Batch) Get(i int, r *Record) {
	start, end := b.TextRange(i)
	r.Kind = b.Kind(i)
	r.Time = b.Time(i)
	r.Observed = int64(b.cols[colObserved].at(i))
	r.Seq = b.cols[colSeq].at(i)
	r.ID = b.cols[colID].at(i)
	r.Count = uint32(b.cols[colCount].at(i))
	r.Value = math.Float64frombits(b.cols[colValue].at(i))
	r.Text = b.text[start:end:end]
	r.Attrs = b.Set(b.AttrSet(i))
}

// At returns record i, without allocating.
func (b *Batch) At(i int) Record {
	var r Record
	b.Get(i, &r)
	return r
}
