package collector

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces tries to reach a source that does not answer: each wait is random between half and all of a time that doubles from Min to
// Max, so that many collectors do not come back at the same moment. It belongs to one goroutine.
type Backoff struct {
	// Min is the first wait: 500 ms without it. Max is the longest: 30 s without it.
	Min, Max time.Duration

	next time.Duration
}

// Wait waits. It returns false at once when ctx is done.
func (b *Backoff) Wait(ctx context.Context) bool {
	t := time.NewTimer(b.step())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Next returns how long the next wait should be, for those who wait for several things at once.
func (b *Backoff) Next() time.Duration { return b.step() }

func (b *Backoff) step() time.Duration {
	least, most := cmp.Or(b.Min, 500*time.Millisecond), cmp.Or(b.Max, 30*time.Second)
	d := min(max(b.next, least), most)
	b.next = min(2*d, most)
	return d/2 + rand.N(d/2+1)
}

// Reset makes the next wait the shortest again. Call it when the source has answered.
func (b *Backoff) Reset() { b.next = 0 }
