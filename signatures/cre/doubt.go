package cre

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/signatures/literal"
)

// doubts warns of what is dead, or hardly means what it says, in a rule that can be used.
func (r *rule) doubts(g *group) {
	for i := range g.slots {
		s := &g.slots[i]
		r.doubtTerm(&s.term, len(g.slots) == 1)
	}
	for i := range g.negates {
		r.doubtTerm(&g.negates[i].term, false)
		r.doubtNegate(g, &g.negates[i])
	}
	counted := slices.ContainsFunc(g.slots, func(s slot) bool { return s.count > 1 })
	switch {
	case counted && !g.sequence && len(g.negates) > 0:
		r.warn(g.node, g.path, "the reference engine overlooks a negate between records that are counted, and dies when some of them grow old; here the negate counts", "")
	case g.sequence && len(g.slots) == 1 && len(g.negates) == 0:
		r.warn(g.node, g.path, "the reference engine ignores the window of a sequence of one counted term; here it is kept", "a set says the same")
	}
	if !r.nested && g.origin {
		r.warn(g.node, g.path, "`origin` is ignored outside of nested rules", "remove it")
	}
	if g.source != "" {
		r.doubtSource(g)
	}
}

// regexText finds what is hardly meant as it stands: escapes and wildcards of expressions, and placeholders in brackets.
var regexText = regexp.MustCompile(`\\[dDwWsSbBX]|\.[*+]|\(\?[is]|\[\^|\[[a-z0-9]-[a-z0-9]|\[[a-z]\]|\\[.\[(]`)

// shortWord is one plain word, or a part of one, as nearly every log holds.
var shortWord = regexp.MustCompile(`^[\[(]?[A-Za-z0-9_]{1,8}[\])]?$`)

func (r *rule) doubtTerm(t *term, alone bool) {
	switch t.kind {
	case literalTerm:
		if m := regexText.FindString(t.text); m != "" {
			r.warn(t.node, t.path, fmt.Sprintf("%q looks like a regex, but is looked for as it stands", clip(t.text, 60)), "write `regex:` in place of `value:`")
		} else if alone && shortWord.MatchString(strings.TrimSpace(t.text)) {
			r.warn(t.node, t.path, fmt.Sprintf("every line that holds %q fires the rule", clip(t.text, 60)), "add the words around it that only this failure has")
		}
	case regexTerm:
		need, err := literal.Parse(t.text)
		if err == nil && need.Shortest() < 4 && !slices.ContainsFunc(need.All, func(l literal.Literal) bool { return len(l.Text) >= 4 }) {
			r.warn(t.node, t.path, "nothing of 4 letters or more is in every match, so many lines meet it and all must be compared with it", "add words that are in every such line")
		}
	case jqTerm:
	}
}

func (r *rule) doubtNegate(g *group, n *negate) {
	zero := g.records() == 1 || n.absolute
	switch {
	case n.slide > 0:
		r.warn(n.node, n.path, fmt.Sprintf("the slide of %s looks that much later, and no longer at the match itself", n.slide),
			fmt.Sprintf("to look %s earlier as well write `slide: -%s` and `window: %s`", n.slide, n.slide, n.slide))
	case n.slide < 0 && n.window < -n.slide && !zero:
		r.warn(n.node, n.path, fmt.Sprintf("the slide of %s moves the time earlier without making it longer, so the end of the match is not looked at", n.slide),
			fmt.Sprintf("add `window: %s`", -n.slide))
	case n.window < 0:
		r.warn(n.node, n.path, "a negative window makes the time in question shorter than the match", "remove it, or use `slide`")
	case zero && n.window == 0:
		r.warn(n.node, n.path, "the negate is as good as dead: the time in question has no length, so it counts at the very instant of the match only",
			"add `window: 30s`, and `slide: -30s` to look back")
	}
}

// doubtSource warns of names that no component is called.
func (r *rule) doubtSource(g *group) {
	last := g.source[strings.LastIndexByte(g.source, '.')+1:]
	e := get(g.node, "event")
	switch {
	case len(last) > 28 || strings.Count(last, "-") > 3:
		r.warn(get(e, "source"), g.path+".event.source", fmt.Sprintf("no software is called %q: the rule sees logs that do not say where they are from, and those of its applications", clip(last, 60)),
			"name the software, such as cre.log.redis, or say what it means with --source")
	case !strings.Contains(g.source, ".") && g.source != "*":
		r.warn(get(e, "source"), g.path+".event.source", fmt.Sprintf("the source %q is not known", clip(g.source, 60)), "sources are called cre.log.NAME or cre.kubernetes")
	}
}
