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
	message []byte
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
	var ns int64
	var host, identifier, command, unit, transport, cursor []byte
	level, whole := NoLevel, false
	j.message = j.message[:0]
	m := newMembers(line)
	for {
		key, value, ok := m.next()
		if !ok {
			break
		}
		switch string(key) {
		case "MESSAGE":
			j.message = appendJournal(j.message, value)
			whole = true
		case "__REALTIME_TIMESTAMP":
			if v, n := number(unquoted(value), 0); n > 0 && v < 1<<63/1000 {
				ns = j.stamps.believe(v * 1000)
			}
		case "__CURSOR":
			cursor = unquoted(value)
		case "_HOSTNAME":
			host = unquoted(value)
		case "SYSLOG_IDENTIFIER":
			identifier = unquoted(value)
		case "_COMM":
			command = unquoted(value)
		case "_SYSTEMD_UNIT":
			unit = bytes.TrimSuffix(unquoted(value), []byte(".service"))
		case "_TRANSPORT":
			transport = unquoted(value)
		case "PRIORITY":
			if v, n := number(unquoted(value), 0); n > 0 {
				level = priorityLevel(int(v & 7))
			}
		}
	}
	program := identifier
	switch {
	case len(program) > 0:
	case string(transport) == "kernel":
		program = []byte("kernel")
	case len(command) > 0:
		program = command
	default:
		program = unit
	}
	text, attrs := j.message, record.Attrs(nil)
	if !whole {
		j.in.Counts.Add(UnframedLine, 1)
		text, attrs = line, j.sets.at(textLevel(line))
	} else {
		// The journal's priority of what a service prints is always the same, so the text knows better.
		if own := textLevel(text); own != NoLevel {
			level = own
		}
		attrs = j.origins.at(host, program, level)
	}
	if ns == 0 {
		j.in.Counts.Add(NoStamp, 1)
		if ns = j.prev; ns == 0 {
			ns = j.in.written()
		}
	}
	j.prev = ns
	if len(cursor) > 0 {
		j.cursor = append(j.cursor[:0], cursor...)
	}
	if len(text) == 0 {
		return
	}
	id := j.in.id(offset)
	if len(cursor) > 0 { // the same entry exported twice is the same
		id = record.Identity("journald", string(cursor))
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
