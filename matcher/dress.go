package matcher

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/forewarn/forewarn/signatures"
)

// Dress puts what the signature's body says of impact, remedies and references onto a warning. The tracker leaves it out, because
// bodies need not be in memory until a warning is raised.
func Dress(w *Warning, s *signatures.Signature) {
	w.Impact = s.Impact
	w.Remedies = slices.Clone(s.Remedies)
	w.References = slices.Clone(s.References)
}

// Dress does the same with the body that the program gives. After an error the warning is as it was: its signature is not in the
// program, or its body cannot be read.
func (p *Program) Dress(w *Warning) error {
	short, err := strconv.ParseUint(w.Digest[:min(len(w.Digest), 16)], 16, 64)
	if err != nil {
		return fmt.Errorf("read the digest of signature %s: %w", w.Signature, err)
	}
	s, err := p.Body(short)
	if err != nil {
		return err
	}
	Dress(w, s)
	return nil
}
