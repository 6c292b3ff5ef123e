package prometheus

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// token is a part of an expression; text of a string is what it says.
type token struct {
	kind byte // 'w' word or number, 's' string, 'o' anything else
	text string
}

// tokens takes an expression apart, comments and white space left out. why says what makes that impossible.
func tokens(expr string) (out []token, why string) {
	for i := 0; i < len(expr); {
		n := 1
		switch c := expr[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '#':
			if n = strings.IndexByte(expr[i:], '\n'); n < 0 {
				return out, ""
			}
		case c == '"' || c == '\'' || c == '`':
			n = stringEnd(expr[i:])
			if n < 0 {
				return nil, fmt.Sprintf("a string that begins with %c does not end", c)
			}
			text, err := unquote(expr[i : i+n])
			if err != nil {
				return nil, fmt.Sprintf("%.40s is no string", expr[i:i+n])
			}
			out = append(out, token{'s', text})
		case isWord(c):
			n = wordEnd(expr[i:])
			out = append(out, token{'w', expr[i : i+n]})
		default:
			if i+1 < len(expr) && slices.Contains([]string{"==", "!=", "=~", "!~", ">=", "<="}, expr[i:i+2]) {
				n = 2
			}
			out = append(out, token{'o', expr[i : i+n]})
		}
		i += n
	}
	return out, ""
}

// stringEnd is how long the string is that s begins with, quotes included; -1 when it does not end.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return i + 1
		case s[i] == '\\' && s[0] != '`':
			i++
		}
	}
	return -1
}

// wordEnd is how long the word or number is that s begins with.
func wordEnd(s string) int {
	number := s[0] >= '0' && s[0] <= '9' || s[0] == '.'
	i := 1
	for ; i < len(s); i++ {
		exponent := number && (s[i] == '+' || s[i] == '-') && (s[i-1] == 'e' || s[i-1] == 'E') && !strings.HasPrefix(s, "0x")
		if !isWord(s[i]) && !exponent {
			break
		}
	}
	return i
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == ':' || c == '.'
}

func unquote(s string) (string, error) {
	if s[0] != '\'' {
		return strconv.Unquote(s)
	}
	var b strings.Builder // a string of Go in other quotes
	b.WriteByte('"')
	for i := 1; i < len(s)-1; i++ {
		switch {
		case s[i] == '\\' && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case s[i] == '\\':
			b.WriteString(s[i : i+2])
			i++
		case s[i] == '"':
			b.WriteString(`\"`)
		default:
			b.WriteByte(s[i])
		}
	}
	return strconv.Unquote(b.String() + `"`)
}

// unbalanced says what makes an expression no PromQL, as far as that is seen without its grammar.
func unbalanced(expr string) string {
	all, why := tokens(expr)
	if why != "" {
		return why
	}
	var open []string
	pairs := map[string]string{")": "(", "}": "{", "]": "["}
	for _, t := range all {
		if t.kind != 'o' {
			continue
		}
		switch t.text {
		case "(", "{", "[":
			open = append(open, t.text)
		case ")", "}", "]":
			if len(open) == 0 || open[len(open)-1] != pairs[t.text] {
				return "a " + t.text + " closes nothing"
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return "a " + open[len(open)-1] + " is not closed"
	}
	if len(all) == 0 {
		return "it is empty"
	}
	return ""
}

// threshold returns the condition on samples that says exactly what an expression says: a metric, perhaps with labels, above or below a
// number. Everything else has none.
func threshold(expr string) (*signatures.SampleCondition, bool) {
	all, why := tokens(expr)
	if why != "" {
		return nil, false
	}
	p := &parser{rest: strip(all)}
	var c signatures.SampleCondition
	var op string
	var limit float64
	ok := false
	if n, is := p.number(); is {
		limit, op = n, map[string]string{"<": ">", ">": "<"}[p.next().text]
		ok = p.selector(&c)
	} else {
		ok = p.selector(&c)
		op = p.next().text
		n, is := p.number()
		limit, ok = n, ok && is
	}
	if !ok || len(p.rest) > 0 || math.IsNaN(limit) || math.IsInf(limit, 0) {
		return nil, false
	}
	switch op {
	case ">":
		c.Above = &limit
	case "<":
		c.Below = &limit
	default:
		return nil, false
	}
	return &c, true
}

// strip takes away parentheses: (metric{...}) > 5 and (metric > 5) say the same as without.
func strip(all []token) []token {
	out := make([]token, 0, len(all))
	depth := 0
	for _, t := range all {
		if t.kind == 'o' && (t.text == "(" || t.text == ")") {
			if depth += map[string]int{"(": 1, ")": -1}[t.text]; len(out) > 0 && t.text == "(" && out[len(out)-1].kind == 'w' && !numeric.MatchString(out[len(out)-1].text) {
				return nil // the call of a function
			}
			continue
		}
		out = append(out, t)
	}
	return out
}

type parser struct{ rest []token }

func (p *parser) next() (t token) {
	if len(p.rest) > 0 {
		t, p.rest = p.rest[0], p.rest[1:]
	}
	return t
}

var numeric = regexp.MustCompile(`^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$`)

func (p *parser) number() (float64, bool) {
	sign := 1.0
	rest := p.rest
	if len(rest) > 0 && rest[0].kind == 'o' && (rest[0].text == "-" || rest[0].text == "+") {
		if rest[0].text == "-" {
			sign = -1
		}
		rest = rest[1:]
	}
	if len(rest) == 0 || rest[0].kind != 'w' || !numeric.MatchString(rest[0].text) {
		return 0, false
	}
	f, err := strconv.ParseFloat(rest[0].text, 64)
	p.rest = rest[1:]
	return sign * f, err == nil
}

// selector reads a metric and matchers of labels that conditions can say as well.
func (p *parser) selector(c *signatures.SampleCondition) bool {
	name := p.next()
	if name.kind != 'w' || !metricName.MatchString(name.text) || strings.Contains(name.text, ":") { // what a rule records no exporter shows
		return false
	}
	c.Metric = name.text
	if len(p.rest) == 0 || p.rest[0] != (token{'o', "{"}) {
		return true
	}
	p.next()
	for len(p.rest) > 0 && p.rest[0] != (token{'o', "}"}) {
		label, op, value := p.next(), p.next(), p.next()
		if label.kind != 'w' || op.kind != 'o' || value.kind != 's' || !labelName.MatchString(label.text) || label.text == "__name__" {
			return false
		}
		if _, twice := c.Labels[label.text]; twice {
			return false
		}
		m, ok := match(op.text, value.text)
		if !ok {
			return false
		}
		if c.Labels == nil {
			c.Labels = map[string]signatures.Match{}
		}
		c.Labels[label.text] = m
		if len(p.rest) > 0 && p.rest[0] == (token{'o', ","}) {
			p.next()
		}
	}
	return p.next() == token{'o', "}"}
}

// match is what a matcher of a label says. A label that is absent is an empty one to Prometheus, which conditions cannot say but by `not`.
func match(op, value string) (m signatures.Match, ok bool) {
	switch op {
	case "=":
		m.Equals = []string{value}
		return m, value != ""
	case "!=":
		if value == "" {
			m.Regex = "(?s:.+)"
			return m, true
		}
		m.Not = []string{value}
		return m, true
	case "=~":
		re, err := regexp.Compile("^(?s:" + value + ")$")
		if err != nil || re.MatchString("") {
			return m, false
		}
		m.Regex = "(?s:" + value + ")"
		return m, true
	}
	return m, false
}
