package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// warnEvery is how often it is logged at most that publishing waits.
const warnEvery = time.Minute

// gate holds publishers back while a stream is nearly full of what its readers did not read: the stream would make room by
// removing the oldest messages, unread. It is safe for concurrent use.
//
// It looks at the stream and its readers after so many bytes, and once a second while anything is sent. What may be sent between two looks is a part of
// what is free, so that several processes that publish without knowing of each other do not fill the rest between them.
type gate struct {
	s               *Stream
	stream, readers string

	mu      sync.Mutex
	left    int64 // bytes that may be sent before another look must have come back
	refill  int64 // what left was after the last look
	flying  int64 // bytes that were let through and are not stored yet, as far as we know
	looked  time.Time
	looking bool
	waiting int           // callers
	changed chan struct{} // closed when a look has come back
	held    uint64        // how often somebody had to wait
	full    error         // why nobody may send now, or nil
	warned  time.Time     // when that was last logged
	stopped bool
	end     context.CancelFunc
	ended   sync.WaitGroup
}

const (
	gateEvery = time.Second           // between two looks while anything is sent
	gateAgain = 25 * time.Millisecond // while somebody waits
	// gatePatience is how long the server may fail to say how full it is before some is let through, so that a client that may publish but
	// not ask is slowed down and not stopped.
	gatePatience = 30 * time.Second
	// gateParts of the free room may be sent before another look.
	gateParts = 8
)

// gate returns the gate of a stream and those consumers whose names begin with readers. All publishers of s share it.
func (s *Stream) gate(stream, readers string) (*gate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the stream is closed")
	}
	for user := range s.users {
		if g, ok := user.(*gate); ok && g.stream == stream && g.readers == readers {
			return g, nil
		}
	}
	g := &gate{s: s, stream: stream, readers: readers, changed: make(chan struct{})}
	s.users[g] = g.stop
	return g, nil
}

// stop ends the look under way and waits for it.
func (g *gate) stop() {
	g.mu.Lock()
	g.stopped = true
	if g.end != nil {
		g.end()
	}
	g.mu.Unlock()
	g.ended.Wait()
}

// pass waits until n more bytes may be sent; stored must follow. An error is ctx's, or says that stop was closed, and nothing may be sent.
func (g *gate) pass(ctx context.Context, stop <-chan struct{}, n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for waited := false; ; waited = true {
		if g.left <= g.refill/2 || time.Since(g.looked) > gateEvery {
			g.look()
		}
		if g.left > 0 { // the last one may be larger than what is left
			g.left -= n
			g.flying += n
			return nil
		}
		if !waited {
			g.held++
		}
		g.waiting++
		changed := g.changed
		g.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-stop:
			err = errors.New("the publisher is closed")
		}
		g.mu.Lock()
		g.waiting--
		if err != nil {
			return err
		}
	}
}

// stored says that n bytes that were let through are stored, or given up.
func (g *gate) stored(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying -= n
}

// look begins to ask the server, unless that is under way. The lock is held.
func (g *gate) look() {
	if g.looking || g.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.looking, g.end = true, cancel
	g.ended.Go(func() {
		defer cancel()
		for {
			room, most, err := g.ask(ctx)
			if !g.learn(room, most, err) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(gateAgain):
			}
		}
	})
}

// learn takes what a look brought, and reports whether it must be followed by another one: somebody waits then.
func (g *gate) learn(room, most int64, err error) (again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		room = max(room-g.flying, 0)
		g.refill, g.looked = max(room/gateParts, min(room, most/64)), now
		g.left = g.refill
	case g.looked.IsZero() || now.Sub(g.looked) > gatePatience:
		g.s.opts.Logger.Warn("how full the stream is cannot be asked, so it may remove what is unread", "stream", g.stream, "error", err)
		g.left, g.refill, g.looked = 16*mebibyte, 16*mebibyte, now
	default:
		// What was left is still true enough, and nothing is stored either while the server does not answer.
	}
	switch {
	case g.left > 0 && g.full != nil:
		g.full = nil
	case g.left <= 0 && g.full == nil && err == nil:
		g.full = fmt.Errorf("three quarters of stream %s are full of what nobody has read: see that forewarn matches and keeps up, or let the stream keep more", g.stream)
		if now.Sub(g.warned) < warnEvery { // under load it fills and empties many times a second
			break
		}
		g.warned = now
		g.s.opts.Logger.Warn("the stream is nearly full of what nobody has read, publishing waits: see that matching keeps up, or let the stream keep more", "stream", g.stream)
	default:
	}
	close(g.changed)
	g.changed = make(chan struct{})
	g.looking = g.left <= 0 && g.waiting > 0 && !g.stopped
	return g.looking
}

// ask returns how many more bytes the stream may take before it removes what is unread, and how many it may hold at all.
func (g *gate) ask(ctx context.Context) (left, most int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st, err := g.s.js.Stream(ctx, g.stream)
	if err != nil {
		return 0, 0, err
	}
	info := st.CachedInfo()
	if most = info.Config.MaxBytes; most <= 0 {
		return 1 << 40, 1 << 40, nil
	}
	var readers []*jetstream.ConsumerInfo
	list := st.ListConsumers(ctx)
	for c := range list.Info() {
		if strings.HasPrefix(c.Name, g.readers) {
			readers = append(readers, c)
		}
	}
	if list.Err() != nil {
		return 0, 0, list.Err()
	}
	from := oldestUnread(&info.State, readers, nil)
	if left = room(&info.State, most, from); left > most/4 {
		return left, most, nil
	}
	// A reader that had nothing for long, and has something since a moment, seems to be far behind. So the server is asked where its next message
	// is; that is a message to carry, and so not done while there is room.
	from = oldestUnread(&info.State, readers, func(c *jetstream.ConsumerInfo, after uint64) uint64 {
		m, err := st.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(c.Config.FilterSubject))
		if err != nil {
			return after + 1
		}
		return m.Sequence
	})
	return room(&info.State, most, from), most, nil
}

// oldestUnread returns the sequence of the first message that some reader has not acknowledged, as far as it can be told without next, or exactly
// with it; one after the last when there is none. Without any reader everything is unread: a matcher that starts later begins at the beginning.
func oldestUnread(state *jetstream.StreamState, readers []*jetstream.ConsumerInfo, next func(c *jetstream.ConsumerInfo, after uint64) uint64) uint64 {
	if len(readers) == 0 {
		return state.FirstSeq
	}
	oldest := state.LastSeq + 1
	for _, c := range readers {
		if c.NumPending == 0 && c.NumAckPending == 0 {
			continue
		}
		at := max(c.AckFloor.Stream+1, state.FirstSeq)
		if next != nil && at < oldest {
			at = next(c, at-1)
		}
		oldest = min(oldest, at)
	}
	return oldest
}

// room is what is left of three quarters of the stream, which removes its oldest messages when it is full: all that came since the first
// unread message counts, whoever it is for. Messages are taken to be of one size. The last quarter is for what others send between two looks.
func room(state *jetstream.StreamState, most int64, unread uint64) int64 {
	room := most / 4 * 3
	if state.Msgs == 0 || unread > state.LastSeq {
		return room
	}
	return room - int64(float64(state.Bytes)/float64(state.Msgs)*float64(state.LastSeq+1-unread))
}
