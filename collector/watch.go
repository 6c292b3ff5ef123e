package collector

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watcher tells of what happens in directories, as far as the system can. What it misses is found by polling.
type watcher struct {
	fs    *fsnotify.Watcher // nil when the system has none
	most  int               // directories that are watched
	dirs  map[string]bool
	wake  chan struct{} // has something when take has
	ended chan struct{}

	mu sync.Mutex
	happened
}

// happened is what a watcher was told.
type happened struct {
	written map[string]bool // files that were written to
	changed map[string]bool // what came, went or was renamed
	missed  bool            // something was not told
}

func nothing() happened { return happened{map[string]bool{}, map[string]bool{}, false} }

func newWatcher(most int) *watcher {
	w := &watcher{most: most, dirs: map[string]bool{}, wake: make(chan struct{}, 1), ended: make(chan struct{}), happened: nothing()}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		close(w.ended)
		return w
	}
	w.fs = fs
	go w.listen()
	return w
}

func (w *watcher) listen() {
	defer close(w.ended)
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.note(e.Name, e.Op&^(fsnotify.Write|fsnotify.Chmod) != 0)
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) { // anything may have happened
				w.note("", true)
			}
		}
	}
}

func (w *watcher) note(name string, changed bool) {
	w.mu.Lock()
	switch {
	case name == "":
		w.missed = true
	case changed:
		w.changed[name] = true
	default:
		w.written[name] = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // one that was not seen yet says the same
	}
}

// take returns what happened since it was called last.
func (w *watcher) take() happened {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.happened
	w.happened = nothing()
	return h
}

// watch makes the directories those that are watched, at most so many.
func (w *watcher) watch(dirs map[string]bool) {
	for dir := range w.dirs {
		if !dirs[dir] {
			_ = w.fs.Remove(dir) // it is gone, and its watch with it
			delete(w.dirs, dir)
		}
	}
	w.watchAlso(dirs)
}

// watchAlso adds directories to those that are watched.
func (w *watcher) watchAlso(dirs map[string]bool) {
	if w.fs == nil {
		return
	}
	for dir := range dirs {
		if len(w.dirs) >= w.most {
			return
		}
		if !w.dirs[dir] && w.fs.Add(dir) == nil {
			w.dirs[filepath.Clean(dir)] = true
		}
	}
}

func (w *watcher) close() {
	if w.fs != nil {
		_ = w.fs.Close()
	}
	<-w.ended
}
