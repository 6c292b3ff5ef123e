package matcher

import (
	"slices"

	"github.com/forewarn/forewarn/signatures"
)

// Dress puts what the signature's body says of remedies and references onto a warning. The tracker leaves it out, because
// bodies need not be in memory until a warning is raised.
func Dress(w *Warning, s *signatures.Signature) {
	w.Impact = s.Impact
	w.Remedies = slices.Clone(s.Remedies)
	w.References = slices.Clone(s.References)
}

// Dress does the same with the program's signature; a warning of a signature that is not in the program stays as it is.
func (p *Program) Dress(w *Warning) {
	if i := p.byID(w.Signature); i >= 0 {
		Dress(w, p.signatures[i].Signature)
	}
}
