package format

import "bytes"

// jsonSplitter cuts a stream of JSON into the values that matter: the elements of a top-level "items" list, one by one, so that a list of
// any length passes through little memory, and each other top-level value as a whole. It checks no more than quotes and
// brackets.
type jsonSplitter struct {
	max    int
	counts *Counts
	// item takes a value, valid during the call. kind is the kind of the list it comes from, if that is known already.
	item func(value []byte, kind string)
	// over is called at the end of each top-level value.
	over func()
	// head, if set, takes what a list says besides its items, up to them.
	head func(value []byte)

	buf     []byte // of the value under way, or of the list around the items
	element []byte // of the element under way
	kind    string // of the list
	depth   int
	quoted  bool
	escaped bool
	key     []byte // the last string at depth 1
	keyed   bool   // collecting it
	items   bool   // inside the items list
	huge    bool   // the value under way is too large, and is dropped
	listed  bool   // the top-level value has an items list
}

func (s *jsonSplitter) write(p []byte) {
	for i := 0; i < len(p); {
		switch {
		case s.depth == 0:
			i = s.outside(p, i)
		case s.quoted:
			i = s.string(p, i)
		default:
			s.structure(p[i])
			i++
		}
	}
}

// outside skips what stands between values, such as a warning that kubectl printed.
func (s *jsonSplitter) outside(p []byte, i int) int {
	start := bytes.IndexByte(p[i:], '{')
	if start < 0 {
		return len(p)
	}
	s.depth, s.listed, s.kind, s.huge = 1, false, "", false
	s.buf = append(s.buf[:0], '{')
	return i + start + 1
}

// string passes over a string up to its end, or to the end of p.
func (s *jsonSplitter) string(p []byte, i int) int {
	start := i
	for ; i < len(p); i++ {
		if s.escaped {
			s.escaped = false
			continue
		}
		if p[i] == '\\' {
			s.escaped = true
		} else if p[i] == '"' {
			s.quoted = false
			i++
			break
		}
	}
	if s.keyed {
		if len(s.key) < 64 {
			s.key = append(s.key, p[start:min(i, start+64)]...)
		}
		s.keyed = s.quoted
	}
	s.keep(p[start:i])
	return i
}

func (s *jsonSplitter) structure(c byte) {
	switch c {
	case '"':
		s.quoted = true
		if s.depth == 1 {
			s.key, s.keyed = s.key[:0], true
		}
	case '{', '[':
		s.depth++
		switch {
		case s.depth == 2 && c == '[' && string(s.key) == `items"`:
			s.items, s.listed = true, true
			s.kind = listKind(s.buf)
			s.element = s.element[:0]
			return
		case s.items && s.depth == 3:
			s.element, s.huge = s.element[:0], false
		}
	case '}', ']':
		s.depth--
		switch {
		case s.items && s.depth == 2:
			s.keep([]byte{c})
			if s.huge {
				s.counts.Add(LargeItem, 1)
			} else {
				s.item(s.element, s.kind)
			}
			s.element, s.huge = s.element[:0], false
			return
		case s.items && s.depth == 1:
			s.items, s.key = false, s.key[:0]
			return
		case s.depth == 0:
			s.keep([]byte{c})
			switch {
			case s.huge && !s.listed:
				s.counts.Add(LargeItem, 1)
			case !s.listed:
				s.item(s.buf, "")
			case s.head != nil:
				s.head(s.buf)
			}
			s.buf = s.buf[:0]
			s.over()
			return
		}
	case ',', '\n', ' ', '\t', '\r':
		if s.items && s.depth == 2 {
			return
		}
	}
	s.keep([]byte{c})
}

// keep stores bytes of the value under way. It holds at most max of them.
func (s *jsonSplitter) keep(b []byte) {
	to := &s.buf
	if s.items {
		to = &s.element
	}
	if s.huge || len(*to)+len(b) > s.max {
		s.huge = true
		*to = (*to)[:0]
		return
	}
	*to = append(*to, b...)
}

// close ends the input; a value that is under way has lost its end.
func (s *jsonSplitter) close() {
	if s.depth > 0 {
		s.counts.Add(BadItem, 1)
		s.over()
	}
	s.depth, s.quoted, s.escaped, s.items, s.buf, s.element = 0, false, false, false, s.buf[:0], s.element[:0]
}

// listKind tells the kind of a list's elements by what stands before them: "PodList" lists Pods.
func listKind(head []byte) string {
	m := newMembers(head)
	for {
		key, value, ok := m.next()
		if !ok {
			return ""
		}
		if string(key) == "kind" {
			kind, found := bytes.CutSuffix(unquoted(value), []byte("List"))
			if !found {
				return ""
			}
			return string(kind)
		}
	}
}
