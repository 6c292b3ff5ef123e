package collector

import (
	"context"
	"os"
	"time"
)

func (fw *follower) flush(ctx context.Context, s *source) error {
	if s.batches == nil {
		return nil
	}
	for len(s.batches.frames) > 0 {
		frame := s.batches.frames[0]
		if err := fw.send(ctx, frame); err != nil {
			return err
		}
		s.batches.take()
		s.batches.give(frame)
	}
	return nil
}

// settle gives out what waits.
func (fw *follower) settle(ctx context.Context) error {
	fw.now, fw.ticked = fw.o.Now(), time.Now()
	kept := fw.unsettled[:0]
	for _, t := range fw.unsettled {
		quiet := fw.ticked.Sub(t.read) >= fw.o.Idle && !fw.goesOn(t)
		t.settle(quiet)
		t.trail.src.batches.cut(false)
		if err := fw.flush(ctx, t.trail.src); err != nil {
			return err
		}
		if !t.eof || !quiet {
			kept = append(kept, t)
		} else {
			t.held, fw.changed = false, true
		}
		fw.report(t.trail, false)
	}
	clear(fw.unsettled[len(kept):])
	fw.unsettled = kept
	fw.promise()
	return nil
}

// promise finds out up to when everything was given, for the one source of all files: what was there at a look was read, and nothing of it is
// held back.
func (fw *follower) promise() {
	if fw.one == nil || fw.behind > 0 || fw.looked.IsZero() {
		return
	}
	upTo := fw.looked
	for _, t := range fw.unsettled {
		// What is held back came with the last bytes. A line takes a moment from the program to the file.
		if at := t.readAt.Add(-time.Second); at.Before(upTo) {
			upTo = at
		}
	}
	if upTo.After(fw.alive) {
		fw.alive = upTo
		fw.one.batches.mark = upTo.UnixNano()
	}
}

// goesOn reports whether what a file holds back may go on in what was not read yet, of it or of the file after it: however late we are, it is
// not given out before.
func (fw *follower) goesOn(t *tail) bool {
	if at, _ := t.settled(); at == t.at {
		return false
	}
	if t.file != nil {
		if info, err := t.file.Stat(); err == nil && info.Size() > t.at {
			fw.enqueue(t.trail)
			return true
		}
	}
	if t.absent > 0 {
		return false
	}
	if t == t.trail.current() {
		info, err := os.Lstat(t.name)
		if err == nil && identify(info) == t.id {
			return false
		}
		fw.needLook = true // it was rotated away since the last look
		return true
	}
	next := t.trail.after(t)
	if next.parser != nil || next.sample != nil || next.at > 0 || next.file == nil {
		return false
	}
	info, err := next.file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	fw.enqueue(t.trail)
	return true
}

// beat says up to when everything was given.
func (fw *follower) beat(ctx context.Context) error {
	if fw.one != nil {
		if fw.alive.IsZero() {
			return nil
		}
		fw.one.batches.heartbeat(fw.alive.UnixNano())
		fw.o.Meter.alive(fw.alive)
		return fw.flush(ctx, fw.one)
	}
	for _, tr := range fw.trails {
		t := tr.current()
		if t.settle(true); tr.src.named == 0 {
			continue
		}
		tr.src.batches.heartbeat(fw.o.Now().UnixNano())
		if err := fw.flush(ctx, tr.src); err != nil {
			return err
		}
		fw.report(tr, false)
	}
	return nil
}
