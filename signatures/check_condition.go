package signatures

import (
	"fmt"
	"regexp"
	"strings"
)

// place says where a condition stands.
type place struct {
	rung  bool // of a stage or the incident
	whole bool // it is not inside all, any or not
	inAll bool // it is an element of `all`, beside others
	inNot bool
}

// condition checks the shape of a condition and its parts.
func (c *checker) condition(path string, w *Condition, at place) {
	set := leaves(w)
	groups := groupNames(w)
	narrow := len(w.Attrs) > 0 || w.CEL != ""
	switch all := append(groups, set...); {
	case len(all) > 1:
		c.error(path, fmt.Sprintf("`%s` and `%s` stand side by side; a condition is one of them", all[0], all[1]),
			"put both under `all:` or `any:`, each behind a dash")
	case len(all) == 0 && !narrow:
		c.error(path, "the condition is empty", "one of event, log, change, sample, alert, all, any")
	case len(all) == 0 && !at.inAll:
		c.error(path, "attrs and cel narrow something else; they can't stand alone", "put event, log, change, sample or alert beside them")
	case len(groups) > 0 && narrow:
		c.error(path, "attrs and cel can't stand beside `"+groups[0]+"`", "put them beside a leaf, or make them an element of `all`")
	}
	c.groups(path, w, at)
	c.attrs(child(path, "attrs"), w.Attrs)
	if w.CEL != "" {
		c.cel(child(path, "cel"), w.CEL)
	}
	if w.Event != nil {
		c.event(child(path, "event"), w.Event)
	}
	if w.Log != nil {
		c.log(child(path, "log"), w.Log)
	}
	if w.Change != nil {
		c.change(child(path, "change"), w.Change, at)
	}
	if w.Sample != nil {
		c.sample(child(path, "sample"), w.Sample, at)
	}
	if w.Alert != nil {
		c.alert(child(path, "alert"), w.Alert)
	}
}

// leaves names the leaves that are set.
func leaves(w *Condition) []string {
	var out []string
	for _, l := range []struct {
		set  bool
		name string
	}{
		{w.Event != nil, "event"}, {w.Log != nil, "log"}, {w.Change != nil, "change"}, {w.Sample != nil, "sample"}, {w.Alert != nil, "alert"},
	} {
		if l.set {
			out = append(out, l.name)
		}
	}
	return out
}

func groupNames(w *Condition) []string {
	var out []string
	if w.All != nil {
		out = append(out, "all")
	}
	if w.Any != nil {
		out = append(out, "any")
	}
	if w.Not != nil {
		out = append(out, "not")
	}
	return out
}

func (c *checker) groups(path string, w *Condition, at place) {
	if w.All != nil {
		p := child(path, "all")
		positive := false
		for i := range w.All {
			positive = positive || w.All[i].Not == nil && (len(leaves(&w.All[i])) > 0 || len(groupNames(&w.All[i])) > 0)
			c.condition(element(p, i), &w.All[i], place{rung: at.rung, inAll: true, inNot: at.inNot})
		}
		switch {
		case len(w.All) == 0:
			c.error(p, "`all` is empty", "")
		case !positive:
			c.error(p, "nothing here says what kind of record is meant", "add a positive event, log, change, sample or alert beside it")
		case kinds(w) == 0:
			c.error(p, "it can never be met: a record is of one kind, and these want different ones", "write two stages, or `any`")
		}
	}
	if w.Any != nil {
		p := child(path, "any")
		if len(w.Any) == 0 {
			c.error(p, "`any` is empty", "")
		}
		for i := range w.Any {
			c.condition(element(p, i), &w.Any[i], place{rung: at.rung, inNot: at.inNot})
		}
	}
	if w.Not != nil {
		p := child(path, "not")
		switch {
		case at.inNot:
			c.error(p, "`not` inside `not`", "write what is meant without both")
		case !at.inAll:
			c.error(p, "`not` stands alone, so nearly every record would meet it",
				"put it into `all:` beside a condition that is positive; for absence over time write `unless`")
		}
		c.condition(p, w.Not, place{rung: at.rung, inAll: at.inAll, inNot: true})
	}
}

// kinds returns the kinds of record that can meet a condition as a set of bits, one for each leaf; all of them when it does not say.
func kinds(w *Condition) int {
	const every = 1<<5 - 1
	set := every
	switch {
	case w.All != nil:
		for i := range w.All {
			if w.All[i].Not == nil {
				set &= kinds(&w.All[i])
			}
		}
	case w.Any != nil:
		set = 0
		for i := range w.Any {
			set |= kinds(&w.Any[i])
		}
	case w.Event != nil:
		set = 1
	case w.Log != nil:
		set = 2
	case w.Change != nil:
		set = 4
	case w.Sample != nil:
		set = 8
	case w.Alert != nil:
		set = 16
	}
	return set
}

func (c *checker) event(path string, e *EventCondition) {
	c.match(child(path, "type"), e.Type)
	c.enumMatch(child(path, "type"), e.Type, []string{"Normal", "Warning"})
	c.match(child(path, "reason"), e.Reason)
	c.text(child(path, "message"), e.Message)
	c.text(child(path, "line"), e.Line)
	c.match(child(path, "source"), e.Source)
	if o := e.Object; o != nil {
		p := child(path, "object")
		c.match(child(p, "kind"), o.Kind)
		c.match(child(p, "name"), o.Name)
		c.match(child(p, "namespace"), o.Namespace)
		c.kindName(child(p, "kind"), o.Kind)
	}
}

// kindName warns of kinds that are written as resources are: pods, node.
func (c *checker) kindName(path string, m Match) {
	for i, k := range m.Equals {
		if k != "" && (k[0] < 'A' || k[0] > 'Z') {
			up := strings.ToUpper(k[:1]) + strings.TrimSuffix(k[1:], "s")
			c.warn(element(child(path, "equals"), i), fmt.Sprintf("%q is not how kinds are written", clip(k)), "write "+clip(up))
		}
	}
}

func (c *checker) log(path string, l *LogCondition) {
	c.match(child(path, "component"), l.Component)
	c.match(child(path, "container"), l.Container)
	c.match(child(path, "severity"), l.Severity)
	c.enumMatch(child(path, "severity"), l.Severity, []string{"debug", "info", "warn", "error", "fatal"})
	c.text(child(path, "contains"), l.Contains)
	c.regex(child(path, "regex"), l.Regex)
	c.jq(child(path, "jq"), l.JQ)
	for i := range l.Fields {
		f, p := &l.Fields[i], element(child(path, "fields"), i)
		c.match(child(p, "is"), f.Is)
		c.between(p, f.Above, f.Below)
		if f.Is.IsZero() && f.Above == nil && f.Below == nil {
			c.error(p, fmt.Sprintf("nothing is said of the field %q", clip(f.Name)), "add is, above or below")
		}
	}
	c.price(path, l)
}

// price warns of a regex that can't be looked for by a literal, when only its surroundings narrow it.
func (c *checker) price(path string, l *LogCondition) {
	regex, at := l.Regex, child(path, "regex")
	if regex == "" {
		regex, at = l.Contains.Regex, child(child(path, "contains"), "regex")
	}
	if _, err := regexp.Compile(regex); err != nil || len(regex) > maxRegex {
		return // which is reported
	}
	if regex != "" && !literalRegex(regex) && !anchorText(l.Contains) {
		c.warn(at, "every line that the rest of the condition lets through is matched with this regex: it has no literal of 3 bytes",
			"add `contains` with a text that is in every such line")
		return
	}
	if regex == "" && l.JQ == "" && l.Contains.IsZero() && len(l.Fields) == 0 && l.Container.IsZero() && !l.Component.IsZero() {
		c.warn(path, "every line of the component meets this", "add contains, regex or fields")
	}
}

func (c *checker) change(path string, ch *ChangeCondition, at place) {
	c.match(child(path, "kind"), ch.Kind)
	c.kindName(child(path, "kind"), ch.Kind)
	c.match(child(path, "from"), ch.From)
	c.match(child(path, "to"), ch.To)
	c.match(child(path, "verb"), ch.Verb)
	c.enumMatch(child(path, "verb"), ch.Verb, []string{"added", "modified", "deleted"})
	if message, offset := badChangePath(ch.Path); message != "" {
		c.add(LevelError, child(path, "path"), offset, message, "such as status.conditions[Ready].status or spec.replicas")
	}
	c.positive(child(path, "for"), ch.For)
	if ch.For != 0 && (!at.whole || !at.rung) {
		c.whole(child(path, "for"), "for", at)
	}
	if ch.For != 0 && len(ch.Verb.Equals) == 1 && ch.Verb.Equals[0] == "deleted" {
		c.error(child(path, "for"), "what is deleted does not stay so", "remove `for`")
	}
}

// badChangePath says what is wrong with a path into an object, and where.
func badChangePath(p string) (message string, offset int) {
	depth, start := 0, 0
	for i := range len(p) {
		switch c := p[i]; {
		case c == '[' && depth == 0:
			depth, start = 1, i
		case c == '[':
			return "a bracket inside brackets", i
		case c == ']' && depth == 0:
			return "a bracket is closed that was not opened", i
		case c == ']' && i == start+1:
			return "empty brackets; [*] stands for any element", start
		case c == ']':
			depth = 0
		case depth == 0 && c == ' ':
			return "a space in a path", i
		case depth == 0 && c == '.' && (i == 0 || i == len(p)-1 || p[i-1] == '.'):
			return "an empty step in a path", i
		}
	}
	if depth > 0 {
		return "a bracket is not closed", start
	}
	return "", 0
}

// whole refuses what needs the history of one series or object where records are looked at one by one.
func (c *checker) whole(path, what string, at place) {
	if !at.rung {
		c.error(path, "`"+what+"` looks at more than one record, which `clear` and `unless` do not", "remove it; `clear` has a `for` of its own")
		return
	}
	c.error(path, "`"+what+"` looks at more than one record, so the leaf must be the whole condition", "make it a stage of its own, without all and any")
}

func (c *checker) positive(path string, d Duration) {
	if d < 0 {
		c.error(path, "the time can't be negative", "")
	}
}

// between checks a pair of thresholds.
func (c *checker) between(path string, above, below *float64) {
	if above != nil && below != nil && *above >= *below {
		c.error(child(path, "below"), fmt.Sprintf("no number is above %v and below %v", *above, *below), "for outside a range write two conditions under `any`")
	}
}

func (c *checker) alert(path string, a *AlertCondition) {
	c.match(child(path, "name"), a.Name)
	c.match(child(path, "state"), a.State)
	c.enumMatch(child(path, "state"), a.State, []string{"firing", "resolved"})
	c.attrs(child(path, "labels"), a.Labels)
}

// attrs checks matches by name.
func (c *checker) attrs(path string, m map[string]Match) {
	for _, k := range sortedKeys(m) {
		if m[k].IsZero() && !m[k].IgnoreCase {
			c.error(child(path, k), "nothing is said of "+clip(k), "")
		}
		c.match(child(path, k), m[k])
	}
}
