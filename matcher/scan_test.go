package matcher_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// one returns a signature of one stage.
func one(id string, when signatures.Condition) *signatures.Signature {
	return &signatures.Signature{
		ID: id, Title: id, Severity: signatures.Low, By: signatures.Key{"pod"},
		Stages: []signatures.Stage{{Name: "only", When: when}}, Clear: signatures.Clear{Quiet: 1},
	}
}

func logText(words ...string) signatures.Condition {
	return signatures.Condition{Log: &signatures.LogCondition{Contains: signatures.Text{Any: words}}}
}

func mustCompile(tb testing.TB, sigs ...*signatures.Signature) *matcher.Program {
	tb.Helper()
	p, problems := matcher.Compile(sigs, matcher.CompileOptions{})
	require.Empty(tb, problems)
	require.Equal(tb, len(sigs), p.Len())
	return p
}

// bodies returns the program's signatures in the order in which scans tell their hits.
func bodies(tb testing.TB, p *matcher.Program) (list []*signatures.Signature) {
	tb.Helper()
	all := p.Signatures()
	slices.SortFunc(all, func(a, b *matcher.Compiled) int { return cmp.Compare(a.Digest, b.Digest) })
	for _, c := range all {
		s, err := p.Body(c.Digest)
		require.NoError(tb, err)
		list = append(list, s)
	}
	return list
}

func batch(tb testing.TB, records ...record.Record) *record.Batch {
	tb.Helper()
	return batchOf(tb, records)
}

func batchOf(tb testing.TB, records []record.Record) *record.Batch {
	tb.Helper()
	var builder record.Builder
	require.NoError(tb, builder.Reset(record.Header{Source: "logs/n1", Kinds: 1<<record.Log | 1<<record.Event}))
	for i := range records {
		require.NoError(tb, builder.Add(&records[i]))
	}
	var b record.Batch
	require.NoError(tb, b.Decode(builder.AppendTo(nil)))
	return &b
}

func line(text string, attrs ...string) record.Record {
	r := record.Record{Kind: record.Log, Time: 1, Text: []byte(text)}
	for i := 0; i < len(attrs); i += 2 {
		r.Attrs = r.Attrs.With(attrs[i], attrs[i+1])
	}
	return r
}

// found lists hits as "record signature".
func found(p *matcher.Program, b *record.Batch) []string {
	var out []string
	for _, h := range p.Scan(b, &matcher.Scratch{}) {
		out = append(out, fmt.Sprintf("%s %s", p.Lookup(h.Signature).Signature.ID, h.Record.Text))
	}
	return out
}

func TestLiteralsOfEveryLengthAreFoundEverywhere(t *testing.T) {
	const long = "Zq7#apply request took too long to finish, stopping"
	for n := 2; n <= len(long); n++ {
		for _, fold := range []bool{false, true} {
			c := logText(long[:n])
			c.Log.Contains.IgnoreCase = fold
			p := mustCompile(t, one("s", c))
			for pad := range 9 {
				text := strings.Repeat("x", pad) + long[:n]
				other := strings.ToUpper(text)
				records := []record.Record{line(text), line(text + "y"), line("no"), line(other), line("no")}
				want := []string{"s " + text, "s " + text + "y"}
				if fold || strings.Contains(other, long[:n]) {
					want = append(want, "s "+other)
				}
				require.Equal(t, want, found(p, batch(t, records...)), "literal of %d bytes after %d", n, pad)
			}
		}
	}
}

func TestNoLiteralCrossesTheBorderOfRecords(t *testing.T) {
	p := mustCompile(t, one("a", logText("first half\nsecond half")), one("b", logText("f\ns")), one("c", logText("half\nsec")))
	require.Empty(t, found(p, batch(t, line("first half"), line("second half"), line("half"), line("f"), line("s"))))
	require.ElementsMatch(t, []string{"a first half\nsecond half", "b first half\nsecond half", "c first half\nsecond half"}, found(p, batch(t, line("first half\nsecond half"))))
}

func TestManySignaturesAllSeeTheSameRecord(t *testing.T) {
	var sigs []*signatures.Signature
	for i := range 1000 {
		word := "connection refused by the peer"[:12+i%18]
		sigs = append(sigs, one(fmt.Sprintf("s%d", i), logText(word)))
	}
	p := mustCompile(t, sigs...)
	hits := p.Scan(batch(t, line("nothing"), line("dial: connection refused by the peer")), &matcher.Scratch{})
	require.Len(t, hits, 1000)
	for i, s := range bodies(t, p) {
		require.Equal(t, s.ShortDigest(), hits[i].Signature)
		require.EqualValues(t, 1, hits[i].On)
	}
}
