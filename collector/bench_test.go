package collector

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
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

// BenchmarkLook measures one look at 5,000 followed logs of pods in which nothing happens.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	for i := range 5000 {
		path := filepath.Join(dir, "shop_app-"+strconv.Itoa(i)+"_uid", "app", "0.log")
		require.NoError(b, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(b, os.WriteFile(path, []byte("2026-11-20T10:00:00Z stdout F line "+strconv.Itoa(i)+"\n"), 0o600))
	}
	f, err := Open(Options{Paths: []string{dir}, Follow: true, Source: "logs", Now: present, MaxOpen: 100})
	require.NoError(b, err)
	fw, err := f.newFollower(func(context.Context, []byte) error { return nil })
	require.NoError(b, err)
	defer fw.close()
	require.NoError(b, fw.look(b.Context()))
	require.NoError(b, fw.pump(b.Context()))
	for b.Loop() {
		require.NoError(b, fw.look(b.Context()))
	}
	require.Len(b, fw.trails, 5000)
}
