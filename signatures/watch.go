package signatures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchOptions say how [Follow] looks for changes. The zero value is right for most.
type WatchOptions struct {
	// Debounce is how long nothing may change before files are read, so that a copy of many files is one change. 0 means 250 ms.
	Debounce time.Duration
	// Interval is how often files are read without being told of a change; network file systems tell nothing. 0 means 30 s.
	Interval time.Duration
}

// Follow calls look, and calls it again whenever the files that paths lead to may have changed, until ctx ends. It calls look from one
// goroutine, its caller's, and returns when it is over. Changes are seen however they are made: written in place, renamed over, or swapped by a
// link as Kubernetes does with a mounted ConfigMap.
func Follow(ctx context.Context, paths []string, opts WatchOptions, look func()) error {
	if opts.Debounce <= 0 {
		opts.Debounce = 250 * time.Millisecond
	}
	if opts.Interval <= 0 {
		opts.Interval = 30 * time.Second
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch signatures: %w (raise fs.inotify.max_user_instances)", err)
	}
	defer func() { _ = w.Close() }() // it only read
	watched := make(map[string]bool)
	follow(w, watched, paths) // before reading, so that no change falls between
	look()

	tick := time.NewTicker(opts.Interval)
	defer tick.Stop()
	settle := time.NewTimer(opts.Debounce)
	settle.Stop()
	defer settle.Stop()
	var first time.Time // of the changes that are waiting
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events:
			if !ok {
				return errors.New("watch signatures: the watcher was closed")
			}
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			if now.Sub(first) < 10*opts.Debounce { // a file that is written all the time must not hide the others
				settle.Reset(opts.Debounce)
			}
			continue
		case <-w.Errors: //nolint:errcheck // events were lost; what changed will be found by reading
		case <-settle.C:
		case <-tick.C:
		}
		first = time.Time{}
		follow(w, watched, paths)
		look()
	}
}

// follow watches every directory that paths lead to. Directories are watched rather than files, because a file that is renamed over
// is another file. What can't be watched is found by the interval.
func follow(w *fsnotify.Watcher, watched map[string]bool, paths []string) {
	now := make(map[string]bool)
	var visit func(dir string, depth int)
	visit = func(dir string, depth int) {
		if now[dir] || depth > maxDirs {
			return
		}
		now[dir] = true
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || e.Type().IsRegular() {
				continue
			}
			full := filepath.Join(dir, e.Name())
			if e.Type()&fs.ModeSymlink != 0 {
				watchTarget(full, now)
			}
			if info, err := os.Stat(full); err == nil && info.IsDir() {
				visit(full, depth+1)
			}
		}
	}
	for _, p := range paths {
		p = filepath.Clean(p)
		now[filepath.Dir(p)] = true // the path itself may be replaced
		watchTarget(p, now)
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			visit(p, 0)
		}
	}
	for dir := range watched {
		if !now[dir] {
			_ = w.Remove(dir) // it may be gone
			delete(watched, dir)
		}
	}
	for dir := range now {
		if err := w.Add(dir); err == nil { // again each time: a directory that was replaced is another one
			watched[dir] = true
		}
	}
}

// watchTarget adds the directory that a link leads to.
func watchTarget(name string, now map[string]bool) {
	if target, err := filepath.EvalSymlinks(name); err == nil && target != name {
		now[filepath.Dir(target)] = true
	}
}
