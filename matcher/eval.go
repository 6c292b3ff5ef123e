package matcher

import (
	"bytes"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"github.com/itchyny/gojq"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures/literal"
)

// op says what an expression tests. Their order is the order of their cost: of several tests that must all hold, the cheap
// ones come first.
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

// expr is a compiled condition: a tree of tests. It is immutable.
type expr struct {
	op       op
	kind     record.Kind
	absentOK bool // opAttr: an absent attribute matches
	key      string
	match    *match
	literals []literal.Literal // opText: any of them; opRegex: every match has one of them
	above    *float64
	below    *float64
	regex    *regexp.Regexp
	cel      cel.Program
	jq       *gojq.Code
	kids     []expr
}

// holds reports whether r meets e. It allocates only in CEL expressions and jq programs.
func (e *expr) holds(r *record.Record, s *Scratch) bool {
	switch e.op {
	case opKind:
		return r.Kind == e.kind
	case opAttr:
		v, ok := r.Attrs.Get(e.key)
		return !ok && e.absentOK || e.match.matches(v, ok)
	case opPath:
		v, ok := r.Attrs.Get(record.ChangePath)
		return ok && matchPath(e.key, v)
	case opValue:
		return within(r.Value, e.above, e.below)
	case opText:
		return containsAny(r.Text, e.literals)
	case opAny:
		for i := range e.kids {
			if e.kids[i].holds(r, s) {
				return true
			}
		}
		return false
	case opAll:
		for i := range e.kids {
			if !e.kids[i].holds(r, s) {
				return false
			}
		}
		return true
	case opNot:
		return !e.kids[0].holds(r, s)
	case opField:
		var v []byte
		var found bool
		v, s.unescaped, found = findField(r.Text, e.key, s.unescaped)
		return e.fieldHolds(v, found)
	case opRegex:
		s.Stats.Regexes++
		return e.regex.Match(r.Text)
	case opLine:
		return e.lineHolds(r, s)
	case opJQ:
		s.Stats.JQ++
		ok, err := evalJQ(e.jq, r.Text)
		if err != nil {
			s.Stats.CELErrors++
		}
		return ok
	case opCEL:
		s.Stats.CEL++
		ok, err := evalCEL(e.cel, r)
		if err != nil {
			s.Stats.CELErrors++
		}
		return ok
	}
	return false
}

func (e *expr) fieldHolds(v []byte, found bool) bool {
	if e.above != nil || e.below != nil {
		if !found {
			return false
		}
		n, ok := fieldNumber(v)
		if !ok || !within(n, e.above, e.below) {
			return false
		}
	} else if e.match == nil {
		return found
	}
	return e.match == nil || e.match.matches(viewString(v), found)
}

// within reports whether v lies strictly inside the limits; a nil limit is none. NaN lies inside no limit.
func within(v float64, above, below *float64) bool {
	return (above == nil || v > *above) && (below == nil || v < *below)
}

// match is a compiled signatures.Match. Where it compares without case, its words are in lower case.
type match struct {
	equals, not, contains, prefix, suffix []string
	regex                                 *regexp.Regexp
	fold                                  bool
}

// matches reports whether v passes every test that is set. What is absent is equal to the empty text, is none of the words of
// not, and passes no other test.
func (m *match) matches(v string, found bool) bool {
	if len(m.equals) > 0 && !m.anyOf(m.equals, v, wordWhole) || m.anyOf(m.not, v, wordWhole) {
		return false
	}
	if !found && (len(m.contains) > 0 || len(m.prefix) > 0 || len(m.suffix) > 0 || m.regex != nil) {
		return false
	}
	if len(m.contains) > 0 && !m.anyOf(m.contains, v, wordInside) ||
		len(m.prefix) > 0 && !m.anyOf(m.prefix, v, wordFirst) ||
		len(m.suffix) > 0 && !m.anyOf(m.suffix, v, wordLast) {
		return false
	}
	return m.regex == nil || m.regex.MatchString(v)
}

// place says where in a value a word must stand.
type place uint8

const (
	wordWhole place = iota
	wordFirst
	wordLast
	wordInside
)

func (m *match) anyOf(words []string, v string, at place) bool {
	for _, w := range words {
		if len(w) > len(v) {
			continue
		}
		var ok bool
		switch at {
		case wordWhole:
			ok = len(v) == len(w) && m.equal(v, w)
		case wordFirst:
			ok = m.equal(v[:len(w)], w)
		case wordLast:
			ok = m.equal(v[len(v)-len(w):], w)
		case wordInside:
			ok = m.fold && containsFold(viewBytes(v), w) || !m.fold && strings.Contains(v, w)
		}
		if ok {
			return true
		}
	}
	return false
}

func (m *match) equal(v, w string) bool { return v == w || m.fold && equalFold(viewBytes(v), w) }

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

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}

// containsAny reports whether text contains one of the literals.
func containsAny(text []byte, literals []literal.Literal) bool {
	for i := range literals {
		l := &literals[i]
		if l.Fold && containsFold(text, l.Text) || !l.Fold && bytes.Contains(text, viewBytes(l.Text)) {
			return true
		}
	}
	return false
}

// containsFold reports whether text contains the word, which is in lower case, when ASCII letters compare without case.
func containsFold(text []byte, word string) bool {
	if word == "" {
		return true
	}
	for i := 0; i+len(word) <= len(text); i++ {
		if lower(text[i]) == word[0] && equalFold(text[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// equalFold compares text with a word of the same length that is in lower case.
func equalFold(text []byte, word string) bool {
	for i, c := range text {
		if lower(c) != word[i] {
			return false
		}
	}
	return true
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
