package recording

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/forewarn/forewarn/collector/record"
)

// Writer writes a recording. It is not safe for concurrent use. After an error every call returns it: what was written before is
// still a recording.
type Writer struct {
	w      io.Writer
	z      *zstd.Encoder
	raw    []byte // frames that are not in a block yet
	out    []byte
	err    error
	frames uint64
}

// NewWriter writes the header to w and returns a writer of batches.
func NewWriter(w io.Writer, info Info) (*Writer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, fmt.Errorf("prepare zstd: %w", err)
	}
	text, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("write the recording's description: %w", err)
	}
	head := append([]byte(magic), version, '\n')
	head = binary.LittleEndian.AppendUint32(head, uint32(len(text)))
	if _, err := w.Write(append(head, text...)); err != nil {
		return nil, fmt.Errorf("write recording: %w", err)
	}
	return &Writer{w: w, z: z}, nil
}

// Write adds one wire frame, which it copies.
func (w *Writer) Write(frame []byte) error {
	if w.err != nil {
		return w.err
	}
	if len(frame) == 0 || len(frame) > record.MaxFrame+1<<15 {
		return fmt.Errorf("write recording: a frame of %d bytes is none", len(frame))
	}
	w.raw = binary.LittleEndian.AppendUint32(w.raw, uint32(len(frame)))
	w.raw = append(w.raw, frame...)
	w.frames++
	if len(w.raw) >= blockBytes {
		return w.Flush()
	}
	return nil
}

// Emit is Write as a collector.Emit.
func (w *Writer) Emit(_ context.Context, frame []byte) error { return w.Write(frame) }

// Flush writes what was collected as a block, so that it is not lost when the process is killed.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.raw) == 0 {
		return w.err
	}
	w.out = append(w.out[:0], make([]byte, blockSize)...)
	w.out = w.z.EncodeAll(w.raw, w.out)
	payload := w.out[blockSize:]
	binary.LittleEndian.PutUint32(w.out, uint32(len(payload)))
	binary.LittleEndian.PutUint32(w.out[4:], uint32(len(w.raw)))
	binary.LittleEndian.PutUint64(w.out[8:], xxhash.Sum64(payload))
	w.raw = w.raw[:0]
	return w.write(w.out)
}

func (w *Writer) write(b []byte) error {
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("write recording: %w", err)
	}
	return w.err
}

// Close writes what is left and the end. It leaves the underlying writer open.
func (w *Writer) Close() error {
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.write(make([]byte, blockSize)); err != nil {
		return err
	}
	w.err = errors.New("write recording: it is closed")
	return w.z.Close()
}

// Frames returns how many frames were written.
func (w *Writer) Frames() uint64 { return w.frames }
