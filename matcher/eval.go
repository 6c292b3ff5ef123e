package matcher

import (
	"bytes"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// op says what a test looks at. Their order is the order of their cost: of several tests that must all hold, the cheap ones come
// first. The numbers are part of the stored program: see programFormat.
type op uint8

const (
	opKind  op = iota // the record's kind
	opAttr            // one attribute
	opPath            // the path of a change
	opValue           // the value of a sample
	opText            // the text contains any of some literals
	opAny             // any of the kids
	opAll             // all of the kids
	opNot             // not the only kid
	opField           // a field of a structured line
	opRegex           // the text matches an expression
	opLine            // an event as a line of text meets all of the kids
	opJQ              // the text is JSON that a jq program likes
	opCEL             // a CEL expression
)

// holds reports whether r meets the test at a node. It allocates only in CEL expressions, in jq programs, and where an expression is run for
// the first time.
func (t *tests) holds(at uint32, r *record.Record, s *Scratch) bool {
	n := &t.nodes[at]
	switch n.op {
	case opKind:
		return r.Kind == n.kind
	case opAttr:
		v, ok := r.Attrs.Get(t.word(n.a))
		return !ok && n.absentOK != 0 || t.matches(n.b, v, ok, s)
	case opPath:
		v, ok := r.Attrs.Get(record.ChangePath)
		return ok && matchPath(t.word(n.a), v)
	case opValue:
		return t.limits[n.a].hold(r.Value)
	case opText:
		return t.containsAny(r.Text, n.a, n.b)
	case opAny:
		for kid := at + 1; kid < n.end; kid = t.nodes[kid].end {
			if t.holds(kid, r, s) {
				return true
			}
		}
		return false
	case opAll:
		for kid := at + 1; kid < n.end; kid = t.nodes[kid].end {
			if !t.holds(kid, r, s) {
				return false
			}
		}
		return true
	case opNot:
		return !t.holds(at+1, r, s)
	case opField:
		return t.fieldHolds(&t.fields[n.a], r.Text, s)
	case opRegex:
		s.Stats.Regexes++
		return s.regexMatch(&t.regexes, n.a, r.Text)
	case opLine:
		return t.lineHolds(at, r, s)
	case opJQ:
		s.Stats.JQ++
		ok, err := t.jqs.eval(n.a, r.Text)
		if err != nil {
			s.Stats.CELErrors++
		}
		return ok
	case opCEL:
		s.Stats.CEL++
		ok, err := t.cels.eval(n.a, r)
		if err != nil {
			s.Stats.CELErrors++
		}
		return ok
	}
	return false
}

func (t *tests) fieldHolds(f *fieldTest, line []byte, s *Scratch) bool {
	var v []byte
	var found bool
	v, s.unescaped, found = findField(line, t.word(f.name), s.unescaped)
	if f.limit != none {
		if !found {
			return false
		}
		n, ok := fieldNumber(v)
		if !ok || !t.limits[f.limit].hold(n) {
			return false
		}
	} else if f.match == none {
		return found
	}
	return f.match == none || t.matches(f.match, viewString(v), found, s)
}

// within reports whether v lies strictly inside the limits; a nil limit is none. NaN lies inside no limit.
func within(v float64, above, below *float64) bool {
	return (above == nil || v > *above) && (below == nil || v < *below)
}

// matches reports whether v passes every test that is set. What is absent is equal to the empty text, is none of the words of
// not, and passes no other test.
func (t *tests) matches(number uint32, v string, found bool, s *Scratch) bool {
	m := &t.matchers[number]
	equals, not, contains, prefix, suffix := m.words(t.lists)
	fold := m.fold != 0
	if len(equals) > 0 && !t.anyOf(equals, v, fold, wordWhole) || t.anyOf(not, v, fold, wordWhole) {
		return false
	}
	if !found && (len(contains) > 0 || len(prefix) > 0 || len(suffix) > 0 || m.regex != none) {
		return false
	}
	if len(contains) > 0 && !t.anyOf(contains, v, fold, wordInside) ||
		len(prefix) > 0 && !t.anyOf(prefix, v, fold, wordFirst) ||
		len(suffix) > 0 && !t.anyOf(suffix, v, fold, wordLast) {
		return false
	}
	return m.regex == none || s.regexMatch(&t.regexes, m.regex, viewBytes(v))
}

// place says where in a value a word must stand.
type place uint8

const (
	wordWhole place = iota
	wordFirst
	wordLast
	wordInside
)

func (t *tests) anyOf(words []uint32, v string, fold bool, at place) bool {
	for _, n := range words {
		w := t.word(n)
		if len(w) > len(v) {
			continue
		}
		var ok bool
		switch at {
		case wordWhole:
			ok = len(v) == len(w) && equalWord(v, w, fold)
		case wordFirst:
			ok = equalWord(v[:len(w)], w, fold)
		case wordLast:
			ok = equalWord(v[len(v)-len(w):], w, fold)
		case wordInside:
			ok = fold && containsFold(viewBytes(v), w) || !fold && strings.Contains(v, w)
		}
		if ok {
			return true
		}
	}
	return false
}

func equalWord(v, w string, fold bool) bool { return v == w || fold && equalFold(viewBytes(v), w) }

// lowerASCII returns v with its ASCII capitals in lower case. It allocates only when there are any.
func lowerASCII(v string) string {
	for i := range len(v) {
		if isUpper(v[i]) {
			b := []byte(v)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return viewString(b)
		}
	}
	return v
}

// containsAny reports whether text contains one of the literals in [first, end).
func (t *tests) containsAny(text []byte, first, end uint32) bool {
	for i := first; i < end; i++ {
		l := &t.literals[i]
		w := t.bytes[l.start : l.start+l.size&^foldBit]
		if l.size&foldBit == 0 && bytes.Contains(text, w) || l.size&foldBit != 0 && containsFold(text, viewString(w)) {
			return true
		}
	}
	return false
}

// matchPath reports whether a change's path is the pattern's, where [*] in the pattern stands for any one element.
func matchPath(pattern, path string) bool {
	for {
		i := strings.Index(pattern, "[*]")
		if i < 0 {
			return pattern == path
		}
		if len(path) <= i || path[:i] != pattern[:i] || path[i] != '[' {
			return false
		}
		end := strings.IndexByte(path[i:], ']')
		if end < 0 {
			return false
		}
		pattern, path = pattern[i+3:], path[i+end+1:]
	}
}
