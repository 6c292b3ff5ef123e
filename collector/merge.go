package collector

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// maxOpen is how many files a merge holds open; of the others it knows only their first time.
const maxOpen = 128

// markEvery is how far, in the records' time, the merge may get ahead of a file's mark before it says that the file has nothing
// to say: well below the time after which a source counts as silent.
const markEvery = 10 * time.Second

// merge interleaves files that end, by the times of their records. Each batch is of one file; a batch is ended where
// another file's records are more than Options.Interleave older than the next record.
type merge struct {
	files   *Files
	paths   []string
	cursors []*cursor
	started bool
	looking bool     // only for the first time of a file: it is not counted as read
	pending [][]byte // frames that are due before anything else
	beat    int64    // the time of the last marks
	lent    *cursor  // whose frame the caller has
	frame   []byte
}

// cursor is a place in the frames of one file.
type cursor struct {
	path   string
	src    *source // nil when the file is not open
	batch  record.Batch
	frame  []byte
	i      int
	head   int64 // the time of the next record
	newest int64 // the newest time in what is left of the batch
	mark   int64 // said so far; 0 when nothing was given yet
	out    record.Builder
	ended  bool // the batch is the file's last
}

func newMerge(f *Files, paths []string) *merge {
	// What all files together hold in memory is bounded: with many of them each holds less.
	perFile := max(16<<10, min(f.opts.chunkBytes, (48<<20)/min(len(paths), maxOpen)/3))
	f.opts.chunkBytes = perFile
	if len(paths) > 1 {
		f.opts.BatchBytes = min(f.opts.BatchBytes, max(perFile, 32<<10))
	}
	return &merge{files: f, paths: paths}
}

// next returns the next frame, nil at the end. It is valid until the next call.
func (m *merge) next(ctx context.Context) ([]byte, error) {
	if m.lent != nil && m.lent.src != nil && m.lent.src.batches != nil {
		m.lent.src.batches.give(m.frame)
		m.frame = nil
	}
	m.lent = nil
	if len(m.paths) == 1 {
		return m.only(ctx)
	}
	if !m.started {
		if err := m.start(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if len(m.pending) > 0 {
			f := m.pending[0]
			m.pending = m.pending[1:]
			return f, nil
		}
		if len(m.cursors) == 0 {
			return nil, nil
		}
		first, bound := m.earliest()
		if first.src == nil {
			if ok, err := m.open(ctx, first); err != nil {
				return nil, err
			} else if !ok {
				m.drop(first)
			}
			continue
		}
		if m.marks(first) {
			continue
		}
		frame, err := m.step(ctx, first, bound)
		if err != nil || frame != nil {
			return frame, err
		}
	}
}

// only is next for one file: there is nothing to interleave.
func (m *merge) only(ctx context.Context) ([]byte, error) {
	if !m.started {
		m.started = true
		src, err := m.files.openSource(m.paths[0])
		if err != nil {
			m.files.problem(err)
			return nil, nil
		}
		m.cursors = append(m.cursors, &cursor{path: m.paths[0], src: src})
	}
	if len(m.cursors) == 0 {
		return nil, nil
	}
	c := m.cursors[0]
	frame, err := c.src.next(ctx)
	m.files.report(c.src, err == nil && frame == nil)
	m.frame, m.lent = frame, c
	if frame == nil && err == nil {
		m.drop(c)
	}
	return frame, err
}

// start learns every file's first time. Files beyond the first few are closed again, and read anew when their time comes.
func (m *merge) start(ctx context.Context) error {
	m.started = true
	for _, path := range m.paths {
		c := &cursor{path: path}
		m.looking = len(m.cursors) >= maxOpen
		ok, err := m.open(ctx, c)
		switch {
		case err != nil:
			return err
		case !ok:
			if m.looking && c.src != nil {
				m.files.report(c.src, true)
			}
			continue
		case m.looking:
			c.src.close()
			c.src, c.frame, c.batch = nil, nil, record.Batch{}
		}
		m.cursors = append(m.cursors, c)
	}
	m.looking = false
	return nil
}

// open begins to read c's file, and reports whether there is anything in it.
func (m *merge) open(ctx context.Context, c *cursor) (bool, error) {
	src, err := m.files.openSource(c.path)
	if err != nil {
		m.files.problem(err)
		return false, nil
	}
	c.src, c.ended = src, false
	return m.load(ctx, c)
}

// load reads the cursor's next frame, and reports whether there was one. A frame without records goes to the caller as it is.
func (m *merge) load(ctx context.Context, c *cursor) (bool, error) {
	for {
		if c.ended {
			return false, nil
		}
		frame, err := c.src.next(ctx)
		if err != nil {
			return false, err
		}
		if !m.looking {
			m.files.report(c.src, frame == nil || c.src.done && len(c.src.batches.frames) == 0)
		}
		if frame == nil {
			return false, nil
		}
		if err := c.batch.Decode(frame); err != nil { // we have just made it
			m.files.problem(err)
			return false, nil
		}
		c.frame, c.i, c.ended = frame, 0, c.batch.Header().Ended
		n := c.batch.Len()
		if n == 0 {
			m.pending = append(m.pending, slices.Clone(frame))
			continue
		}
		c.head, c.newest = c.batch.Time(0), c.batch.Time(0)
		for i := 1; i < n; i++ {
			c.newest = max(c.newest, c.batch.Time(i))
		}
		h := c.batch.Header()
		if err := c.out.Reset(record.Header{Source: h.Source, Scope: h.Scope, Kinds: h.Kinds}); err != nil {
			m.files.problem(err)
			return false, nil
		}
		c.out.Compress = m.files.opts.Compress
		return true, nil
	}
}

// earliest returns the cursor with the oldest next record, and up to which time its records may go.
func (m *merge) earliest() (first *cursor, bound int64) {
	const never = int64(math.MaxInt64)
	second := never
	for _, c := range m.cursors {
		switch {
		case first == nil || c.head < first.head:
			if first != nil {
				second = first.head
			}
			first = c
		case c.head < second:
			second = c.head
		}
	}
	if second == never {
		return first, never
	}
	return first, second + int64(m.files.opts.Interleave)
}

// step gives the part of the cursor's batch that is due.
func (m *merge) step(ctx context.Context, c *cursor, bound int64) ([]byte, error) {
	n := c.batch.Len()
	whole := c.i == 0 && c.newest <= bound
	if whole {
		m.frame, m.lent = c.frame, c
		c.mark = max(c.mark, c.newest)
		c.i = n
	} else {
		var r record.Record
		for ; c.i < n; c.i++ {
			c.batch.Get(c.i, &r)
			if r.Time > bound {
				break
			}
			if err := c.out.Add(&r); err != nil { // never: it came out of a frame that is no larger
				m.files.problem(fmt.Errorf("interleave %s: %w", c.path, err))
			}
			c.mark = max(c.mark, r.Time)
		}
		over := c.i == n
		c.out.SetMark(c.mark, over && c.ended)
		m.frame = c.out.AppendTo(m.frame[:0])
		if !over {
			c.head = c.batch.Time(c.i)
			return m.frame, nil
		}
		c.src.batches.give(c.frame)
	}
	// The frame is read by the caller while the next one is made: it is given back when the caller comes again.
	ok, err := m.load(ctx, c)
	if err != nil {
		return nil, err
	}
	if !ok {
		m.drop(c)
	}
	return m.frame, nil
}

// marks says of every open file that fell behind that it has nothing to say up to now.
func (m *merge) marks(first *cursor) bool {
	if len(m.cursors) < 2 || first.head-m.beat < int64(markEvery) {
		return false
	}
	m.beat = first.head
	said := false
	for _, c := range m.cursors {
		if c.mark == 0 || c.src == nil || c == first || m.beat-c.mark < int64(markEvery) {
			continue
		}
		c.mark = m.beat - 1
		c.out.SetMark(c.mark, false)
		m.pending = append(m.pending, c.out.AppendTo(nil))
		said = true
	}
	return said
}

func (m *merge) drop(c *cursor) {
	m.cursors = slices.DeleteFunc(m.cursors, func(o *cursor) bool { return o == c })
}

func (m *merge) close() {
	for _, c := range m.cursors {
		if c.src != nil {
			c.src.close()
		}
	}
	m.cursors = nil
}
