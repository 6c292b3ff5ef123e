package format

import (
	"bytes"

	"github.com/forewarn/forewarn/collector/record"
)

// container reads the log files of container runtimes: CRI (`STAMP stdout|stderr TAG text`) and Docker's json-file. The text of an
// entry is what the program wrote, without the frame; the frame's time is the entry's. A line that the runtime cut into parts is
// put together, each stream for itself, and traces are joined. A line without a frame is taken as it is.
type container struct {
	in     Input
	split  splitter
	stamps *Stamps
	frame  func(c *container, line []byte) (framed, bool)
	plain  levelSets
	out    [2]stream // stdout, stderr
	prev   int64
	buf    []byte // Docker's text without escapes
}

// framed is one line taken out of its frame.
type framed struct {
	ns     int64
	stream int
	text   []byte
	part   bool // more of the line follows
	copied bool // text is the container's buffer, which the next line uses again
}

// stream is one of a container's two streams.
type stream struct {
	sets   levelSets
	entry  entry
	parts  []byte // of a line whose end did not come yet
	partNS int64
	partAt uint64
	partly bool
	partID uint64
	// inherited says that the line under way began in the file before.
	inherited bool
	lineNS    int64 // when the last line of the entry was written
}

func newCRI(in Input, _ []byte) Parser    { return newContainer(in, (*container).cri) }
func newDocker(in Input, _ []byte) Parser { return newContainer(in, (*container).docker) }

func newContainer(in Input, frame func(*container, []byte) (framed, bool)) Parser {
	c := &container{in: in, stamps: NewStamps(in), frame: frame, plain: newLevelSets(in.Attrs), prev: in.Last}
	c.split = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: c.line, settle: c.own}
	for i, name := range [...]string{"stdout", "stderr"} {
		c.out[i].sets = newLevelSets(in.Attrs.With(record.Stream, name))
		c.out[i].entry.init(&c.in)
	}
	return c
}

func (c *container) Kinds() uint8 { return logKinds }

// Settled implements [Resumer].
func (c *container) Settled() (offset uint64, last int64) {
	offset = c.split.start()
	for i := range c.out {
		s := &c.out[i]
		offset = min(offset, s.entry.settled(offset))
		if s.partly {
			offset = min(offset, s.partAt)
		}
	}
	return offset, c.prev
}

// Inherit implements [Heir].
func (c *container) Inherit(from Parser) {
	old, ok := from.(*container)
	if !ok {
		return
	}
	c.prev = old.prev
	for i := range c.out {
		s, o := &c.out[i], &old.out[i]
		s.entry.inherit(&o.entry)
		s.lineNS = o.lineNS
		if o.partly {
			s.parts = append(s.parts[:0], o.parts...)
			s.partly, s.inherited, s.partNS, s.partID, s.partAt = true, true, o.partNS, o.partID, c.in.Offset
			o.partly = false
		}
	}
}

// Inherited implements [Heir].
func (c *container) Inherited() bool {
	for i := range c.out {
		if s := &c.out[i]; s.entry.inherited || s.partly && s.inherited {
			return true
		}
	}
	return false
}

func (c *container) Write(p []byte) {
	c.split.write(p)
	c.own()
}

func (c *container) own() {
	c.out[0].entry.own()
	c.out[1].entry.own()
}

func (c *container) Flush() {
	c.end()
	c.stamps.advance(c.in.now())
}

func (c *container) Close() {
	c.split.close()
	for i := range c.out {
		if s := &c.out[i]; s.partly {
			c.in.Counts.Add(LostPart, 1)
			c.joined(s)
		}
	}
	c.end()
}

// end gives out what is held, the older entry first.
func (c *container) end() {
	a, b := &c.out[0].entry, &c.out[1].entry
	if a.open() && b.open() && b.rec.Seq < a.rec.Seq {
		a, b = b, a
	}
	a.end()
	b.end()
}

func (c *container) line(line []byte, offset uint64) {
	f, ok := c.frame(c, line)
	if !ok {
		if len(line) > 0 {
			c.in.Counts.Add(UnframedLine, 1)
			c.unframed(line, offset)
		}
		return
	}
	if f.ns == 0 {
		c.in.Counts.Add(NoStamp, 1)
		if f.ns = c.prev; f.ns == 0 {
			f.ns = c.in.written()
		}
	}
	c.prev = f.ns
	s := &c.out[f.stream]
	if !f.part && !s.partly {
		c.entry(s, f.text, f.ns, offset)
		if f.copied {
			s.entry.own()
		}
		return
	}
	if !s.partly {
		s.partly, s.inherited, s.partNS, s.partAt, s.parts = true, false, f.ns, offset, s.parts[:0]
		s.partID = c.in.id(offset)
	}
	if room := c.in.Limits.LineBytes - len(s.parts); len(f.text) > room {
		if f.part || room > 0 {
			c.in.Counts.Add(LongLine, 1)
		}
		c.in.Counts.Add(SkippedBytes, len(f.text)-room)
		f.text = f.text[:room]
	}
	s.parts = append(s.parts, f.text...)
	if !f.part {
		c.joined(s)
	}
}

// joined takes the line that was put together.
func (c *container) joined(s *stream) {
	s.partly = false
	before := s.entry.lines
	c.entry(s, s.parts, s.partNS, s.partAt)
	if s.entry.lines == 1 && (before == 0 || s.entry.rec.Seq == s.partAt) {
		s.entry.rec.ID, s.entry.inherited = s.partID, s.inherited
	}
	s.entry.own()
}

// entry takes one whole line of a stream.
func (c *container) entry(s *stream, text []byte, ns int64, offset uint64) {
	if len(text) == 0 {
		return
	}
	before := s.lineNS
	s.lineNS = ns
	if s.entry.open() && (c.in.Gap == 0 || ns-before <= int64(c.in.Gap)) {
		belongs, in := continues(text, s.entry.trace)
		s.entry.trace = in
		if belongs && text[0] != '{' && s.entry.join(text) {
			return
		}
	}
	c.end() // entries leave in the order in which they began
	s.entry.begin(text, offset, ns, s.sets.at(textLevel(text)))
}

func (c *container) unframed(line []byte, offset uint64) {
	ns := c.prev
	if ns == 0 {
		ns = c.in.written()
	}
	c.end()
	s := &c.out[0]
	s.entry.begin(line, offset, ns, c.plain.at(textLevel(line)))
}

// textLevel finds the level of what a program wrote, whatever its format is.
func textLevel(text []byte) Level {
	switch {
	case len(text) == 0:
		return NoLevel
	case text[0] == '{':
		m := newMembers(text)
		for range 32 { // the level stands among the first
			key, value, ok := m.next()
			if !ok {
				return NoLevel
			}
			if isLevelKey(key) {
				return jsonLevel(value)
			}
		}
		return NoLevel
	case isKlogLetter(text[0]) && len(text) > 20 && isDigit(text[1]) && isDigit(text[4]) && text[5] == ' ' && text[8] == ':':
		return letterLevel(text[:1])
	}
	return findLevel(text, 0)
}

// cri reads `2006-01-02T15:04:05.999999999Z07:00 stderr F text`.
func (c *container) cri(line []byte) (f framed, ok bool) {
	ns, end := c.stamps.iso(line, 0)
	if end == 0 || end >= len(line) || line[end] != ' ' {
		return f, false
	}
	rest := line[end+1:]
	switch {
	case bytes.HasPrefix(rest, []byte("stdout ")):
	case bytes.HasPrefix(rest, []byte("stderr ")):
		f.stream = 1
	default:
		return f, false
	}
	rest = rest[len("stdout "):]
	if len(rest) >= 2 && rest[1] == ' ' && (rest[0] == 'F' || rest[0] == 'P') { // nearly always
		f.ns, f.text, f.part = c.stamps.believe(ns), rest[2:], rest[0] == 'P'
		return f, true
	}
	tags, text, spaced := bytes.Cut(rest, []byte(" "))
	if !spaced && len(tags) == 0 {
		return f, false
	}
	first, _, _ := bytes.Cut(tags, []byte(":"))
	switch string(first) {
	case "P":
		f.part = true
	case "F":
	default: // before tags were invented the text followed at once
		text = rest
	}
	f.ns, f.text = c.stamps.believe(ns), text
	return f, true
}

// docker reads {"log":"text\n","stream":"stderr","time":"..."}.
func (c *container) docker(line []byte) (f framed, ok bool) {
	m := newMembers(line)
	found := false
	for {
		key, value, more := m.next()
		if !more {
			break
		}
		switch string(key) {
		case "log":
			found = len(value) >= 2 && value[0] == '"'
			f.text = unquoted(value)
			if found && bytes.IndexByte(f.text, '\\') >= 0 {
				c.buf = appendString(c.buf[:0], value)
				f.text, f.copied = c.buf, true
			}
		case "stream":
			if string(value) == `"stderr"` {
				f.stream = 1
			}
		case "time":
			if ns, end := c.stamps.iso(unquoted(value), 0); end > 0 {
				f.ns = c.stamps.believe(ns)
			}
		}
	}
	if !found {
		return f, false
	}
	// Docker cuts at 16 KiB: what does not end in a line feed is a part.
	text, whole := bytes.CutSuffix(f.text, []byte("\n"))
	f.part = !whole
	f.text = bytes.TrimSuffix(text, []byte("\r"))
	return f, true
}

func detectCRI(sample []byte) bool {
	c := &container{stamps: NewStamps(Input{})}
	return mostly(sample, func(line []byte) bool { _, ok := c.cri(line); return ok })
}

func detectDocker(sample []byte) bool {
	c := &container{stamps: NewStamps(Input{})}
	return mostly(sample, func(line []byte) bool {
		f, ok := c.docker(line)
		return ok && f.ns != 0 && bytes.Contains(line, []byte(`"stream":`))
	})
}

// mostly reports whether at least half of the first lines, of which there are some, are as they should be.
func mostly(sample []byte, is func(line []byte) bool) bool {
	n, yes := 0, 0
	each(sample, func(line []byte) bool {
		n++
		if is(line) {
			yes++
		}
		return n < 20
	})
	return yes > 0 && yes*2 >= n
}
