package format

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// comparison numbers what is compared of objects. It is raised when a field is added to or left out of the comparison, so that a state which was
// stored before is not taken for a difference.
const comparison = 1

// ErrOtherComparison says that a stored state compares other fields than this version does.
var ErrOtherComparison = errors.New("the stored state is of another version of the comparison")

// Store writes what is remembered. [Objects.Restore] of it makes a differ that goes on as this one would.
func (x *Objects) Store(w io.Writer) error {
	s := storeWriter{w: bufio.NewWriter(w), sum: xxhash.New()}
	s.number(comparison)
	s.number(uint64(len(x.names.list)))
	for _, n := range x.names.list {
		s.text(n.text)
	}
	s.number(uint64(x.Len()))
	x.states.each(func(id string, state objectState) {
		s.text(id)
		s.number(uint64(state.last))
		s.number(uint64(x.due[id]))
		s.text(state.data)
	})
	if s.err == nil {
		_, s.err = s.w.Write(binary.LittleEndian.AppendUint64(nil, s.sum.Sum64()))
	}
	return errors.Join(s.err, s.w.Flush())
}

type storeWriter struct {
	w   *bufio.Writer
	sum hash.Hash64
	buf []byte
	err error
}

func (s *storeWriter) number(v uint64) {
	s.buf = binary.AppendUvarint(s.buf[:0], v)
	s.put(s.buf)
}

func (s *storeWriter) text(t string) {
	s.buf = appendText(s.buf[:0], t)
	s.put(s.buf)
}

func (s *storeWriter) put(b []byte) {
	if s.err == nil {
		_, _ = s.sum.Write(b)
		_, s.err = s.w.Write(b)
	}
}

// Restore replaces what is remembered by what [Objects.Store] wrote. After an error it remembers nothing.
func (x *Objects) Restore(r io.Reader) error {
	err := x.restore(r)
	if err != nil {
		x.states.new, x.states.old, x.names, x.due = nil, nil, names{}, map[string]int64{}
	}
	return err
}

func (x *Objects) restore(r io.Reader) error {
	s := storeReader{r: bufio.NewReader(r), sum: xxhash.New()}
	if v := s.number(); s.err == nil && v != comparison {
		return ErrOtherComparison
	}
	x.states.new, x.states.old, x.names, x.due = map[string]objectState{}, nil, names{numbers: map[string]uint32{}}, map[string]int64{}
	for n := s.number(); n > 0 && s.err == nil; n-- {
		text := s.text()
		x.names.list = append(x.names.list, sharedName{text: text})
		if text != "" {
			x.names.numbers[text] = uint32(len(x.names.list) - 1)
		}
	}
	for n := s.number(); n > 0 && s.err == nil; n-- {
		id, last, due := s.text(), int64(s.number()), int64(s.number())
		state := objectState{last: last, data: s.text()}
		if s.err == nil {
			s.err = x.names.adopt(state.data)
		}
		x.states.put(id, state, x.in.Counts)
		if due != 0 {
			x.due[id] = due
		}
	}
	if s.err != nil {
		return fmt.Errorf("read stored state: %w", s.err)
	}
	var sum [8]byte
	if _, err := io.ReadFull(s.r, sum[:]); err != nil || binary.LittleEndian.Uint64(sum[:]) != s.sum.Sum64() {
		return fmt.Errorf("read stored state: %w", errBadState)
	}
	for number, n := range x.names.list {
		if n.uses == 0 {
			delete(x.names.numbers, n.text)
			x.names.list[number].text = ""
			x.names.free = append(x.names.free, uint32(number))
		}
	}
	return nil
}

// adopt counts the uses of a state that was stored.
func (n *names) adopt(data string) error {
	d := stateReader{data: data, names: n, adopts: true, shown: func(number uint32) { n.list[number].uses++ }}
	d.pass()
	if d.bad || d.data != "" {
		return errBadState
	}
	return nil
}

type storeReader struct {
	r   *bufio.Reader
	sum hash.Hash64
	err error
}

// ReadByte implements [io.ByteReader].
func (s *storeReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		_, _ = s.sum.Write([]byte{c})
	}
	return c, err
}

func (s *storeReader) number() (v uint64) {
	if s.err == nil {
		v, s.err = binary.ReadUvarint(s)
	}
	return v
}

func (s *storeReader) text() string {
	n := s.number()
	if s.err == nil && n > maxLeaves*(maxChangeValue+64) {
		s.err = errBadState
	}
	if s.err != nil {
		return ""
	}
	var b strings.Builder
	b.Grow(int(min(n, 4096)))
	if _, s.err = io.CopyN(io.MultiWriter(&b, s.sum), s.r, int64(n)); s.err != nil {
		return ""
	}
	return b.String()
}
