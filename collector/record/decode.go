package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
)

// Decode makes b a view of the frame in wire, which it aliases. Everything is validated here, so that no accessor can go
// out of range whatever the bytes are. It allocates nothing once b's memory has grown.
// An error names the place; b is then empty.
func (b *Batch) Decode(wire []byte) error {
	if err := b.decode(wire); err != nil {
		b.clear()
		return fmt.Errorf("decode batch of %d bytes: %w", len(wire), err)
	}
	return nil
}

func (b *Batch) clear() {
	b.header, b.sum, b.n, b.text = Header{}, 0, 0, nil
	b.cols = [columns]column{}
	clear(b.strings) // or they would keep the wire bytes of earlier frames alive
	clear(b.attrs)
	b.ends, b.attrs, b.setEnds, b.strings = b.ends[:0], b.attrs[:0], b.setEnds[:0], b.strings[:0]
}

// counts are the sizes that the header claims.
type counts struct{ records, sets, pairs, strings, blob, text int }

func (b *Batch) decode(wire []byte) error {
	b.clear()
	if len(wire) < headerSize {
		return fmt.Errorf("a frame has at least %d bytes", headerSize)
	}
	if string(wire[:len(magic)]) != magic {
		return errors.New("this is not a batch: its first bytes are wrong")
	}
	if v := wire[len(magic)]; v != version {
		return fmt.Errorf("format version %d: this build reads version %d", v, version)
	}
	le := binary.LittleEndian
	if want, got := le.Uint64(wire[offSum:]), xxhash.Sum64(wire[offFlags:]); want != got {
		return fmt.Errorf("checksum %016x, but the bytes have %016x: the frame is damaged", want, got)
	}
	flags := wire[offFlags]
	switch {
	case flags&^flagsKnown != 0 || le.Uint16(wire[offZero:]) != 0:
		return fmt.Errorf("header has unknown flags %#x", flags&^flagsKnown)
	case wire[offKinds]&^allKinds != 0:
		return fmt.Errorf("header has unknown kinds %#x", wire[offKinds]&^allKinds)
	}
	size := int64(le.Uint32(wire[offBody:]))
	if size > MaxFrame {
		return fmt.Errorf("header claims a body of %d bytes: at most %d are allowed", size, MaxFrame)
	}
	body := wire[headerSize:]
	if flags&flagCompressed != 0 {
		if n, err := s2.DecodedLen(body); err != nil || int64(n) != size {
			return fmt.Errorf("compressed body does not hold the %d bytes that the header claims", size)
		}
		b.raw = slices.Grow(b.raw[:0], int(size))
		raw, err := s2.Decode(b.raw[:size], body)
		if err != nil {
			return fmt.Errorf("decompress the body: %w", err)
		}
		body = raw
	}
	if int64(len(body)) != size {
		return fmt.Errorf("body has %d bytes, but the header claims %d", len(body), size)
	}

	// The counts are sizes that add up to the body's: none of them can be larger than the input.
	var widths int64
	for c := range columns {
		w := wire[offWidths+c]
		if w > 8 || w&(w-1) != 0 {
			return fmt.Errorf("column %s has a width of %d bytes", columnNames[c], w)
		}
		widths += int64(w)
	}
	n32 := func(off int) int64 { return int64(le.Uint32(wire[off:])) }
	claim := n32(offStrings)*4 + n32(offBlob) + (n32(offSets)+1)*4 + n32(offPairs)*8 +
		n32(offRecords)*(widths+4) + n32(offText) + Padding
	if claim != size {
		return fmt.Errorf("header claims parts of %d bytes together, but the body has %d", claim, size)
	}
	k := counts{
		records: int(n32(offRecords)), sets: int(n32(offSets)), pairs: int(n32(offPairs)),
		strings: int(n32(offStrings)), blob: int(n32(offBlob)), text: int(n32(offText)),
	}
	body, err := b.decodeStrings(body, k)
	if err != nil {
		return err
	}
	if body, err = b.decodeSets(body, k); err != nil {
		return err
	}
	b.header.Kinds, b.header.Mark, b.header.Ended = wire[offKinds], int64(le.Uint64(wire[offMark:])), flags&flagEnded != 0
	source := n32(offSource)
	if source >= int64(k.strings) || b.strings[source] == "" || len(b.strings[source]) > MaxValue {
		return errors.New("header names no source")
	}
	b.header.Source, b.header.Scope = b.strings[source], b.Set(k.sets)
	for c := range columns {
		w := wire[offWidths+c]
		b.cols[c] = column{base: le.Uint64(wire[offBases+8*c:]), width: w}
		b.cols[c].data, body = cut(body, k.records*int(w))
	}
	if err = b.checkColumns(k); err != nil {
		return err
	}
	if err = b.decodeTexts(body, k); err != nil {
		return err
	}
	b.sum, b.n = le.Uint64(wire[offSum:]), k.records
	return nil
}

func cut(b []byte, n int) (head, tail []byte) { return b[:n:n], b[n:] }

func (b *Batch) decodeStrings(body []byte, k counts) ([]byte, error) {
	ends, body := cut(body, 4*k.strings)
	blob, body := cut(body, k.blob)
	start := uint32(0)
	b.strings = slices.Grow(b.strings, k.strings)
	for i := range k.strings {
		end := binary.LittleEndian.Uint32(ends[4*i:])
		if end < start || end > uint32(len(blob)) {
			return nil, fmt.Errorf("string %d of %d ends at byte %d, outside of the %d bytes from %d on",
				i, k.strings, end, len(blob), start)
		}
		b.strings = append(b.strings, aliased(blob[start:end]))
		start = end
	}
	if int(start) != len(blob) {
		return nil, fmt.Errorf("%d bytes after the last string belong to none", len(blob)-int(start))
	}
	return body, nil
}

// aliased makes a string of the frame's own bytes, as the contract of Batch says: copying would cost an allocation a batch.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (b *Batch) decodeSets(body []byte, k counts) ([]byte, error) {
	ends, body := cut(body, 4*(k.sets+1))
	pairs, body := cut(body, 8*k.pairs)
	b.attrs = slices.Grow(b.attrs, k.pairs)
	for i := range k.pairs {
		key, value := binary.LittleEndian.Uint32(pairs[8*i:]), binary.LittleEndian.Uint32(pairs[8*i+4:])
		if max(key, value) >= uint32(k.strings) {
			return nil, fmt.Errorf("attribute %d names string %d of %d", i, max(key, value), k.strings)
		}
		b.attrs = append(b.attrs, Attr{b.strings[key], b.strings[value]})
	}
	start := uint32(0)
	b.setEnds = slices.Grow(b.setEnds, k.sets+1)
	for j := range k.sets + 1 {
		end := binary.LittleEndian.Uint32(ends[4*j:])
		if end < start || end > uint32(k.pairs) {
			return nil, fmt.Errorf("attribute set %d of %d ends at %d, outside of the %d attributes from %d on",
				j, k.sets, end, k.pairs, start)
		}
		if err := Attrs(b.attrs[start:end]).check(); err != nil {
			return nil, fmt.Errorf("attribute set %d of %d: %w", j, k.sets, err)
		}
		b.setEnds = append(b.setEnds, end)
		start = end
	}
	if int(start) != k.pairs {
		return nil, fmt.Errorf("%d attributes after the last set belong to none", k.pairs-int(start))
	}
	return body, nil
}

// checkColumns looks at the columns whose values have a range: kinds, counts and sets. Any value of the others is valid.
func (b *Batch) checkColumns(k counts) error {
	kind, count, set := &b.cols[colKind], &b.cols[colCount], &b.cols[colSet]
	one := func(c *column) int { // equal values need one look
		if c.width == 0 {
			return min(1, k.records)
		}
		return k.records
	}
	for i := range one(kind) {
		if v := kind.at(i); v > uint64(Alert) || v < uint64(Event) {
			return fmt.Errorf("record %d has an invalid kind %d", i, v)
		}
	}
	for i := range one(count) {
		if v := count.at(i); v == 0 || v > 1<<32-1 {
			return fmt.Errorf("record %d has an invalid count %d", i, v)
		}
	}
	for i := range one(set) {
		if v := set.at(i); v >= uint64(k.sets) {
			return fmt.Errorf("record %d has attribute set %d of %d", i, v, k.sets)
		}
	}
	return nil
}

func (b *Batch) decodeTexts(body []byte, k counts) error {
	ends, body := cut(body, 4*k.records)
	text := body[:k.text:len(body)]
	if string(body[k.text:]) != zeros {
		return errors.New("padding after the texts is not zero")
	}
	start := uint32(0)
	b.ends = slices.Grow(b.ends, k.records)[:k.records]
	for i := range b.ends {
		end := binary.LittleEndian.Uint32(ends[4*i:])
		if end < start || end >= uint32(len(text)) || end-start > MaxText {
			return fmt.Errorf("text of record %d of %d ends at byte %d, outside of the %d bytes from %d on, or has more than %d",
				i, k.records, end, len(text), start, MaxText)
		}
		if text[end] != '\n' {
			return fmt.Errorf("text of record %d of %d has no new line after it", i, k.records)
		}
		b.ends[i] = end
		start = end + 1
	}
	if int(start) != len(text) {
		return fmt.Errorf("%d bytes after the last text belong to none", len(text)-int(start))
	}
	b.text = text
	return nil
}

const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
