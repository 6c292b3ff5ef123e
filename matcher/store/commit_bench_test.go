package store

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCommit writes steps of so many progresses, each with a new piece of evidence and one that goes, as a tracker gives them.
func BenchmarkCommit(b *testing.B) {
	for _, entries := range []int{10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("progresses=%d", entries), func(b *testing.B) {
			s, err := Open(Options{Dir: b.TempDir()})
			require.NoError(b, err)
			defer func() { require.NoError(b, s.Close()) }()
			var position uint64
			for b.Loop() {
				position++
				c := Commit{Position: position}
				for i := range entries {
					key := fmt.Appendf(nil, "p01234567namespace=payments\x1fpod=api-7f9c5d8b4-%06d\x1f", (int(position)*entries+i)%1_000_000)
					c.Progress = append(c.Progress, Entry{Key: key, Value: make([]byte, 220)})
					now := binary.BigEndian.AppendUint64([]byte{'e'}, position*uint64(entries)+uint64(i))
					old := binary.BigEndian.AppendUint64([]byte{'e'}, (position-1)*uint64(entries)+uint64(i))
					c.Progress = append(c.Progress, Entry{Key: now, Value: make([]byte, 350)}, Entry{Key: old})
				}
				began := time.Now()
				_, err := s.Commit(1, c)
				require.NoError(b, err)
				b.ReportMetric(time.Since(began).Seconds()*1000, "last-ms")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(entries), "ns/progress")
		})
	}
}
