package matcher_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// indexSize is the number of signatures that the bars of the index are set for.
const indexSize = 100_000

// noBodies stands for a store: what is compiled is not kept.
type noBodies struct{}

var _ matcher.Bodies = noBodies{}

func (noBodies) Signature(string) (*signatures.Signature, bool, error) { return nil, false, nil }

// BenchmarkIndexBuild compiles 100,000 signatures, and says what the program alone keeps in memory.
func BenchmarkIndexBuild(b *testing.B) {
	sigs := newWorkload(indexSize).sigs
	var p *matcher.Program
	for b.Loop() {
		p, _ = matcher.Compile(sigs, matcher.CompileOptions{})
		require.Equal(b, indexSize, p.Len())
	}
	b.ReportMetric(float64(len(p.AppendTo(nil)))/1e6, "MB-stored")
}

// BenchmarkIndexLoad loads a stored program of 100,000 signatures.
func BenchmarkIndexLoad(b *testing.B) {
	built, _ := matcher.Compile(newWorkload(indexSize).sigs, matcher.CompileOptions{})
	stored := built.AppendTo(nil)
	built = nil
	before := heap()
	var p *matcher.Program
	for b.Loop() {
		var err error
		p, err = matcher.LoadProgram(stored, matcher.CompileOptions{}, noBodies{})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB-resident")
	runtime.KeepAlive(stored)
	require.Equal(b, indexSize, p.Len())
}

// BenchmarkIndexAdd adds one signature at a time to 100,000, and compiles anew when the caller should.
func BenchmarkIndexAdd(b *testing.B) {
	base, _ := matcher.Compile(newWorkload(indexSize).sigs, matcher.CompileOptions{})
	base = base.WithBodies(noBodies{})
	for _, most := range []int{100, 2000} {
		b.Run(fmt.Sprintf("upto-%d", most), func(b *testing.B) {
			p := base
			for i := 0; b.Loop(); i++ {
				if p.Drift() == most {
					p = base
				}
				c := logText(fmt.Sprintf("an entirely new text of number %d", i))
				if i%4 == 0 {
					c = signatures.Condition{Log: &signatures.LogCondition{Regex: fmt.Sprintf(`replica \d+ is behind by %d pages`, i)}}
				}
				next, problems := p.With([]*signatures.Signature{one(fmt.Sprintf("new-%d", i), c)}, nil)
				require.Empty(b, problems)
				p = next
			}
		})
	}
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
