//go:build re2 && cgo

// Package re2 counts the patterns of a set in lines, by the C++ library RE2. It is a peer for benchmarks and behind the build tag re2.
package re2

/*
#cgo pkg-config: re2
#cgo CXXFLAGS: -std=c++17 -O2
#include <stdlib.h>
#include "set.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Set is a compiled set of expressions. It is not safe for concurrent use.
type Set struct{ set *C.struct_bench_set }

// New compiles the expressions, which are looked for anywhere in a line.
func New(expressions []string) (*Set, error) {
	s := &Set{C.bench_set_new()}
	runtime.AddCleanup(s, func(set *C.struct_bench_set) { C.bench_set_free(set) }, s.set)
	for i, e := range expressions {
		text := C.CString(e)
		ok := C.bench_set_add(s.set, text)
		C.free(unsafe.Pointer(text))
		if ok == 0 {
			return nil, fmt.Errorf("re2: expression %d is refused: %s", i, e)
		}
	}
	if C.bench_set_compile(s.set) == 0 {
		return nil, fmt.Errorf("re2: %d expressions need more memory than it may have", len(expressions))
	}
	return s, nil
}

// Count counts pairs of a line and an expression that matches it; ends are where the lines end in text. It is negative when RE2 gave up
// for want of memory.
func (s *Set) Count(text []byte, ends []uint32) int {
	if len(text) == 0 || len(ends) == 0 {
		return 0
	}
	return int(C.bench_set_count(s.set, (*C.char)(unsafe.Pointer(&text[0])), (*C.uint32_t)(unsafe.Pointer(&ends[0])), C.size_t(len(ends))))
}
