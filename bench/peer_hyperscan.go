//go:build hyperscan && cgo

package bench

/*
#cgo pkg-config: libhs
#include <hs.h>
#include <stdlib.h>
#include <stdint.h>

static int count(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx) {
	(*(uint64_t *)ctx)++;
	return 0;
}

// scan_lines makes one call a line, all of them in C, so that Go's way into C costs nothing.
static int scan_lines(const hs_database_t *db, hs_scratch_t *scratch, const char *text, const uint32_t *ends, size_t n, uint64_t *found) {
	uint32_t from = 0;
	for (size_t i = 0; i < n; i++) {
		int err = hs_scan(db, text + from, ends[i] - from, 0, scratch, count, found);
		if (err != HS_SUCCESS) {
			return err;
		}
		from = ends[i] + 1;
	}
	return 0;
}
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"unsafe"
)

// hyperscan is a compiled database with its memory.
type hyperscan struct {
	db      *C.hs_database_t
	scratch *C.hs_scratch_t
}

func newHyperscan(patterns []*Pattern) (*hyperscan, error) {
	n := len(patterns)
	texts, flags, ids := make([]*C.char, n), make([]C.uint, n), make([]C.uint, n)
	for i, p := range patterns {
		texts[i] = C.CString(p.expression())
		flags[i], ids[i] = C.HS_FLAG_SINGLEMATCH, C.uint(i)
	}
	defer func() {
		for _, t := range texts {
			C.free(unsafe.Pointer(t))
		}
	}()
	h := &hyperscan{}
	var wrong *C.hs_compile_error_t
	// The array of pointers is C's, because Go's may not hold pointers to C memory while C reads it through cgo's checks.
	list := (*[1 << 28]*C.char)(C.malloc(C.size_t(n) * C.size_t(unsafe.Sizeof(texts[0]))))[:n:n]
	defer C.free(unsafe.Pointer(&list[0]))
	copy(list, texts)
	if C.hs_compile_multi(&list[0], &flags[0], &ids[0], C.uint(n), C.HS_MODE_BLOCK, nil, &h.db, &wrong) != C.HS_SUCCESS {
		defer C.hs_free_compile_error(wrong)
		return nil, fmt.Errorf("hyperscan: pattern %d: %s", int(wrong.expression), C.GoString(wrong.message))
	}
	if err := C.hs_alloc_scratch(h.db, &h.scratch); err != C.HS_SUCCESS {
		return nil, fmt.Errorf("hyperscan: allocate scratch: error %d", int(err))
	}
	runtime.AddCleanup(h, func(c hyperscan) {
		C.hs_free_scratch(c.scratch)
		C.hs_free_database(c.db)
	}, *h)
	return h, nil
}

// prepareHyperscan calls Hyperscan (or Vectorscan, which has the same interface) once a line. Each pattern counts once a line.
func prepareHyperscan(_ context.Context, j *job) (candidate, part, error) {
	p := j.part(0, every)
	h, err := newHyperscan(p.patterns)
	if err != nil {
		return candidate{}, p, err
	}
	batches := j.corpus.Batches
	return candidate{name: hyperscanName, want: p.hits, run: func() (int, error) {
		var found C.uint64_t
		for _, b := range batches {
			text, ends := b.Text(), b.TextEnds()
			if len(ends) == 0 {
				continue
			}
			if err := C.scan_lines(h.db, h.scratch, (*C.char)(unsafe.Pointer(&text[0])), (*C.uint32_t)(unsafe.Pointer(&ends[0])), C.size_t(len(ends)), &found); err != 0 {
				return 0, fmt.Errorf("hyperscan: error %d", int(err))
			}
		}
		return int(found), nil
	}}, p, nil
}
