package matcher

import (
	"math"

	"github.com/forewarn/forewarn/collector/record"
)

// tests are the conditions of a program, laid out flat: tables of numbers and one run of bytes, so that a hundred thousand of
// them are a few objects, which the garbage collector never walks through and which are stored and loaded as they are.
//
// Tables only grow at their end, so programs that were made from another share its tables: see [Program.With].
type tests struct {
	nodes    []testNode
	bytes    []byte // every word and literal
	words    []wordRef
	literals []literalRef
	matchers []matcher
	lists    []uint32 // the words of matchers
	limits   []limitPair
	fields   []fieldTest
	regexes  regexTable
	cels     celTable
	jqs      jqTable
}

// none stands where a number of a table can be missing.
const none = math.MaxUint32

// testNode is one test. The kids of a node lie behind it, each followed by its own.
type testNode struct {
	op       op
	kind     record.Kind // opKind
	absentOK uint8       // opAttr: not 0 when an absent attribute matches
	_        uint8
	end      uint32 // the node after its last kid
	a, b     uint32 // what is tested, in the table of the op: see holds
}

// wordRef is a word.
type wordRef struct{ start, size uint32 }

// literalRef is a literal; foldBit of size says that it is in lower case and compared without case.
type literalRef struct{ start, size uint32 }

const foldBit = 1 << 31

// matcher is a match: its words lie one list after the other.
type matcher struct {
	first                                 uint32 // in lists
	equals, not, contains, prefix, suffix uint32 // how many
	regex                                 uint32 // or none
	fold                                  uint32
}

// words returns the words of each kind.
func (m *matcher) words(lists []uint32) (equals, not, contains, prefix, suffix []uint32) {
	rest := lists[m.first:]
	equals, rest = rest[:m.equals], rest[m.equals:]
	not, rest = rest[:m.not], rest[m.not:]
	contains, rest = rest[:m.contains], rest[m.contains:]
	prefix, rest = rest[:m.prefix], rest[m.prefix:]
	return equals, not, contains, prefix, rest[:m.suffix]
}

// limitPair is what a number lies strictly between; the flags say which there are.
type limitPair struct {
	above, below       float64
	hasAbove, hasBelow uint32
}

// hold reports whether v passes. NaN passes no limit.
func (l *limitPair) hold(v float64) bool {
	return (l.hasAbove == 0 || v > l.above) && (l.hasBelow == 0 || v < l.below)
}

// fieldTest is a test of a field of a structured line.
type fieldTest struct {
	name  uint32 // a word
	match uint32 // or none
	limit uint32 // or none
}

// word returns a word. It is valid for ever.
func (t *tests) word(n uint32) string {
	w := t.words[n]
	return viewString(t.bytes[w.start : w.start+w.size])
}
