package matcher

import (
	"math/rand/v2"
	"sync"
	"time"
)

// gathersPay reports whether looking up eight windows at a time is faster here than one after the other. Most processors with AVX2 gather two to
// three times as fast; those whose microcode has to make up for a flaw (Downfall) may be slower than without. So it is tried, once in a process: it takes
// a tenth of a millisecond. Which way is chosen changes no result.
var gathersPay = sync.OnceValue(func() bool {
	if !vectors() {
		return false
	}
	const size = 16 << 10
	text := make([]byte, size+padding)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte('a' + random.IntN(26))
	}
	t := tier{window: 8, stride: 4, shift: 64 - 20, bitmap: make([]uint64, 1<<20/64)} // of the size that ten thousand signatures need
	positions := make([]uint32, 0, size/4)
	least := func(gather bool) time.Duration {
		best := time.Hour
		for range 5 {
			began := time.Now()
			t.appendPositions(positions, text, 0, size, gather)
			best = min(best, time.Since(began))
		}
		return best
	}
	least(true) // brings the text and the bitmap into the cache
	return least(true) < least(false)*9/10
})

// Kernel names what looks for literals on this machine, for descriptions of it.
func Kernel() string {
	if gathersPay() {
		return "AVX2 gathers"
	}
	return "plain look-ups"
}
