package matcher

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// RoleVerdict says of one role of a signature whether a record meets its condition.
type RoleVerdict struct {
	Role int    // its number
	Name string // for people: stage "slow-apply", incident, clear, unless 1
	Path string // where the condition is written: stages[0].when
	On   bool   // the record switches the role on
	Off  bool   // the record ends what another one began
	Miss *Miss  // when it is not on: the first part of the condition that is not met
}

// ExplainRecord says for each role of a signature why a record does or does not meet it. It is slow, and for people. It
// returns nil when the program has no signature of this id, and an error when the signature's body cannot be read.
func (p *Program) ExplainRecord(r *record.Record, id string) ([]RoleVerdict, error) {
	n, ok := p.byID(id)
	if !ok {
		return nil, nil
	}
	s, err := p.Body(p.entries[n].short())
	if err != nil {
		return nil, err
	}
	var scratch Scratch
	var out []RoleVerdict
	for _, c := range p.conditionsOf(n) {
		role := int(c.role)
		v := RoleVerdict{Role: role, Name: roleName(s, role), Path: rolePath(s, role), On: p.holds(c.met, r, &scratch)}
		when := roleCondition(s, role)
		if v.On && when != nil && (r.Kind == record.Log || r.Kind == record.Event) { // what the index finds is no test of the compiled form
			v.Miss = FirstMiss(when, r)
			v.On = v.Miss == nil
		}
		if !v.On {
			v.Off = c.ended != none && p.holds(c.ended, r, &scratch)
			if when != nil {
				v.Miss = FirstMiss(when, r)
			}
			if v.Miss == nil { // a limit's series, or what only the compiled form knows
				v.Miss = &Miss{Path: v.Path, Wanted: "a record of this series or object", Seen: shown(r.Attrs.Value(record.MetricName), true)}
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// conditionsOf returns the conditions of an entry.
func (p *Program) conditionsOf(n uint32) []condition {
	first, _ := slices.BinarySearchFunc(p.conditions, n, func(c condition, n uint32) int { return cmp.Compare(c.signature, n) })
	end := first
	for end < len(p.conditions) && p.conditions[end].signature == n {
		end++
	}
	return p.conditions[first:end]
}

// rolePath is where the condition of a role is written.
func rolePath(s *signatures.Signature, role int) string {
	switch {
	case role < len(s.Stages):
		return fmt.Sprintf("stages[%d].when", role)
	case role == RoleIncident:
		return "incident.when"
	case role == RoleClear:
		return "clear.when"
	case s.Frame != nil:
		return fmt.Sprintf("frame.negates[%d].when", role-RoleUnless)
	case role < RoleLimit:
		return fmt.Sprintf("unless[%d].when", role-RoleUnless)
	}
	limit := RoleLimit // they are numbered in the order of their conditions
	for i := range s.Stages {
		if x := s.Stages[i].When.Sample; x != nil && x.Of != nil {
			if limit == role {
				return fmt.Sprintf("stages[%d].when.sample.of", i)
			}
			limit++
		}
	}
	return "incident.when.sample.of"
}

func roleCondition(s *signatures.Signature, role int) *signatures.Condition {
	switch {
	case role < len(s.Stages):
		return &s.Stages[role].When
	case role == RoleIncident:
		return &s.Incident.When
	case role == RoleClear:
		return s.Clear.When
	case role >= RoleUnless && s.Frame != nil:
		return &s.Frame.Negates[role-RoleUnless].When
	case role >= RoleUnless && role < RoleLimit:
		return &s.Unless[role-RoleUnless].When
	}
	return nil
}

func roleName(s *signatures.Signature, role int) string {
	switch {
	case role < len(s.Stages):
		return fmt.Sprintf("stage %q", s.Stages[role].Name)
	case role == RoleIncident:
		return "incident"
	case role == RoleClear:
		return "clear"
	case role >= RoleUnless && s.Frame != nil:
		return fmt.Sprintf("negate %d", role-RoleUnless+1)
	case role >= RoleUnless && role < RoleLimit:
		return fmt.Sprintf("unless %d", role-RoleUnless+1)
	}
	return fmt.Sprintf("limit %d", role-RoleLimit+1)
}
