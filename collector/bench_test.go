package collector

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFiles measures from the page cache to finished frames, through one file and through eight that are interleaved.
func BenchmarkFiles(b *testing.B) {
	for name, files := range map[string]int{"one": 1, "eight interleaved": 8} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			size := 0
			at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
			var text strings.Builder
			for f := range files {
				text.Reset()
				for i := range 200_000 / files {
					text.WriteString(at.Add(time.Duration(i*files+f) * 10 * time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
					text.WriteString(" INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200\n")
				}
				size += text.Len()
				require.NoError(b, os.WriteFile(filepath.Join(dir, string(rune('a'+f))+".log"), []byte(text.String()), 0o600))
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				f, err := Open(Options{Paths: []string{dir}, Now: present})
				require.NoError(b, err)
				for {
					if _, err := f.Next(b.Context()); err != nil {
						break
					}
				}
				require.Equal(b, uint64(200_000), f.Stats().Records)
			}
		})
	}
}
