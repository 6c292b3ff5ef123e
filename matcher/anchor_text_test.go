package matcher_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// grammar makes phrases that share most of their words, so that thousands of literals meet in the same runs and are told apart
// by what stands around them only.
type grammar struct{ *rand.Rand }

func (g grammar) phrase() string {
	words := strings.Fields("failed could not unable to mount attach resolve the volume lease endpoint image because of timeout refused denied (retrying) error: code=7 node-a Node-A")
	var b strings.Builder
	for n := 1 + g.IntN(9); n > 0; n-- {
		b.WriteString(words[g.IntN(len(words))])
		if n > 1 {
			b.WriteByte(" -_"[g.IntN(3)])
		}
	}
	s := b.String()
	if len(s) > 8 && g.IntN(3) == 0 {
		s = s[g.IntN(4) : len(s)-g.IntN(4)]
	}
	return s
}

func TestManyLiteralsThatShareTheirWordsAreFoundExactly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		g := grammar{rand.New(rand.NewPCG(seed, 5))}
		type wanted struct {
			text []byte
			fold bool
		}
		var sigs []*signatures.Signature
		want := map[string]wanted{}
		for i := range []int{10, 300, 3000}[seed%3] {
			w := wanted{text: []byte(g.phrase()), fold: g.IntN(4) == 0}
			id := fmt.Sprintf("s%04d", i)
			c := logText(string(w.text))
			c.Log.Contains.IgnoreCase = w.fold
			sigs, want[id] = append(sigs, one(id, c)), w
		}
		var sample bytes.Buffer
		for sample.Len() < int(seed%2)*(100<<10) { // with a sample, and without
			sample.WriteString(g.phrase() + "\n")
		}
		p, problems := matcher.Compile(sigs, matcher.CompileOptions{Sample: sample.Bytes()})
		require.Empty(t, problems)
		var s matcher.Scratch
		for range 20 {
			var records []record.Record
			for i := range 30 {
				r := line(strings.Repeat(" ", g.IntN(4)) + g.phrase() + "; " + g.phrase())
				r.Seq = uint64(i)
				records = append(records, r)
			}
			var got, all []string
			for _, h := range p.Scan(batchOf(t, records), &s) {
				got = append(got, fmt.Sprint(h.Record.Seq, p.Lookup(h.Signature).Signature.ID))
			}
			for _, r := range records {
				for _, sig := range sigs {
					w := want[sig.ID]
					if bytes.Contains(r.Text, w.text) || w.fold && bytes.Contains(bytes.ToLower(r.Text), bytes.ToLower(w.text)) {
						all = append(all, fmt.Sprint(r.Seq, sig.ID))
					}
				}
			}
			require.ElementsMatch(t, all, got)
		}
	}
}

func TestLiteralsBeyondASCIIAreFoundWhereverTheyLie(t *testing.T) {
	p := mustCompile(t, one("a", logText(" é")), one("b", signatures.Condition{Log: &signatures.LogCondition{Regex: `(?i)disk sick`}}))
	text := bytes.Repeat([]byte("plain "), 3000)
	var s matcher.Scratch
	require.Empty(t, p.Scan(batch(t, line(string(text))), &s))
	for at := 16<<10 - 40; at < 16<<10+40; at++ { // the index looks at blocks of 16 KiB
		for _, word := range []string{" é", "Di\u017fk SIC\u212a", "DISK sick"} {
			with := bytes.Clone(text)
			copy(with[at:], word)
			require.Len(t, p.Scan(batch(t, line(string(with))), &s), 1, "%s at %d", word, at)
		}
	}
}
