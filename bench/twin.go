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
}

// window is how many bytes of what patterns need are looked up.
const window = 11

func newTwin(patterns []Pattern) (*twin, error) {
	t := &twin{
		patterns: patterns, regexes: make([]*regexp.Regexp, len(patterns)), windows: map[string][]int32{},
		frames: map[string][]int32{}, frame: map[string]*regexp.Regexp{},
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

// matches reports whether pattern i matches the line.
func (t *twin) matches(i int32, line string) bool {
	p := &t.patterns[i]
	switch {
	case p.Regex:
		return t.regexes[i].MatchString(line)
	case p.Fold:
		return strings.Contains(strings.ToLower(line), strings.ToLower(p.Text))
	}
	return strings.Contains(line, p.Text)
}

// line calls found for every pattern that matches the line, once each.
func (t *twin) line(line string, seen map[int32]bool, found func(pattern int32)) {
	clear(seen)
	look := func(list []int32) {
		for _, i := range list {
			if !seen[i] {
				seen[i] = true
				if t.matches(i, line) {
					found(i)
				}
			}
		}
	}
	lower := strings.ToLower(line)
	for at := 0; at+window <= len(lower); at++ {
		look(t.windows[lower[at:at+window]])
	}
	for _, i := range t.short {
		if !seen[i] && slices.ContainsFunc(t.patterns[i].Needs, func(need string) bool { return strings.Contains(lower, strings.ToLower(need)) }) {
			look([]int32{i})
		}
	}
	for text, list := range t.frames {
		if t.frame[text].MatchString(line) {
			look(list)
		}
	}
}

// count counts the matches of each pattern in the batches: pairs of a record and a pattern.
func (t *twin) count(batches []*record.Batch) (each []int, all int) {
	each = make([]int, len(t.patterns))
	seen := map[int32]bool{}
	for _, b := range batches {
		for i := range b.Len() {
			r := b.At(i)
			t.line(string(r.Text), seen, func(p int32) { each[p]++; all++ })
		}
	}
	return each, all
}
