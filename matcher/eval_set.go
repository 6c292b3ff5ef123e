package matcher

import "github.com/forewarn/forewarn/collector/record"

// opinion is what is known of a test before the record is looked at.
type opinion uint8

const (
	undecided opinion = iota
	no
	yes
)

// possible reports whether a record with these attributes could meet a condition, or end it. It is asked once for a set of attributes,
// which many records share: what it refuses is never looked at for any of them.
func (p *Program) possible(n uint32, a record.Attrs, s *Scratch) bool {
	c := &p.conditions[n]
	return p.decide(c.met, a, s) != no || c.ended != none && p.decide(c.ended, a, s) != no
}

// decide evaluates a test as far as attributes decide it.
func (t *tests) decide(at uint32, a record.Attrs, s *Scratch) opinion {
	n := &t.nodes[at]
	switch n.op {
	case opAttr:
		v, ok := a.Get(t.word(n.a))
		return decided(!ok && n.absentOK != 0 || t.matches(n.b, v, ok, s))
	case opPath:
		v, ok := a.Get(record.ChangePath)
		return decided(ok && matchPath(t.word(n.a), v))
	case opAll:
		return t.decideKids(n, at, a, s, no)
	case opAny:
		return t.decideKids(n, at, a, s, yes)
	case opNot:
		switch t.decide(at+1, a, s) {
		case yes:
			return no
		case no:
			return yes
		case undecided:
		}
	case opKind, opValue, opText, opLine, opField, opRegex, opJQ, opCEL: // they are about the record
	}
	return undecided
}

// decideKids is stop when one of the kids is, undecided when one of the others is, and else the opposite of stop.
func (t *tests) decideKids(n *testNode, at uint32, a record.Attrs, s *Scratch, stop opinion) opinion {
	open := false
	for kid := at + 1; kid < n.end; kid = t.nodes[kid].end {
		switch t.decide(kid, a, s) {
		case stop:
			return stop
		case undecided:
			open = true
		case no, yes: // the one that is not stop
		}
	}
	if open {
		return undecided
	}
	return decided(stop == no)
}

func decided(holds bool) opinion {
	if holds {
		return yes
	}
	return no
}
