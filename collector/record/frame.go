package record

import (
	"encoding/binary"
	"math/bits"
)

// The frame, version 1. All numbers are little-endian; offsets are in bytes.
//
//	  0  magic "FWR", version u8
//	  4  xxHash64 of everything after it, u64
//	 12  flags u8, kinds u8, zero u16
//	 16  length of the body before compression u32
//	 20  records u32, sets u32, attributes of all sets u32, strings u32, bytes of all strings u32, bytes of all texts u32
//	 44  the source's string u32
//	 48  mark i64
//	 56  the columns' bases, 8 x u64
//	120  the columns' widths, 8 x u8
//	128  body, compressed with S2 when the flag says so:
//	     string ends u32 each, strings
//	     set ends u32 each (and the scope's), attributes as two string numbers u32 each
//	     columns: kind, time, observed, seq, id, count, value, set
//	     text ends u32 each, texts with a new line after each, 16 zero bytes
//
// A value of a column is its base plus an unsigned offset of 0, 1, 2, 4 or 8 bytes, so a column whose values are equal costs
// nothing, and no value is ever out of reach: addition wraps around.
const (
	magic      = "FWR"
	version    = 1
	headerSize = 128

	offSum     = 4
	offFlags   = 12 // the checksum covers everything from here on
	offKinds   = 13
	offZero    = 14
	offBody    = 16
	offRecords = 20
	offSets    = 24
	offPairs   = 28
	offStrings = 32
	offBlob    = 36
	offText    = 40
	offSource  = 44
	offMark    = 48
	offBases   = 56
	offWidths  = 120

	flagCompressed = 1 << 0
	flagEnded      = 1 << 1
	flagsKnown     = flagCompressed | flagEnded

	allKinds = 1<<Event | 1<<Log | 1<<Change | 1<<Sample | 1<<Alert
)

// The columns in the order of the frame.
const (
	colKind = iota
	colTime
	colObserved
	colSeq
	colID
	colCount
	colValue
	colSet
	columns
)

var columnNames = [columns]string{"kind", "time", "observed", "seq", "id", "count", "value", "set"}

// column is one decoded column. Its data has exactly as many values as the batch has records.
type column struct {
	base  uint64
	width uint8
	data  []byte
}

func (c *column) at(i int) uint64 {
	switch c.width {
	case 0:
		return c.base
	case 1:
		return c.base + uint64(c.data[i])
	case 2:
		return c.base + uint64(binary.LittleEndian.Uint16(c.data[2*i:]))
	case 4:
		return c.base + uint64(binary.LittleEndian.Uint32(c.data[4*i:]))
	default:
		return c.base + binary.LittleEndian.Uint64(c.data[8*i:])
	}
}

// packing finds the base and the width of a column. Signed values are compared as such, or times around 1970 would need
// eight bytes.
func packing(values []uint64, signed bool) (base uint64, width uint8) {
	if len(values) == 0 {
		return 0, 0
	}
	var flip uint64
	if signed {
		flip = 1 << 63
	}
	lo, hi := values[0]^flip, values[0]^flip
	for _, v := range values[1:] {
		v ^= flip
		lo, hi = min(lo, v), max(hi, v)
	}
	switch n := bits.Len64(hi - lo); {
	case n == 0:
		width = 0
	case n <= 8:
		width = 1
	case n <= 16:
		width = 2
	case n <= 32:
		width = 4
	default:
		width = 8
	}
	if width == 8 {
		return 0, 8 // no base: the offsets are the values, and copying them is all there is to do
	}
	return lo ^ flip, width
}

// appendColumn writes the values as offsets from base.
func appendColumn(dst []byte, values []uint64, base uint64, width uint8) []byte {
	switch width {
	case 0:
	case 1:
		for _, v := range values {
			dst = append(dst, byte(v-base))
		}
	case 2:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(v-base))
		}
	case 4:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v-base))
		}
	default:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint64(dst, v-base)
		}
	}
	return dst
}

func appendUint32s(dst []byte, values []uint32) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}
