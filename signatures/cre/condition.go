package cre

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// eventSource is the source of Kubernetes events, which rules expect as lines of text.
const eventSource = "cre.kubernetes"

// condition is what a record must look like to meet a term. A record that does not say which software it is from, such as a line of a plain
// file, is of every source.
func (r *rule) condition(t term, source string) signatures.Condition {
	log := &signatures.LogCondition{}
	var line signatures.Text
	switch t.kind {
	case literalTerm:
		log.Contains.Any, line.Any = []string{t.text}, []string{t.text}
	case regexTerm:
		log.Regex = textRegex(t.text)
		line.Regex = log.Regex
	case jqTerm:
		log.JQ = t.text
	}
	if source != "*" {
		log.Component.Equals = r.components(source)
	}
	c := signatures.Condition{Log: log}
	if source != eventSource || t.kind == jqTerm {
		return c
	}
	return signatures.Condition{Any: []signatures.Condition{c, {Event: &signatures.EventCondition{Line: line}}}}
}

// components are the names under which logs of a source may be known: its own, the end of it, those of the rule's applications, and what
// the options say.
func (r *rule) components(source string) []string {
	list := []string{source}
	if i := strings.LastIndexByte(source, '.'); i >= 0 && i+1 < len(source) {
		list = append(list, source[i+1:])
	}
	if apps := get(get(r.node, "cre"), "applications"); apps != nil {
		for _, a := range apps.Content {
			for _, key := range []string{"name", "processName", "containerName"} {
				list = append(list, strings.ToLower(scalar(get(a, key))))
			}
		}
	}
	list = append(list, r.opts.Sources[source]...)
	var out []string
	for _, c := range list {
		if c = strings.TrimSpace(c); c != "" && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// stamp is what may stand before the text that a rule means: the reference engine takes an RFC 3339 stamp and the space after it off a line,
// and forewarn keeps it.
const stamp = `(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d) )?`

// textRegex writes a rule's regex for the text of a record. In the reference engine `^` means after the stamp, and an entry of several
// lines has nothing between them, so that `.` goes over their ends.
func textRegex(text string) string {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return text // which was refused before
	}
	begins, dots := false, false
	walk(tree, func(n *syntax.Regexp) {
		begins = begins || n.Op == syntax.OpBeginText || n.Op == syntax.OpBeginLine
		dots = dots || n.Op == syntax.OpAnyCharNotNL
	})
	if !begins {
		if dots {
			return "(?s)" + text
		}
		return text
	}
	before, err := syntax.Parse(stamp, syntax.Perl)
	if err != nil {
		return text
	}
	walk(tree, func(n *syntax.Regexp) {
		switch n.Op {
		case syntax.OpAnyCharNotNL:
			n.Op = syntax.OpAnyChar
		case syntax.OpBeginText, syntax.OpBeginLine:
			begin := &syntax.Regexp{Op: n.Op, Flags: n.Flags}
			*n = syntax.Regexp{Op: syntax.OpConcat, Flags: n.Flags, Sub: []*syntax.Regexp{begin, before}}
		default:
		}
	})
	return tree.String()
}

// walk calls fn for each node, the inner ones first.
func walk(n *syntax.Regexp, fn func(*syntax.Regexp)) {
	for _, s := range n.Sub {
		walk(s, fn)
	}
	fn(n)
}

// title says in words what a term looks for.
func (t *term) title() string {
	switch t.kind {
	case literalTerm:
		return fmt.Sprintf("a line contains %q", clip(t.text, 100))
	case regexTerm:
		return "a line matches " + clip(t.text, 100)
	case jqTerm:
		return "a JSON line meets jq " + clip(t.text, 100)
	}
	return ""
}

// stageName makes a name of a term's text, which no other stage has.
func stageName(text string, i int, used map[string]bool) string {
	var b strings.Builder
	for _, c := range strings.ToLower(text) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 32 {
			break
		}
	}
	slug := strings.Trim(b.String(), "-")
	if len(slug) < 2 || slug == "incident" {
		slug = fmt.Sprintf("term-%d", i+1)
	}
	unique := slug
	for n := 2; used[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", slug, n)
	}
	used[unique] = true
	return unique
}
