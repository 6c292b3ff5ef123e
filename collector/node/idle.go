package node

import (
	"context"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
)

// promiseAfter is how long reading must have waited for more before that means that there is nothing more.
const promiseAfter = 500 * time.Millisecond

// idle promises, while a reader waits for more, that everything up to then was added. A source that never says that it is well is taken for
// well as long as it is there.
type idle struct {
	mu    sync.Mutex
	since time.Time // since when the reader waits; zero while it does not
	stop  context.CancelFunc
	done  chan struct{}
}

func newIdle(ctx context.Context, out *collector.Outlet, now func() time.Time) *idle {
	ctx, stop := context.WithCancel(ctx)
	i := &idle{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(i.done)
		t := time.NewTicker(promiseAfter)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				i.promise(out, now())
			}
		}
	}()
	return i
}

// promise holds the lock while it promises: what the reader gets meanwhile is added after it.
func (i *idle) promise(out *collector.Outlet, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.since.IsZero() && time.Since(i.since) >= promiseAfter {
		out.Alive(now.Add(-promiseAfter))
	}
}

func (i *idle) waits() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.since = time.Now()
}

func (i *idle) reads() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.since = time.Time{}
}

func (i *idle) end() {
	i.stop()
	<-i.done
}
