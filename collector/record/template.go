package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
)

// Template is a frame that is sent many times, each time as other observations: a load generator has no time to build a frame
// anew for every hundred microseconds. It is safe for concurrent use.
type Template struct {
	frame []byte
	n     int
	ids   int   // where the ids begin; 0 when the frame has one id, which is its column's base
	slots []int // where the numbers are written
	width int   // of a number
}

// Stamp says what makes one copy of a template different from the others.
type Stamp struct {
	// Time is added to the time of each record, when it happened and when it was observed.
	Time int64
	// Mark is the mark of the batch.
	Mark int64
	// Seq is added to each record's place in its source.
	Seq uint64
	// ID changes the identity of each record: copies with different ones have no record in common.
	ID uint64
	// Number is written into the first slot, and the numbers that follow it into the others.
	Number uint64
	// Compress makes the copy smaller with S2, as [Builder.Compress] does.
	Compress bool
}

// NewTemplate makes a template of a frame that is not compressed. Each marker in its attributes and texts is a slot for a number, in
// their order in the frame, which is that of their first use; it is as wide as the number is written. The frame is not kept.
func NewTemplate(frame []byte, marker string) (*Template, error) {
	var b Batch
	if err := b.Decode(frame); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	ids := &b.cols[colID]
	switch {
	case frame[offFlags]&flagCompressed != 0:
		return nil, errors.New("make a template: the frame is compressed: build it without")
	case marker == "":
		return nil, errors.New("make a template: the marker is empty")
	case ids.width != 8 && b.n > 1:
		return nil, fmt.Errorf("make a template: the ids of the records have %d bytes: give them ids that are spread over all values", ids.width)
	}
	t := &Template{frame: bytes.Clone(frame), n: b.n, width: len(marker)}
	if ids.width == 8 {
		t.ids = len(frame) - Padding - int(le.Uint32(frame[offText:])) - 4*b.n - b.n*(int(b.cols[colSet].width)+int(b.cols[colValue].width)+int(b.cols[colCount].width)+8)
	}
	for at := headerSize; ; {
		i := bytes.Index(t.frame[at:], []byte(marker))
		if i < 0 {
			return t, nil
		}
		t.slots = append(t.slots, at+i)
		at += i + len(marker)
	}
}

// Len returns the number of records.
func (t *Template) Len() int { return t.n }

// Slots returns how many numbers a copy has.
func (t *Template) Slots() int { return len(t.slots) }

// Append appends a copy with another stamp to dst.
func (t *Template) Append(dst []byte, s Stamp) []byte {
	start := len(dst)
	dst = append(slices.Grow(dst, len(t.frame)), t.frame...)
	f := dst[start:]
	le := binary.LittleEndian
	le.PutUint64(f[offMark:], uint64(s.Mark))
	for c, more := range [columns]uint64{colTime: uint64(s.Time), colObserved: uint64(s.Time), colSeq: s.Seq} {
		base := f[offBases+8*c:]
		le.PutUint64(base, le.Uint64(base)+more)
	}
	if t.ids > 0 {
		for i := range t.n {
			at := f[t.ids+8*i:]
			le.PutUint64(at, le.Uint64(at)^s.ID)
		}
	} else {
		at := f[offBases+8*colID:]
		le.PutUint64(at, le.Uint64(at)^s.ID)
	}
	for i, slot := range t.slots {
		number := s.Number + uint64(i)
		for k := slot + t.width - 1; k >= slot; k-- {
			f[k] = byte('0' + number%10)
			number /= 10
		}
	}
	if s.Compress {
		packed := s2.Encode(nil, f[headerSize:])
		if len(packed) < len(f)-headerSize {
			f[offFlags] |= flagCompressed
			dst = append(dst[:start+headerSize], packed...)
			f = dst[start:]
		}
	}
	le.PutUint64(f[offSum:], xxhash.Sum64(f[offFlags:]))
	return dst
}
