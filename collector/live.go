package collector

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// runLive reads everything at the same time, and gives frames as they come.
func (f *Files) runLive(ctx context.Context, emit Emit) error {
	g, ctx := errgroup.WithContext(ctx)
	var one sync.Mutex // emit is never called twice at a time
	send := func(ctx context.Context, frame []byte) error {
		one.Lock()
		defer one.Unlock()
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		return emit(ctx, frame)
	}
	if f.merge != nil {
		g.Go(func() error {
			for {
				frame, err := f.merge.next(ctx)
				if err != nil || frame == nil {
					return err
				}
				if err := send(ctx, frame); err != nil {
					return err
				}
			}
		})
	}
	for _, s := range f.live {
		g.Go(func() error { return f.readLive(ctx, s, send) })
	}
	if len(f.names) > 0 {
		g.Go(func() error { return f.follow(ctx, send) })
	}
	return g.Wait()
}

// piece is what one Read gave.
type piece struct {
	data []byte
	err  error
}

// readLive reads one input that may pause at any time.
func (f *Files) readLive(ctx context.Context, s *source, send Emit) error {
	defer s.close()
	pieces, back := make(chan piece), make(chan []byte, 2)
	go readPieces(ctx, s, f.opts.chunkBytes, pieces, back)

	// What came is given out at most Idle after it came, however more trickles in.
	idle := time.NewTimer(f.opts.Idle)
	defer idle.Stop()
	waiting := true
	var beat <-chan time.Time
	if f.opts.Heartbeat > 0 {
		t := time.NewTicker(f.opts.Heartbeat)
		defer t.Stop()
		beat = t.C
	}
	for !s.done {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case p := <-pieces:
			s.feed(p.data)
			if p.err != nil {
				s.finish(p.err)
			}
			if p.data != nil {
				back <- p.data
			}
			if !waiting {
				idle.Reset(f.opts.Idle)
				waiting = true
			}
		case <-idle.C:
			waiting = false
			s.settle()
		case <-beat:
			s.settle()
			s.heartbeat()
		}
		f.report(s, s.done)
		if s.batches == nil {
			continue
		}
		for frame := s.batches.take(); frame != nil; frame = s.batches.take() {
			if err := send(ctx, frame); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPieces reads until the input ends or ctx is done. It cannot be interrupted while it waits for bytes.
func readPieces(ctx context.Context, s *source, size int, pieces chan<- piece, back chan []byte) {
	back <- make([]byte, size)
	back <- make([]byte, size)
	plain, free, err := unpack(s.raw)
	if err != nil {
		select {
		case pieces <- piece{nil, err}:
		case <-ctx.Done():
		}
		return
	}
	defer free()
	for {
		var buf []byte
		select {
		case buf = <-back:
		case <-ctx.Done():
			return
		}
		n, err := plain.Read(buf[:size])
		select {
		case pieces <- piece{buf[:n], err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// settle gives out what was held back. While not even a line came, the format is not decided.
func (s *source) settle() {
	if s.parser == nil && decidable(s.sample) {
		s.detect()
	}
	s.flush()
}

// decidable reports whether the beginning of an input is enough to tell its format from.
func decidable(sample []byte) bool {
	for i, c := range sample {
		if c == '\n' && i > 1 || i >= 4096 {
			return true
		}
	}
	return false
}

// heartbeat says that the source has given everything up to now.
func (s *source) heartbeat() {
	if s.batches != nil {
		s.batches.heartbeat(s.opts.Now().UnixNano())
	}
}
