// Package literal finds texts that every match of a regular expression contains, so that an expression need only be run where
// one of them was seen.
//
//	r, err := literal.Parse(`(?i)failed to (?:mount|attach) volume "[^"]+"`)
//	// r.Any: one of "failed to mount volume \"", "failed to attach volume \"" (folded)
//	// r.All: `"` and whatever else stands in every match
//
// The promise: if the expression matches a text anywhere, then the text contains at least one literal of [Required.Any]
// (when there is any), and every literal of [Required.All]. The reverse is not promised. It holds for the semantics of package
// regexp on any bytes, invalid UTF-8 among them.
//
// A literal with Fold is compared with ASCII letters folded, and with nothing else folded: see [Literal.In]. Under (?i) the letters
// k and s also match U+212A and U+017F, which is more than ASCII folding; these are added to the alternatives, or such a letter divides the
// literal. Other non-ASCII letters under (?i) divide it.
//
// The compiler uses it for anchors, the linter to find conditions that nothing can anchor; there must be no second one. A matcher that
// divides an expression at its top-level alternation calls [Of] on each branch.
package literal

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Literal is a text, never empty. With Fold it is in lower case.
type Literal struct {
	Text string
	Fold bool // ASCII letters match in either case
}

// In reports whether text contains the literal. It says what a matcher must do, and is slow.
func (l Literal) In(text []byte) bool {
	if !l.Fold {
		return strings.Contains(string(text), l.Text)
	}
	return strings.Contains(lower(string(text)), l.Text)
}

// lower changes ASCII letters only, and keeps every other byte, invalid ones too.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// Required is what every match of an expression contains.
type Required struct {
	// Any: at least one of these. It is the set that selects best; empty when nothing is known. Sorted, without repeats.
	Any []Literal
	// All: each of these, in the order in which they appear. It does not repeat what Any implies.
	All []Literal
}

// Shortest is the length in bytes of the shortest literal of Any, or 0. It leaves the rare ones out.
func (r Required) Shortest() int {
	return shortest(slices.DeleteFunc(slices.Clone(r.Any), Literal.Rare))
}

// Bounds of the sets that are followed. They keep the work linear in the expression; exceeding one only forgets something.
const (
	maxSet    = 16  // alternatives of one set while it is built by joining
	maxUnion  = 512 // alternatives of a set that an alternation spells out
	maxClass  = 10  // characters of a class that is spelled out
	maxLength = 256 // bytes of one literal
	maxAll    = 32  // literals of All
)

// Parse reads an expression in the syntax of package regexp and returns what it requires.
func Parse(expr string) (Required, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return Required{}, fmt.Errorf("parse regex: %w", err)
	}
	return Of(re), nil
}

// The letters k and s have a third form under (?i).
const (
	kelvin = "\u212a"
	longS  = "\u017f"
)

// Rare reports whether a literal is one of the third forms that k and s have under (?i). They stand in Any for matches that hold them;
// no text of ordinary life does.
func (l Literal) Rare() bool { return !l.Fold && (l.Text == kelvin || l.Text == longS) }

// Of returns what a parsed expression requires. It reads re only.
//
// Under (?i) a match either holds a third form of k or s, or is plain ASCII there. So beside what holds for all matches it looks at what
// holds for the plain ones, which is longer, and adds the forms themselves.
func Of(re *syntax.Regexp) Required {
	var all walk
	i := all.analyse(re)
	r := Required{Any: slices.Clone(i.best())}
	if all.kelvin || all.longS {
		plain := walk{plain: true}
		if best := plain.analyse(re); score(best.best()) > score(r.Any) {
			r.Any = slices.Clone(best.best())
			if all.kelvin {
				r.Any = append(r.Any, Literal{Text: kelvin})
			}
			if all.longS {
				r.Any = append(r.Any, Literal{Text: longS})
			}
		}
	}
	slices.SortFunc(r.Any, func(a, b Literal) int {
		if c := strings.Compare(a.Text, b.Text); c != 0 || a.Fold == b.Fold {
			return c
		}
		if a.Fold {
			return 1
		}
		return -1
	})
	r.Any = slices.Compact(r.Any)
	for _, l := range i.conjunction() {
		if !implied(l, r.Any) && !slices.Contains(r.All, l) && len(r.All) < maxAll {
			r.All = append(r.All, l)
		}
	}
	return r
}

// walk is one analysis of an expression.
type walk struct {
	plain         bool // leave the third forms out
	kelvin, longS bool // some were met
}

// implied reports whether each of the set contains l, so that l says nothing new.
func implied(l Literal, set []Literal) bool {
	if len(set) == 0 {
		return false
	}
	for _, x := range set {
		if x.Fold && !l.Fold || !l.In([]byte(x.Text)) {
			return false
		}
	}
	return true
}

// info is what is known of a part of an expression.
type info struct {
	// exact, when not nil, holds every text that the part can match; "" may be among them.
	exact []Literal
	// any is the best set of which one is in every match; nil when none is known. Used when exact is nil or holds "".
	any []Literal
	// all are single literals that are in every match.
	all []Literal
}

// best is the set that selects best.
func (i info) best() []Literal { return better(i.any, i.exact) }

func (i info) conjunction() []Literal {
	if len(i.exact) == 1 && i.exact[0].Text != "" {
		return append(slices.Clip(i.all), i.exact[0])
	}
	return i.all
}

func empty() info { return info{exact: []Literal{{}}} }

func (w *walk) analyse(re *syntax.Regexp) info {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return empty() // they take no characters, so what stands on both sides is adjacent
	case syntax.OpLiteral:
		return w.ofRunes(re.Rune, re.Flags&syntax.FoldCase != 0)
	case syntax.OpCharClass:
		return info{exact: ofClass(re.Rune)}
	case syntax.OpCapture:
		return w.analyse(re.Sub[0])
	case syntax.OpConcat:
		return w.ofConcat(re.Sub)
	case syntax.OpAlternate:
		return w.ofAlternate(re.Sub)
	case syntax.OpQuest:
		if sub := w.analyse(re.Sub[0]); sub.exact != nil && len(sub.exact) < maxSet {
			return info{exact: distinct(append(slices.Clone(sub.exact), Literal{}))}
		}
	case syntax.OpPlus:
		return w.ofRepeat(re.Sub[0], 1, -1)
	case syntax.OpRepeat:
		return w.ofRepeat(re.Sub[0], re.Min, re.Max)
	case syntax.OpStar, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
	}
	return info{}
}

// ofRunes handles literal text; folded letters that have more than two forms become alternatives.
func (w *walk) ofRunes(runes []rune, fold bool) info {
	var j joiner
	for _, r := range runes {
		j.add(info{exact: w.ofRune(r, fold)})
	}
	return j.done()
}

// ofRune returns the forms of one character, or nil when they can't be told by bytes.
func (w *walk) ofRune(r rune, fold bool) []Literal {
	if r == utf8.RuneError || !utf8.ValidRune(r) {
		return nil // it matches invalid bytes as well
	}
	if !fold || unicode.SimpleFold(r) == r {
		return []Literal{{Text: string(r)}}
	}
	switch r {
	case 'k', 'K', '\u212a':
		w.kelvin = true
		return w.forms("k", kelvin)
	case 's', 'S', '\u017f':
		w.longS = true
		return w.forms("s", longS)
	}
	if r < utf8.RuneSelf {
		return []Literal{{Text: string(unicode.ToLower(r)), Fold: true}}
	}
	return nil
}

// forms are those of a letter that has three.
func (w *walk) forms(letter, third string) []Literal {
	if w.plain {
		return []Literal{{Text: letter, Fold: true}}
	}
	return []Literal{{Text: letter, Fold: true}, {Text: third, Fold: true}}
}

// ofClass spells a small class out; ranges are pairs of first and last.
func ofClass(ranges []rune) []Literal {
	var set []Literal
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i+1]-ranges[i] >= maxClass {
			return nil
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if r == utf8.RuneError || len(set) == maxClass {
				return nil
			}
			set = append(set, Literal{Text: string(r)})
		}
	}
	if len(set) == 0 {
		return nil // it matches nothing; what would follow from that helps nobody
	}
	return set
}

// ofConcat joins what is adjacent.
func (w *walk) ofConcat(subs []*syntax.Regexp) info {
	var j joiner
	for _, sub := range subs {
		if least, more := repeated(sub); more {
			// x+ is x, anything, x: its ends are adjacent to what is around it.
			j.repeat(w.analyse(sub.Sub[0]), least)
			continue
		}
		j.add(w.analyse(sub))
	}
	return j.done()
}

// repeated reports whether re is a repetition of at least one with an open or larger end, and of how many at least.
func repeated(re *syntax.Regexp) (least int, more bool) {
	switch {
	case re.Op == syntax.OpPlus:
		return 1, true
	case re.Op == syntax.OpRepeat && re.Min > 0 && re.Max != re.Min:
		return re.Min, true
	default:
		return 0, false
	}
}

func (w *walk) ofRepeat(sub *syntax.Regexp, least, most int) info {
	if most == 0 {
		return empty()
	}
	if least == 0 {
		if most == 1 {
			return w.analyse(&syntax.Regexp{Op: syntax.OpQuest, Sub: []*syntax.Regexp{sub}})
		}
		return info{}
	}
	var j joiner
	if i := w.analyse(sub); most == least {
		j.copies(i, least)
	} else {
		j.repeat(i, least)
	}
	return j.done()
}

// ofAlternate is the union, if every branch gives something.
func (w *walk) ofAlternate(subs []*syntax.Regexp) info {
	var out info
	exact := true
	for n, sub := range subs {
		i := w.analyse(sub)
		if exact = exact && i.exact != nil; exact {
			out.exact = append(out.exact, i.exact...)
		}
		best := i.best()
		if n == 0 || len(out.any) > 0 {
			out.any = append(slices.Clip(out.any), best...)
		}
		if len(best) == 0 {
			out.any = nil
		}
		all := i.conjunction()
		if n == 0 {
			out.all = slices.Clone(all)
		}
		out.all = slices.DeleteFunc(out.all, func(l Literal) bool { return !slices.Contains(all, l) })
	}
	if len(out.any) > maxUnion {
		out.any = nil
	}
	if out.exact = distinct(out.exact); !exact || len(out.exact) > maxSet {
		out.exact = nil
	}
	return out
}
