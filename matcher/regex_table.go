package matcher

import (
	"regexp"
	"slices"
)

// regexTable holds regular expressions by number. They are compiled when they are first run: of a hundred thousand signatures hardly any
// is ever looked at in full, and compiling all of them takes seconds and hundreds of megabytes. A lazyRegex decides nearly always; package
// regexp is asked where that is not sure.
type regexTable struct {
	bytes []byte // the expressions, one after the other
	ends  []uint32
	made  lazy[regexp.Regexp]
	plain bool // package regexp decides alone
}

// maxRegexes is how many compiled expressions are kept: some ten megabytes of them.
const maxRegexes = 2048

// add adds an expression, which must be known to be sound, and returns its number.
func (t *regexTable) add(text string) uint32 {
	t.bytes = append(t.bytes, text...)
	t.ends = append(t.ends, uint32(len(t.bytes)))
	t.made.grow(len(t.ends))
	return uint32(len(t.ends) - 1)
}

// text returns an expression.
func (t *regexTable) text(n uint32) string {
	start := uint32(0)
	if n > 0 {
		start = t.ends[n-1]
	}
	return viewString(t.bytes[start:t.ends[n]])
}

func (t *regexTable) full(room int) bool { return uint64(len(t.bytes)) > 1<<32-1-uint64(room) }

// scratchRegexes are the automata of a scratch: they change as they run, so each goroutine has its own.
type scratchRegexes struct {
	byNumber []*lazyRegex
	size     int // about how many bytes they take
}

// maxRegexSize is how much memory the automata of one scratch may take before all are made anew.
const maxRegexSize = 32 << 20

// regexMatch reports whether expression n of t matches somewhere in the text.
func (s *Scratch) regexMatch(t *regexTable, n uint32, text []byte) bool {
	re := s.regexes.get(t, n)
	before := re.size
	matched, sure := re.match(text)
	sure = sure && !t.plain
	s.regexes.size += re.size - before
	if sure {
		return matched
	}
	whole := t.made.get(n)
	if whole == nil {
		var err error
		if whole, err = regexp.Compile(t.text(n)); err != nil {
			return false // it can't be: it was parsed when it was added, and what is loaded has a checksum
		}
		t.made.put(n, whole, maxRegexes)
	}
	return whole.Match(text)
}

// get returns the automaton of an expression. Programs that were made from one another may have other expressions under a number, so the
// text decides.
func (s *scratchRegexes) get(t *regexTable, n uint32) *lazyRegex {
	text := t.text(n)
	if int(n) < len(s.byNumber) {
		if re := s.byNumber[n]; re != nil && re.text == text {
			return re
		}
	}
	if s.size > maxRegexSize {
		clear(s.byNumber)
		s.size = 0
	}
	if int(n) >= len(s.byNumber) {
		s.byNumber = append(s.byNumber, make([]*lazyRegex, len(t.ends)-len(s.byNumber))...)
	}
	re := newLazyRegex(text)
	s.byNumber[n] = re
	s.size += re.size
	return re
}

// fork returns a copy that can grow without t.
func (t *regexTable) fork() regexTable {
	c := regexTable{bytes: slices.Clone(t.bytes), ends: slices.Clone(t.ends), plain: t.plain}
	c.made.grow(len(c.ends))
	return c
}

func (t *regexTable) appendTo(w *flatWriter) {
	putSlice(w, t.bytes)
	putSlice(w, t.ends)
}

func (t *regexTable) read(r *flatReader) {
	t.bytes, t.ends = getSlice[byte](r), getSlice[uint32](r)
	r.check(slices.IsSorted(t.ends) && (len(t.ends) == 0 || t.ends[len(t.ends)-1] == uint32(len(t.bytes))), "the expressions overlap")
	t.made.grow(len(t.ends))
}
