package bench

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// BenchmarkEngine is Program.Scan alone, in MB of text a second of processor time of its thread, sizes of a set interleaved with the
// limit of counting new lines. Each size must find exactly what the twin finds.
//
//	go test -run '^$' -bench Engine/mixed -benchtime 1x ./bench
func BenchmarkEngine(b *testing.B) {
	for _, set := range []string{"mixed", "anchored", "hard"} {
		b.Run(set, func(b *testing.B) {
			for b.Loop() {
				benchmarkSet(b, set, []int{100, 1000, 10_000, 100_000})
			}
		})
	}
}

func benchmarkSet(b *testing.B, set string, counts []int) {
	b.Helper()
	candidates := []Candidate{}
	var bytesEach []int
	for _, n := range counts {
		w := Workload{Name: fmt.Sprintf("%s-%d", set, n), Signatures: SignatureSet{Set: set, Count: n}, Size: 32 << 20}
		if set == "hard" {
			w.Shapes = map[string]int{"words": 1, "java": 1, "controller": 1}
		}
		w.fillDefaults()
		c, err := w.Corpus()
		require.NoError(b, err)
		t, err := newTwin(c.Patterns)
		require.NoError(b, err)
		_, want := t.count(c.Batches)
		began := time.Now()
		p, problems := matcher.Compile(c.Signatures, matcher.CompileOptions{})
		if len(problems) > 0 {
			b.Logf("%s: %d refused at first: %s", w.Name, len(problems), problems[0].Message)
			shapes, _, err := w.shapes()
			require.NoError(b, err)
			c.scopeBare(shapes)
			began = time.Now()
			p, problems = matcher.Compile(c.Signatures, matcher.CompileOptions{})
			require.Empty(b, problems)
		}
		b.Logf("%s: %d records, %d bytes, compiled in %v, %d hits", w.Name, c.Records, c.Bytes, time.Since(began).Round(time.Millisecond), want)
		s := matcher.NewScratch(p)
		candidates = append(candidates, Candidate{w.Name, func() (hits int, err error) {
			for _, batch := range c.Batches {
				hits += len(p.Scan(batch, s))
			}
			if hits != want {
				return hits, fmt.Errorf("%s: %d hits instead of %d", w.Name, hits, want)
			}
			return hits, nil
		}})
		bytesEach = append(bytesEach, c.Bytes)
		if n == counts[len(counts)-1] {
			candidates = append(candidates, Candidate{"newlines", func() (lines int, err error) {
				for _, batch := range c.Batches {
					for text := batch.Text(); ; lines++ {
						i := bytes.IndexByte(text, '\n')
						if i < 0 {
							break
						}
						text = text[i+1:]
					}
				}
				return lines, nil
			}})
			bytesEach = append(bytesEach, c.Bytes)
		}
	}
	got, err := measure(candidates, 5)
	require.NoError(b, err)
	for i, m := range got {
		speed := func(d time.Duration) float64 { return float64(bytesEach[i]) / 1e6 / d.Seconds() }
		b.Logf("%-18s %8.0f / %.0f / %.0f MB per CPU-s (least/median/most), %d found",
			candidates[i].Name, speed(slices.Max(m.times)), speed(median(m.times)), speed(slices.Min(m.times)), m.hits)
		b.ReportMetric(speed(median(m.times)), candidates[i].Name+"-MB/cpu-s")
	}
}
