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
)

// BenchmarkRedactionShare measures what redaction costs of the way from the page cache to finished frames: the same file with and without it, turn
// by turn, in CPU time of the process, so that what else the machine does matters little.
func BenchmarkRedactionShare(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.log")
	var text bytes.Buffer
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for i := range 300_000 {
		text.WriteString(at.Add(time.Duration(i) * time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
		text.WriteString(" INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200\n")
	}
	require.NoError(b, os.WriteFile(path, text.Bytes(), 0o600))
	turn := func(keep bool) time.Duration {
		before := processTime(b)
		f, err := Open(Options{Paths: []string{path}, Now: present, KeepSecrets: keep})
		require.NoError(b, err)
		require.NoError(b, f.Run(b.Context(), func(context.Context, []byte) error { return nil }))
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
}

func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
