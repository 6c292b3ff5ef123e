//go:build unix

package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// BenchmarkRedactionShare measures what redaction costs of a collector's time: the same file with and without it, turn by turn, in CPU time of the
// process, so that what else the machine does matters little. One way ends at the finished frame, another where it is stored in an embedded stream. The filter
// for processors without vector instructions is measured beside the other.
func BenchmarkRedactionShare(b *testing.B) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	plain := func(i int) string {
		return at.Add(time.Duration(i)*time.Millisecond).Format("2006-01-02T15:04:05.000Z") +
			" INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200\n"
	}
	container := func(i int) string {
		return at.Add(time.Duration(i)*time.Millisecond).Format("2006-01-02T15:04:05.000000000Z") + " stderr F " +
			fmt.Sprintf("I1120 10:00:00.%06d       1 proxier.go:%d] \"SyncProxyRules complete\" elapsed=\"%d.%03dms\" service=\"shop/cart-%d\"\n", i%1e6, 300+i%400, i%90, i%1000, i%5000)
	}
	for _, c := range []struct {
		name    string
		line    func(int) string
		stored  bool
		vectors bool
	}{
		{"to frames", plain, false, true},
		{"to frames of a container", container, false, true},
		{"to frames of a container without vectors", container, false, false},
		{"to stored batches", plain, true, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			const lines = 300_000
			path := filepath.Join(b.TempDir(), "a.log")
			var text bytes.Buffer
			for i := range lines {
				text.WriteString(c.line(i))
			}
			require.NoError(b, os.WriteFile(path, text.Bytes(), 0o600))
			secrets, err := NewSecrets(SecretOptions{})
			require.NoError(b, err)
			secrets.build(c.vectors && teddy.Available())
			emit, done := Emit(func(context.Context, []byte) error { return nil }), func() {}
			if c.stored {
				emit, done = toStream(b)
			}
			turn := func(keep bool) time.Duration {
				before := processTime(b)
				f, err := Open(Options{Paths: []string{path}, Now: present, KeepSecrets: keep, Secrets: secrets})
				require.NoError(b, err)
				require.NoError(b, f.Run(b.Context(), emit))
				done()
				require.Equal(b, uint64(lines), f.Stats().Records)
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
