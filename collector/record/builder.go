package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
)

// ErrFull is returned by [Builder.Add] when the batch has no room for the record: finish it, and add the record again.
var ErrFull = errors.New("batch is full")

// Builder makes wire frames out of records. It copies what it is given, reuses its memory from batch to batch and does
// not allocate once that has grown. The zero Builder needs a [Builder.Reset] first. It is not safe for concurrent use.
type Builder struct {
	// Compress makes frames smaller with S2, where that helps. It costs about five times the time of encoding, so it is for
	// networks and not for a server in the same process.
	Compress bool

	header Header
	cols   [columns][]uint64
	ends   []uint32
	text   []byte

	blob    []byte   // the bytes of all strings
	strEnds []uint32 // where each string ends in blob
	strs    table
	pairs   []uint32 // string numbers: key, value, key, value...
	setEnds []uint32 // where each set ends in pairs, counted in pairs
	sets    table
	last    uint32 // the set of the record before
	shared  Attrs  // its attributes, when nobody writes to them; else nil
	fixed   int    // what the header, the source, the scope and the padding cost at most
	seed    maphash.Seed
	body    []byte
}

// Reset empties the builder and says what the next batch is about. It refuses a header without a source, with kinds that do
// not exist or beyond the limits; the builder is then as it was before.
func (b *Builder) Reset(h Header) error {
	switch {
	case h.Source == "":
		return errors.New("batch header has no source")
	case len(h.Source) > MaxValue:
		return fmt.Errorf("source of the batch header has %d bytes: at most %d are allowed", len(h.Source), MaxValue)
	case h.Kinds&^allKinds != 0:
		return fmt.Errorf("kinds %#x of the batch header: no such kind", h.Kinds&^allKinds)
	}
	if err := h.Scope.check(); err != nil {
		return fmt.Errorf("scope of the batch header: %w", err)
	}
	h.Source, h.Scope = strings.Clone(h.Source), h.Scope.Clone()
	b.fixed = headerSize + len(h.Source) + 4 + setSize(h.Scope) + Padding
	if b.seed == (maphash.Seed{}) {
		b.seed = maphash.MakeSeed()
	}
	b.empty()
	b.header = h
	return nil
}

// SetMark sets the mark of the batch under way, and whether its source has ended: both are known only when a batch is about
// to be sent.
func (b *Builder) SetMark(mark int64, ended bool) { b.header.Mark, b.header.Ended = mark, ended }

// SetKinds says which kinds of record the source gives, where that is known better than it was at Reset. Kinds that do not exist
// are left out.
func (b *Builder) SetKinds(kinds uint8) { b.header.Kinds = kinds & allKinds }

// Len returns the number of records added so far.
func (b *Builder) Len() int { return len(b.ends) }

// Size returns the most bytes that the frame can have so far, before compression.
func (b *Builder) Size() int {
	return b.fixed + len(b.ends)*row + len(b.text) + len(b.blob) + 4*(len(b.strEnds)+len(b.pairs)+len(b.setEnds))
}

// row is what a record costs at most besides its text and a new set: the widest columns, the text's end and its new line.
const row = 1 + 8*6 + 4 + 4 + 1

// Add appends a copy of r to the batch. A count of 0 is taken as 1. A record that breaks the rules or limits is refused and
// nothing is added; the caller counts it. [ErrFull] says that the batch must be finished first.
func (b *Builder) Add(r *Record) error { return b.add(r, false) }

// AddShared is Add for a record whose attributes nobody writes to any more, as those that a parser makes once and puts onto all lines of a
// file. When they are in the same memory as those of the record before, they are not compared, which takes a fifth of the time of a log.
func (b *Builder) AddShared(r *Record) error { return b.add(r, true) }

func (b *Builder) add(r *Record, shared bool) error {
	switch {
	case b.header.Source == "":
		return errors.New("add to a batch that has no header: call Reset first")
	case !r.Kind.Valid():
		return fmt.Errorf("record has an invalid kind %d", uint8(r.Kind))
	case len(r.Text) > MaxText:
		return fmt.Errorf("text of the record has %d bytes: at most %d are allowed", len(r.Text), MaxText)
	}
	set, err := b.set(r, shared && sameMemory(b.shared, r.Attrs))
	if err != nil {
		return err
	}
	if b.shared = nil; shared {
		b.shared = r.Attrs // held, so that its memory is not used for others
	}
	b.cols[colKind] = append(b.cols[colKind], uint64(r.Kind))
	b.cols[colTime] = append(b.cols[colTime], uint64(r.Time))
	b.cols[colObserved] = append(b.cols[colObserved], uint64(r.Observed))
	b.cols[colSeq] = append(b.cols[colSeq], r.Seq)
	b.cols[colID] = append(b.cols[colID], r.ID)
	b.cols[colCount] = append(b.cols[colCount], uint64(max(r.Count, 1)))
	b.cols[colValue] = append(b.cols[colValue], math.Float64bits(r.Value))
	b.cols[colSet] = append(b.cols[colSet], uint64(set))
	b.text = append(append(b.text, r.Text...), '\n')
	b.ends = append(b.ends, uint32(len(b.text)-1))
	b.last = set
	return nil
}

// Texts returns the texts of the records so far, as [Batch.Text] and [Batch.TextEnds] do. They are the builder's, valid until its next call; nobody
// may write to them.
func (b *Builder) Texts() (text []byte, ends []uint32) { return b.text, b.ends }

// SetTexts gives the records so far other texts, in the shape in which Texts returned them: as many ends, each followed by a new line. It is for what must look at
// all texts of a batch at once. The memory belongs to the builder from now on; what it had belongs to the caller.
func (b *Builder) SetTexts(text []byte, ends []uint32) (oldText []byte, oldEnds []uint32) {
	oldText, oldEnds = b.text, b.ends
	b.text, b.ends = text, ends
	return oldText, oldEnds
}

func sameMemory(a, b Attrs) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

// set returns the number of the record's set, adding it when it is new and the record has room. same says that it is that of the record before.
func (b *Builder) set(r *Record, same bool) (uint32, error) {
	room := MaxFrame - b.Size() - row - len(r.Text)
	full := len(b.ends) > 0 && room < 0 // one record always fits, so that a builder can't be full for ever
	if len(b.setEnds) > 0 && (same || b.sameSet(b.last, r.Attrs)) {
		if full {
			return 0, ErrFull
		}
		return b.last, nil
	}
	h := b.hash(r.Attrs)
	n, known := b.sets.find(h, func(n uint32) bool { return b.sameSet(n, r.Attrs) })
	if !known {
		if err := r.Attrs.check(); err != nil {
			return 0, fmt.Errorf("record: %w", err)
		}
		full = len(b.ends) > 0 && room < setSize(r.Attrs)
	}
	if full {
		return 0, ErrFull
	}
	if !known {
		n = uint32(len(b.setEnds))
		b.appendSet(r.Attrs)
		b.sets.add(h, n)
	}
	return n, nil
}

// setSize is the most bytes that a set adds to a frame: its strings, their ends and numbers, and its own end.
func setSize(a Attrs) int {
	n := 4
	for i := range a {
		n += len(a[i].Key) + len(a[i].Value) + 16
	}
	return n
}

func (b *Builder) appendSet(a Attrs) {
	for i := range a {
		b.pairs = append(b.pairs, b.str(a[i].Key), b.str(a[i].Value))
	}
	b.setEnds = append(b.setEnds, uint32(len(b.pairs)/2))
}

func (b *Builder) sameSet(n uint32, a Attrs) bool {
	start := uint32(0)
	if n > 0 {
		start = b.setEnds[n-1]
	}
	if int(b.setEnds[n]-start) != len(a) {
		return false
	}
	pairs := b.pairs[2*start:]
	for i := range a {
		if a[i].Value != string(b.at(pairs[2*i+1])) || a[i].Key != string(b.at(pairs[2*i])) {
			return false
		}
	}
	return true
}

// hash needs to be neither stable nor portable: numbers are given in the order of first use.
func (b *Builder) hash(a Attrs) uint64 {
	h := uint64(len(a))
	for i := range a {
		h = h*0x9E3779B97F4A7C15 + maphash.String(b.seed, a[i].Key)
		h = h*0x9E3779B97F4A7C15 + maphash.String(b.seed, a[i].Value)
	}
	return h
}

// str returns the number of the string, adding it when it is new.
func (b *Builder) str(s string) uint32 {
	h := maphash.String(b.seed, s)
	if n, ok := b.strs.find(h, func(n uint32) bool { return string(b.at(n)) == s }); ok {
		return n
	}
	n := uint32(len(b.strEnds))
	b.blob = append(b.blob, s...)
	b.strEnds = append(b.strEnds, uint32(len(b.blob)))
	b.strs.add(h, n)
	return n
}

func (b *Builder) at(n uint32) []byte {
	start := uint32(0)
	if n > 0 {
		start = b.strEnds[n-1]
	}
	return b.blob[start:b.strEnds[n]]
}

// AppendTo appends the finished frame to dst. The builder is then empty again, with the same header but for its mark and
// end, and ready for more records. A builder that was never reset appends nothing.
func (b *Builder) AppendTo(dst []byte) []byte {
	if b.header.Source == "" {
		return dst
	}
	sets := len(b.setEnds)
	source := b.str(b.header.Source)
	b.appendSet(b.header.Scope)

	start := len(dst)
	dst = slices.Grow(dst, b.Size())
	dst = append(dst, make([]byte, headerSize)...)
	head := dst[start : start+headerSize]
	copy(head, magic)
	head[len(magic)] = version
	head[offKinds] = b.header.Kinds
	if b.header.Ended {
		head[offFlags] |= flagEnded
	}
	le := binary.LittleEndian
	le.PutUint32(head[offRecords:], uint32(len(b.ends)))
	le.PutUint32(head[offSets:], uint32(sets))
	le.PutUint32(head[offPairs:], uint32(len(b.pairs)/2))
	le.PutUint32(head[offStrings:], uint32(len(b.strEnds)))
	le.PutUint32(head[offBlob:], uint32(len(b.blob)))
	le.PutUint32(head[offText:], uint32(len(b.text)))
	le.PutUint32(head[offSource:], source)
	le.PutUint64(head[offMark:], uint64(b.header.Mark))
	for c, values := range b.cols {
		base, width := packing(values, c == colTime || c == colObserved)
		le.PutUint64(head[offBases+8*c:], base)
		head[offWidths+c] = width
	}

	if b.Compress {
		b.body = b.appendBody(b.body[:0], head)
		le.PutUint32(head[offBody:], uint32(len(b.body)))
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(b.body)))
		packed := s2.Encode(dst[len(dst):cap(dst)], b.body)
		if len(packed) < len(b.body) {
			dst[start+offFlags] |= flagCompressed
			dst = dst[:len(dst)+len(packed)]
		} else {
			dst = append(dst, b.body...)
		}
	} else {
		dst = b.appendBody(dst, head)
		le.PutUint32(dst[start+offBody:], uint32(len(dst)-start-headerSize))
	}
	frame := dst[start:]
	le.PutUint64(frame[offSum:], xxhash.Sum64(frame[offFlags:]))
	b.empty()
	return dst
}

func (b *Builder) appendBody(dst, head []byte) []byte {
	dst = appendUint32s(dst, b.strEnds)
	dst = append(dst, b.blob...)
	dst = appendUint32s(dst, b.setEnds)
	dst = appendUint32s(dst, b.pairs)
	for c, values := range b.cols {
		dst = appendColumn(dst, values, binary.LittleEndian.Uint64(head[offBases+8*c:]), head[offWidths+c])
	}
	dst = appendUint32s(dst, b.ends)
	dst = append(dst, b.text...)
	return append(dst, make([]byte, Padding)...)
}

func (b *Builder) empty() {
	b.header.Mark, b.header.Ended = 0, false
	for c := range b.cols {
		b.cols[c] = b.cols[c][:0]
	}
	b.ends, b.text, b.blob, b.strEnds = b.ends[:0], b.text[:0], b.blob[:0], b.strEnds[:0]
	b.pairs, b.setEnds, b.last, b.shared = b.pairs[:0], b.setEnds[:0], 0, nil
	b.strs.clear()
	b.sets.clear()
}

// table finds numbers by hash: open addressing, kept at most half full. A hash finds candidates; the caller's equality
// decides.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	hash   uint64
	number uint32 // plus one; 0 is a free slot
}

func (t *table) find(hash uint64, equal func(uint32) bool) (uint32, bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; t.slots[i].number != 0; i = (i + 1) & mask {
		if t.slots[i].hash == hash && equal(t.slots[i].number-1) {
			return t.slots[i].number - 1, true
		}
	}
	return 0, false
}

func (t *table) add(hash uint64, number uint32) {
	if 2*(t.used+1) > len(t.slots) {
		old := t.slots
		t.slots, t.used = make([]slot, max(64, 2*len(old))), 0
		for _, s := range old {
			if s.number != 0 {
				t.add(s.hash, s.number-1)
			}
		}
	}
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot{hash, number + 1}
	t.used++
}

func (t *table) clear() {
	clear(t.slots)
	t.used = 0
}
