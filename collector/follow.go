package collector

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

const (
	// turnBytes is how much of one followed file is read before the others have their turn.
	turnBytes = 1 << 20
	// goneAfter is how many looks in a row must not find a followed file before it counts as ended: rotation takes it away for a moment.
	goneAfter = 5
	// leaveAfter is how long a file that was rotated away is held open: a program may write to it until it learns of the rotation.
	leaveAfter = 10 * time.Second
	// restAfter is how long a file may have nothing to say before its parser is freed.
	restAfter = time.Minute
	// roundEvery is the least time between two rounds in which everything was read: lines that are written one by one are read together.
	roundEvery = 5 * time.Millisecond
)

// follower reads what is appended to files. One goroutine owns it and all of its files.
type follower struct {
	files  *Files
	o      *Options
	send   Emit
	trails map[string]*trail
	byID   map[fileID]*tail
	copies map[fileID]*tail // files that hold what was read of another one, which was not cut yet
	left   map[fileID]bool  // files that are not read
	began  bool             // the files that were there at the beginning are known
	chunk  []byte
	told   map[string]bool // of which files a problem was told
	watch  *watcher
	now    time.Time // by the clock of the records
	ticked time.Time // by the clock that is not set

	one       *source  // takes all records, when there is one source
	ready     []*trail // their turn comes
	unsettled []*tail  // hold something back
	opened    int      // files that are open, or more
	needLook  bool
	nextLook  time.Time
	near      map[string]string // directories that are to be looked into, and what they are called
	nextNear  time.Time
	below     map[string]string // the directories in followed ones
	looked    time.Time         // when a look began; what was there then is read when behind is 0
	behind    int               // files of which that is not read yet
	alive     time.Time         // everything up to then was given

	saved   positions
	fresh   bool       // there was no checkpoint
	saving  chan error // the checkpoint under way; nil when none is
	changed bool       // since the last checkpoint
	failing bool       // the last checkpoint could not be saved
}

// newFollower makes a follower that knows how far the files were read before. It must be closed, even when there was an error.
func (f *Files) newFollower(send Emit) (*follower, error) {
	fw := &follower{
		files: f, o: &f.opts, send: send, trails: map[string]*trail{}, byID: map[fileID]*tail{}, copies: map[fileID]*tail{}, left: map[fileID]bool{}, near: map[string]string{},
		chunk: make([]byte, 256<<10), told: map[string]bool{}, watch: newWatcher(f.opts.MaxWatches), now: f.opts.Now(), fresh: true,
	}
	return fw, fw.load()
}

// follow reads followed paths until ctx is done.
func (f *Files) follow(ctx context.Context, send Emit) error {
	fw, err := f.newFollower(send)
	defer fw.close()
	if err != nil {
		return err
	}
	err = fw.run(ctx)
	if fw.saving != nil {
		fw.savedNow(<-fw.saving)
	}
	if ctx.Err() != nil {
		fw.lastWords(ctx)
	}
	return err
}

// load learns how far the files were read before.
func (fw *follower) load() error {
	fw.saved = positions{}
	if fw.o.Source != "" {
		fw.one = fw.files.newSource("", nil)
		fw.one.batches = newBatcher(fw.o, &fw.one.counts)
		fw.one.batches.promised, fw.one.named = true, 1<<record.Log
		h := record.Header{Source: fw.o.Source, Scope: fw.o.Scope, Kinds: 1 << record.Log}
		if err := fw.one.batches.builder.Reset(h); err != nil {
			return err
		}
	}
	if fw.o.Checkpoints == nil {
		return nil
	}
	var err error
	fw.saved, err = loadPositions(fw.o.Checkpoints, fw.o.Checkpoint)
	fw.fresh = fw.saved.left() == 0
	return err
}

func (fw *follower) run(ctx context.Context) error {
	poll := time.NewTicker(fw.o.Poll)
	defer poll.Stop()
	// What came is given out soon after Idle, however more trickles in.
	idle := time.NewTicker(max(fw.o.Idle/4, time.Millisecond))
	defer idle.Stop()
	round := time.NewTimer(0)
	defer round.Stop()
	beat, stop := ticks(fw.o.Heartbeat)
	defer stop()
	save, stop := ticks(fw.o.CheckpointEvery)
	defer stop()
	atOnce := make(chan struct{}) // always ready
	close(atOnce)
	if err := fw.look(ctx); err != nil {
		return err
	}
	fw.o.Meter.Connected(true)
	waiting := false // a round is due
	for {
		var again <-chan struct{}
		if len(fw.ready) > 0 && !waiting {
			if err := fw.pump(ctx); err != nil {
				return err
			}
			if len(fw.ready) > 0 {
				again = atOnce // beside the others: a file that is written all the time must not hold up the rest
			} else {
				round.Reset(roundEvery)
				waiting = true
			}
		}
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again:
		case <-round.C:
			waiting = false
		case <-fw.watch.wake:
			fw.written()
		case <-idle.C:
			err = fw.settle(ctx)
		case <-beat:
			err = fw.beat(ctx)
		case <-save:
			err = fw.checkpoint(ctx)
		case err := <-fw.saving:
			fw.savedNow(err)
		case <-poll.C:
			fw.needLook = true
		}
		switch {
		case err != nil:
		case fw.needLook && time.Now().After(fw.nextLook):
			err = fw.look(ctx)
		case len(fw.near) > 0 && time.Now().After(fw.nextNear):
			err = fw.lookNear(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// ticks returns a ticker's channel, nil when it never ticks.
func ticks(every time.Duration) (c <-chan time.Time, stop func()) {
	if every <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(every)
	return t.C, t.Stop
}

// written gives files that were written to a turn.
func (fw *follower) written() {
	h := fw.watch.take()
	fw.needLook = fw.needLook || h.missed
	for name := range h.written {
		if tr := fw.trails[name]; tr != nil {
			fw.enqueue(tr)
		} else {
			fw.lookInto(filepath.Dir(name)) // a file that is not known yet, or one that was rotated and is written to still
		}
	}
	for name := range h.changed {
		if called, ok := fw.below[filepath.Dir(name)]; ok {
			if info, err := os.Lstat(name); err == nil && info.IsDir() {
				fw.below[name] = filepath.Join(called, filepath.Base(name))
				fw.lookInto(name)
				continue
			}
		}
		if tr := fw.trails[name]; tr != nil {
			fw.enqueue(tr)
		}
		fw.lookInto(filepath.Dir(name))
	}
}

// lookInto asks for a look into a directory, or everywhere when it is no directory of a followed one.
func (fw *follower) lookInto(dir string) {
	if called, ok := fw.below[dir]; ok {
		fw.near[dir] = called
	} else {
		fw.needLook = true
	}
}

func (fw *follower) enqueue(tr *trail) {
	if !tr.ready {
		tr.ready = true
		fw.ready = append(fw.ready, tr)
	}
}

// pump gives every trail that is ready a turn.
func (fw *follower) pump(ctx context.Context) error {
	fw.now, fw.ticked = fw.o.Now(), time.Now()
	round := fw.ready
	fw.ready = nil
	for i, tr := range round {
		tr.ready = false
		more, err := fw.turn(ctx, tr)
		if err != nil {
			fw.ready = append(fw.ready, round[i+1:]...)
			return err
		}
		if more {
			fw.enqueue(tr)
		}
	}
	fw.spare()
	return nil
}

// turn reads what there is of a trail, at most so much, oldest file first. more says that there may be more at once.
func (fw *follower) turn(ctx context.Context, tr *trail) (more bool, err error) {
	room, before := int64(turnBytes), int64(0)
	for i, t := range tr.tails {
		if t != tr.current() && t.file == nil && t.at >= t.size {
			continue // it was left
		}
		if t.file == nil {
			fw.opened++
		}
		if err := t.open(); err != nil {
			fw.trouble(t, err)
			continue
		}
		if fw.wasCut(t) {
			fw.needLook = true
			continue
		}
		n, err := fw.pull(ctx, t, room-before)
		before += n
		fw.reached(t, t.at)
		if n > 0 {
			fw.changed, t.readAt = true, fw.now
			fw.hold(t)
		}
		if err != nil {
			return true, err
		}
		if !t.eof {
			more = true
			break
		}
		if i+1 < len(tr.tails) && before >= room {
			more = true
			break
		}
	}
	if before == 0 {
		return more, nil
	}
	err = fw.flush(ctx, tr.src)
	fw.report(tr, false)
	return more, err
}

// pull reads at most so many bytes of a file. What is finished is given out after each piece, so that its memory serves the next one.
func (fw *follower) pull(ctx context.Context, t *tail, most int64) (n int64, err error) {
	for n < most && err == nil {
		n += t.pull(fw.chunk, min(most-n, int64(len(fw.chunk))), fw.ticked)
		if err = fw.flush(ctx, t.trail.src); t.eof {
			break
		}
	}
	return n, err
}

// wasCut reports whether a file is shorter than what was read of it, or begins otherwise: it may have grown again.
func (fw *follower) wasCut(t *tail) bool {
	info, err := t.file.Stat()
	return err == nil && info.Size() < t.at || !t.unchanged()
}

// reached notes how far a file is, for the promise.
func (fw *follower) reached(t *tail, at int64) {
	if t.owed > 0 && at >= t.owed {
		t.owed = 0
		fw.behind--
	}
}

// hold notes that a file may hold something back.
func (fw *follower) hold(t *tail) {
	if !t.held {
		t.held = true
		fw.unsettled = append(fw.unsettled, t)
	}
}

// trouble tells once that a file could not be opened. One that was renamed meanwhile is found by the next look.
func (fw *follower) trouble(t *tail, err error) {
	fw.needLook = true
	if errors.Is(err, errMoved) || errors.Is(err, fs.ErrNotExist) || fw.told[t.name] {
		return
	}
	fw.told[t.name] = true
	t.problem(fw.files, err)
}

// spare closes files when too many are open, and frees what has nothing to do.
func (fw *follower) spare() {
	if fw.opened <= fw.o.MaxOpen {
		return
	}
	open := 0
	for _, t := range fw.byID {
		if t.file != nil {
			open++
		}
	}
	for _, t := range fw.byID {
		if open <= fw.o.MaxOpen*3/4 {
			break
		}
		if t.file != nil && t.eof {
			t.close()
			open--
		}
	}
	fw.opened = open
}

func (fw *follower) report(tr *trail, over bool) {
	if fw.one == nil {
		fw.files.report(tr.src, over)
		return
	}
	fw.one.raw.n.Add(tr.src.raw.n.Swap(0))
	fw.files.report(fw.one, false)
}

func (fw *follower) close() {
	fw.watch.close()
	for _, tr := range fw.trails {
		for _, t := range tr.tails {
			t.close()
		}
		fw.report(tr, true)
	}
}

// filtered is the sink of a file some of whose records are refused.
type filtered struct {
	keep func(r *record.Record) bool
	to   format.Sink
}

// Add implements [format.Sink].
func (f filtered) Add(r *record.Record) {
	if f.keep(r) {
		f.to.Add(r)
	}
}
