package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// source reads one input from its beginning to its end. It belongs to one goroutine.
type source struct {
	path   string
	opts   *Options
	input  format.Input
	counts format.Counts

	raw    *countingReader
	closer io.Closer
	plain  io.Reader
	free   func()

	chunk    []byte
	sample   []byte // read and not parsed: the format is not known yet
	family   *format.Family
	parser   format.Parser
	batches  *batcher
	named    uint8 // the kinds of which the batches' header speaks, 0 when it was not set
	done     bool
	reported int64 // how much of raw.n Stats knows
	problem  error // why the input ended before its end
}

// newSource begins to read r, which is called path. written is when it was last written, or the zero time.
func newSource(path string, r io.ReadCloser, written time.Time, live bool, opts *Options) *source {
	s := &source{path: path, opts: opts, raw: &countingReader{r: r}, closer: r}
	s.input = format.Input{
		Counts: &s.counts, Attrs: pathAttrs(path, opts.Attrs), Location: opts.Location, Now: opts.Now(), Written: written, Live: live,
		Clock: opts.Now, Gap: opts.Gap, Limits: opts.Limits,
	}
	return s
}

// next returns the source's next frame, nil at its end. It is for inputs that are read to their end at once.
func (s *source) next(ctx context.Context) ([]byte, error) {
	if s.plain == nil && !s.done {
		plain, free, err := unpack(s.raw)
		if err != nil {
			s.finish(err)
		}
		s.plain, s.free, s.chunk = plain, free, make([]byte, s.opts.chunkBytes)
	}
	for {
		if s.batches != nil {
			if f := s.batches.take(); f != nil {
				return f, nil
			}
		}
		if s.done {
			return nil, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		n, err := s.plain.Read(s.chunk)
		s.feed(s.chunk[:n])
		if err != nil {
			s.finish(err)
		}
	}
}

// feed parses the next bytes of the input.
func (s *source) feed(p []byte) {
	if s.parser != nil {
		s.parser.Write(p)
		return
	}
	s.sample = append(s.sample, p...)
	if len(s.sample) >= format.Sample {
		s.detect()
	}
}

// detect decides on the format with what there is, and parses it.
func (s *source) detect() {
	if s.parser != nil {
		return
	}
	s.begin(s.sample, 0)
	s.parser.Write(bytes.TrimPrefix(s.sample, []byte("\xef\xbb\xbf")))
	s.sample = nil
}

// begin decides on the format by the beginning of the input, and makes a parser of what will be read from offset on.
func (s *source) begin(head []byte, offset uint64) {
	// A stream of pods in a file that is read to its end could hold events, and holds none: its end says nothing of events.
	s.batches = newBatcher(s.opts, &s.counts)
	s.batches.narrow = !s.input.Live
	in := s.input
	family := format.Detect(head)
	in.Identity, in.Offset, in.Sink = identity(s.path, head), offset, s.batches
	if family.SharesAttrs() {
		in.Sink = shared{s.batches}
	}
	s.parser = family.Open(in, head)
	s.given(family, s.parser.Kinds())
}

// given says of which format the source is, and of which kinds its records are.
func (s *source) given(family *format.Family, kinds uint8) {
	s.family = family
	header := record.Header{Source: "file/" + s.path, Scope: scopeOf(s.path, s.input.Attrs), Kinds: kinds}
	if s.batches.builder.Len() > 0 || s.named == header.Kinds {
		return
	}
	if err := s.batches.builder.Reset(header); err != nil { // a path that is too long
		s.fail(err)
		return
	}
	s.named = kinds
}

// flush gives out what is held back because more could come.
func (s *source) flush() {
	if s.parser != nil {
		s.parser.Flush()
		s.batches.cut(false)
	}
}

// finish ends the input because of err, which is io.EOF when all is well.
func (s *source) finish(err error) {
	if s.done {
		return
	}
	if !errors.Is(err, io.EOF) {
		s.fail(err)
	}
	s.detect()
	s.parser.Close()
	s.batches.cut(true)
	s.done = true
	s.close()
}

func (s *source) fail(err error) {
	s.counts.Add(format.BadInput, 1)
	s.problem = errors.Join(s.problem, fmt.Errorf("read %s after %d bytes: %w; what came before was used", s.path, s.raw.n.Load(), err))
}

func (s *source) close() {
	if s.free != nil {
		s.free()
		s.free = nil
	}
	if s.closer != nil {
		_ = s.closer.Close() // it was only read
		s.closer = nil
	}
	s.chunk = nil
}

// identity tells an input from all others: by its path and its first line, so that a file that was begun anew under the
// same name is another one.
func identity(path string, sample []byte) uint64 {
	return record.Identity("file", path, firstLine(sample))
}

// firstLine returns the first line of a file, or as much of it as tells one file from another.
func firstLine(sample []byte) string {
	first := sample[:min(len(sample), 1024)]
	if i := bytes.IndexByte(first, '\n'); i >= 0 {
		first = first[:i]
	}
	return string(first)
}
