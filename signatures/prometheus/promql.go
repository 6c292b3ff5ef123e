package prometheus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// query is an expression of PromQL, of the few shapes that are generated. Each can be written, and evaluated by evaluate.go.
type query interface {
	// text is the expression; shift moves all that it looks at into the past.
	text(shift time.Duration) string
	// at evaluates it, at a whole minute.
	at(s *store, now time.Duration) vector
}

// selector is the newest sample of each series.
type selector struct {
	metric   string
	matchers []labelMatcher
}

// labelMatcher is a matcher of a selector; op is = != =~ or !~.
type labelMatcher struct{ name, op, value string }

func (m labelMatcher) String() string { return m.name + m.op + strconv.Quote(m.value) }

func (x selector) bare() string {
	if len(x.matchers) == 0 {
		return x.metric
	}
	parts := make([]string, len(x.matchers))
	for i, m := range x.matchers {
		parts[i] = m.String()
	}
	return x.metric + "{" + strings.Join(parts, ",") + "}"
}

func (x selector) text(shift time.Duration) string { return x.bare() + offset(shift) }

func offset(shift time.Duration) string {
	if shift == 0 {
		return ""
	}
	return " offset " + span(shift)
}

// share is a value divided by its limit, where that is positive: an absent limit is 0 in many exporters.
type share struct{ value, limit selector }

func (x share) text(shift time.Duration) string {
	return "(" + x.value.text(shift) + " / (" + x.limit.text(shift) + " > 0))"
}

// rate is the increase a second.
type rate struct {
	of   selector
	over time.Duration
}

func (x rate) text(shift time.Duration) string {
	return "rate(" + x.of.bare() + "[" + span(x.over) + "]" + offset(shift) + ")"
}

// compare keeps what lies between; nil is no limit.
type compare struct {
	of           query
	above, below *float64
}

func (x compare) text(shift time.Duration) string {
	s := x.of.text(shift)
	if x.above != nil {
		s += " > " + number(*x.above)
	}
	if x.below != nil {
		s += " < " + number(*x.below)
	}
	return s
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// reached keeps what has reached a limit, from below or from above.
type reached struct {
	of      query
	limit   float64
	falling bool
}

func (x reached) text(shift time.Duration) string {
	return x.of.text(shift) + map[bool]string{false: " >= ", true: " <= "}[x.falling] + number(x.limit)
}

// over applies a function to the past of a query: min_over_time, max_over_time, predict_linear, deriv.
type over struct {
	fn     string
	of     query
	window time.Duration
	step   time.Duration // of the subquery; a selector needs none
	ago    time.Duration // the window ends that long ago
	ahead  time.Duration // of predict_linear
	id     string        // names the subquery while it is evaluated
}

func (x over) text(shift time.Duration) string {
	s := ""
	if sel, ok := x.of.(selector); ok {
		s = sel.bare() + "[" + span(x.window) + "]"
	} else {
		s = parens(x.of.text(0)) + "[" + span(x.window) + ":" + span(x.step) + "]"
	}
	s += offset(x.ago + shift)
	if x.fn == "predict_linear" {
		s += ", " + number(x.ahead.Seconds())
	}
	return x.fn + "(" + s + ")"
}

// shifted is a query at an earlier time.
type shifted struct {
	of  query
	ago time.Duration
}

func (x shifted) text(shift time.Duration) string { return x.of.text(x.ago + shift) }

// both keeps of the first what the others have as well, by all labels or by those that on names.
type both struct {
	of []query
	on []string
}

func (x both) text(shift time.Duration) string {
	word := "and"
	if x.on != nil {
		word += " on (" + strings.Join(x.on, ", ") + ")"
	}
	return join(x.of, word, shift)
}

// either has what any of its parts has.
type either struct {
	of    []query
	sides bool // the parts are a forecast from below and one from above
}

// onSide leaves of a forecast the one side.
func onSide(q query, side int) query {
	switch x := q.(type) {
	case either:
		if x.sides {
			return x.of[side]
		}
	case both:
		x.of = slices.Clone(x.of)
		x.of[0] = onSide(x.of[0], side)
		return x
	}
	return q
}

func (x either) text(shift time.Duration) string { return join(x.of, "or", shift) }

func join(all []query, word string, shift time.Duration) string {
	parts := make([]string, len(all))
	for i, q := range all {
		parts[i] = q.text(shift)
		switch q.(type) {
		case either, both:
			parts[i] = parens(parts[i])
		}
	}
	return strings.Join(parts, "\n"+word+"\n")
}

// parens puts an expression of several lines in parentheses and indents it.
func parens(s string) string {
	if !strings.Contains(s, "\n") {
		if strings.HasPrefix(s, "(") && closes(s) == len(s)-1 {
			return s
		}
		return "(" + s + ")"
	}
	return "(\n  " + strings.ReplaceAll(s, "\n", "\n  ") + "\n)"
}

// closes is where the parenthesis that s begins with is closed. Label values hold none, or are no part of a share.
func closes(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// total is the sum over all other labels.
type total struct {
	by []string
	of selector
}

func (x total) text(shift time.Duration) string {
	return fmt.Sprintf("sum by (%s) (%s)", strings.Join(x.by, ", "), x.of.text(shift))
}

// metrics lists the selectors of a query.
func selectors(q query) []selector {
	switch x := q.(type) {
	case selector:
		return []selector{x}
	case share:
		return []selector{x.value, x.limit}
	case rate:
		return []selector{x.of}
	case compare:
		return selectors(x.of)
	case reached:
		return selectors(x.of)
	case over:
		return selectors(x.of)
	case shifted:
		return selectors(x.of)
	case total:
		return []selector{x.of}
	case both:
		return slices.Concat(each(x.of)...)
	case either:
		return slices.Concat(each(x.of)...)
	}
	return nil
}

func each(all []query) (out [][]selector) {
	for _, q := range all {
		out = append(out, selectors(q))
	}
	return out
}
