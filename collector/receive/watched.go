package receive

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often a file is looked at for a change at most: often enough for a rotation, and no cost a request.
const lookEvery = time.Second

// watched is what files hold, read again when one of them changes. It is safe for concurrent use.
type watched[T any] struct {
	files []string
	parse func(contents [][]byte) (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	state  string // the files' times and sizes when they were last read
	value  T
}

func watch[T any](log *slog.Logger, parse func(contents [][]byte) (T, error), files ...string) (*watched[T], error) {
	w := &watched[T]{files: files, parse: parse, log: log, looked: time.Now()}
	w.state = w.look()
	var err error
	w.value, err = w.read()
	return w, err
}

// get returns what the files hold, or held when they could last be read.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= lookEvery {
		w.looked = now
		if state := w.look(); state != w.state {
			w.state = state
			if v, err := w.read(); err == nil {
				w.value = v
				w.log.Info("read changed files again", "files", strings.Join(w.files, " "))
			} else {
				w.log.Error("what a receiver's file held before stays in force; mend the file", "error", err)
			}
		}
	}
	return w.value
}

// look describes the files without reading them. Symbolic links are followed, which is how mounted secrets change.
func (w *watched[T]) look() string {
	var b strings.Builder
	for _, f := range w.files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%d %d\n", info.ModTime().UnixNano(), info.Size())
		} else {
			b.WriteString("gone\n")
		}
	}
	return b.String()
}

func (w *watched[T]) read() (T, error) {
	contents := make([][]byte, len(w.files))
	for i, f := range w.files {
		b, err := os.ReadFile(f)
		if err != nil {
			var none T
			return none, fmt.Errorf("read a receiver's file: %w", err)
		}
		contents[i] = b
	}
	v, err := w.parse(contents)
	if err != nil {
		return v, fmt.Errorf("%s: %w", strings.Join(w.files, " and "), err)
	}
	return v, nil
}
