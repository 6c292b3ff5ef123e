package matcher

// Anchor is something that records are looked up by: a record that meets the condition of the role has at least one of the
// anchors that the condition is listed with.
type Anchor struct {
	Digest string // of the signature, in hex
	Role   int    // the role of the condition
	Field  string // the attribute that is looked up, or "text" for a literal in the text
	Value  string // the attribute's value in lower case, or the literal
}

// Anchors lists what each condition is looked up by, in the order of the conditions, for the store's index and for people.
func (p *Program) Anchors() []Anchor {
	var list []Anchor
	for i := range p.conditions {
		c := &p.conditions[i]
		for _, a := range c.anchors() {
			field := a.key
			if field == "" {
				field = "text"
			}
			list = append(list, Anchor{Digest: p.signatures[c.signature].DigestText, Role: c.role, Field: field, Value: a.value})
		}
	}
	return list
}
