package format

import (
	"github.com/forewarn/forewarn/collector/record"
)

// lines reads plain text, JSON lines and logfmt: one entry a line, with what continues an entry joined to it.
//
// A line begins an entry when it has a stamp. In an input with stamps a line without one continues the entry before it,
// unless one of them is a JSON object: that is always whole. In an input without, only what looks like a part of a trace
// does. The text of an entry is the whole of its lines, stamps included, joined by line feeds.
type lines struct {
	in     Input
	split  splitter
	stamps *Stamps
	sets   levelSets
	entry  entry
	prev   int64 // the time of the last entry, 0 before the first
}

func newLines(in Input, sample []byte) Parser {
	l := &lines{in: in, stamps: NewStamps(in), sets: newLevelSets(in.Attrs)}
	l.split = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: l.line, settle: l.entry.own}
	l.entry.init(&l.in)
	if l.prev = in.Last; l.prev == 0 {
		l.prev = firstStamp(in, sample)
	}
	return l
}

// firstStamp finds the first believable stamp of the sample: the lines before it have no better time.
func firstStamp(in Input, sample []byte) int64 {
	in.Counts = nil // what is counted will be counted when it is read
	stamps := NewStamps(in)
	first := int64(0)
	each(sample, func(line []byte) bool {
		first, _, _ = stamps.Read(line)
		return first == 0
	})
	return first
}

func (l *lines) Kinds() uint8 { return logKinds }

func (l *lines) Write(p []byte) {
	l.split.write(p)
	l.entry.own()
}

func (l *lines) Flush() {
	l.entry.end()
	l.stamps.advance(l.in.now())
}

func (l *lines) Close() {
	l.split.close()
	l.entry.end()
}

// Settled implements [Resumer].
func (l *lines) Settled() (offset uint64, last int64) {
	return l.entry.settled(l.split.start()), l.prev
}

// Inherit implements [Heir].
func (l *lines) Inherit(from Parser) {
	if old, ok := from.(*lines); ok {
		l.entry.inherit(&old.entry)
		l.prev, l.stamps = old.prev, old.stamps
	}
}

// Inherited implements [Heir].
func (l *lines) Inherited() bool { return l.entry.inherited }

func (l *lines) line(line []byte, offset uint64) {
	if len(line) == 0 {
		return
	}
	open, json := l.entry.open(), line[0] == '{'
	if open && isBlank(line[0]) {
		if !l.entry.join(line) {
			l.begin(line, offset, 0, NoLevel)
		}
		return
	}
	ns, end, found := l.stamps.Read(line)
	if !found && open {
		belongs, in := continues(line, l.entry.trace)
		l.entry.trace = in
		if !belongs && l.stamps.last != nil && !json && !l.entry.json && !beginsGoPanic(line) {
			belongs = true
		}
		if belongs && l.entry.join(line) {
			return
		}
	}
	l.begin(line, offset, ns, l.level(line, end, found, json))
	l.entry.json = json
}

// begin begins an entry, with the time of the one before when it has none.
func (l *lines) begin(line []byte, offset uint64, ns int64, level Level) {
	if ns == 0 {
		l.in.Counts.Add(NoStamp, 1)
		if ns = l.prev; ns == 0 {
			ns = l.in.written()
		}
	} else {
		l.prev = ns
	}
	l.entry.begin(line, offset, ns, l.sets.at(level))
}

func (l *lines) level(line []byte, end int, found, json bool) Level {
	switch {
	case json && found:
		return l.stamps.fields.level
	case found && isKlogLetter(line[0]) && end > 14 && isDigit(line[1]):
		return letterLevel(line[:1])
	case found && end > 24 && l.stamps.last != nil && l.stamps.last.inside:
		end = 0 // the level may stand before the stamp
	}
	return findLevel(line, end)
}

// entry is the entry that is being put together. It is added to the sink when it is known to be whole.
type entry struct {
	in    *Input
	rec   record.Record
	text  []byte // the entry's text: a part of the bytes being written, or hold
	hold  []byte
	owned bool // text is hold
	lines int
	trace trace
	json  bool

	inherited bool // it began in the file before
}

func (e *entry) init(in *Input) { e.in = in }

func (e *entry) open() bool { return e.lines > 0 }

// begin ends the entry before and begins one. text is kept until own is called.
func (e *entry) begin(text []byte, offset uint64, ns int64, attrs record.Attrs) {
	e.end()
	e.inherited = false
	e.rec = record.Record{Kind: record.Log, Time: ns, Seq: offset, ID: e.in.id(offset), Count: 1, Attrs: attrs}
	e.text, e.owned, e.lines, e.json = text, false, 1, false
	e.trace = noTrace
	if len(text) > 0 {
		e.trace = beginsTrace(text)
	}
}

// join adds a line to the entry. When the entry is too long it is left as it is, and false is returned: the line then
// begins another one.
func (e *entry) join(line []byte) bool {
	if e.lines >= e.in.Limits.EntryLines || len(e.text)+1+len(line) > e.in.Limits.EntryBytes {
		e.in.Counts.Add(LongEntry, 1)
		return false
	}
	e.own()
	e.hold = append(append(e.hold, '\n'), line...)
	e.text = e.hold
	e.lines++
	e.in.Counts.Add(Joined, 1)
	return true
}

// own copies the text, so that the bytes it was read from can be given back.
func (e *entry) own() {
	if e.lines > 0 && !e.owned {
		e.hold = append(e.hold[:0], e.text...)
		e.text, e.owned = e.hold, true
	}
}

// end gives the entry out.
func (e *entry) end() {
	if e.lines == 0 {
		return
	}
	e.rec.Text = e.text
	e.rec.Observed = e.in.now()
	if e.lines > 1 {
		e.rec.ID = joinedID(e.rec.ID, e.lines)
	}
	e.in.Sink.Add(&e.rec)
	e.lines, e.trace, e.inherited = 0, noTrace, false
}

// joinedID is the identity of an entry of several lines. What was given as its first line alone, because more did not come in time, and is
// read again with all its lines is another observation: else it would be dropped as a repeat, and the further lines with it.
func joinedID(first uint64, lines int) uint64 { return first ^ uint64(lines)*0xD6E8FEB86659FD93 }

// settled returns where a parser begins that is to give the entry again, which is start when none is open.
func (e *entry) settled(start uint64) uint64 {
	switch {
	case e.lines == 0:
		return start
	case e.inherited:
		return e.in.Offset // what was read so far may belong to it
	}
	return e.rec.Seq
}

// inherit goes on with an entry of the file before.
func (e *entry) inherit(old *entry) {
	if old.lines == 0 {
		return
	}
	old.own()
	in, hold := e.in, e.hold
	*e = *old
	e.in, e.text, e.inherited = in, e.hold, true
	old.lines, old.hold = 0, hold
}

// levelSets are the attributes of an origin's records at each level, made once.
type levelSets [numLevels]record.Attrs

func newLevelSets(base record.Attrs) levelSets {
	var s levelSets
	for l := range s {
		s[l] = base.With(record.SeverityText, Level(l).String())
	}
	return s
}

func (s *levelSets) at(l Level) record.Attrs { return s[l] }

// each calls f for each whole line of b until it returns false. A last line without an end counts.
func each(b []byte, f func(line []byte) bool) {
	s := splitter{counts: &Counts{}, max: record.MaxText}
	more := true
	s.line = func(line []byte, _ uint64) {
		if more && len(line) > 0 {
			more = f(line)
		}
	}
	s.write(b)
	s.close()
}
