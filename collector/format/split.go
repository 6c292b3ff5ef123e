package format

import "bytes"

// splitter cuts bytes into lines. A line is handed out without its end, and is valid only until settle is called, or
// the call of write or close in which it was handed out is over.
type splitter struct {
	counts *Counts
	max    int
	line   func(line []byte, offset uint64)
	settle func() // called before the memory of a line that was handed out is used again; may be nil

	carry    []byte // the beginning of a line whose end did not come yet
	offset   uint64 // of the next byte
	cut      uint64 // where the line that is being skipped began
	skipping bool   // until the end of a line that was cut
}

func (s *splitter) write(p []byte) {
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			s.keep(p)
			return
		}
		text, start := p[:n], s.offset-uint64(len(s.carry))
		p = p[n+1:]
		s.offset += uint64(n + 1)
		if s.skipping {
			s.skipping = false
			s.counts.Add(SkippedBytes, n)
			continue
		}
		if len(s.carry) > 0 {
			s.carry = append(s.carry, text...)
			text = s.carry
		}
		s.deliver(text, start)
		s.carry = s.carry[:0]
	}
}

// keep holds the beginning of a line, or delivers it when it is too long already.
func (s *splitter) keep(p []byte) {
	if s.skipping {
		s.counts.Add(SkippedBytes, len(p))
		s.offset += uint64(len(p))
		return
	}
	if s.settle != nil {
		s.settle()
	}
	s.carry = append(s.carry, p...)
	s.offset += uint64(len(p))
	if len(s.carry) > s.max {
		s.cut = s.offset - uint64(len(s.carry))
		s.deliver(s.carry, s.cut)
		s.carry, s.skipping = s.carry[:0], true
	}
}

func (s *splitter) deliver(text []byte, offset uint64) {
	if len(text) > s.max {
		s.counts.Add(LongLine, 1)
		s.counts.Add(SkippedBytes, len(text)-s.max)
		text = text[:s.max]
	}
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
	}
	s.counts.Add(Lines, 1)
	s.line(text, offset)
}

// start returns where the line begins that is not delivered yet, or not to its end.
func (s *splitter) start() uint64 {
	if s.skipping {
		return s.cut
	}
	return s.offset - uint64(len(s.carry))
}

// close delivers a last line that has no end.
func (s *splitter) close() {
	if len(s.carry) > 0 {
		s.deliver(s.carry, s.offset-uint64(len(s.carry)))
		s.carry = s.carry[:0]
	}
}
