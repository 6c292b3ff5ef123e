package collector

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/forewarn/forewarn/collector/format"
)

// turnBytes is how much of one followed file is read before the others have their turn.
const turnBytes = 4 << 20

// goneAfter is how many looks in a row must not find a followed file before it counts as ended: rotation takes it away for a moment.
const goneAfter = 5

// follower reads what is appended to files. One goroutine owns it and all of its files.
type follower struct {
	files *Files
	send  func([]byte) error
	tails map[string]*tail
	began bool // the files that were there at the beginning are known
	chunk []byte
	told  map[string]bool // compressed files that were left out
}

// tail is one followed file.
type tail struct {
	src    *source
	file   *os.File
	at     int64 // bytes read
	absent int
}

// follow reads followed paths until ctx is done.
func (f *Files) follow(ctx context.Context, send func([]byte) error) error {
	fw := &follower{files: f, send: send, tails: map[string]*tail{}, chunk: make([]byte, 64<<10), told: map[string]bool{}}
	defer fw.close()
	notify, stop := watchDirs(f.names)
	defer stop()
	poll := time.NewTicker(f.opts.Poll)
	defer poll.Stop()
	// What came is given out at most Idle after it came, however more trickles in.
	idle := time.NewTimer(f.opts.Idle)
	defer idle.Stop()
	waiting := true
	atOnce := make(chan struct{}) // always ready
	close(atOnce)
	var beat <-chan time.Time
	if f.opts.Heartbeat > 0 {
		t := time.NewTicker(f.opts.Heartbeat)
		defer t.Stop()
		beat = t.C
	}
	fw.look()
	f.opts.Meter.Connected(true)
	for {
		more, err := fw.pump()
		if err != nil {
			return err
		}
		var again <-chan struct{}
		if more {
			again = atOnce // beside the others: a file that is written all the time must not hold up the rest
			if !waiting {
				idle.Reset(f.opts.Idle)
				waiting = true
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again:
		case <-idle.C:
			waiting = false
			err = fw.each((*source).settle)
		case <-beat:
			err = fw.each(func(s *source) { s.settle(); s.heartbeat() })
		case <-notify:
		case <-poll.C:
			fw.look()
		}
		if err != nil {
			return err
		}
	}
}

// watchDirs tells when something happens in the paths' directories, as far as the system can; what it misses is found by
// polling.
func watchDirs(paths []string) (events <-chan struct{}, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			p = filepath.Dir(p)
		}
		_ = w.Add(p) // it may not exist yet, or be a pattern: polling finds it
	}
	ch, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case _, ok := <-w.Events:
				if !ok {
					return
				}
				select {
				case ch <- struct{}{}:
				default: // one that was not seen yet says the same
				}
			case _, ok := <-w.Errors:
				if !ok {
					return
				}
			}
		}
	}()
	return ch, func() {
		_ = w.Close()
		<-done
	}
}

// look finds files that are new, replaced, cut or gone.
func (fw *follower) look() {
	found := map[string]bool{}
	for _, p := range fw.files.names {
		paths, err := expand(p)
		if err != nil {
			continue // it may appear later
		}
		for _, path := range paths {
			found[path] = true
			fw.check(path)
		}
	}
	for path, t := range fw.tails {
		if found[path] {
			t.absent = 0
			continue
		}
		if t.absent++; t.absent >= goneAfter {
			fw.drain(t)
			// Nothing can come from a file that was taken away. A file that is read to its end is another matter: what came after
			// it is not known. Without this each pod that goes would make all absence unknown until its log is forgotten.
			t.src.detect()
			t.src.batches.gone = true
			t.src.finish(io.EOF)
			_ = fw.flush(t)
			fw.files.report(t.src, true)
			delete(fw.tails, path)
		}
	}
	fw.began = true
}

// check opens a file that is new under its name, and begins anew with one that was cut.
func (fw *follower) check(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	t := fw.tails[path]
	if t != nil {
		old, err := t.file.Stat()
		if err == nil && os.SameFile(old, info) {
			if info.Size() >= t.at {
				return
			}
		} else {
			fw.drain(t) // rotated: what was written to the old file after the last look
		}
		fw.leave(t)
		delete(fw.tails, path)
	}
	fw.open(path, t == nil && !fw.began && fw.files.opts.FromEnd)
}

// leave ends a file whose name another one has now. The source goes on, so its end is not said.
func (fw *follower) leave(t *tail) {
	t.src.detect()
	t.src.parser.Close()
	t.src.batches.cut(false)
	t.src.done = true
	_ = fw.flush(t)
	t.src.close()
	fw.files.report(t.src, true)
}

func (fw *follower) open(path string, fromEnd bool) {
	file, err := os.Open(path)
	if err != nil {
		if !fw.told[path] {
			fw.told[path] = true
			fw.files.problem(err)
		}
		return
	}
	head := make([]byte, format.Sample)
	n, _ := file.ReadAt(head, 0)
	if packed(head[:n]) {
		_ = file.Close()
		if !fw.told[path] {
			fw.told[path] = true
			fw.files.problem(errors.New("follow " + path + ": it is compressed; read it once, without following"))
		}
		return
	}
	t := &tail{file: file, src: fw.files.newSource(path, file, true)}
	if info, err := file.Stat(); err == nil && fromEnd {
		t.at = info.Size()
		if _, err := file.Seek(t.at, io.SeekStart); err != nil {
			t.at = 0
		}
		if t.at > 0 {
			t.src.begin(head[:n], uint64(t.at))
		}
	}
	fw.tails[path] = t
}

// pump reads what there is, at most a turn of each file, and sends it. more says that there may be more at once.
func (fw *follower) pump() (more bool, err error) {
	for _, t := range fw.tails {
		n := fw.read(t, turnBytes)
		more = more || n > 0
		if err := fw.flush(t); err != nil {
			return false, err
		}
		if n > 0 {
			fw.files.report(t.src, false)
		}
	}
	return more, nil
}

func (fw *follower) read(t *tail, most int64) (read int64) {
	for read < most {
		n, err := t.src.raw.Read(fw.chunk)
		if n > 0 {
			t.src.feed(fw.chunk[:n])
			t.at += int64(n)
			read += int64(n)
		}
		if err != nil || n == 0 {
			break
		}
	}
	return read
}

func (fw *follower) drain(t *tail) {
	for fw.read(t, turnBytes) > 0 {
		if fw.flush(t) != nil {
			return
		}
	}
}

func (fw *follower) flush(t *tail) error {
	if t.src.batches == nil {
		return nil
	}
	for frame := t.src.batches.take(); frame != nil; frame = t.src.batches.take() {
		if err := fw.send(frame); err != nil {
			return err
		}
	}
	return nil
}

// each does something to every source and sends what comes of it.
func (fw *follower) each(do func(*source)) error {
	for _, t := range fw.tails {
		do(t.src)
		if err := fw.flush(t); err != nil {
			return err
		}
		fw.files.report(t.src, false)
	}
	return nil
}

func (fw *follower) close() {
	for _, t := range fw.tails {
		t.src.close()
		fw.files.report(t.src, true)
	}
}
