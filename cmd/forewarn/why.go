package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// lack is what records of one role fell short of, all at the same part of its condition.
type lack struct {
	records uint64
	example matcher.Miss
}

// shortfall is how far the records came that did not meet a role.
type shortfall struct {
	name  string
	met   bool
	lacks map[string]*lack // by the part of the condition
}

// compare notes for each role of the signature to explain what keeps the records of a batch from meeting it.
func (s *scan) compare(b *record.Batch) error {
	if s.short == nil {
		s.short = map[int]*shortfall{}
	}
	for i := range b.Len() {
		r := b.At(i)
		verdicts, err := s.program.ExplainRecord(&r, s.explain)
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			f := s.short[v.Role]
			if f == nil {
				f = &shortfall{name: v.Name, lacks: map[string]*lack{}}
				s.short[v.Role] = f
			}
			if f.met = f.met || v.On; f.met || v.Miss == nil {
				continue
			}
			l := f.lacks[v.Miss.Path]
			if l == nil {
				l = &lack{example: *v.Miss}
				f.lacks[v.Miss.Path] = l
			}
			l.records++
		}
	}
	return nil
}

// tellWhy writes which rungs were reached for each key, and of those that no record met, which parts of the condition the records
// fell short of: those that few failed at first, for they came nearest.
func (s *scan) tellWhy(progress []matcher.Progress) error {
	var b strings.Builder
	for i := range progress {
		b.WriteString(progress[i].String() + "\n")
	}
	if len(progress) == 0 {
		fmt.Fprintf(&b, "%s: nothing that it follows was seen, or it is over\n", s.explain)
	}
	for _, role := range slices.Sorted(maps.Keys(s.short)) {
		f := s.short[role]
		if f.met || role > matcher.RoleIncident {
			continue
		}
		fmt.Fprintf(&b, "  no record meets %s; they fall short of\n", f.name)
		lacks := slices.SortedFunc(maps.Values(f.lacks), func(a, b *lack) int {
			return cmp.Or(cmp.Compare(a.records, b.records), strings.Compare(a.example.Path, b.example.Path))
		})
		const most = 4
		for _, l := range lacks[:min(most, len(lacks))] {
			fmt.Fprintf(&b, "    %s (%s)\n", l.example.String(), plural(l.records, "record"))
		}
	}
	to := s.explainTo
	if to == nil {
		to = s.err
	}
	if _, err := io.WriteString(to, b.String()); err != nil {
		return fmt.Errorf("write explanation: %w", err)
	}
	return nil
}
