package matcher_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// benchProgram is a ladder that every hit of the benchmark stays on the first rung of: about five of each key are in its window.
func benchProgram(b *testing.B, keys int) *matcher.Program {
	b.Helper()
	text := fmt.Sprintf("id: spec\ntitle: A case\nseverity: high\nby: node\nstages: [{name: a, when: {event: {reason: A}}, count: 10, within: %dms}]\nclear: {quiet: 1m}\n", 5*keys)
	list, problems := signatures.Parse("spec.yaml", []byte(text))
	require.Empty(b, signatures.Errors(problems))
	p, problems := matcher.Compile(list, matcher.CompileOptions{})
	require.Empty(b, problems)
	return p
}

// BenchmarkObserve gives hits in order, a millisecond apart, a mark every thousand, over a number of keys.
func BenchmarkObserve(b *testing.B) {
	for _, keys := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			p := benchProgram(b, keys)
			digest := p.Signatures()[0].Digest
			t, err := matcher.NewTracker(p, matcher.TrackerOptions{Lateness: -1})
			require.NoError(b, err)
			hits := make([]matcher.Hit, keys)
			for i := range hits {
				name := fmt.Sprintf("n%d", i)
				hits[i] = matcher.Hit{
					Signature: digest, Key: []byte("node=" + name + "\x1f"), Source: "events/main", On: 1,
					Record: record.Record{
						Kind: record.Event, Count: 1, Text: []byte("Back-off restarting failed container app in pod api-7f9c"),
						Attrs: record.NewAttrs(map[string]string{record.Node: name, record.EventReason: "A", record.Namespace: "default", record.Pod: "api-7f9c"}),
					},
				}
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				h := &hits[n%keys]
				n++
				h.Record.Time = start + int64(n)*second/1000
				h.Record.ID = uint64(n)
				t.Observe(h)
				if n%1000 == 0 {
					t.Mark(matcher.Mark{Source: "events/main", Kinds: all, Time: h.Record.Time})
					t.Advance()
					t.Changes()
				}
			}
			b.StopTimer()
			require.EqualValues(b, n, t.Stats().Hits)
			require.Zero(b, t.Stats().Late)
		})
	}
}
