package receive

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrBusy says that there is no room now, so that the sender should come again.
var ErrBusy = errors.New("no room now; send it again later")

// Gate bounds how many requests are handled at a time, and how many wait for that. It is safe for concurrent use.
type Gate struct {
	room    chan struct{}
	waiting atomic.Int64
	most    int64
}

// NewGate lets in room requests at a time, and waiting more wait.
func NewGate(room, waiting int) *Gate {
	return &Gate{room: make(chan struct{}, max(room, 1)), most: int64(waiting)}
}

// Enter waits until there is room, at most as long as ctx lasts. After nil the caller must call Leave once. It returns [ErrBusy] when the
// queue is full or ctx is done.
func (g *Gate) Enter(ctx context.Context) error {
	select {
	case g.room <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.most {
		g.waiting.Add(-1)
		return ErrBusy
	}
	defer g.waiting.Add(-1)
	select {
	case g.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

// Leave gives back the room that Enter took.
func (g *Gate) Leave() { <-g.room }
