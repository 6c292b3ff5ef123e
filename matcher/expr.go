package matcher

import (
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures/literal"
)

// expr is a condition while it is compiled: a tree of tests. It says what anchors the condition, and is then laid out flat: see
// [tests].
type expr struct {
	op       op
	kind     record.Kind
	absentOK bool // opAttr: an absent attribute matches
	key      string
	match    *match
	literals []literal.Literal // opText: any of them; opRegex: every match has one of them
	above    *float64
	below    *float64
	kids     []expr
}

// match is a signatures.Match. Where it compares without case, its words are in lower case.
type match struct {
	equals, not, contains, prefix, suffix []string
	regex                                 string // "" without one; it spans the whole value
	fold                                  bool
}

// acceptsNothing reports whether an absent value passes.
func (m *match) acceptsNothing() bool {
	return (len(m.equals) == 0 || slices.Contains(m.equals, "")) && !slices.Contains(m.not, "") &&
		len(m.contains) == 0 && len(m.prefix) == 0 && len(m.suffix) == 0 && m.regex == ""
}
