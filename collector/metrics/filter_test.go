package metrics

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestNothingIsKeptUntilItIsNeeded(t *testing.T) {
	t.Parallel()
	var f Filter
	require.Nil(t, f.now().find([]byte("a")))
	f.Set(need("a"), "b")
	require.NotNil(t, f.now().find([]byte("a")))
	require.NotNil(t, f.now().find([]byte("b")))
	require.Nil(t, f.now().find([]byte("c")))
	f.Set(nil, "*")
	require.True(t, f.now().find([]byte("c")).keeps(nil))
	f.Set(nil)
	require.Nil(t, f.now().find([]byte("a")))
}

func TestASeriesIsKeptWhenOneOfTheNeedsWantsIt(t *testing.T) {
	t.Parallel()
	v := viewOf([]signatures.MetricNeed{
		{Metric: "m", Labels: map[string]signatures.Match{"code": {Prefix: []string{"5"}}, "verb": {Not: []string{"WATCH"}}}},
		{Metric: "m", Labels: map[string]signatures.Match{"code": {Equals: []string{"429"}}}},
		{Metric: "n"},
		{Metric: "n", Labels: map[string]signatures.Match{"a": {Equals: []string{"b"}}}},
	})
	m := v.find([]byte("m"))
	require.True(t, m.keeps([]format.Label{{Name: "code", Value: "503"}}))
	require.False(t, m.keeps([]format.Label{{Name: "code", Value: "503"}, {Name: "verb", Value: "WATCH"}}))
	require.True(t, m.keeps([]format.Label{{Name: "code", Value: "429"}, {Name: "verb", Value: "WATCH"}}))
	require.False(t, m.keeps(nil))
	require.True(t, v.find([]byte("n")).keeps(nil))
}

// TestLabelTestsAgreeWithTheMatcher compares the filter with the matcher on random conditions and series: what the matcher would look at must not be left out.
func TestLabelTestsAgreeWithTheMatcher(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "B", "ab", "AB", "b", "aB", "é", "É", "x"}
	some := func(p float64) []string {
		if r.Float64() > p {
			return nil
		}
		out := []string{words[r.IntN(len(words))]}
		for r.IntN(2) == 0 {
			out = append(out, words[r.IntN(len(words))])
		}
		return out
	}
	kept := 0
	for n := range 3000 {
		m := signatures.Match{Equals: some(0.2), Not: some(0.2), Contains: some(0.3), Prefix: some(0.3), Suffix: some(0.3), IgnoreCase: r.IntN(2) == 0}
		if r.IntN(4) == 0 {
			m.Regex = []string{"a.*", "(?i)AB?", "b|x", ".+", ".*"}[r.IntN(5)]
			m.IgnoreCase = false
		}
		labels := map[string]signatures.Match{"l": m}
		program, problems := matcher.Compile([]*signatures.Signature{{
			ID: "s", Title: "t", Severity: signatures.High, By: signatures.Key{"cluster"}, Clear: signatures.Clear{Quiet: 1},
			Stages: []signatures.Stage{{Name: "one", When: signatures.Condition{Sample: &signatures.SampleCondition{Metric: "m", Labels: labels}}}},
		}}, matcher.CompileOptions{})
		require.Empty(t, problems)
		v := viewOf([]signatures.MetricNeed{{Metric: "m", Labels: labels}})
		for _, value := range append([]string{""}, words...) {
			series := []format.Label{{Name: "l", Value: value}}
			var b record.Builder
			require.NoError(t, b.Reset(record.Header{Source: "s", Kinds: 1 << record.Sample}))
			require.NoError(t, b.Add(&record.Record{Kind: record.Sample, Time: 1, Attrs: format.SeriesAttrs("m", series, nil)}))
			var batch record.Batch
			require.NoError(t, batch.Decode(b.AppendTo(nil)))
			var s matcher.Scratch
			want := len(program.Scan(&batch, &s)) > 0
			require.Equal(t, want, v.find([]byte("m")).keeps(series), "case %d: %+v of %q", n, m, value)
			if want {
				kept++
			}
		}
	}
	require.Greater(t, kept, 1000)
}
