package matcher

import (
	"encoding/binary"
	"errors"
	"math"
)

// writer appends the parts of a snapshot to b.
type writer struct {
	b    []byte
	base int64    // what times are near to
	ref  evidence // the last evidence that was written: the next one is near to it
}

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

// Times are written as what they differ from the base by, which takes a byte when it is nothing and five when it is seconds.
const (
	timeNever = iota
	timeLongAgo
	timeZero
	timeFar // a whole one follows
	timeNear
)

// time appends a time.
func (w *writer) time(t int64) { w.since(w.base, t) }

// since appends a time that is near to base.
func (w *writer) since(base, t int64) {
	switch t {
	case never:
		w.uint(timeNever)
		return
	case longAgo:
		w.uint(timeLongAgo)
		return
	case 0:
		w.uint(timeZero)
		return
	}
	d := t - base
	if z := uint64(d<<1) ^ uint64(d>>63); z < 1<<62 && (t > base) == (d > 0) {
		w.uint(z + timeNear)
		return
	}
	w.uint(timeFar)
	w.int(t)
}

// evidence appends the number of evidence.
func (w *writer) evidence(n evidence) {
	if n == 0 {
		w.byte(0)
		return
	}
	d := int64(n - w.ref)
	w.uint((uint64(d<<1) ^ uint64(d>>63)) + 1) // numbers are below 1<<62: they count hits
	w.ref = n
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
	b       []byte
	err     error
	version byte
	base    int64
	ref     evidence
	keep    func(text []byte) evidence // of format 1, in which evidence lies in the progress
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

// time reads what [writer.time] wrote.
func (r *reader) time() int64 { return r.since(r.base) }

func (r *reader) since(base int64) int64 {
	if r.version == 1 {
		return r.int()
	}
	switch z := r.uint(); z {
	case timeNever:
		return never
	case timeLongAgo:
		return longAgo
	case timeZero:
		return 0
	case timeFar:
		return r.int()
	default:
		z -= timeNear
		return base + (int64(z>>1) ^ -int64(z&1))
	}
}

func (r *reader) evidence() evidence {
	if r.version == 1 {
		n := r.count(1)
		text := r.b[:n]
		r.b = r.b[n:]
		if n == 0 {
			return 0
		}
		return r.keep(text)
	}
	z := r.uint()
	if z == 0 {
		return 0
	}
	z--
	r.ref += evidence(int64(z>>1) ^ -int64(z&1))
	return r.ref
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

// again reads what list wrote into the memory of old.
func again[T any](r *reader, size int, old []T, each func(*T)) []T {
	n := r.count(size)
	if n == 0 {
		return old[:0]
	}
	if cap(old) < n {
		old = make([]T, n)
	}
	old = old[:n]
	for i := range old {
		each(&old[i])
	}
	if r.err != nil {
		return old[:0]
	}
	return old
}
