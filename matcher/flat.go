package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// A program is stored as its tables, one after the other: for each the number of its elements, then the elements as they lie in
// memory, in little-endian order. Elements are numbers, or arrays and structs of numbers without gaps; no bool, which has
// bytes that it can't be. Reading copies, so that what was read needs neither its alignment nor the bytes it came from.

// errFlat is what every damaged table is reported as.
var errFlat = errors.New("the stored program is damaged")

// flatWriter appends tables to b. The zero value is ready for use.
type flatWriter struct{ b []byte }

// putSlice appends a table.
func putSlice[T any](w *flatWriter, list []T) {
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(len(list)))
	if len(list) == 0 {
		return
	}
	if size, ok := plainSize[T](); ok {
		w.b = append(w.b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)*size)...)
		return
	}
	w.b, _ = binary.Append(w.b, binary.LittleEndian, list)
}

// putNumber appends one number.
func (w *flatWriter) putNumber(n uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, n) }

// putText appends a text.
func (w *flatWriter) putText(s string) { putSlice(w, viewBytes(s)) }

// flatReader takes tables from the start of b in the order in which they were written. After the first mistake it gives empty ones; err
// tells it. Nothing is made larger than what is left of b, so a hostile length costs nothing.
type flatReader struct {
	b   []byte
	err error
}

// getSlice takes a table. It owns its memory.
func getSlice[T any](r *flatReader) []T { return getSpare[T](r, 0) }

// getGrowing takes a table with room behind it, so that what is added first does not move it.
func getGrowing[T any](r *flatReader) []T { return getSpare[T](r, 32) }

// getSpare takes a table and makes it longer by one part of so many; 0 for none.
func getSpare[T any](r *flatReader, part int) []T {
	n := r.number()
	var zero T
	size := uint64(binary.Size(zero))
	if r.err == nil && (n > math.MaxUint32 || n*size > uint64(len(r.b))) {
		r.fail("a table of %d elements is cut off", n)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	room := int(n)
	if part > 0 {
		room += room/part + 64
	}
	list := make([]T, n, room)
	raw := r.b[:n*size]
	r.b = r.b[n*size:]
	if _, ok := plainSize[T](); ok {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(raw)), raw)
	} else if _, err := binary.Decode(raw, binary.LittleEndian, list); err != nil {
		r.fail("%w", err)
	}
	return list
}

// number takes one number.
func (r *flatReader) number() uint64 {
	if r.err == nil && len(r.b) < 8 {
		r.fail("it is cut off")
	}
	if r.err != nil {
		return 0
	}
	n := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

// text takes a text.
func (r *flatReader) text() string { return viewString(getSlice[byte](r)) }

// fail notes a mistake; the first one stays.
func (r *flatReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %w", errFlat, fmt.Errorf(format, args...))
	}
}

// check notes a mistake unless ok: for what must hold of tables beyond their length.
func (r *flatReader) check(ok bool, what string) {
	if !ok {
		r.fail("%s", what)
	}
}

// plainSize returns the size of an element, and whether it lies in memory as it is stored: the machine is little-endian and the type
// has no gaps.
func plainSize[T any]() (size int, ok bool) {
	var zero T
	size = int(unsafe.Sizeof(zero))
	return size, binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && binary.Size(zero) == size
}
