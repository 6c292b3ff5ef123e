package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
)

// Summary is what a publisher must know of a frame. See [Summarizer].
type Summary struct {
	Source  string // aliases the frame, or the Summarizer when it was compressed
	Mark    int64
	Ended   bool
	Records int
	Seq     uint64 // of the first record
	IDs     uint64 // xxHash64 of the records' ids, in their order, eight little-endian bytes each
}

// Summarizer reads summaries of frames without decoding them: a tenth of the work. The zero value is ready. It is not safe for concurrent use.
type Summarizer struct{ raw []byte }

// Read summarizes a frame that a [Builder] of this process made. It checks what it must not trip over, and no more: the checksum and the
// records are looked at by whoever decodes the frame. What it returns is valid until Read is called again, and while the frame is
// not written to.
func (x *Summarizer) Read(wire []byte) (Summary, error) {
	s, err := x.read(wire)
	if err != nil {
		return Summary{}, fmt.Errorf("read the header of a batch of %d bytes: %w", len(wire), err)
	}
	return s, nil
}

func (x *Summarizer) read(wire []byte) (s Summary, err error) {
	if len(wire) < headerSize || string(wire[:len(magic)]) != magic || wire[len(magic)] != version {
		return s, errors.New("this is not a batch of this version")
	}
	le := binary.LittleEndian
	n32 := func(off int) int64 { return int64(le.Uint32(wire[off:])) }
	size, body := n32(offBody), wire[headerSize:]
	if size > MaxFrame {
		return s, fmt.Errorf("header claims a body of %d bytes: at most %d are allowed", size, MaxFrame)
	}
	if wire[offFlags]&flagCompressed != 0 {
		x.raw = slices.Grow(x.raw[:0], int(size))
		if body, err = s2.Decode(x.raw[:size], body); err != nil {
			return s, fmt.Errorf("decompress the body: %w", err)
		}
	}
	var widths [columns]int64
	var row int64
	for c := range columns {
		w := int64(wire[offWidths+c])
		if w > 8 || w&(w-1) != 0 {
			return s, fmt.Errorf("column %s has a width of %d bytes", columnNames[c], w)
		}
		widths[c] = w
		row += w
	}
	records, strs := n32(offRecords), n32(offStrings)
	cols := strs*4 + n32(offBlob) + (n32(offSets)+1)*4 + n32(offPairs)*8
	if int64(len(body)) != size || cols+records*(row+4)+n32(offText)+Padding != size {
		return s, fmt.Errorf("the parts that the header claims are not those of a body of %d bytes", len(body))
	}
	source := n32(offSource)
	if source >= strs {
		return s, errors.New("header names no source")
	}
	start, end := int64(0), int64(le.Uint32(body[4*source:]))
	if source > 0 {
		start = int64(le.Uint32(body[4*source-4:]))
	}
	if start >= end || end > n32(offBlob) {
		return s, errors.New("header names no source")
	}
	blob := body[4*strs:]
	s = Summary{
		Source: aliased(blob[start:end]), Mark: int64(le.Uint64(wire[offMark:])), Ended: wire[offFlags]&flagEnded != 0, Records: int(records),
	}
	if records == 0 {
		return s, nil
	}
	at := cols
	var col [columns]column
	for c := range columns {
		col[c] = column{base: le.Uint64(wire[offBases+8*c:]), width: uint8(widths[c]), data: body[at : at+records*widths[c]]}
		at += records * widths[c]
	}
	s.Seq, s.IDs = col[colSeq].at(0), hashIDs(&col[colID], int(records))
	return s, nil
}

// hashIDs hashes the values of a column. Ids are spread over all values, so that they lie in the frame as they are hashed.
func hashIDs(c *column, n int) uint64 {
	if c.width == 8 && c.base == 0 {
		return xxhash.Sum64(c.data)
	}
	var d xxhash.Digest
	d.Reset()
	var b [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(b[:], c.at(i))
		_, _ = d.Write(b[:])
	}
	return d.Sum64()
}
