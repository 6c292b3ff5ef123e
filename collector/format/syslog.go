package format

import (
	"bytes"

	"github.com/forewarn/forewarn/collector/record"
)

// syslog reads RFC 3164 (`<34>Oct 11 22:14:15 host app[1]: text`, and files with or without the priority and with an ISO stamp) and RFC
// 5424. The text of an entry is the whole line; the program, the host and the level become attributes.
type syslog struct {
	in      Input
	split   splitter
	stamps  *Stamps
	entry   entry
	origins origins
	prev    int64
	open    []byte // the program of the entry that is open, to join only its own lines
}

func newSyslog(in Input, sample []byte) Parser {
	s := &syslog{in: in, stamps: NewStamps(in)}
	s.split = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: s.line, settle: s.entry.own}
	s.entry.init(&s.in)
	s.origins.base = in.Attrs
	if s.prev = in.Last; s.prev == 0 {
		s.prev = firstStamp(in, sample)
	}
	return s
}

func (s *syslog) Kinds() uint8 { return logKinds }

// Settled implements [Resumer].
func (s *syslog) Settled() (offset uint64, last int64) {
	return s.entry.settled(s.split.start()), s.prev
}

// Inherit implements [Heir].
func (s *syslog) Inherit(from Parser) {
	if old, ok := from.(*syslog); ok {
		s.entry.inherit(&old.entry)
		s.prev, s.stamps = old.prev, old.stamps
		s.open = append(s.open[:0], old.open...)
	}
}

// Inherited implements [Heir].
func (s *syslog) Inherited() bool { return s.entry.inherited }

func (s *syslog) Write(p []byte) {
	s.split.write(p)
	s.entry.own()
}

func (s *syslog) Flush() {
	s.entry.end()
	s.stamps.advance(s.in.now())
}

func (s *syslog) Close() {
	s.split.close()
	s.entry.end()
}

// syslogLine is what one line says of itself. Its slices alias the line.
type syslogLine struct {
	priority      int // -1 when there is none
	host, program []byte
	message       []byte
}

// parseSyslog takes apart a line whose stamp ends at end. ok is false when it is no syslog line.
func parseSyslog(line []byte, end int) (l syslogLine, ok bool) {
	l.priority = -1
	if line[0] == '<' {
		v, n := number(line, 1)
		if n == 0 || n > 3 || v > 191 {
			return l, false
		}
		l.priority = int(v)
		if i := n + 2; i+1 < len(line) && line[i] == '1' && line[i+1] == ' ' {
			return parse5424(line, end, l)
		}
	}
	if end >= len(line) || line[end] != ' ' {
		return l, false
	}
	var found bool
	l.host, l.message, found = bytes.Cut(line[end+1:], []byte(" "))
	if !found || len(l.host) == 0 || bytes.IndexByte(l.host, ':') == len(l.host)-1 || bytes.IndexByte(l.host, '[') >= 0 {
		return l, false
	}
	tag := bytes.IndexByte(l.message, ':')
	if tag <= 0 || tag > 128 {
		return l, l.priority >= 0
	}
	l.program = l.message[:tag]
	if i := bytes.IndexAny(l.program, "[("); i > 0 {
		l.program = l.program[:i]
	}
	if bytes.IndexByte(l.program, ' ') >= 0 {
		l.program = nil
		return l, l.priority >= 0
	}
	l.message = bytes.TrimLeft(l.message[tag+1:], " ")
	return l, true
}

func parse5424(line []byte, end int, l syslogLine) (syslogLine, bool) {
	if end >= len(line) || line[end] != ' ' {
		return l, false
	}
	fields := bytes.SplitN(line[end+1:], []byte(" "), 5) // host, program, process, message id, the rest
	if len(fields) < 5 {
		return l, false
	}
	dash := func(b []byte) []byte {
		if len(b) == 1 && b[0] == '-' {
			return nil
		}
		return b
	}
	l.host, l.program, l.message = dash(fields[0]), dash(fields[1]), fields[4]
	return l, true
}

func (s *syslog) line(line []byte, offset uint64) {
	if len(line) == 0 {
		return
	}
	ns, end, found := s.stamps.Read(line)
	l, ok := syslogLine{priority: -1}, false
	if found {
		l, ok = parseSyslog(line, end)
	}
	if s.entry.open() && (!found || ok && bytes.Equal(l.program, s.open)) {
		text := line
		if found {
			text = l.message
		}
		belongs, in := !found, s.entry.trace
		if len(text) > 0 && found {
			belongs, in = continues(text, in)
		}
		s.entry.trace = in
		if belongs && s.entry.join(text) {
			return
		}
	}
	if ns == 0 {
		s.in.Counts.Add(NoStamp, 1)
		if ns = s.prev; ns == 0 {
			ns = s.in.written()
		}
	}
	s.prev = ns
	level := textLevel(l.message)
	if !ok {
		s.in.Counts.Add(UnframedLine, 1)
		level = findLevel(line, end)
	} else if l.priority >= 0 && level == NoLevel {
		level = priorityLevel(l.priority)
	}
	s.entry.begin(line, offset, ns, s.origins.at(l.host, l.program, level))
	if len(l.message) > 0 {
		s.entry.trace = beginsTrace(l.message)
	}
	s.open = append(s.open[:0], l.program...)
}

// origins makes the attributes of each program on each host once. It is bounded: names that come by the thousand are
// forgotten and made again.
type origins struct {
	base record.Attrs
	key  []byte
	sets map[string]*levelSets
}

func (o *origins) at(host, program []byte, level Level) record.Attrs {
	o.key = append(append(append(o.key[:0], host...), 0), program...)
	set, ok := o.sets[string(o.key)]
	if !ok {
		if len(o.sets) >= 4096 || o.sets == nil {
			o.sets = map[string]*levelSets{}
		}
		a := attrSet{}
		a.set(record.Host, string(host))
		a.set(record.Component, string(program))
		if isNodeProgram(string(program)) && o.base.Value(record.Node) == "" {
			a.set(record.Node, string(host))
		}
		made := newLevelSets(a.over(o.base))
		set = &made
		o.sets[string(o.key)] = set
	}
	return set.at(level)
}

// isNodeProgram reports whether a program runs on nodes of a cluster under the node's name, so that its host is one.
func isNodeProgram(program string) bool {
	switch program {
	case "kubelet", "containerd", "dockerd", "crio", "kube-proxy", "kernel", "k3s", "rke2", "systemd":
		return true
	}
	return false
}

func detectSyslog(sample []byte) bool {
	stamps := NewStamps(Input{})
	return mostly(sample, func(line []byte) bool {
		switch {
		case line[0] == '<', month(line, 0) > 0:
		case isDigit(line[0]) && len(line) > 11 && line[10] == 'T':
		default:
			return false
		}
		_, end, found := stamps.Read(line)
		if !found {
			return false
		}
		l, ok := parseSyslog(line, end)
		if line[0] == '<' {
			return ok
		}
		// An ISO stamp alone says little: a host and a program with its number must follow.
		return ok && len(l.program) > 0 && (!isDigit(line[0]) || bytes.Contains(line[end:min(len(line), end+160)], []byte("]: ")))
	})
}
