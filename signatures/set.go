package signatures

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Set is an immutable set of signatures with different ids, in the order of their ids. The nil Set is empty.
type Set struct {
	signatures []*Signature
}

// File is a file that was read.
type File struct {
	Path string            `json:"path"`
	Hash [sha256.Size]byte `json:"hash"` // of its bytes
}

// NewSet makes a set. Of several signatures with the same id the first stays; the others are told as problems.
func NewSet(signatures []*Signature) (*Set, []Problem) {
	var problems []Problem
	byID := make(map[string]*Signature, len(signatures))
	s := &Set{}
	for _, x := range signatures {
		first, ok := byID[x.ID]
		if !ok {
			byID[x.ID] = x
			s.signatures = append(s.signatures, x)
			continue
		}
		where := "another signature"
		if file, line, _, ok := first.Position("id"); ok {
			where = fmt.Sprintf("%s:%d", file, line)
		}
		problems = append(problems, x.Problem("id", fmt.Sprintf("the id %q is taken by %s", x.ID, where), "choose another id, or remove one of them"))
	}
	slices.SortFunc(s.signatures, func(a, b *Signature) int { return strings.Compare(a.ID, b.ID) })
	return s, sortProblems(problems)
}

// Merge joins sets. A signature of a later set replaces the one with the same id of an earlier set, so that a user's own stands for
// the catalogue's.
func Merge(sets ...*Set) *Set {
	byID := make(map[string]int)
	out := &Set{}
	for _, s := range sets {
		if s == nil {
			continue
		}
		for _, x := range s.signatures {
			if i, ok := byID[x.ID]; ok {
				out.signatures[i] = x
				continue
			}
			byID[x.ID] = len(out.signatures)
			out.signatures = append(out.signatures, x)
		}
	}
	slices.SortFunc(out.signatures, func(a, b *Signature) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// All returns the signatures in the order of their ids. The slice is shared: it must not be changed.
func (s *Set) All() []*Signature {
	if s == nil {
		return nil
	}
	return s.signatures
}

// Len is the number of signatures.
func (s *Set) Len() int { return len(s.All()) }

// Get returns the signature with the id.
func (s *Set) Get(id string) (*Signature, bool) {
	all := s.All()
	i, ok := slices.BinarySearchFunc(all, id, func(x *Signature, id string) int { return strings.Compare(x.ID, id) })
	if !ok {
		return nil, false
	}
	return all[i], true
}
