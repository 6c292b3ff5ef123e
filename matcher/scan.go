package matcher

import (
	"cmp"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
)

// Scan returns the hits of all records of the batch, in the order of the records and, of one record, in the order of the short
// digests: so they depend on the set of signatures only, and not on how the program was put together. They are valid until b or s is used again. It allocates nothing, except where s has to grow and in CEL
// expressions.
//
// It finds candidates, which are pairs of a record and a condition, by what anchors conditions, and then looks at each in
// full. So no prefilter can cause or hide a hit.
func (p *Program) Scan(b *record.Batch, s *Scratch) []Hit {
	s.prepare(p)
	s.hits, s.keys, s.candidates = s.hits[:0], s.keys[:0], s.candidates[:0]
	s.Stats.Batches++
	s.Stats.Records += uint64(b.Len())
	s.Stats.Bytes += uint64(len(b.Text()))
	if len(p.conditions) == 0 || b.Len() == 0 {
		return s.hits
	}
	p.fieldCandidates(b, s)
	p.text.find(b.Text(), b.TextEnds(), s)
	p.findAdded(b, s)
	if s.needPatterns {
		s.runPatterns(b)
	}
	s.text.base += uint64(b.Len())
	slices.Sort(s.candidates)
	p.confirm(b, s)
	s.Stats.Hits += uint64(len(s.hits))
	return s.hits
}

// fieldCandidates adds the candidates that are anchored by attributes, and finds out which parts of the text's index are needed.
func (p *Program) fieldCandidates(b *record.Batch, s *Scratch) {
	s.setConds, s.setEnds, s.gates, s.needPatterns = s.setConds[:0], s.setEnds[:0], 0, false
	s.patterns.begin()
	for j := range b.Sets() {
		var gates uint8
		s.setConds, gates = p.fields.appendConds(s.setConds, b.Set(j), s)
		s.setEnds = append(s.setEnds, uint32(len(s.setConds)))
		s.gates |= gates
		a := s.patterns.automatonOf(s.patterns.groups)
		s.needPatterns = s.needPatterns || a != nil
		s.patterns.ofSet = append(s.patterns.ofSet, a)
	}
	if len(s.setConds) == 0 {
		return
	}
	for i := range b.Len() {
		set := b.AttrSet(i)
		start := uint32(0)
		if set > 0 {
			start = s.setEnds[set-1]
		}
		for _, c := range s.setConds[start:s.setEnds[set]] {
			s.candidates = append(s.candidates, uint64(i)<<32|uint64(c))
		}
	}
}

// confirm looks at the sorted candidates in full.
func (p *Program) confirm(b *record.Batch, s *Scratch) {
	rec, sig := -1, uint32(none)
	var on, off uint64
	var last uint64
	first := 0 // the first hit of the record
	flush := func() {
		if on|off != 0 {
			p.hit(b.Header().Source, sig, on, off&^on, s)
		}
		on, off = 0, 0
	}
	for n, x := range s.candidates {
		if n > 0 && x == last {
			continue
		}
		last = x
		c := &p.conditions[uint32(x)]
		if i := int(x >> 32); i != rec || c.signature != sig {
			flush()
			if i != rec {
				first = sortHits(s.hits, first)
				b.Get(i, &s.record)
			}
			rec, sig = i, c.signature
		}
		if p.gone != nil && p.removed(sig) {
			continue
		}
		s.Stats.Candidates++
		switch {
		case p.holds(c.met, &s.record, s):
			on |= 1 << c.role
		case c.ended != none && p.holds(c.ended, &s.record, s):
			off |= 1 << c.role
		}
	}
	flush()
	sortHits(s.hits, first)
}

// sortHits sorts the hits of one record, which begin at first, and returns where those of the next will begin.
func sortHits(hits []Hit, first int) int {
	if len(hits)-first > 1 {
		slices.SortFunc(hits[first:], func(a, b Hit) int { return cmp.Compare(a.Signature, b.Signature) })
	}
	return len(hits)
}

func (p *Program) hit(source string, sig uint32, on, off uint64, s *Scratch) {
	e := &p.entries[sig]
	start := len(s.keys)
	s.keys = appendKey(s.keys, &p.keys[e.key], &s.record, source)
	s.hits = append(s.hits, Hit{
		Signature: e.short(), Key: s.keys[start:len(s.keys):len(s.keys)], Source: source,
		On: on, Off: off, Record: s.record,
	})
}

// keyEnd ends each part of a key.
const keyEnd = 0x1f

// appendKey appends the correlation key of a record, as [Hit.Key] describes it.
func appendKey(dst []byte, k *keyShape, r *record.Record, source string) []byte {
	if v := r.Attrs.Value(record.Cluster); v != "" {
		dst = appendPart(dst, "cluster", v)
	}
	whole := len(dst)
	if k.stream {
		return appendStream(dst, r, source)
	}
	for i := range k.parts {
		part := &k.parts[i]
		if part.Attrs[0] == record.Cluster {
			continue
		}
		found := false
		for _, key := range part.Attrs {
			if v := r.Attrs.Value(key); v != "" {
				dst, found = appendPart(dst, part.Name, v), true
				break
			}
		}
		if !found && !part.Optional {
			return appendStream(dst[:whole], r, source)
		}
	}
	return dst
}

// appendStream appends where the record was read from: its file, else its pod and container, else its source.
func appendStream(dst []byte, r *record.Record, source string) []byte {
	if v := r.Attrs.Value(record.FilePath); v != "" {
		return appendPart(dst, "stream", v)
	}
	pod := r.Attrs.Value(record.Pod)
	if pod == "" {
		return appendPart(dst, "stream", source)
	}
	dst = append(dst, "stream="...)
	if v := r.Attrs.Value(record.Namespace); v != "" {
		dst = append(appendPlain(dst, v), '/')
	}
	dst = appendPlain(dst, pod)
	if v := r.Attrs.Value(record.Container); v != "" {
		dst = appendPlain(append(dst, '/'), v)
	}
	return append(dst, keyEnd)
}

func appendPart(dst []byte, name, value string) []byte {
	return append(appendPlain(append(append(dst, name...), '='), value), keyEnd)
}

// appendPlain appends value, in which nothing may end the part.
func appendPlain(dst []byte, value string) []byte {
	start := len(dst)
	dst = append(dst, value...)
	for i := start; i < len(dst); i++ {
		if dst[i] == keyEnd {
			dst[i] = ' '
		}
	}
	return dst
}
