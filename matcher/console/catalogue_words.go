package console

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// whenWords says a condition aloud.
func whenWords(c *signatures.Condition) string {
	var text string
	switch {
	case c.Event != nil:
		text = eventWords(c.Event)
	case c.Log != nil:
		text = logWords(c.Log)
	case c.Change != nil:
		text = changeWords(c.Change)
	case c.Sample != nil:
		text = sampleWords(c.Sample)
	case c.Alert != nil:
		text = alertWords(c.Alert)
	case len(c.All) > 0:
		text = listWords(c.All, "and")
	case len(c.Any) > 0:
		text = listWords(c.Any, "or")
	case c.Not != nil:
		text = "anything but " + whenWords(c.Not)
	}
	var more []string
	for _, name := range slices.Sorted(maps.Keys(c.Attrs)) {
		more = append(more, name+" "+is(c.Attrs[name]))
	}
	if c.CEL != "" {
		more = append(more, "the expression "+quoted(c.CEL)+" is true")
	}
	if len(more) > 0 {
		text += " for which " + strings.Join(more, " and ")
	}
	return text
}

// thereIs says that a condition is met, as a clause: a record of which kind there is, or what becomes something.
func thereIs(c *signatures.Condition) string {
	first := c
	for len(first.All)+len(first.Any) > 0 {
		if len(first.All) > 0 {
			first = &first.All[0]
		} else {
			first = &first.Any[0]
		}
	}
	if first.Change != nil {
		return whenWords(c)
	}
	return "there is " + whenWords(c)
}

func listWords(list []signatures.Condition, word string) string {
	parts := make([]string, len(list))
	for i := range list {
		parts[i] = whenWords(&list[i])
		if len(list[i].All)+len(list[i].Any) > 0 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, ", "+word+" ")
}

// say joins what something is with what is said of it.
func say(what string, parts ...string) string {
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if len(parts) == 0 {
		return what
	}
	return what + " " + strings.Join(parts, ", ")
}

func eventWords(e *signatures.EventCondition) string {
	what := "an event"
	if len(e.Type.Equals) > 0 {
		what = "a " + strings.Join(e.Type.Equals, " or ") + " event"
	}
	if len(e.Reason.Equals) > 0 {
		what += " " + strings.Join(e.Reason.Equals, " or ")
	}
	parts := []string{}
	if !e.Reason.IsZero() && len(e.Reason.Equals) == 0 {
		parts = append(parts, "whose reason "+is(e.Reason))
	}
	if o := e.Object; o != nil {
		parts = append(parts, phrase("about an object whose kind", o.Kind), phrase("whose name", o.Name), phrase("in a namespace that", o.Namespace))
		if len(o.Kind.Equals) > 0 {
			parts[len(parts)-3] = "about a " + strings.Join(o.Kind.Equals, " or ")
		}
	}
	parts = append(parts, phrase("whose source", e.Source), textWords("whose message", e.Message), textWords("that, as a line,", e.Line))
	return say(what, parts...)
}

func logWords(l *signatures.LogCondition) string {
	what := "a log line"
	if len(l.Component.Equals) > 0 {
		what += " of " + strings.Join(l.Component.Equals, " or ")
	}
	parts := []string{}
	if !l.Component.IsZero() && len(l.Component.Equals) == 0 {
		parts = append(parts, "of a component that "+is(l.Component))
	}
	parts = append(parts, phrase("of a container that", l.Container), phrase("whose level", l.Severity), textWords("that", l.Contains))
	if l.Regex != "" {
		parts = append(parts, "that matches "+quoted(l.Regex))
	}
	if l.JQ != "" {
		parts = append(parts, "for which the jq program "+quoted(l.JQ)+" gives something")
	}
	for i := range l.Fields {
		f := &l.Fields[i]
		text := "whose field " + quoted(f.Name)
		switch {
		case f.Above != nil || f.Below != nil:
			text += " is" + limitWords(f.Above, f.Below)
		case f.Is.IsZero():
			text += " is there"
		default:
			text += " " + is(f.Is)
		}
		parts = append(parts, text)
	}
	return say(what, parts...)
}

func changeWords(c *signatures.ChangeCondition) string {
	kind := strings.Join(c.Kind.Equals, " or ")
	if kind == "" {
		kind = "object"
	}
	text := c.Path + " of a " + kind
	switch {
	case !c.From.IsZero() && !c.To.IsZero():
		text += " goes from " + valueWords(c.From) + " to " + valueWords(c.To)
	case !c.To.IsZero():
		text += " becomes " + valueWords(c.To)
	case !c.From.IsZero():
		text += " is no longer " + valueWords(c.From)
	default:
		text += " changes"
	}
	if !c.Verb.IsZero() {
		text += " (" + strings.Join(c.Verb.Equals, " or ") + ")"
	}
	if c.For != 0 {
		text += " and stays so for " + c.For.String()
	}
	return text
}

func sampleWords(s *signatures.SampleCondition) string {
	text := "the metric " + s.Metric
	if s.Rate != 0 {
		text = "the rate of " + s.Metric + " over " + s.Rate.String()
	}
	text += labelWords(s.Labels)
	if s.Of != nil {
		text += " as a share of " + s.Of.Metric + labelWords(s.Of.Labels)
	}
	if s.Above != nil || s.Below != nil {
		text += " is" + limitWords(s.Above, s.Below)
	}
	if f := s.Forecast; f != nil {
		text += fmt.Sprintf(" is on its way to %s within %s, by the trend of %s", number(f.Reaches), f.Within, f.Over)
	}
	if s.For != 0 {
		text += " for at least " + s.For.String()
	}
	return text
}

func alertWords(a *signatures.AlertCondition) string {
	state := "firing"
	if len(a.State.Equals) > 0 {
		state = strings.Join(a.State.Equals, " or ")
	}
	return "the alert " + nameText(a.Name) + labelWords(a.Labels) + " is " + state
}

func labelWords(labels map[string]signatures.Match) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+" "+is(labels[name]))
	}
	if len(parts) == 0 {
		return ""
	}
	return " where " + strings.Join(parts, " and ")
}

func limitWords(above, below *float64) string {
	switch {
	case above != nil && below != nil:
		return " between " + number(*above) + " and " + number(*below)
	case above != nil:
		return " above " + number(*above)
	default:
		return " below " + number(*below)
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// phrase says a match of something, "" when there is none.
func phrase(what string, m signatures.Match) string {
	if m.IsZero() {
		return ""
	}
	return what + " " + is(m)
}

// is says a match as a verb.
func is(m signatures.Match) string {
	var parts []string
	add := func(verb string, words []string) {
		if len(words) > 0 {
			parts = append(parts, verb+" "+orWords(words))
		}
	}
	add("is", m.Equals)
	add("is not", m.Not)
	add("contains", m.Contains)
	add("begins with", m.Prefix)
	add("ends with", m.Suffix)
	if m.Regex != "" {
		parts = append(parts, "matches "+quoted(m.Regex))
	}
	return strings.Join(parts, " and ")
}

// valueWords says what a value is.
func valueWords(m signatures.Match) string {
	text := is(m)
	if len(m.Equals) == 0 || !strings.HasPrefix(text, "is ") {
		return "something that " + text
	}
	return strings.TrimPrefix(text, "is ")
}

func textWords(what string, t signatures.Text) string {
	var parts []string
	if len(t.Any) > 0 {
		parts = append(parts, "contains "+orWords(t.Any))
	}
	if len(t.All) > 0 {
		quotedAll := make([]string, len(t.All))
		for i, w := range t.All {
			quotedAll[i] = quoted(w)
		}
		parts = append(parts, "contains "+strings.Join(quotedAll, " and "))
	}
	if len(t.None) > 0 {
		parts = append(parts, "does not contain "+orWords(t.None))
	}
	if t.Regex != "" {
		parts = append(parts, "matches "+quoted(t.Regex))
	}
	if len(parts) == 0 {
		return ""
	}
	return what + " " + strings.Join(parts, " and ")
}

func orWords(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = quoted(w)
	}
	return strings.Join(q, " or ")
}

func quoted(s string) string { return "“" + s + "”" }

// oftenWords says how often and how widely something must be seen.
func oftenWords(n int, distinct *signatures.Distinct, within signatures.Duration) string {
	text := ""
	if n > 1 {
		text = strconv.Itoa(n) + " times"
	}
	if distinct != nil {
		text = strings.TrimSpace(text + fmt.Sprintf(" over %d different %s", distinct.Count, strings.Join(distinct.Of, "/")))
	}
	if within != 0 && text != "" {
		text += " within " + within.String()
	}
	return text
}
