//go:build unix

package collector

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

// BenchmarkRedactionShare measures what redaction costs of a collector's time: the same file with and without it, turn by turn, in CPU time of the
// process, so that what else the machine does matters little. One way ends at the finished frame, the other where it is stored in an embedded stream.
func BenchmarkRedactionShare(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.log")
	var text bytes.Buffer
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for i := range 300_000 {
		text.WriteString(at.Add(time.Duration(i) * time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
		text.WriteString(" INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200\n")
	}
	require.NoError(b, os.WriteFile(path, text.Bytes(), 0o600))
	for name, stored := range map[string]bool{"to frames": false, "to stored batches": true} {
		b.Run(name, func(b *testing.B) {
			emit, done := Emit(func(context.Context, []byte) error { return nil }), func() {}
			if stored {
				emit, done = toStream(b)
			}
			turn := func(keep bool) time.Duration {
				before := processTime(b)
				f, err := Open(Options{Paths: []string{path}, Now: present, KeepSecrets: keep})
				require.NoError(b, err)
				require.NoError(b, f.Run(b.Context(), emit))
				done()
				require.Equal(b, uint64(300_000), f.Stats().Records)
				return processTime(b) - before
			}
			turn(true)
			var with, without time.Duration
			turns := 0
			for b.Loop() {
				with += turn(false)
				without += turn(true)
				turns++
			}
			size := float64(text.Len()) * float64(turns) / 1e6
			b.ReportMetric(size/with.Seconds(), "MB/CPU-s")
			b.ReportMetric(size/without.Seconds(), "MB/CPU-s-keeping-secrets")
			b.ReportMetric(100*(1-without.Seconds()/with.Seconds()), "%-of-its-time")
		})
	}
}

// toStream returns an emit that publishes to an embedded server, and what waits until all is stored.
func toStream(b *testing.B) (Emit, func()) {
	b.Helper()
	s, err := stream.Open(b.Context(), stream.Options{DataDir: b.TempDir()})
	require.NoError(b, err)
	require.NoError(b, s.EnsureStreams(b.Context()))
	p, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(b, p.Close(ctx))
		require.NoError(b, s.Close())
	})
	return func(ctx context.Context, frame []byte) error { return p.PublishRecords(ctx, 0, "", bytes.Clone(frame)) },
		func() { require.NoError(b, p.Flush(b.Context())) }
}

func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
