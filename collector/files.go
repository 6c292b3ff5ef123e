package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/forewarn/forewarn/collector/format"
)

// Files reads what [Options.Paths] name. It is a [Collector] and a [Feed]; use it as one of them. Only Stats may be called from
// another goroutine.
type Files struct {
	opts  Options
	merge *merge // of the inputs that end; nil when there are none
	live  []*source
	names []string // what is followed

	pull   context.CancelFunc // ends what the first Next began
	frames chan []byte
	failed chan error

	read, total atomic.Int64
	mu          sync.Mutex
	done        Stats // of sources that are over
	open        map[*source]Stats
}

var (
	_ Collector = (*Files)(nil)
	_ Feed      = (*Files)(nil)
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Open finds the files. An error names every path that is not there; with [Options.Follow] such a path is waited for. Nothing
// is read before Run or Next.
func Open(opts Options) (*Files, error) {
	opts = opts.withDefaults()
	if len(opts.Paths) == 0 {
		return nil, errors.New("no files to read: name files, directories, patterns or - for standard input")
	}
	f := &Files{opts: opts, open: map[*source]Stats{}}
	var finite []string
	var problems []error
	for _, p := range opts.Paths {
		if p == Stdin {
			if !slices.ContainsFunc(f.live, func(s *source) bool { return s.path == Stdin }) {
				f.live = append(f.live, f.newSource(Stdin, io.NopCloser(opts.Stdin)))
			}
			continue
		}
		if opts.Follow {
			f.names = append(f.names, p)
			continue
		}
		found, err := expand(p)
		if err != nil {
			problems = append(problems, err)
		}
		finite = append(finite, found...)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	slices.Sort(finite)
	finite = slices.Compact(finite)
	finite = slices.DeleteFunc(finite, func(p string) bool {
		info, err := os.Stat(p)
		switch {
		case err != nil: // it went away; opening it will say so
		case info.Mode().IsRegular():
			f.total.Add(info.Size())
		default: // a pipe or a device may pause at any time
			f.live = append(f.live, f.newSource(p, &pipe{path: p}))
			return true
		}
		return false
	})
	if len(finite) > 0 {
		f.merge = newMerge(f, finite)
	}
	return f, nil
}

// expand returns the files that a path or pattern stands for.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, "*?[") {
		found, err := filepath.Glob(path)
		if err != nil {
			return nil, fmt.Errorf("pattern %s: %w", path, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("pattern %s: no file matches", path)
		}
		var files []string
		for _, p := range found {
			more, err := expand(p)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
		return files, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case d.Type().IsRegular():
			files = append(files, p)
		case d.Type()&fs.ModeSymlink != 0: // as in /var/log/containers
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
				files = append(files, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", path, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("directory %s has no files", path)
	}
	return files, nil
}

// openSource opens a file that is read to its end.
func (f *Files) openSource(path string) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("look at %s: %w", path, errors.Unwrap(err))
	}
	return newSource(path, file, info.ModTime(), false, &f.opts), nil
}

// newSource makes the source of an input that grows.
func (f *Files) newSource(path string, r io.ReadCloser) *source {
	return newSource(path, r, f.opts.Now(), true, &f.opts)
}

// Run implements [Collector]. When it returns, all goroutines that it started are over, but for one that still reads standard
// input: nothing can interrupt that.
func (f *Files) Run(ctx context.Context, emit Emit) error {
	if len(f.live) == 0 && len(f.names) == 0 {
		for {
			frame, err := f.merge.next(ctx)
			if err != nil || frame == nil {
				return err
			}
			if err := emit(ctx, frame); err != nil {
				return err
			}
		}
	}
	return f.runLive(ctx, emit)
}

// Next implements [Feed]. After the first call its context must live as long as the feed is used, or Close must be called.
func (f *Files) Next(ctx context.Context) ([]byte, error) {
	if len(f.live) == 0 && len(f.names) == 0 {
		frame, err := f.merge.next(ctx)
		if err == nil && frame == nil {
			return nil, io.EOF
		}
		return frame, err
	}
	if f.pull == nil {
		f.begin(ctx)
	}
	select {
	case frame := <-f.frames:
		return frame, nil
	case err := <-f.failed:
		f.failed <- err // for the next call
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin runs the collector in a goroutine of its own, for Next to pull from. Close ends it.
func (f *Files) begin(ctx context.Context) {
	ctx, f.pull = context.WithCancel(context.WithoutCancel(ctx))
	f.frames, f.failed = make(chan []byte), make(chan error, 1)
	go func() {
		err := f.runLive(ctx, func(ctx context.Context, frame []byte) error {
			select {
			case f.frames <- slices.Clone(frame):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err == nil {
			err = io.EOF
		}
		f.failed <- err
	}()
}

// Close ends what Next began and closes the files. It need not be called after Next returned an error, or after Run. It returns
// nil: what goes wrong while reading is in Stats.
func (f *Files) Close() error {
	if f.pull != nil {
		f.pull()
		err := <-f.failed // the collector is over, because it was told to be
		f.failed <- err   // for a Next that comes too late
	}
	if f.merge != nil {
		f.merge.close()
	}
	return nil
}

// Formats lists the families of formats that are recognised.
func Formats() []string { return format.Names() }
