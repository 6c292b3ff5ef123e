package metrics

import (
	"errors"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// errWire says that the bytes are no message at all.
var errWire = errors.New("the message is damaged")

// walk goes through the fields of a message. Its zero value with rest set is at the beginning. It allocates nothing.
type walk struct {
	rest []byte

	number protowire.Number
	kind   protowire.Type
	bytes  []byte // of a field that has bytes
	value  uint64 // of any other
	broken bool
}

// next goes to the next field. It returns false at the end, and where the message is damaged, which [walk.err] tells apart.
func (w *walk) next() bool {
	if len(w.rest) == 0 || w.broken {
		return false
	}
	n := 0
	w.number, w.kind, n = protowire.ConsumeTag(w.rest)
	if n < 0 || w.number > protowire.MaxValidNumber {
		return w.damaged()
	}
	w.rest = w.rest[n:]
	switch w.kind {
	case protowire.BytesType:
		w.bytes, n = protowire.ConsumeBytes(w.rest)
	case protowire.VarintType:
		w.value, n = protowire.ConsumeVarint(w.rest)
	case protowire.Fixed64Type:
		w.value, n = protowire.ConsumeFixed64(w.rest)
	case protowire.Fixed32Type:
		_, n = protowire.ConsumeFixed32(w.rest)
	default: // groups are no part of either message
		n = -1
	}
	if n < 0 {
		return w.damaged()
	}
	w.rest = w.rest[n:]
	return true
}

func (w *walk) damaged() bool {
	w.broken = true
	return false
}

// must ends the walk as damaged when the field has not the type that it must have, and reports whether it has it.
func (w *walk) must(kind protowire.Type) bool {
	if w.kind != kind {
		w.broken = true
	}
	return !w.broken
}

func (w *walk) err() error {
	if w.broken {
		return errWire
	}
	return nil
}

// What a series has besides its labels.
const (
	partOther = iota
	partSample
	partHistogram
	partExemplar
)

func partOf(number protowire.Number, v2 bool) int {
	switch {
	case number == 2:
		return partSample
	case number == 4 && !v2, number == 3 && v2:
		return partHistogram
	case number == 3 && !v2, number == 4 && v2:
		return partExemplar
	default:
		return partOther
	}
}

// point is a sample, or what conditions can use of a native histogram: its count and its sum.
type point struct {
	value, sum float64
	at         int64 // ms
}

func readSample(b []byte) (p point, err error) {
	w := walk{rest: b}
	for w.next() {
		switch w.number {
		case 1:
			w.must(protowire.Fixed64Type)
			p.value = math.Float64frombits(w.value)
		case 2:
			w.must(protowire.VarintType)
			p.at = int64(w.value)
		default:
		}
	}
	return p, w.err()
}

func readHistogram(b []byte) (p point, err error) {
	w := walk{rest: b}
	for w.next() {
		switch w.number {
		case 1:
			w.must(protowire.VarintType)
			p.value = float64(w.value)
		case 2:
			w.must(protowire.Fixed64Type)
			p.value = math.Float64frombits(w.value)
		case 3:
			w.must(protowire.Fixed64Type)
			p.sum = math.Float64frombits(w.value)
		case 15:
			w.must(protowire.VarintType)
			p.at = int64(w.value)
		default:
		}
	}
	return p, w.err()
}

// checkMessage looks whether bytes that are passed over are a message.
func checkMessage(b []byte) error {
	w := walk{rest: b}
	for w.next() {
	}
	return w.err()
}

// aliased makes a string of a message's own bytes: it is valid while the message is. Nearly all series are passed over, and copying their labels
// would be most of the work.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
