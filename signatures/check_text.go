package signatures

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxRegex bounds the text of one regex. Generated ones are longer than anybody writes; a megabyte is an attack or an accident.
const maxRegex = 64 << 10

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// match checks a Match, which may be unset.
func (c *checker) match(path string, m Match) {
	if m.IsZero() {
		if m.IgnoreCase {
			c.error(path, "nothing is said of it but `ignore_case`", "add equals, not, contains, prefix, suffix or regex")
		}
		return
	}
	c.noEmpty(child(path, "contains"), m.Contains)
	c.noEmpty(child(path, "prefix"), m.Prefix)
	c.noEmpty(child(path, "suffix"), m.Suffix)
	c.regex(child(path, "regex"), m.Regex)
	c.caseless(path, m.IgnoreCase, m.Regex, len(m.Equals)+len(m.Not)+len(m.Contains)+len(m.Prefix)+len(m.Suffix))
	if len(m.Equals) > 0 && !slices.ContainsFunc(m.Equals, func(s string) bool { return !slices.Contains(m.Not, s) }) {
		c.error(child(path, "not"), "no value is one of `equals` and none of `not`", "")
	}
}

// text checks a Text, which may be unset.
func (c *checker) text(path string, t Text) {
	if t.IsZero() {
		if t.IgnoreCase {
			c.error(path, "nothing is said of it but `ignore_case`", "add any, all, none or regex")
		}
		return
	}
	c.noEmpty(child(path, "any"), t.Any)
	c.noEmpty(child(path, "all"), t.All)
	c.noEmpty(child(path, "none"), t.None)
	c.regex(child(path, "regex"), t.Regex)
	c.caseless(path, t.IgnoreCase, t.Regex, len(t.Any)+len(t.All)+len(t.None))
	excluded := func(s string) bool {
		return slices.ContainsFunc(t.None, func(n string) bool { return n != "" && strings.Contains(s, n) })
	}
	if slices.ContainsFunc(t.All, excluded) || len(t.Any) > 0 && !slices.ContainsFunc(t.Any, func(s string) bool { return !excluded(s) }) {
		c.error(child(path, "none"), "no text can contain what is wanted and not contain this", "")
	}
}

func (c *checker) noEmpty(path string, words []string) {
	for i, w := range words {
		if w == "" {
			c.error(element(path, i), "an empty text is part of every text", "remove it")
		}
	}
}

func (c *checker) caseless(path string, ignore bool, regex string, words int) {
	if ignore && regex != "" && words == 0 {
		c.error(child(path, "ignore_case"), "`ignore_case` has no effect on a regex", "begin the regex with (?i)")
	}
}

// regex checks an expression, which may be empty, and points at the fault inside it.
func (c *checker) regex(path, expr string) {
	if expr == "" {
		return
	}
	if len(expr) > maxRegex {
		c.error(path, fmt.Sprintf("the regex has %d bytes; at most %d", len(expr), maxRegex), "write a list of texts under `contains`")
		return
	}
	_, err := regexp.Compile(expr)
	if err == nil {
		return
	}
	message, offset := err.Error(), -1
	var se *syntax.Error
	if errors.As(err, &se) {
		message = string(se.Code)
		offset = faultOffset(expr, se)
		if len(se.Expr) < len(expr) {
			message += ": " + clip(se.Expr)
		}
	}
	c.add(LevelError, path, offset, "the regex can't be read: "+message, regexMend(expr, se))
}

// faultOffset finds the place of a syntax error, of which regexp tells the text only.
func faultOffset(expr string, e *syntax.Error) int {
	switch e.Code {
	case syntax.ErrMissingParen:
		return unclosed(expr)
	case syntax.ErrTrailingBackslash:
		return len(expr) - 1
	case syntax.ErrUnexpectedParen:
		return strings.LastIndexByte(expr, ')')
	default:
		return max(0, strings.Index(expr, e.Expr))
	}
}

// unclosed returns the offset of the last parenthesis that is opened and not closed.
func unclosed(expr string) int {
	var open []int
	class := false
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if i+1 < len(expr) && expr[i+1] == ']' || i+2 < len(expr) && expr[i+1:i+3] == "^]" {
				i = strings.IndexByte(expr[i:], ']') + i
			}
		case c == '(':
			open = append(open, i)
		case c == ')' && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

func regexMend(expr string, e *syntax.Error) string {
	switch {
	case e == nil:
		return ""
	case strings.HasPrefix(e.Expr, "(?=") || strings.HasPrefix(e.Expr, "(?!") || strings.HasPrefix(e.Expr, "(?<"):
		return "RE2 has no look-around: use `none`, or a second condition"
	case e.Code == syntax.ErrInvalidEscape && len(e.Expr) == 2 && e.Expr[1] >= '1' && e.Expr[1] <= '9':
		return "RE2 has no back-references"
	case e.Code == syntax.ErrMissingRepeatArgument && strings.HasPrefix(expr, "*"):
		return "this is a regex, not a glob: write .* for anything"
	case e.Code == syntax.ErrInvalidRepeatSize || e.Code == syntax.ErrLarge:
		return "at most 1000 repeats"
	case e.Code == syntax.ErrMissingParen || e.Code == syntax.ErrMissingBracket || e.Code == syntax.ErrUnexpectedParen:
		return `put a backslash before a bracket that is meant as text`
	}
	return ""
}
