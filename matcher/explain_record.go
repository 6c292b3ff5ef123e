package matcher

import (
	"fmt"

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
// returns nil when the program has no signature of this id.
func (p *Program) ExplainRecord(r *record.Record, id string) []RoleVerdict {
	i := p.byID(id)
	if i < 0 {
		return nil
	}
	s := p.signatures[i].Signature
	var scratch Scratch
	var out []RoleVerdict
	for n := range p.conditions {
		c := &p.conditions[n]
		if c.signature != i {
			continue
		}
		v := RoleVerdict{Role: c.role, Name: roleName(s, c.role), Path: c.path, On: c.met.holds(r, &scratch)}
		if !v.On {
			v.Off = c.ended != nil && c.ended.holds(r, &scratch)
			if when := roleCondition(s, c.role); when != nil {
				v.Miss = FirstMiss(when, r)
			}
			if v.Miss == nil { // a limit's series, or what only the compiled form knows
				v.Miss = &Miss{Path: c.path, Wanted: "a record of this series or object", Seen: shown(r.Attrs.Value(record.MetricName), true)}
			}
		}
		out = append(out, v)
	}
	return out
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
