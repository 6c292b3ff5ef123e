package pipeline

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// pace keeps the scanners of one process together while there is a backlog.
//
// RECORDS numbers the batches of all partitions in the order in which they were stored. If one partition were scanned far ahead of the
// others (after an outage, or because it is small), its sources would seem to be hours ahead, and the others silent and
// late. So no scanner takes a batch that is more than slack numbers ahead of one that another scanner still works on. A
// scanner with nothing to do holds nobody back.
type pace struct {
	slack uint64

	mu      sync.Mutex
	at      []uint64      // by partition: the number under way, 0 before the first, idle when there is none
	changed chan struct{} // closed when any of them moves

	late []atomic.Int64 // by partition: how old the batch was that was scanned last, 0 when there is no backlog
}

const idle = math.MaxUint64

func newPace(partitions int, slack uint64) *pace {
	return &pace{slack: slack, at: make([]uint64, partitions), changed: make(chan struct{}), late: make([]atomic.Int64, partitions)}
}

func (p *pace) set(partition int, number uint64) {
	if p.at[partition] == number {
		return
	}
	p.at[partition] = number
	close(p.changed)
	p.changed = make(chan struct{})
}

// rest says that a partition has nothing to do.
func (p *pace) rest(partition int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(partition, idle)
	p.late[partition].Store(0)
}

// scanned says that a batch of a partition was this old when it was scanned.
func (p *pace) scanned(partition int, age time.Duration) { p.late[partition].Store(int64(max(age, 0))) }

// behind is how late the scanners of this process are: the age of the oldest of the batches that they scanned last, 0 without a backlog.
func (p *pace) behind() (d time.Duration) {
	for i := range p.late {
		d = max(d, time.Duration(p.late[i].Load()))
	}
	return d
}

// waits reports whether begin would wait for others with this number. oldest is what the partition still works on: others must not be far ahead
// of that.
func (p *pace) waits(partition int, oldest, number uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(partition, oldest)
	return p.ahead(number)
}

// reach says which number a partition works on now.
func (p *pace) reach(partition int, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(partition, number)
}

// begin waits until it is the turn of a batch, and reports whether that came before ctx ended. The one with the lowest number never
// waits.
func (p *pace) begin(ctx context.Context, partition int, number uint64) bool {
	p.mu.Lock()
	p.set(partition, number)
	return p.await(ctx, func() bool { return !p.ahead(number) })
}

// level waits until no other partition works on a lower number, and reports whether that came before ctx ended. Before it says how far its sources are
// a scanner waits so: a source that was never heard of holds no time back, so its hits must be sent before that.
func (p *pace) level(ctx context.Context, partition int, number uint64) bool {
	p.mu.Lock()
	return p.await(ctx, func() bool {
		for i, at := range p.at {
			if i != partition && at < number {
				return false
			}
		}
		return true
	})
}

// await waits until something holds. It is called with the lock, and returns without it.
func (p *pace) await(ctx context.Context, holds func() bool) bool {
	for !holds() {
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
		p.mu.Lock()
	}
	p.mu.Unlock()
	return true
}

func (p *pace) ahead(number uint64) bool {
	for _, at := range p.at {
		if number > p.slack && at < number-p.slack {
			return true
		}
	}
	return false
}
