package signatures

import (
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/signatures/literal"
)

// minLiteral is the shortest text that may anchor a condition. Two bytes are in nearly every line.
const minLiteral = 3

// anchored reports whether something that can be looked up (the exact value of an attribute, or a text of at least minLiteral bytes)
// is in every record that meets the condition. Without it every record would be compared with the condition, and one such signature
// would slow down all.
func (c *checker) anchored(w *Condition) bool {
	switch {
	case w.Not != nil:
		return false
	case w.All != nil:
		return slices.ContainsFunc(w.All, func(x Condition) bool { return c.anchored(&x) })
	case w.Any != nil:
		return len(w.Any) > 0 && !slices.ContainsFunc(w.Any, func(x Condition) bool { return !c.anchored(&x) })
	}
	for _, m := range w.Attrs {
		if anchorMatch(m) {
			return true
		}
	}
	switch {
	case w.Event != nil:
		e := w.Event
		return anchorMatch(e.Reason) || anchorText(e.Message) || anchorMatch(e.Source) || anchorText(e.Line) || e.Object != nil && anchorMatch(e.Object.Kind)
	case w.Log != nil:
		l := w.Log
		return anchorMatch(l.Component) || anchorMatch(l.Container) || anchorText(l.Contains) || literalRegex(l.Regex) ||
			slices.ContainsFunc(l.Fields, anchorField)
	case w.Change != nil:
		return true // path and metric are required
	case w.Sample != nil:
		return true
	case w.Alert != nil:
		return anchorMatch(w.Alert.Name)
	}
	return false
}

// anchorMatch reports whether m names values that can be looked up.
func anchorMatch(m Match) bool { return len(m.Equals) > 0 && !slices.Contains(m.Equals, "") }

func anchorText(t Text) bool {
	long := func(s string) bool { return len(s) >= minLiteral }
	short := func(s string) bool { return len(s) < minLiteral }
	return slices.ContainsFunc(t.All, long) || len(t.Any) > 0 && !slices.ContainsFunc(t.Any, short) || literalRegex(t.Regex)
}

// anchorField reports whether a line must have the field, whose name can then be looked for.
func anchorField(f LogField) bool {
	return len(f.Name) >= minLiteral && (f.Above != nil || f.Below != nil || len(f.Is.Equals) > 0 && !slices.Contains(f.Is.Equals, "") ||
		len(f.Is.Contains) > 0 || len(f.Is.Prefix) > 0 || len(f.Is.Suffix) > 0)
}

// literalRegex reports whether every match of the expression holds a literal that is long enough. A broken one is reported elsewhere.
func literalRegex(expr string) bool {
	if expr == "" || len(expr) > maxRegex {
		return false
	}
	r, err := literal.Parse(expr)
	return err == nil && (r.Shortest() >= minLiteral || slices.ContainsFunc(r.All, func(l literal.Literal) bool { return len(l.Text) >= minLiteral }))
}

func (c *checker) noAnchor(path string, w *Condition) {
	if len(leaves(w)) == 0 && len(w.All) == 0 && len(w.Any) == 0 {
		return // it is empty or a lone `not`, which was said
	}
	if slices.ContainsFunc(c.problems, func(p Problem) bool {
		return p.Severity == LevelError && within(p.Path, path) && strings.HasSuffix(p.Path, ".regex")
	}) {
		return // a regex that can't be read may be the anchor once it is mended
	}
	mend := "each part of `any`, and one part of `all`, needs an exact value or a text of 3 bytes or more"
	switch {
	case w.Event != nil:
		path, mend = child(path, "event"), "add an exact reason, object kind or source, or a message of 3 bytes or more"
	case w.Log != nil:
		path, mend = child(path, "log"), "add the component, or a text of 3 bytes or more that is in every such line"
	case w.Alert != nil:
		path, mend = child(path, "alert"), "add the exact name of the alert"
	}
	if textual(w) {
		c.demand(path, "only a regex or a short text anchors this: all lines of all components are read for it, which takes about twice as long as everything else", mend)
		return
	}
	c.error(path, "nothing can anchor this: every record would have to be compared with it", mend)
}

// textual reports whether every record that meets the condition has a text that is not just any. Such records can be found in one
// pass over all texts, which is dear.
func textual(w *Condition) bool {
	text := func(t Text) bool { return len(t.Any) > 0 || len(t.All) > 0 || selectiveRegex(t.Regex) }
	switch {
	case w.Not != nil:
		return false
	case w.All != nil:
		return slices.ContainsFunc(w.All, func(x Condition) bool { return textual(&x) })
	case w.Any != nil:
		return len(w.Any) > 0 && !slices.ContainsFunc(w.Any, func(x Condition) bool { return !textual(&x) })
	case w.Log != nil:
		return text(w.Log.Contains) || selectiveRegex(w.Log.Regex)
	case w.Event != nil:
		return text(w.Event.Message)
	}
	return false
}

// selectiveRegex reports whether every match takes at least one byte. Assertions don't count.
func selectiveRegex(expr string) bool {
	if expr == "" || len(expr) > maxRegex {
		return false
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	return err == nil && leastLength(re) > 0
}

func leastLength(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return leastLength(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * leastLength(re.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, s := range re.Sub {
			n += leastLength(s)
		}
		return n
	case syntax.OpAlternate:
		n := leastLength(re.Sub[0])
		for _, s := range re.Sub[1:] {
			n = min(n, leastLength(s))
		}
		return n
	case syntax.OpNoMatch, syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpStar, syntax.OpQuest:
	}
	return 0
}
