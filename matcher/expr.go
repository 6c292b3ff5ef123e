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
	literals []literal.Literal   // opText: any of them; opRegex: every match has one of them
	others   [][]literal.Literal // opRegex: every match has one of each
	above    *float64
	below    *float64
	kids     []expr
}

// without returns e without the test of a text that is certain for each record that the anchors lead to.
func (e *expr) without(set []anchor) expr {
	if e.op != opAll {
		return *e
	}
	out := *e
	out.kids = nil
	for i := range e.kids {
		if kid := &e.kids[i]; kid.op != opText || !kid.isAnchoredBy(set) {
			out.kids = append(out.kids, *kid)
		}
	}
	return out
}

// isAnchoredBy reports whether the literals of e are the anchors.
func (e *expr) isAnchoredBy(set []anchor) bool {
	return slices.EqualFunc(e.literals, set, func(l literal.Literal, a anchor) bool {
		return a.key == "" && l.Text == a.value && l.Fold == a.fold
	})
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
