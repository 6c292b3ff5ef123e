package bench

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// twin finds the same matches as the engine in another way, so that both can hardly be wrong alike. It looks up a line's every window
// of a few bytes in a map from what patterns need, and then asks strings.Contains or the standard regexp.
type twin struct {
	patterns []Pattern
	regexes  []*regexp.Regexp
	windows  map[string][]int32 // patterns by the rarest window of each text that they need, in lower case
	short    []int32            // patterns with a text that is shorter than a window
	frames   map[string][]int32 // patterns by frame
	frame    map[string]*regexp.Regexp
	byAttr   map[record.Attr][]int32 // patterns with fields by the first of them
}

// window is how many bytes of what patterns need are looked up.
const window = 11

func newTwin(patterns []Pattern) (*twin, error) {
	t := &twin{
		patterns: patterns, regexes: make([]*regexp.Regexp, len(patterns)), windows: map[string][]int32{},
		frames: map[string][]int32{}, frame: map[string]*regexp.Regexp{}, byAttr: map[record.Attr][]int32{},
	}
	often := map[string]int{}
	for i := range patterns {
		for _, need := range patterns[i].Needs {
			for at := 0; at+window <= len(need); at++ {
				often[strings.ToLower(need[at:at+window])]++
			}
		}
	}
	for i := range patterns {
		p := &patterns[i]
		if p.fields != nil {
			t.byAttr[p.fields.attrs[0]] = append(t.byAttr[p.fields.attrs[0]], int32(i))
			continue
		}
		var err error
		if p.Regex {
			if t.regexes[i], err = regexp.Compile(p.Text); err != nil {
				return nil, fmt.Errorf("pattern %d: %w", i, err)
			}
		}
		for _, need := range p.Needs {
			t.need(int32(i), strings.ToLower(need), often)
		}
		if p.Frame == "" {
			continue
		}
		if t.frame[p.Frame] == nil {
			if t.frame[p.Frame], err = regexp.Compile(p.Frame); err != nil {
				return nil, fmt.Errorf("frame of pattern %d: %w", i, err)
			}
		}
		t.frames[p.Frame] = append(t.frames[p.Frame], int32(i))
	}
	return t, nil
}

func (t *twin) need(i int32, need string, often map[string]int) {
	if len(need) < window {
		t.short = append(t.short, i)
		return
	}
	best := need[:window]
	for at := 1; at+window <= len(need); at++ {
		if w := need[at : at+window]; often[w] < often[best] {
			best = w
		}
	}
	t.windows[best] = append(t.windows[best], i)
}

// matches reports whether pattern i matches a text. Patterns with fields ask for more: see fields.met.
func (t *twin) matches(i int32, text string) bool {
	p := &t.patterns[i]
	switch {
	case p.Regex:
		return t.regexes[i].MatchString(text)
	case p.Fold:
		return strings.Contains(strings.ToLower(text), strings.ToLower(p.Text))
	}
	return strings.Contains(text, p.Text)
}

// finder is one goroutine's use of a twin.
type finder struct {
	*twin
	seen  map[int32]bool
	found []int32
}

// line returns the patterns that match the text of a log record, once each. They are valid until the next call.
func (f *finder) line(text string) []int32 {
	clear(f.seen)
	f.found = f.found[:0]
	lower := strings.ToLower(text)
	for at := 0; at+window <= len(lower); at++ {
		f.look(f.windows[lower[at:at+window]], text)
	}
	for _, i := range f.short {
		if slices.ContainsFunc(f.patterns[i].Needs, func(need string) bool { return strings.Contains(lower, strings.ToLower(need)) }) {
			f.look([]int32{i}, text)
		}
	}
	for frame, list := range f.frames {
		if f.frame[frame].MatchString(text) {
			f.look(list, text)
		}
	}
	return f.found
}

func (f *finder) look(list []int32, text string) {
	for _, i := range list {
		if !f.seen[i] {
			f.seen[i] = true
			if f.matches(i, text) {
				f.found = append(f.found, i)
			}
		}
	}
}

// record returns the patterns that a record is a hit of, once each. They are valid until the next call.
func (f *finder) record(r *record.Record) (hits []int32) {
	if r.Kind == record.Log {
		return f.line(string(r.Text))
	}
	f.found = f.found[:0]
	for _, a := range r.Attrs {
		for _, i := range f.byAttr[a] {
			if p := &f.patterns[i]; p.fields.met(p.Text, r) {
				f.found = append(f.found, i)
			}
		}
	}
	return f.found
}

// on reports whether a record that is a hit of the pattern also meets it.
func (p *Pattern) on(r *record.Record) bool {
	return p.fields == nil || r.Kind != record.Sample || r.Value > p.fields.above
}

// expect counts what the first n patterns find, for each n.
func (t *twin) expect(c *Corpus, counts []int) []Counts {
	hits, warnings := make([]int, len(t.patterns)), make([]int, len(t.patterns))
	type key struct {
		pattern int32
		pod     string
	}
	warned := map[key]bool{}
	f := finder{twin: t, seen: map[int32]bool{}}
	for _, b := range c.Batches {
		for i := range b.Len() {
			r := b.At(i)
			for _, p := range f.record(&r) {
				hits[p]++
				k := key{p, r.Attrs.Value(record.Namespace) + "/" + r.Attrs.Value(record.Pod)}
				if t.patterns[p].on(&r) && !warned[k] {
					k.pod = strings.Clone(k.pod)
					warned[k] = true
					warnings[p]++
				}
			}
		}
	}
	out := make([]Counts, len(counts))
	for i, n := range counts {
		out[i].Signatures = n
		for p := range n {
			out[i].Hits += hits[p]
			out[i].Warnings += warnings[p]
		}
	}
	return out
}

// met reports whether a record is what the fields and the text ask for, but for its value: a sample on the wrong side of a threshold is a
// hit too, because it may end what another one began.
func (f *fields) met(text string, r *record.Record) bool {
	if r.Kind != f.kind || !strings.Contains(string(r.Text), text) {
		return false
	}
	for _, a := range f.attrs {
		if r.Attrs.Value(a.Key) != a.Value {
			return false
		}
	}
	return true
}
