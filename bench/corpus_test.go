package bench

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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

func TestEveryPatternMatchesItsExampleAndSaysWhatItNeeds(t *testing.T) {
	for name, kind := range sets() {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			var literals, bare int
			n := min(kind.most, 30_000)
			for i := range n {
				p := kind.make(i)
				require.Equal(t, p, kind.make(i), "pattern %d differs", i)
				require.False(t, seen[p.Text], "pattern %d comes twice: %s", i, p.Text)
				seen[p.Text] = true
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
			}
		})
	}
}

func TestCorpusIsTheSameEachTime(t *testing.T) {
	w := Workload{Seed: 5, Size: 1 << 20, Signatures: SignatureSet{Set: "mixed", Count: 500}}
	w.fillDefaults()
	a, err := w.Corpus()
	require.NoError(t, err)
	b, err := w.Corpus()
	require.NoError(t, err)
	require.Equal(t, a.Frames, b.Frames)
	require.Equal(t, a.Digest, b.Digest)
	require.InDelta(t, 180, float64(a.Bytes)/float64(a.Records), 25, "mean length of a line")
}

func TestTwinAgreesWithTheLoopOverAllPatterns(t *testing.T) {
	for name := range sets() {
		t.Run(name, func(t *testing.T) {
			w := Workload{Seed: 9, Size: 256 << 10, Matches: 0.1, Signatures: SignatureSet{Set: name, Count: 300}}
			w.fillDefaults()
			c, err := w.Corpus()
			require.NoError(t, err)
			twin, err := newTwin(c.Patterns)
			require.NoError(t, err)
			each, all := twin.count(c.Batches)
			require.NotZero(t, all)
			loop := make([]int, len(c.Patterns))
			for _, b := range c.Batches {
				for i := range b.Len() {
					r := b.At(i)
					for p := range c.Patterns {
						if twin.matches(int32(p), string(r.Text)) {
							loop[p]++
						}
					}
				}
			}
			require.Equal(t, loop, each)
		})
	}
}
