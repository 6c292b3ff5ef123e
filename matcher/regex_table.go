package matcher

import (
	"regexp"
	"slices"
)

// regexTable holds regular expressions by number. They are compiled when they are first run: of a hundred thousand signatures hardly any
// is ever looked at in full, and compiling all of them takes seconds and hundreds of megabytes.
type regexTable struct {
	bytes []byte // the expressions, one after the other
	ends  []uint32
	made  lazy[regexp.Regexp]
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

// regexMatch reports whether expression n of t matches somewhere in the text.
func (s *Scratch) regexMatch(t *regexTable, n uint32, text []byte) bool {
	re := t.made.get(n)
	if re == nil {
		var err error
		if re, err = regexp.Compile(t.text(n)); err != nil {
			return false // it can't be: it was parsed when it was added, and what is loaded has a checksum
		}
		t.made.put(n, re, maxRegexes)
	}
	return re.Match(text)
}

// fork returns a copy that can grow without t.
func (t *regexTable) fork() regexTable {
	c := regexTable{bytes: slices.Clone(t.bytes), ends: slices.Clone(t.ends)}
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
