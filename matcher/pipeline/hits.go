package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// A message of HITS begins with hitsFormat and its type.
//
//	hits   uvarint n, then n times: signature (8 bytes), uvarint on, off, record number, length of the key, the key;
//	       then a batch frame (collector/record) with the source in its header and each hit record once
//	marks  uvarint n, then n times: source, scope (n, keys and values), kinds, ended, time (8 bytes)
const (
	hitsFormat = 1
	typeHits   = 1
	typeMarks  = 2

	// hitsBytes is where a message of hits is cut: below the 1 MiB that NATS servers accept by default.
	hitsBytes = 512 << 10
	maxMarks  = 1 << 16
)

// errHits is what a message that cannot be read wraps.
var errHits = errors.New("not a message of hits")

// HitPartition returns the partition of HITS that owns the state of a signature and key.
func HitPartition(signature uint64, key []byte, partitions int) int {
	var d xxhash.Digest
	d.Reset()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], signature)
	_, _ = d.Write(b[:])
	_, _ = d.Write(key)
	return int(d.Sum64() % uint64(partitions))
}

// RecordPartition returns the partition of RECORDS that keeps the batches of a source in order.
func RecordPartition(source string, partitions int) int {
	return int(xxhash.Sum64String(source) % uint64(partitions))
}

// hitsEncoder collects the hits of one batch that go to one partition. The zero value needs a reset.
type hitsEncoder struct {
	builder record.Builder
	heads   []byte
	hits    int
	last    record.Record // the record added last, whose Text aliases the batch
}

func (e *hitsEncoder) reset(source string) error {
	e.heads, e.hits, e.last = e.heads[:0], 0, record.Record{}
	return e.builder.Reset(record.Header{Source: source})
}

// add adds a hit, whose record is stored once however many signatures it hits one after the other. It returns
// record.ErrFull when the message must be taken first.
func (e *hitsEncoder) add(h *matcher.Hit) error {
	if e.hits > 0 && len(e.heads)+e.builder.Size() >= hitsBytes {
		return record.ErrFull
	}
	if e.hits == 0 || !sameRecord(&e.last, &h.Record) {
		if err := e.builder.Add(&h.Record); err != nil {
			return err
		}
		e.last = h.Record
	}
	b := binary.BigEndian.AppendUint64(e.heads, h.Signature)
	b = binary.AppendUvarint(b, h.On)
	b = binary.AppendUvarint(b, h.Off)
	b = binary.AppendUvarint(b, uint64(e.builder.Len()-1))
	e.heads = appendBytes(b, h.Key)
	e.hits++
	return nil
}

func sameRecord(a, b *record.Record) bool {
	return a.ID == b.ID && a.Seq == b.Seq && a.Time == b.Time && a.Kind == b.Kind && a.Observed == b.Observed && a.Count == b.Count &&
		a.Value == b.Value && bytes.Equal(a.Text, b.Text) && sameAttrs(a.Attrs, b.Attrs)
}

// sameAttrs is quick for records of one batch that share a set, and careful for the others.
func sameAttrs(a, b record.Attrs) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// take returns the message and leaves the encoder empty for the same source.
func (e *hitsEncoder) take() []byte {
	b := append(make([]byte, 0, 2+binary.MaxVarintLen64+len(e.heads)+e.builder.Size()), hitsFormat, typeHits)
	b = binary.AppendUvarint(b, uint64(e.hits))
	b = append(b, e.heads...)
	b = e.builder.AppendTo(b)
	e.heads, e.hits, e.last = e.heads[:0], 0, record.Record{}
	return b
}

// encodeMarks encodes marks as messages, each below the size that servers accept however long the names are.
func encodeMarks(marks []matcher.Mark) (messages [][]byte) {
	var body []byte
	n := 0
	cut := func() {
		b := append(make([]byte, 0, 2+binary.MaxVarintLen64+len(body)), hitsFormat, typeMarks)
		messages = append(messages, append(binary.AppendUvarint(b, uint64(n)), body...))
		body, n = body[:0], 0
	}
	for i := range marks {
		m := &marks[i]
		size := len(m.Source) + 64
		for _, a := range m.Scope {
			size += len(a.Key) + len(a.Value) + 8
		}
		if n > 0 && (n >= 1024 || len(body)+size > hitsBytes) {
			cut()
		}
		body = appendBytes(body, m.Source)
		body = binary.AppendUvarint(body, uint64(len(m.Scope)))
		for _, a := range m.Scope {
			body = appendBytes(appendBytes(body, a.Key), a.Value)
		}
		body = append(body, m.Kinds, 0)
		if m.Ended {
			body[len(body)-1] = 1
		}
		body = binary.BigEndian.AppendUint64(body, uint64(m.Time))
		n++
	}
	if n > 0 {
		cut()
	}
	return messages
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// hitsDecoder reads messages of HITS. What it returns aliases the message and the decoder, until the next decode.
type hitsDecoder struct {
	batch record.Batch
	hits  []matcher.Hit
	marks []matcher.Mark
}

// decode reads one message: either hits or marks come back.
func (d *hitsDecoder) decode(data []byte) ([]matcher.Hit, []matcher.Mark, error) {
	if len(data) < 2 || data[0] != hitsFormat {
		return nil, nil, fmt.Errorf("%w: format %d is not known", errHits, append(data, 0)[0])
	}
	r := cursor{b: data[2:]}
	var err error
	switch data[1] {
	case typeHits:
		err = d.decodeHits(&r)
		if err != nil {
			return nil, nil, err
		}
		return d.hits, nil, nil
	case typeMarks:
		err = d.decodeMarks(&r)
		if err != nil {
			return nil, nil, err
		}
		return nil, d.marks, nil
	}
	return nil, nil, fmt.Errorf("%w: type %d is not known", errHits, data[1])
}

func (d *hitsDecoder) decodeHits(r *cursor) error {
	n := r.uvarint()
	if n > uint64(len(r.b))/12 { // a head has at least 12 bytes
		return fmt.Errorf("%w: %d hits in %d bytes", errHits, n, len(r.b))
	}
	heads := *r
	for range n {
		r.take(8)
		r.uvarint()
		r.uvarint()
		r.uvarint()
		r.bytes()
	}
	if r.bad {
		return fmt.Errorf("%w: the hits are cut off", errHits)
	}
	if err := d.batch.Decode(r.b); err != nil {
		return fmt.Errorf("%w: records: %w", errHits, err)
	}
	source := d.batch.Header().Source
	d.hits = d.hits[:0]
	for range n {
		h := matcher.Hit{Signature: binary.BigEndian.Uint64(heads.take(8)), Source: source}
		h.On, h.Off = heads.uvarint(), heads.uvarint()
		i := heads.uvarint()
		h.Key = heads.bytes()
		if i >= uint64(d.batch.Len()) {
			return fmt.Errorf("%w: record %d of %d", errHits, i, d.batch.Len())
		}
		d.batch.Get(int(i), &h.Record)
		d.hits = append(d.hits, h)
	}
	return nil
}

func (d *hitsDecoder) decodeMarks(r *cursor) error {
	n := r.uvarint()
	if n > maxMarks || n > uint64(len(r.b))/12 {
		return fmt.Errorf("%w: %d marks in %d bytes", errHits, n, len(r.b))
	}
	d.marks = d.marks[:0]
	for range n {
		m := matcher.Mark{Source: string(r.bytes())}
		attrs := r.uvarint()
		if attrs > record.MaxAttrs {
			return fmt.Errorf("%w: a scope of %d attributes", errHits, attrs)
		}
		for range attrs {
			key, value := r.bytes(), r.bytes()
			m.Scope = append(m.Scope, record.Attr{Key: string(key), Value: string(value)})
		}
		if f := r.take(10); f != nil {
			m.Kinds, m.Ended, m.Time = f[0], f[1] == 1, int64(binary.BigEndian.Uint64(f[2:]))
		}
		if r.bad || m.Source == "" {
			return fmt.Errorf("%w: the marks are cut off", errHits)
		}
		d.marks = append(d.marks, m)
	}
	if len(r.b) != 0 {
		return fmt.Errorf("%w: %d bytes follow the marks", errHits, len(r.b))
	}
	return nil
}

// cursor takes values off the front of b. Once something is missing it stays bad and gives zero values.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) uvarint() uint64 {
	n, k := binary.Uvarint(c.b)
	if c.bad || k <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[k:]
	return n
}

func (c *cursor) bytes() []byte { return c.take(c.uvarint()) }
