package main

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// describe tells a signature in words, in the order in which it is lived through.
func describe(s *signatures.Signature) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s (%s, %s)", s.Title, s.ID, s.Severity)
	for _, p := range []struct{ name, text string }{{"impact", s.Impact}, {"cause", s.Cause}} {
		if p.text != "" {
			line("  %s: %s", p.name, strings.Join(strings.Fields(p.text), " "))
		}
	}
	line("  followed for each %s; %s", strings.Join(s.By, ", "), orderText(s))
	for i := range s.Stages {
		st := &s.Stages[i]
		line("  %d. %s: %s", i+1, st.Name, withTitle(st.Title, conditionText(&st.When)))
		line("     %s", needText(st.Count, st.Distinct, st.Within))
		if st.FollowsWithin != 0 {
			line("     within %s of the stage before", st.FollowsWithin)
		}
		for j := range s.Unless {
			if u := &s.Unless[j]; u.Anchor == st.Name || u.Anchor == "" && i == len(s.Stages)-1 {
				line("     unless, from %s after it and for %s: %s", u.Slide, u.Window, conditionText(&u.When))
			}
		}
		if s.Frame == nil && (st.Name == s.Tell || s.Tell == "" && i == 0) {
			line("     people are told from here on")
		}
	}
	describeFrame(s, line)
	if in := s.Incident; in != nil {
		line("  incident: %s", withTitle(in.Title, conditionText(&in.When)))
		line("     %s", needText(in.Count, in.Distinct, in.Within))
	}
	if s.Clear.When != nil {
		text := "  over when: " + conditionText(s.Clear.When)
		if s.Clear.For != 0 {
			text += fmt.Sprintf(", and no stage for %s after it", s.Clear.For)
		}
		line("%s", text)
	}
	if s.Clear.Quiet != 0 {
		line("  over when no stage was seen for %s", s.Clear.Quiet)
	}
	for _, r := range s.Remedies {
		line("  remedy (%s): %s", r.Risk, strings.Join(strings.Fields(r.Do), " "))
		if r.Command != "" {
			line("      $ %s", r.Command)
		}
	}
	for _, r := range s.References {
		line("  see %s", r)
	}
	return b.String()
}

// describeFrame tells what makes the stages a figure in time.
func describeFrame(s *signatures.Signature, line func(format string, args ...any)) {
	if s.Frame == nil {
		return
	}
	line("  each record counts once; people are told when all stages are there%s, and it fires again with other records", withinText(s.Frame.Window))
	for i := range s.Frame.Negates {
		n := &s.Frame.Negates[i]
		from, long := "its first record", "as long as it takes"
		if n.Anchor > 0 {
			from = fmt.Sprintf("its record %d", n.Anchor+1)
		}
		if n.Slide != 0 {
			from += fmt.Sprintf(" and %s", n.Slide)
		}
		switch {
		case n.Absolute:
			long = n.Window.String()
		case n.Window != 0:
			long += " and " + n.Window.String()
		}
		line("  unless, from %s on and for %s: %s", from, long, conditionText(&n.When))
	}
}

func withTitle(title, condition string) string {
	if title == "" {
		return condition
	}
	return title + "\n     when " + condition
}

func orderText(s *signatures.Signature) string {
	switch {
	case s.Order != signatures.Any:
		return "stages in order"
	case s.Need > 0 && s.Need < len(s.Stages):
		return fmt.Sprintf("any %d of %d stages%s", s.Need, len(s.Stages), withinText(s.Within))
	default:
		return "all stages, in any order" + withinText(s.Within)
	}
}

func withinText(d signatures.Duration) string {
	if d == 0 {
		return ""
	}
	return " within " + d.String()
}

func needText(count int, distinct *signatures.Distinct, within signatures.Duration) string {
	text := "once"
	if count > 1 {
		text = fmt.Sprintf("%d times", count)
	}
	if distinct != nil {
		text += fmt.Sprintf(" over %d different %s", distinct.Count, strings.Join(distinct.Of, "/"))
	}
	if time.Duration(within) > 0 {
		text += " within " + within.String()
	}
	return text
}

// conditionText is the condition as its author wrote it, on one line.
func conditionText(c *signatures.Condition) string {
	var n yaml.Node
	if err := n.Encode(c); err != nil {
		return err.Error()
	}
	flow(&n)
	b, err := yaml.Marshal(&n)
	if err != nil {
		return err.Error()
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	return strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
}

func flow(n *yaml.Node) {
	n.Style = n.Style&^(yaml.LiteralStyle|yaml.FoldedStyle) | yaml.FlowStyle
	for _, c := range n.Content {
		flow(c)
	}
}
