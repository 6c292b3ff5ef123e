package format

import (
	"bytes"
	"encoding/binary"
)

// maxJournalField is above what the journal itself takes for a field, 768 MiB: a greater length is none.
const maxJournalField = 1 << 30

// journalExport reads the export format of the journal, `journalctl -o export`: a field a line as NAME=value, or, for values that are no
// text, NAME, a line feed, the value's length as 64 bits of little endian, the value and a line feed. An empty line ends an entry.
type journalExport struct {
	j      *journald
	limit  int
	offset uint64 // of the next byte
	begun  uint64 // where the entry under way begins
	carry  []byte // the beginning of a field whose end did not come yet
	name   []byte // of the binary field under way
	left   uint64 // bytes that are left of it, its line feed too
	state  exportState
	fields int
	entry  journalEntry
}

type exportState uint8

const (
	exportLine   exportState = iota // a line
	exportLength                    // the length of a binary value
	exportValue                     // the value
)

func newJournalExport(in Input, sample []byte) Parser {
	e := &journalExport{j: newJournald(in, sample).(*journald), limit: in.Limits.LineBytes, offset: in.Offset, begun: in.Offset} //nolint:forcetypeassert // it is what newJournald returns
	return e
}

func (e *journalExport) Kinds() uint8 { return logKinds }
func (e *journalExport) Flush()       { e.j.Flush() }

// Close implements [Parser]. An entry whose end did not come was not written to its end.
func (e *journalExport) Close() {
	if e.state == exportLine && len(e.carry) > 0 {
		e.line(e.carry)
	}
	if e.state != exportLine {
		e.j.in.Counts.Add(LostPart, 1)
	}
	e.end()
}

// Settled implements [Resumer].
func (e *journalExport) Settled() (offset uint64, last int64) { return e.begun, e.j.prev }

// Cursor implements [Cursored].
func (e *journalExport) Cursor() []byte { return e.j.cursor }

func (e *journalExport) Write(p []byte) {
	for len(p) > 0 {
		n := 0
		switch e.state {
		case exportLine:
			n = e.writeLine(p)
		case exportLength:
			n = min(8-len(e.carry), len(p))
			if e.carry = append(e.carry, p[:n]...); len(e.carry) == 8 {
				size := binary.LittleEndian.Uint64(e.carry)
				e.carry, e.state, e.left = e.carry[:0], exportValue, size+1 // the line feed after it
				if size > maxJournalField {
					e.state = exportLine // what follows is taken for lines
					e.j.in.Counts.Add(BadItem, 1)
				}
			}
		case exportValue:
			n = e.writeValue(p)
		}
		p = p[n:]
		e.offset += uint64(n)
	}
}

func (e *journalExport) writeLine(p []byte) int {
	n := bytes.IndexByte(p, '\n')
	if n < 0 {
		e.keep(p)
		return len(p)
	}
	line := p[:n]
	if len(e.carry) > 0 {
		e.keep(line)
		line = e.carry
	}
	e.offset += uint64(n + 1) // an entry that ends here is over behind it
	e.line(line)
	e.offset -= uint64(n + 1)
	e.carry = e.carry[:0]
	return n + 1
}

func (e *journalExport) writeValue(p []byte) int {
	n := int(min(e.left, uint64(len(p))))
	value := p[:n]
	if e.left -= uint64(n); e.left == 0 {
		value = value[:n-1] // the line feed
	}
	e.keep(value)
	if e.left == 0 {
		e.fields++
		e.entry.take(e.name, e.carry)
		e.carry, e.state = e.carry[:0], exportLine
	}
	return n
}

// keep holds what came of a field, as far as one may be long.
func (e *journalExport) keep(p []byte) {
	room := e.limit - len(e.carry)
	if len(p) > room {
		if room > 0 {
			e.j.in.Counts.Add(LongLine, 1)
		}
		room = max(room, 0)
		e.j.in.Counts.Add(SkippedBytes, len(p)-room)
		p = p[:room]
	}
	e.carry = append(e.carry, p...)
}

func (e *journalExport) line(line []byte) {
	if len(line) == 0 {
		e.end()
		e.begun = e.offset
		return
	}
	name, value, found := bytes.Cut(line, []byte("="))
	if !found {
		e.name, e.state = append(e.name[:0], name...), exportLength
		return
	}
	e.fields++
	e.entry.take(name, value)
}

// end gives the entry under way.
func (e *journalExport) end() {
	if e.fields > 0 {
		e.j.give(&e.entry, nil, e.begun)
	}
	e.fields = 0
	e.entry.reset()
}

func detectJournalExport(sample []byte) bool {
	return bytes.HasPrefix(sample, []byte("__CURSOR=")) && bytes.Contains(sample, []byte("\n__REALTIME_TIMESTAMP="))
}
