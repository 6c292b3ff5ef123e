package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// need is an input that a condition needs: records of a kind, whose name passes a test.
type need struct {
	kind record.Kind
	name signatures.Match // zero is any
}

// needsOf returns what a record (with a series beside it) must be to meet a condition: one of the alternatives, all of whose needs are met. It
// promises too much rather than too little: what it leaves out makes a condition harder to meet and never easier.
func needsOf(c *signatures.Condition) (alternatives [][]need) {
	switch {
	case c.Event != nil:
		alternatives = [][]need{{{kind: record.Event}}}
	case c.Log != nil:
		alternatives = [][]need{{{record.Log, c.Log.Component}}}
	case c.Change != nil:
		alternatives = [][]need{{{record.Change, c.Change.Kind}}}
	case c.Sample != nil:
		all := []need{{record.Sample, signatures.Match{Equals: []string{c.Sample.Metric}}}}
		if c.Sample.Of != nil {
			all = append(all, need{record.Sample, signatures.Match{Equals: []string{c.Sample.Of.Metric}}})
		}
		alternatives = [][]need{all}
	case c.Alert != nil:
		alternatives = [][]need{{{record.Alert, c.Alert.Name}}}
	}
	for i := range c.Any {
		alternatives = append(alternatives, needsOf(&c.Any[i])...)
	}
	for i := range c.All { // the same record meets all of them: the first that says which is enough
		found := needsOf(&c.All[i])
		if len(found) > 0 && (len(alternatives) == 0 || vague(alternatives) && !vague(found)) {
			alternatives = found
		}
	}
	return alternatives
}

// vague reports whether some alternative names nothing but kinds.
func vague(alternatives [][]need) bool {
	return slices.ContainsFunc(alternatives, func(all []need) bool {
		return !slices.ContainsFunc(all, func(n need) bool { return !n.name.IsZero() })
	})
}

// String names a need for people.
func (n need) String() string {
	name := nameText(n.name)
	switch n.kind {
	case record.Event:
		return "events"
	case record.Log:
		if name != "" {
			return "logs of " + name
		}
		return "logs"
	case record.Change:
		if name != "" {
			return "changes of " + name + " objects"
		}
		return "changes of objects"
	case record.Sample:
		return "the metric " + name
	case record.Alert:
		if name != "" {
			return "the alert " + name
		}
		return "alerts"
	}
	return n.kind.String()
}

func nameText(m signatures.Match) string {
	var parts []string
	for _, p := range []struct {
		what  string
		words []string
	}{
		{"", m.Equals}, {"anything but ", m.Not}, {"what contains ", m.Contains}, {"what begins with ", m.Prefix}, {"what ends with ", m.Suffix},
	} {
		if len(p.words) > 0 {
			parts = append(parts, p.what+strings.Join(p.words, " or "))
		}
	}
	if m.Regex != "" {
		parts = append(parts, "what matches "+m.Regex)
	}
	return strings.Join(parts, " and ")
}

// role judges a condition by its best alternative.
func (e *eye) role(c *signatures.Condition) RoleSight {
	var best RoleSight
	for _, all := range needsOf(c) {
		r := RoleSight{Sight: Sighted}
		for _, n := range all {
			s := e.need(n)
			if worse(s.Sight, r.Sight) > 0 {
				r.Sight = s.Sight
			}
			r.Needs = append(r.Needs, s)
		}
		if best.Sight == "" || worse(r.Sight, best.Sight) < 0 {
			best = r
		}
	}
	if best.Sight == "" { // a condition without a positive part is refused by lint
		best.Sight = Untested
	}
	return best
}

// need judges one need.
func (e *eye) need(n need) NeedSight {
	key := n.String() + fmt.Sprint(n.name.IgnoreCase)
	if s, ok := e.known[key]; ok {
		return s
	}
	s := NeedSight{Need: n.String(), Kind: n.kind.String()}
	s.Sight, s.Last, s.Says = e.look(n)
	e.known[key] = s
	return s
}

// look says how well a need can be seen.
func (e *eye) look(n need) (sight Sight, last time.Time, says string) {
	names := e.given.Seen.Kinds[n.kind.String()]
	newest := int64(0)
	nameless := false
	for name, at := range names {
		switch {
		case n.name.IsZero() || name != "" && passes(n.name, name):
			newest = max(newest, at)
		case name == "" && n.kind == record.Log: // the condition takes a line that does not say who wrote it
			nameless = true
		}
	}
	since := e.given.Seen.Since
	watched := e.given.Now.Sub(since)
	given := e.given.Kinds&(1<<n.kind) != 0
	switch {
	case newest > 0:
		return Sighted, time.Unix(newest, 0).UTC(), fmt.Sprintf("last seen %s ago", span(e.given.Now.Sub(time.Unix(newest, 0))))
	case e.given.Processes == 0:
		return Untested, last, "no matching process says what it sees"
	case nameless:
		return Untested, last, "logs come that do not say who wrote them: it may be among them"
	case slices.Contains(e.given.Seen.Full, n.kind.String()):
		return Untested, last, "more comes than is remembered"
	case e.given.Whole && len(names) == 0:
		return Missing, last, "there is none"
	case e.given.Whole:
		return Unseen, last, "there is none, while there are other " + kindText(n.kind.String())
	case len(names) == 0 && !given && watched >= settleKind:
		return Missing, last, fmt.Sprintf("no source gives %s; none came for %s", kindText(n.kind.String()), span(watched))
	case watched < Settle && !given:
		return Untested, last, fmt.Sprintf("not seen in the %s that it was looked for", span(watched))
	case n.kind == record.Event, n.kind == record.Alert, n.kind == record.Change:
		return Quiet, last, fmt.Sprintf("none came for %s, and a source gives %s", span(watched), kindText(n.kind.String()))
	case watched < Settle:
		return Untested, last, fmt.Sprintf("not seen in the %s that it was looked for", span(watched))
	}
	return Unseen, last, fmt.Sprintf("never seen for %s, while other %s come", span(watched), kindText(n.kind.String()))
}

// passes reports whether a name passes a match.
func passes(m signatures.Match, name string) bool {
	return matcher.Evaluate(&signatures.Condition{Attrs: map[string]signatures.Match{record.Component: m}},
		&record.Record{Attrs: record.Attrs{{Key: record.Component, Value: name}}})
}

// kindText names all records of a kind.
func kindText(kind string) string {
	switch kind {
	case record.Event.String():
		return "events"
	case record.Change.String():
		return "changes of objects"
	case record.Sample.String():
		return "metrics"
	default:
		return kind + "s"
	}
}
