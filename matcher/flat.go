package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
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
	w.putNumber(uint64(len(list)))
	start := len(w.b)
	w.b = append(w.b, memory(list)...)
	if bigEndian() {
		swapBytes[T](w.b[start:])
	}
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
	size := uint64(unsafe.Sizeof(zero))
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
	copy(memory(list), r.b)
	if bigEndian() {
		swapBytes[T](memory(list))
	}
	r.b = r.b[n*size:]
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

// memory is a slice as it lies in memory.
func memory[T any](list []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)*int(unsafe.Sizeof(zero)))
}

func bigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

// swapBytes reverses the bytes of each number in a table.
func swapBytes[T any](b []byte) {
	numbers := numbersOf(reflect.TypeFor[T](), nil)
	for len(b) > 0 {
		for _, n := range numbers {
			slices.Reverse(b[:n])
			b = b[n:]
		}
	}
}

// numbersOf appends the sizes of the numbers that a type is made of.
func numbersOf(t reflect.Type, sizes []int) []int {
	switch t.Kind() { //nolint:exhaustive // the rest are numbers
	case reflect.Array:
		for range t.Len() {
			sizes = numbersOf(t.Elem(), sizes)
		}
		return sizes
	case reflect.Struct:
		for i := range t.NumField() {
			sizes = numbersOf(t.Field(i).Type, sizes)
		}
		return sizes
	}
	return append(sizes, int(t.Size()))
}
