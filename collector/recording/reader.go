package recording

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/forewarn/forewarn/collector"
)

// Reader reads a recording. It is a [collector.Feed] and a [collector.Collector]. It is not safe for concurrent use.
type Reader struct {
	r       *bufio.Reader
	z       *zstd.Decoder
	info    Info
	packed  []byte
	raw     []byte // the block's unpacked payload
	at      int    // the next frame in raw
	offset  int64
	frames  uint64
	done    bool
	problem error
}

var (
	_ collector.Feed      = (*Reader)(nil)
	_ collector.Collector = (*Reader)(nil)
)

// NewReader reads the header of a recording.
func NewReader(r io.Reader) (*Reader, error) {
	br := bufio.NewReaderSize(r, 256<<10)
	head := make([]byte, headSize+4)
	if _, err := io.ReadFull(br, head); err != nil || !Is(head) {
		return nil, errors.New("read recording: this is no recording; make one with forewarn record")
	}
	if v := head[len(magic)]; v != version {
		return nil, fmt.Errorf("read recording: its format is version %d, and this forewarn reads version %d: use a newer forewarn", v, version)
	}
	n := binary.LittleEndian.Uint32(head[headSize:])
	if n > maxInfo {
		return nil, fmt.Errorf("read recording: a description of %d bytes: the file is damaged", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(br, text); err != nil {
		return nil, errors.New("read recording: it ends inside its header")
	}
	rd := &Reader{r: br, offset: int64(headSize) + 4 + int64(n)}
	if err := json.Unmarshal(text, &rd.info); err != nil {
		return nil, fmt.Errorf("read the recording's description: %w", err)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxBlock))
	if err != nil {
		return nil, fmt.Errorf("prepare zstd: %w", err)
	}
	rd.z = z
	return rd, nil
}

// Info returns what the recording says of itself.
func (r *Reader) Info() Info { return r.info }

// Frames returns how many frames were given so far.
func (r *Reader) Frames() uint64 { return r.frames }

// Problem says why the recording is not all that was written, nil when it is, as far as it was read.
func (r *Reader) Problem() error { return r.problem }

// Next implements [collector.Feed]. A recording that is cut off or damaged ends, or goes on behind the damage, without an error;
// [Reader.Problem] tells.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if r.at+4 <= len(r.raw) {
			n := int(binary.LittleEndian.Uint32(r.raw[r.at:]))
			if n > 0 && n <= len(r.raw)-r.at-4 {
				frame := r.raw[r.at+4 : r.at+4+n]
				r.at += 4 + n
				r.frames++
				return frame, nil
			}
			r.note("a block has a frame of an impossible length: it was left out")
		}
		r.raw, r.at = r.raw[:0], 0
		if r.done {
			return nil, io.EOF
		}
		r.block()
	}
}

// block reads the next block into raw, or sets done.
func (r *Reader) block() {
	var head [blockSize]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		r.cut(err)
		return
	}
	packed, raw := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	switch {
	case packed == 0:
		r.done = true
		return
	case packed > maxBlock+1<<16 || raw > maxBlock:
		r.note("a block has an impossible length: what follows is not readable")
		r.done = true
		return
	}
	if cap(r.packed) < int(packed) {
		r.packed = make([]byte, packed)
	}
	r.packed = r.packed[:packed]
	if _, err := io.ReadFull(r.r, r.packed); err != nil {
		r.cut(err)
		return
	}
	start := r.offset
	r.offset += blockSize + int64(packed)
	if xxhash.Sum64(r.packed) != binary.LittleEndian.Uint64(head[8:]) {
		r.noteAt(start, "a block does not have its checksum: it was left out")
		return
	}
	out, err := r.z.DecodeAll(r.packed, r.raw[:0])
	if err != nil || len(out) != int(raw) {
		r.noteAt(start, "a block does not unpack: it was left out")
		return
	}
	r.raw = out
}

// cut ends a recording that has no end.
func (r *Reader) cut(err error) {
	r.done = true
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		r.note("it is cut off: the writer was interrupted, or the copy is not complete")
		return
	}
	r.problem = errors.Join(r.problem, fmt.Errorf("read recording at byte %d: %w", r.offset, err))
}

func (r *Reader) note(what string) { r.noteAt(r.offset, what) }

func (r *Reader) noteAt(offset int64, what string) {
	r.problem = errors.Join(r.problem, fmt.Errorf("recording, at byte %d after %d batches: %s", offset, r.frames, what))
}

// Run implements [collector.Collector].
func (r *Reader) Run(ctx context.Context, emit collector.Emit) error {
	for {
		frame, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := emit(ctx, frame); err != nil {
			return err
		}
	}
}

// Close frees the decoder. It leaves the underlying reader open.
func (r *Reader) Close() { r.z.Close() }
