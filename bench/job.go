package bench

import (
	"fmt"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// job is the work of one number of signatures on one corpus, as peers need it: texts, patterns, and what the engine found.
type job struct {
	corpus   *Corpus
	n        int // signatures
	program  *matcher.Program
	texts    [][]byte   // of all records
	patterns []*Pattern // of each signature; nil where it is more than one text, so that no peer can look for it
	found    []found    // by the engine
	dir      string     // for files that other processes read
}

// found is one hit of the engine.
type found struct{ record, pattern int32 }

// newJob compiles the first n signatures and lets the engine find what there is, outside any measurement.
func newJob(c *Corpus, n int, dir string) (*job, error) {
	j := &job{corpus: c, n: n, dir: dir}
	var err error
	if j.program, err = c.Compile(n); err != nil {
		return nil, err
	}
	byDigest := make(map[uint64]int32, n)
	for i, s := range c.Signatures[:n] {
		byDigest[s.ShortDigest()] = int32(i)
		if c.Patterns != nil {
			j.patterns = append(j.patterns, &c.Patterns[i])
		} else {
			j.patterns = append(j.patterns, patternOf(s))
		}
	}
	for i, p := range j.patterns {
		if p != nil && p.fields != nil {
			j.patterns[i] = nil
		}
	}
	s := matcher.NewScratch(j.program)
	ordinal := map[*byte]int32{}
	for _, b := range c.Batches {
		clear(ordinal)
		for i := range b.Len() {
			r := b.At(i)
			if len(r.Text) > 0 {
				ordinal[&r.Text[0]] = int32(len(j.texts))
			}
			j.texts = append(j.texts, r.Text)
		}
		for _, h := range j.program.Scan(b, s) {
			at := int32(-1) // a record without a text, of which no peer knows
			if len(h.Record.Text) > 0 {
				at = ordinal[&h.Record.Text[0]]
			}
			j.found = append(j.found, found{at, byDigest[h.Signature]})
		}
	}
	return j, nil
}

// patternOf is what a signature of the user's own looks for, if that is one text or one expression in log lines and nothing else.
func patternOf(s *signatures.Signature) *Pattern {
	if len(s.Stages) != 1 || s.Incident != nil || s.Clear.When != nil || len(s.Unless) > 0 {
		return nil
	}
	w := s.Stages[0].When
	l := w.Log
	if l == nil || w.CEL != "" || len(w.Attrs) > 0 || !l.Component.IsZero() || !l.Container.IsZero() || !l.Severity.IsZero() || len(l.Fields) > 0 {
		return nil
	}
	c := l.Contains
	switch {
	case l.Regex != "" && c.IsZero():
		return &Pattern{Text: l.Regex, Regex: true}
	case l.Regex == "" && len(c.Any) == 1 && len(c.All) == 0 && len(c.None) == 0 && c.Regex == "":
		return &Pattern{Text: c.Any[0], Fold: c.IgnoreCase}
	}
	return nil
}

// part is what a peer works on: the first records, and those patterns that take lets through.
type part struct {
	texts    [][]byte
	bytes    int
	patterns []*Pattern
	hits     int // of the engine on the same: pairs of a record and a pattern
	lines    int // records with at least one
}

// part cuts the job to what a peer can do: records is how many of them, 0 for all.
func (j *job) part(records int, take func(*Pattern) bool) part {
	if records <= 0 || records > len(j.texts) {
		records = len(j.texts)
	}
	p := part{texts: j.texts[:records]}
	for _, t := range p.texts {
		p.bytes += len(t) + 1
	}
	taken := make([]bool, len(j.patterns))
	for i, x := range j.patterns {
		if x != nil && take(x) {
			taken[i] = true
			p.patterns = append(p.patterns, x)
		}
	}
	last := int32(-1)
	for _, f := range j.found {
		if f.record < 0 || int(f.record) >= records || !taken[f.pattern] {
			continue
		}
		p.hits++
		if f.record != last {
			p.lines++
			last = f.record
		}
	}
	return p
}

// hasPatterns reports whether there is anything that a peer can look for.
func (j *job) hasPatterns() bool {
	return slices.ContainsFunc(j.patterns, func(p *Pattern) bool { return p != nil })
}

// every takes all patterns.
func every(*Pattern) bool { return true }

// note says what a part leaves out, in words; "" when nothing.
func (j *job) note(p *part) string {
	text := ""
	if n := len(p.patterns); n < j.n {
		text = fmt.Sprintf("%d of %d patterns", n, j.n)
	}
	if n := len(p.texts); n < len(j.texts) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("the first %d records", n)
	}
	return text
}

// engine is the candidate that it is all about. It does its work drag times over again.
func (j *job) engine(drag int) candidate {
	s := matcher.NewScratch(j.program)
	batches := j.corpus.Batches
	want := len(j.found)
	if e, ok := j.corpus.Expected(j.n); ok {
		want = e.Hits
	}
	return candidate{name: engineName, want: want, run: func() (hits int, err error) {
		for _, b := range batches {
			for range drag {
				j.program.Scan(b, s)
			}
			hits += len(j.program.Scan(b, s))
		}
		return hits, nil
	}}
}

// kindsOnly reports whether the corpus has no log lines, so that peers have nothing to look at.
func (c *Corpus) kindsOnly() bool {
	for _, b := range c.Batches {
		for i := range b.Len() {
			if b.Kind(i) == record.Log {
				return false
			}
		}
	}
	return true
}
