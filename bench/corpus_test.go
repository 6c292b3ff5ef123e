package bench

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestWordsFitTheirPlaces(t *testing.T) {
	require.Equal(t, phrasePairs*2, len(verbs)*len(qualities)*len(things)*len(reasons))
	seen := map[string]bool{}
	for i := range 200_000 {
		p := phraseOf(i)
		require.LessOrEqual(t, len(p.text(i)), maxLiteral)
		require.False(t, seen[p.camel()], "phrase %d comes twice", i)
		seen[p.camel()] = true
	}
	for i := range uint64(50_000) {
		require.False(t, seen[nearMiss(mix(i)).camel()], "a near miss is a phrase of a signature")
	}
}

func mustSets(tb testing.TB) map[string]set {
	tb.Helper()
	all, err := sets()
	require.NoError(tb, err)
	return all
}

func TestEveryPatternMatchesItsExampleAndSaysWhatItNeeds(t *testing.T) {
	for name, kind := range mustSets(t) {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			var literals, bare int
			n := min(kind.most, 30_000)
			for i := range n {
				p := kind.make(i)
				require.Equal(t, p, kind.make(i), "pattern %d differs", i)
				id := fmt.Sprint(p.Text, p.fields)
				require.False(t, seen[id], "pattern %d comes twice: %s", i, id)
				seen[id] = true
				if p.fields != nil {
					continue
				}
				require.NotContains(t, p.Example, "\n")
				switch {
				case p.Regex:
					require.True(t, regexp.MustCompile(p.Text).MatchString(p.Example), "%s does not match %s", p.Text, p.Example)
				case p.Fold:
					require.Contains(t, strings.ToLower(p.Example), strings.ToLower(p.Text))
				default:
					require.Contains(t, p.Example, p.Text)
				}
				require.NotEqual(t, len(p.Needs) > 0, p.Frame != "", "pattern %d", i)
				if p.Frame != "" {
					require.True(t, regexp.MustCompile(p.Frame).MatchString(p.Example), p.Text)
					bare++
				}
				if !p.Regex {
					literals++
				}
			}
			switch name {
			case "mixed":
				require.InDelta(t, 0.70, float64(literals)/float64(n), 0.001)
				require.InDelta(t, 0.05, float64(bare)/float64(n), 0.001)
			case "anchored":
				require.Zero(t, bare)
			case "cre":
				require.Equal(t, 440, n)
				require.Equal(t, 330, literals)
			}
		})
	}
}

// small is a workload of little text.
func small(tb testing.TB, set string, count int, edit func(*Workload)) *Workload {
	tb.Helper()
	w, err := ParseWorkload("small.yaml", fmt.Appendf(nil, "title: A small one\nsize_mb: 1\nmatch_percent: 5\nsignatures: {set: %s, counts: [%d]}\n", set, count))
	require.NoError(tb, err)
	if edit != nil {
		edit(w)
	}
	return w
}

func TestCorpusIsTheSameEachTime(t *testing.T) {
	for _, set := range []string{"mixed", "kinds"} {
		w := small(t, set, 300, func(w *Workload) {
			if set == "kinds" {
				w.Records = map[string]int{"log": 1, "event": 1, "change": 1, "sample": 1}
			}
		})
		a, err := w.Corpus()
		require.NoError(t, err)
		b, err := w.Corpus()
		require.NoError(t, err)
		require.Equal(t, a.Frames, b.Frames)
		require.Equal(t, a.Digest, b.Digest)
		if set == "mixed" {
			require.InDelta(t, 180, float64(a.Bytes)/float64(a.Records), 25, "mean length of a line")
		}
		w.Seed++
		c, err := w.Corpus()
		require.NoError(t, err)
		require.NotEqual(t, a.Digest, c.Digest)
	}
}

func TestChangedWorkIsNoticed(t *testing.T) {
	w := small(t, "mixed", 100, nil)
	w.Expect = &Expect{Digest: "0123456789abcdef"}
	_, err := w.Corpus()
	require.ErrorContains(t, err, "its generator makes other work than the expected one")
}

func TestTwinAgreesWithTheLoopOverAllPatterns(t *testing.T) {
	for name, kind := range mustSets(t) {
		t.Run(name, func(t *testing.T) {
			w := small(t, name, min(kind.most, 300), func(w *Workload) {
				if name == kindsSet {
					w.Records = map[string]int{"log": 1, "event": 2, "change": 2, "sample": 2}
				}
			})
			c, err := w.Corpus()
			require.NoError(t, err)
			c.Batches = c.Batches[:2]
			twin, err := newTwin(c.Patterns)
			require.NoError(t, err)
			got := twin.expect(c, []int{10, len(c.Patterns)})
			var few, all int
			for _, b := range c.Batches {
				for i := range b.Len() {
					r := b.At(i)
					for p := range c.Patterns {
						pattern := &c.Patterns[p]
						if pattern.fields != nil && pattern.fields.met(pattern.Text, &r) || pattern.fields == nil && r.Kind == record.Log && twin.matches(int32(p), string(r.Text)) {
							all++
							if p < 10 {
								few++
							}
						}
					}
				}
			}
			require.NotZero(t, all)
			require.Equal(t, []int{few, all}, []int{got[0].Hits, got[1].Hits})
			require.LessOrEqual(t, got[1].Warnings, all)
		})
	}
}
