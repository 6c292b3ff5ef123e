package matcher

import "sync/atomic"

// lazy keeps what was made of numbered texts when they were first needed. Many goroutines may use it at once: two of them may
// make the same thing, and either is kept. When more than most are kept, others are forgotten for them.
type lazy[T any] struct {
	slots []*[lazyChunk]atomic.Pointer[T]
	kept  *atomic.Int64
	hand  *atomic.Uint64
}

const lazyChunk = 256

// grow makes room for numbers below n. What is shared with a copy of l stays shared.
func (l *lazy[T]) grow(n int) {
	if l.kept == nil {
		l.kept, l.hand = new(atomic.Int64), new(atomic.Uint64)
	}
	for len(l.slots)*lazyChunk < n {
		l.slots = append(l.slots, new([lazyChunk]atomic.Pointer[T]))
	}
}

// get returns what is kept under a number, or nil.
func (l *lazy[T]) get(n uint32) *T { return l.slots[n/lazyChunk][n%lazyChunk].Load() }

// put keeps x under a number.
func (l *lazy[T]) put(n uint32, x *T, most int64) {
	if !l.slots[n/lazyChunk][n%lazyChunk].CompareAndSwap(nil, x) || l.kept.Add(1) <= most {
		return
	}
	for range len(l.slots) * lazyChunk { // the hand goes round, so that each has its time
		at := uint32(l.hand.Add(1) % uint64(len(l.slots)*lazyChunk))
		if at != n && l.slots[at/lazyChunk][at%lazyChunk].Swap(nil) != nil {
			l.kept.Add(-1)
			return
		}
	}
}
