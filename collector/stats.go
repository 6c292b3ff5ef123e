package collector

import (
	"maps"
	"slices"

	"github.com/forewarn/forewarn/collector/format"
)

// Stats says what was read, and what was lost and why.
type Stats struct {
	// Read and Total are bytes of the files as they are stored. Total grows with what is found; it is 0 when nobody can
	// know.
	Read, Total int64
	Records     uint64
	// Counts are the named counts; see [format.Count].
	Counts format.Counts
	// Formats says how many inputs were of which family.
	Formats map[string]int
	// Problems are the inputs that could not be read, or not to their end.
	Problems []error
}

// Counted returns the counts by name, for metrics and status.
func (s *Stats) Counted() map[string]uint64 {
	m := map[string]uint64{}
	s.Counts.Each(func(c format.Count, n uint64) { m[c.String()] = n })
	return m
}

func (s *Stats) add(o Stats) {
	s.Records += o.Records
	s.Counts.Merge(&o.Counts)
	for name, n := range o.Formats {
		if s.Formats == nil {
			s.Formats = map[string]int{}
		}
		s.Formats[name] += n
	}
	s.Problems = append(s.Problems, o.Problems...)
}

// stats returns what the source did so far. It is called by the source's goroutine.
func (s *source) stats() Stats {
	st := Stats{Counts: s.counts}
	if s.batches != nil {
		st.Records = s.batches.total()
	}
	if s.family != nil {
		st.Formats = map[string]int{s.family.Name: 1}
	}
	if s.problem != nil {
		st.Problems = []error{s.problem}
	}
	return st
}

// report publishes what a source did, for Stats. over says that it is the last time.
func (f *Files) report(s *source, over bool) {
	if n := s.raw.n.Load(); n > s.reported {
		f.read.Add(n - s.reported)
		s.reported = n
	}
	st := s.stats()
	f.mu.Lock()
	defer f.mu.Unlock()
	if over {
		delete(f.open, s)
		f.done.add(st)
		return
	}
	f.open[s] = st
}

// problem notes that something could not even be opened.
func (f *Files) problem(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done.Counts.Add(format.BadInput, 1)
	f.done.Problems = append(f.done.Problems, err)
}

// lost counts what belongs to no source.
func (f *Files) lost(m *Meter, what format.Count, n int) {
	m.Lost(what.String(), n)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done.Counts.Add(what, n)
}

// Stats returns what happened so far. Any goroutine may call it.
func (f *Files) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := Stats{Read: f.read.Load(), Total: f.total.Load(), Formats: maps.Clone(f.done.Formats)}
	st.Records, st.Counts, st.Problems = f.done.Records, f.done.Counts, slices.Clone(f.done.Problems)
	for _, o := range f.open {
		st.add(o)
	}
	return st
}

// Progress returns the bytes read and, when it can be known, of how many. It costs two loads: ask it as often as you like.
func (f *Files) Progress() (read, total int64) { return f.read.Load(), f.total.Load() }
