//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
)

// benchLog is about so many bytes of a container's log as containerd writes it, and its number of lines.
func benchLog(size int) (text []byte, lines int) {
	at := time.Date(2026, 11, 25, 21, 0, 0, 0, time.UTC)
	for len(text) < size {
		text = at.Add(time.Duration(lines)*37*time.Microsecond).AppendFormat(text, time.RFC3339Nano)
		text = fmt.Appendf(text, " stdout F I1125 21:00:00.%06d       1 proxier.go:%d] \"SyncProxyRules complete\" elapsed=\"%d.%03dms\" service=\"shop/cart-%d\"\n",
			lines%1e6, 300+lines%400, lines%90, lines%1000, lines%5000)
		lines++
	}
	return text, lines
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLogs measures from a container's log in the page cache, which is rotated whenever it was read and at least every second, to
// finished batches, and to batches that the embedded NATS JetStream has stored, with secrets taken out and left in. CPU time is that of the whole process, the server's too.
func BenchmarkLogs(b *testing.B) {
	for _, c := range []struct {
		name                   string
		published, keepSecrets bool
	}{{"to batches", false, false}, {"to batches with secrets", false, true}, {"published", true, false}, {"published with secrets", true, true}} {
		b.Run(c.name, func(b *testing.B) { benchLogs(b, c.published, c.keepSecrets) })
	}
}

func benchLogs(b *testing.B, published, keepSecrets bool) {
	b.Helper()
	dir := b.TempDir()
	home := filepath.Join(dir, "pods", "shop_cart-7d4b9c6f5-x2x9z_0f1e2d3c", "app", "0.log")
	require.NoError(b, os.MkdirAll(filepath.Dir(home), 0o700))
	text, lines := benchLog(64 << 20)
	b.SetBytes(int64(len(text)))

	var emitted, want atomic.Int64
	read := make(chan struct{}, 1)
	emit := func(context.Context, []byte) error { return nil }
	c := collector.Common{Name: "logs", Node: "node-1", KeepSecrets: keepSecrets, Checkpoints: collector.Directory(filepath.Join(dir, "state"))}
	if published {
		s, err := stream.Open(b.Context(), stream.Options{DataDir: filepath.Join(dir, "nats")})
		require.NoError(b, err)
		defer func() { require.NoError(b, s.Close()) }()
		require.NoError(b, s.EnsureStreams(b.Context()))
		p, err := s.Publisher(stream.PublisherConfig{})
		require.NoError(b, err)
		defer func() { require.NoError(b, p.Close(context.Background())) }()
		c.Stored = p.Flush
		emit = func(ctx context.Context, frame []byte) error {
			return p.PublishRecords(ctx, 0, "", bytes.Clone(frame))
		}
	}
	logs, err := NewLogs(LogOptions{Paths: []string{filepath.Join(dir, "pods")}}, nil, c)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		var batch record.Batch
		done <- logs.Run(ctx, func(ctx context.Context, frame []byte) error {
			if err := batch.Decode(frame); err != nil {
				return err
			}
			// The last entry is held until it is known that nothing continues it.
			if emitted.Add(int64(batch.Len())) >= want.Load()-1 {
				select {
				case read <- struct{}{}:
				default:
				}
			}
			return emit(ctx, frame)
		})
	}()
	var used time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		next := filepath.Join(dir, fmt.Sprint(i))
		copy(text, fmt.Appendf(nil, "2026-11-25T21:%02d:%02d.%09dZ", i/60%60, i%60, i))
		require.NoError(b, os.WriteFile(next, text, 0o600))
		if i > 0 {
			require.NoError(b, os.Rename(home, fmt.Sprintf("%s.20261125-%06d", home, i)))
			_ = os.Remove(fmt.Sprintf("%s.20261125-%06d", home, i-3))
		}
		want.Add(int64(lines))
		before := cpuTime(b)
		b.StartTimer()
		require.NoError(b, os.Rename(next, home))
		for emitted.Load() < want.Load()-1 {
			<-read
		}
		used += cpuTime(b) - before
	}
	cancel()
	require.ErrorIs(b, <-done, context.Canceled)
	require.GreaterOrEqual(b, emitted.Load(), want.Load()-1)
	b.ReportMetric(float64(b.N)*float64(len(text))/1e6/used.Seconds(), "MB/cpu-s")
	b.ReportMetric(float64(b.N)*float64(lines)/used.Seconds(), "lines/cpu-s")
}
