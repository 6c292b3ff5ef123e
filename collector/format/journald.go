package format

import (
	"bytes"

	"github.com/forewarn/forewarn/collector/record"
)

// journald reads `journalctl -o json`: one object a line, its values strings, arrays of bytes when they are not text, or arrays
// of several values. The text of an entry is MESSAGE.
type journald struct {
	in      Input
	split   splitter
	stamps  *Stamps
	origins origins
	prev    int64
	entry   journalEntry
	cursor  []byte // of the last entry
	sets    levelSets
}

func newJournald(in Input, _ []byte) Parser {
	j := &journald{in: in, stamps: NewStamps(in), sets: newLevelSets(in.Attrs)}
	j.split = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: j.line}
	j.origins.base, j.prev = in.Attrs, in.Last
	return j
}

func (j *journald) Kinds() uint8   { return logKinds }
func (j *journald) Write(p []byte) { j.split.write(p) }

// Cursor implements [Cursored].
func (j *journald) Cursor() []byte { return j.cursor }

// Settled implements [Resumer].
func (j *journald) Settled() (offset uint64, last int64) { return j.split.start(), j.prev }

func (j *journald) Flush() { j.stamps.advance(j.in.now()) }
func (j *journald) Close() { j.split.close() }

func (j *journald) line(line []byte, offset uint64) {
	if len(line) == 0 {
		return
	}
	e := &j.entry
	e.reset()
	m := newMembers(line)
	for {
		key, value, ok := m.next()
		if !ok {
			break
		}
		if string(key) == "MESSAGE" {
			e.message, e.whole = appendJournal(e.message, value), true
			continue
		}
		e.take(key, unquoted(value))
	}
	j.give(e, line, offset)
}

// journalEntry is what is used of one entry. It owns its memory.
type journalEntry struct {
	message []byte
	whole   bool // there is a message
	micros  int64
	level   Level

	host, identifier, command, unit, transport, cursor []byte
}

func (e *journalEntry) reset() {
	for _, b := range [...]*[]byte{&e.message, &e.host, &e.identifier, &e.command, &e.unit, &e.transport, &e.cursor} {
		*b = (*b)[:0]
	}
	e.whole, e.micros, e.level = false, 0, NoLevel
}

// take takes a field.
func (e *journalEntry) take(name, value []byte) {
	set := func(b *[]byte) { *b = append((*b)[:0], value...) }
	switch string(name) {
	case "MESSAGE":
		if !e.whole { // of several the first counts
			set(&e.message)
			e.whole = true
		}
	case "__REALTIME_TIMESTAMP":
		if v, n := number(value, 0); n > 0 && v < 1<<63/1000 {
			e.micros = v
		}
	case "__CURSOR":
		set(&e.cursor)
	case "_HOSTNAME":
		set(&e.host)
	case "SYSLOG_IDENTIFIER":
		set(&e.identifier)
	case "_COMM":
		set(&e.command)
	case "_SYSTEMD_UNIT":
		value = bytes.TrimSuffix(value, []byte(".service"))
		set(&e.unit)
	case "_TRANSPORT":
		set(&e.transport)
	case "PRIORITY":
		if v, n := number(value, 0); n > 0 {
			e.level = priorityLevel(int(v & 7))
		}
	}
}

// program is who speaks.
func (e *journalEntry) program() []byte {
	switch {
	case len(e.identifier) > 0:
		return e.identifier
	case string(e.transport) == "kernel":
		return []byte("kernel")
	case len(e.command) > 0:
		return e.command
	}
	return e.unit
}

// give makes a record of an entry, which began at an offset. line is what it stands in, for one without a message.
func (j *journald) give(e *journalEntry, line []byte, offset uint64) {
	text, attrs := e.message, record.Attrs(nil)
	if !e.whole {
		if line == nil { // an entry may have none
			return
		}
		j.in.Counts.Add(UnframedLine, 1)
		text, attrs = line, j.sets.at(textLevel(line))
	} else {
		// The journal's priority of what a service prints is always the same, so the text knows better.
		if own := textLevel(text); own != NoLevel {
			e.level = own
		}
		attrs = j.origins.at(e.host, e.program(), e.level)
	}
	ns := int64(0)
	if e.micros > 0 {
		ns = j.stamps.believe(e.micros * 1000)
	}
	if ns == 0 {
		j.in.Counts.Add(NoStamp, 1)
		if ns = j.prev; ns == 0 {
			ns = j.in.written()
		}
	}
	j.prev = ns
	if len(e.cursor) > 0 {
		j.cursor = append(j.cursor[:0], e.cursor...)
	}
	if len(text) == 0 {
		return
	}
	id := j.in.id(offset)
	if len(e.cursor) > 0 { // the same entry exported twice is the same
		id = record.Identity("journald", string(e.cursor))
	}
	j.in.Sink.Add(&record.Record{
		Kind: record.Log, Time: ns, Observed: j.in.now(), Seq: offset, ID: id, Count: 1, Text: text[:min(len(text), record.MaxText)], Attrs: attrs,
	})
}

// appendJournal appends a journal field's value: a string, an array of bytes, or the first of an array of strings.
func appendJournal(dst, v []byte) []byte {
	if len(v) == 0 || v[0] != '[' {
		if string(v) == "null" { // it was too large to be exported
			return dst
		}
		return appendString(dst, v)
	}
	for i := 1; i < len(v); {
		switch c := v[i]; {
		case c == '"':
			end := stringEnd(v, i)
			if end < 0 {
				return dst
			}
			return appendString(dst, v[i:end])
		case isDigit(c):
			b, n := number(v, i)
			dst = append(dst, byte(b))
			i += n
		default:
			i++
		}
	}
	return dst
}

func detectJournald(sample []byte) bool {
	return mostly(sample, func(line []byte) bool {
		return line[0] == '{' && bytes.Contains(line, []byte(`"__REALTIME_TIMESTAMP"`))
	})
}
