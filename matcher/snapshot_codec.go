package matcher

import (
	"encoding/binary"
	"errors"
	"math"
)

// writer appends the parts of a snapshot to b.
type writer struct{ b []byte }

func (w *writer) byte(x byte)      { w.b = append(w.b, x) }
func (w *writer) uint(x uint64)    { w.b = binary.AppendUvarint(w.b, x) }
func (w *writer) int(x int64)      { w.b = binary.AppendVarint(w.b, x) }
func (w *writer) fixed(x uint64)   { w.b = binary.LittleEndian.AppendUint64(w.b, x) }
func (w *writer) float(x float64)  { w.fixed(math.Float64bits(x)) }
func (w *writer) text(s string)    { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) texts(s []string) { list(w, s, w.text) }

func (w *writer) bool(x bool) {
	if x {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

// list appends the number of elements and each of them.
func list[T any](w *writer, items []T, each func(T)) {
	w.uint(uint64(len(items)))
	for i := range items {
		each(items[i])
	}
}

// errShort is met when a snapshot ends too soon or says something that no writer does.
var errShort = errors.New("it is cut short or damaged")

// reader consumes the parts of a snapshot. After the first mistake everything reads as zero and err says so.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = errShort
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	return x
}

func (r *reader) bool() bool { return r.byte() == 1 }

func (r *reader) uint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) int() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

func (r *reader) float() float64 { return math.Float64frombits(r.fixed()) }

func (r *reader) text() string {
	n := r.count(1)
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) texts() []string { return items(r, 1, r.text) }

// count reads a number of elements of at least size bytes each. What is left bounds it, so that damage cannot make a reader
// ask for more memory than it was given.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// items reads what list wrote; nil when it was empty.
func items[T any](r *reader, size int, each func() T) []T {
	n := r.count(size)
	if n == 0 {
		return nil
	}
	s := make([]T, 0, n)
	for range n {
		s = append(s, each())
	}
	if r.err != nil {
		return nil
	}
	return s
}
