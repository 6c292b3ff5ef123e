package collector

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// lookShare bounds what looks cost: the next one comes after so many times what the last one took.
const lookShare = 20

// look finds files that are new, renamed, cut or gone.
func (fw *follower) look(ctx context.Context) error {
	fw.needLook = false
	clear(fw.near)
	fw.now, fw.ticked = fw.o.Now(), time.Now()
	looked := fw.now
	d := discover(fw.files.names, fw.known)
	fw.watch.watch(d.dirs)
	fw.below = d.below
	for _, t := range fw.byID {
		t.absent++
	}
	seen, err := fw.lookAt(ctx, d)
	if err != nil {
		return err
	}
	for id := range fw.left {
		if !seen[id] {
			delete(fw.left, id)
		}
	}
	for id := range fw.copies {
		if !seen[id] {
			delete(fw.copies, id)
		}
	}
	err = fw.leave(ctx)
	if !fw.began {
		fw.vanished()
	}
	fw.began = true
	if fw.behind == 0 {
		fw.promise() // of the look before
		fw.looked = looked
		for _, t := range fw.byID {
			if t.size > t.at {
				t.owed = t.size
				fw.behind++
			}
		}
	}
	took := time.Since(fw.ticked)
	fw.nextLook = time.Now().Add(min(lookShare*took, 10*time.Second))
	return err
}

// lookNear looks into the directories in which something happened, which finds what is new or renamed there. What is gone is found by look.
func (fw *follower) lookNear(ctx context.Context) error {
	fw.now, fw.ticked = fw.o.Now(), time.Now()
	d := discoverIn(fw.near, fw.known)
	clear(fw.near)
	fw.watch.watchAlso(d.dirs)
	maps.Copy(fw.below, d.below)
	_, err := fw.lookAt(ctx, d)
	fw.nextNear = time.Now().Add(min(lookShare*time.Since(fw.ticked), time.Second))
	return err
}

func (fw *follower) known(path string) bool { return fw.trails[path] != nil }

// lookAt takes up what was discovered.
func (fw *follower) lookAt(ctx context.Context, d *discovery) (map[fileID]bool, error) {
	seen := make(map[fileID]bool, len(d.files))
	for i := range d.files {
		f := &d.files[i]
		id := identify(f.info)
		if seen[id] {
			continue // under another name, by a link
		}
		seen[id] = true
		switch t := fw.byID[id]; {
		case t != nil:
			t.absent = 0
			if err := fw.check(ctx, t, f); err != nil {
				return nil, err
			}
		case fw.left[id] || fw.copies[id] != nil:
		default:
			fw.adopt(f, id)
		}
	}
	return seen, nil
}

// check looks at a file that is followed.
func (fw *follower) check(ctx context.Context, t *tail, f *found) error {
	before := t.size
	written := f.info.Size() != t.size || !f.info.ModTime().Equal(t.written)
	t.name, t.size, t.written = f.real, f.info.Size(), f.info.ModTime()
	if written && t.file == nil && t.open() == nil {
		fw.opened++
	}
	if t.size < t.at || written && !t.unchanged() {
		return fw.cut(ctx, t, f, before-t.at)
	}
	if t.size > t.at {
		fw.enqueue(t.trail)
	}
	return nil
}

// cut begins a file anew that was cut, or whose number another one has now. What was not read of it, as far as is known, is in its copy, if
// there is one.
func (fw *follower) cut(ctx context.Context, t *tail, f *found, unread int64) error {
	anew := &tail{trail: t.trail, id: t.id, name: t.name, size: t.size, begun: t.begun + 1}
	anew.file, t.file = t.file, nil
	fw.reached(t, math.MaxInt64)
	copied := false
	for id, of := range fw.copies {
		if of == t {
			t.id, copied = id, true
			delete(fw.copies, id)
			break
		}
	}
	if copied {
		fw.byID[t.id] = t
		t.name, t.eof = fw.nameOf(t), false
		t.size = t.at + 1 // so that it is looked into
	} else {
		t.finish()
		t.trail.remove(t)
		t.trail.src.input.Counts.Add(format.UnreadBytes, int(max(unread, 0)))
		fw.report(t.trail, false)
	}
	if f.home != t.trail.home {
		anew.close()
		delete(fw.byID, anew.id)
		if err := fw.flush(ctx, t.trail.src); err != nil {
			return err
		}
		fw.saved.count(anew.id, anew.begun)
		fw.adopt(f, anew.id)
		return nil
	}
	fw.byID[anew.id] = anew
	t.trail.tails = append(t.trail.tails, anew)
	fw.enqueue(t.trail)
	fw.changed = true
	return fw.flush(ctx, t.trail.src)
}

// nameOf finds where the copy is of a file that was cut.
func (fw *follower) nameOf(t *tail) string {
	dir := filepath.Dir(t.name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return t.name
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && identify(info) == t.id {
			return filepath.Join(dir, e.Name())
		}
	}
	return t.name
}

// adopt decides what becomes of a file that is not known.
func (fw *follower) adopt(f *found, id fileID) {
	file, err := os.Open(f.real)
	if err != nil {
		fw.refuse(f, id, err)
		return
	}
	keep := false
	defer func() {
		if !keep {
			_ = file.Close() // it was only read
		}
	}()
	if info, err := file.Stat(); err != nil || identify(info) != id {
		fw.needLook = true // it was renamed meanwhile
		return
	}
	tr := fw.trails[f.home]
	pos, begun := fw.saved.take(id, f.home, file)
	if pos == nil && f.rotated() && tr != nil {
		for _, t := range tr.tails {
			switch t.isCopy(file, f.info.Size()) {
			case whole:
				fw.copies[id] = t
				return
			case partly:
				fw.needLook = true // it is being made
				return
			case other:
			}
		}
	}
	head := make([]byte, 4)
	if n, _ := file.ReadAt(head, 0); packed(head[:n]) {
		fw.refuse(f, id, errors.New("follow "+f.path+": it is compressed; read it once, without following"))
		return
	}
	if tr == nil {
		if tr = fw.newTrail(f, id); tr == nil {
			return
		}
	}
	t := newTail(tr, f, pos, begun)
	t.file, keep = file, true
	if pos != nil {
		if err := t.recall(); err != nil {
			t.problem(fw.files, err)
		}
		switch {
		case t.at < t.size:
		case f.rotated(): // it was left
			t.file, keep = nil, false
		default:
			t.remember()
		}
	} else if !fw.began && fw.fresh && fw.o.FromEnd {
		if err := t.skip(); err != nil {
			t.problem(fw.files, err)
		}
	}
	fw.byID[id] = t
	tr.tails = append(tr.tails, t)
	fw.changed = true
	fw.opened++
	fw.report(tr, false)
	fw.enqueue(tr)
}

// refuse leaves a file alone, and tells it once.
func (fw *follower) refuse(f *found, id fileID, err error) {
	if !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) { // those are tried again
		fw.left[id] = true
	}
	if !fw.told[f.real] && !errors.Is(err, os.ErrNotExist) {
		fw.told[f.real] = true
		fw.files.problem(err)
		fw.o.Meter.Lost(format.BadInput.String(), 1)
	}
}

// newTrail begins to follow a path, unless it is not to be followed.
func (fw *follower) newTrail(f *found, id fileID) *trail {
	path := f.path
	if f.rotated() {
		path = filepath.Join(filepath.Dir(f.path), filepath.Base(f.home))
	}
	s := fw.files.newSource(logPath(path), nil)
	s.input.Clock = func() time.Time { return fw.now }
	if fw.o.Admit != nil {
		attrs, verdict := fw.o.Admit(s.path, s.input.Attrs)
		switch verdict {
		case Take:
			s.input.Attrs = attrs
		case Leave:
			fw.left[id] = true
			return nil
		default:
			return nil
		}
	}
	if fw.one != nil {
		s.batches, s.named, s.input.Counts = fw.one.batches, fw.one.named, &fw.one.counts
	} else {
		s.batches = newBatcher(fw.o, &s.counts)
	}
	tr := &trail{home: f.home, src: s}
	if fw.o.Filter != nil {
		tr.keep = fw.o.Filter(s.input.Attrs)
	}
	fw.trails[f.home] = tr
	return tr
}

// leave lets files go that went away or were rotated away, and what has nothing to say rest.
func (fw *follower) leave(ctx context.Context) error {
	for home, tr := range fw.trails {
		if err := fw.leaveTails(ctx, tr); err != nil {
			return err
		}
		if len(tr.tails) > 0 {
			continue
		}
		// Nothing can come from a file that was taken away. A file that is read to its end is another matter: what came after
		// it is not known. Without this each pod that goes would make all absence unknown until its log is forgotten.
		if fw.one == nil && tr.src.named != 0 {
			tr.src.batches.gone = true
			tr.src.batches.cut(true)
			if err := fw.flush(ctx, tr.src); err != nil {
				return err
			}
		}
		fw.report(tr, true)
		delete(fw.trails, home)
	}
	return nil
}

func (fw *follower) leaveTails(ctx context.Context, tr *trail) error {
	for _, t := range slices.Backward(tr.tails) {
		quiet := t.file == nil || t.eof && fw.ticked.Sub(t.read) >= fw.o.Idle
		switch {
		case t.absent >= goneAfter && quiet:
			if unread := t.size - t.at; unread > 0 && t.file == nil {
				tr.src.input.Counts.Add(format.UnreadBytes, int(unread))
			}
			t.finish()
			fw.reached(t, math.MaxInt64)
			delete(fw.byID, t.id)
			tr.remove(t)
			fw.changed = true
		case t != tr.current() && quiet && t.file != nil && t.at >= t.size && fw.ticked.Sub(t.read) >= leaveAfter:
			t.finish()
		case quiet && fw.ticked.Sub(t.read) >= restAfter:
			t.rest()
		}
		if err := fw.flush(ctx, tr.src); err != nil {
			return err
		}
	}
	return nil
}

// vanished counts the files that went away while nothing read them.
func (fw *follower) vanished() {
	n := fw.saved.left()
	if n == 0 {
		return
	}
	fw.files.lost(fw.o.Meter, format.VanishedFile, n)
	fw.o.Logger.Warn("files went away while nothing read them; what was written to them last is not known", "files", n, "checkpoint", fw.o.Checkpoint)
	fw.saved = positions{}
}

// logPath returns the path that tells most about a log: of a link that leads to a pod's log, that of the log.
func logPath(path string) string {
	at := path
	for range 8 {
		if a := pathAttrs(at, nil); a.Value(record.PodUID) != "" {
			return at
		}
		to, err := os.Readlink(at)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(at), to)
		}
		at = to
	}
	return path
}
