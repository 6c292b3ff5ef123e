//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
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
// batches, with secrets taken out and left in. MB are bytes of the file, the runtime's stamps among them; cpu-s is CPU time of a process, user and system, so
// that MB/cpu-s is what one core does. What it is time of differs:
//
//   - to batches: of the collector alone, which gives finished frames to nobody.
//   - published: of the collector's process, which publishes the frames as it does in a cluster, with ids, to a NATS JetStream in a process of its own, over TCP, and waits
//     until all are stored. This is what a node's collector costs a node, and what is meant by MB/s a core from files to published batches.
//   - published inside: of a process that has the server in it too, which writes the batches to its files: a laptop's forewarn run.
//
// What the benchmark itself does, writing the next file, is not in it.
func BenchmarkLogs(b *testing.B) {
	for _, c := range []struct {
		name string
		to   func(b *testing.B, dir string) *stream.Stream
	}{
		{"to batches", nil},
		{"published", serverApart},
		{"published inside", serverInside},
	} {
		b.Run(c.name, func(b *testing.B) { benchLogs(b, c.to, false) })
		b.Run(c.name+" with secrets", func(b *testing.B) { benchLogs(b, c.to, true) })
	}
}

func serverInside(b *testing.B, dir string) *stream.Stream {
	b.Helper()
	s, err := stream.Open(b.Context(), stream.Options{DataDir: dir})
	require.NoError(b, err)
	return s
}

// TestServerProcess is the server of serverApart. On its own it does nothing.
func TestServerProcess(t *testing.T) {
	dir := os.Getenv("FOREWARN_TEST_SERVER_DIR")
	if dir == "" {
		return
	}
	s, err := stream.Open(t.Context(), stream.Options{DataDir: dir})
	require.NoError(t, err)
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until who started it ends
	require.NoError(t, s.Close())
}

func serverApart(b *testing.B, dir string) *stream.Stream {
	b.Helper()
	child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestServerProcess$")
	child.Env = append(os.Environ(), "FOREWARN_TEST_SERVER_DIR="+dir)
	in, err := child.StdinPipe()
	require.NoError(b, err)
	out, err := child.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = child.Wait() // killed when the benchmark is over
	})
	ready, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err, ready)
	url, err := stream.FindURL(dir)
	require.NoError(b, err)
	s, err := stream.Open(b.Context(), stream.Options{URL: url})
	require.NoError(b, err)
	return s
}

func benchLogs(b *testing.B, to func(b *testing.B, dir string) *stream.Stream, keepSecrets bool) {
	b.Helper()
	dir := b.TempDir()
	home := filepath.Join(dir, "pods", "shop_cart-7d4b9c6f5-x2x9z_0f1e2d3c", "app", "0.log")
	require.NoError(b, os.MkdirAll(filepath.Dir(home), 0o700))
	text, lines := benchLog(64 << 20)
	b.SetBytes(int64(len(text)))

	var emitted, want atomic.Int64
	read := make(chan struct{}, 1)
	emit := func(context.Context, *record.Summary, []byte) error { return nil }
	stored := func(context.Context) error { return nil }
	c := collector.Common{Name: "logs", Node: "node-1", KeepSecrets: keepSecrets, Checkpoints: collector.Directory(filepath.Join(dir, "state"))}
	if to != nil {
		s := to(b, filepath.Join(dir, "nats"))
		defer func() { require.NoError(b, s.Close()) }()
		require.NoError(b, s.EnsureStreams(b.Context()))
		var payloads sync.Pool
		p, err := s.Publisher(stream.PublisherConfig{Recycle: func(payload []byte) { payloads.Put(&payload) }})
		require.NoError(b, err)
		defer func() { require.NoError(b, p.Close(context.Background())) }()
		c.Stored, stored = p.Flush, p.Flush
		emit = func(ctx context.Context, s *record.Summary, frame []byte) error { // as the pipeline's publisher
			var payload []byte
			if used, ok := payloads.Get().(*[]byte); ok {
				payload = (*used)[:0]
			}
			id := fmt.Sprintf("%s-%d-%d-%016x-%d", s.Source, s.Seq, s.Records, s.IDs, s.Mark)
			return p.PublishRecords(ctx, 0, id, append(payload, frame...))
		}
	}
	logs, err := NewLogs(LogOptions{Paths: []string{filepath.Join(dir, "pods")}}, nil, c)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		var summaries record.Summarizer
		done <- logs.Run(ctx, func(ctx context.Context, frame []byte) error {
			s, err := summaries.Read(frame)
			if err == nil {
				err = emit(ctx, &s, frame)
			}
			// The last entry is held until it is known that nothing continues it.
			if emitted.Add(int64(s.Records)) >= want.Load()-1 {
				select {
				case read <- struct{}{}:
				default:
				}
			}
			return err
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
		require.NoError(b, stored(b.Context()))
		used += cpuTime(b) - before
	}
	cancel()
	require.ErrorIs(b, <-done, context.Canceled)
	require.GreaterOrEqual(b, emitted.Load(), want.Load()-1)
	b.ReportMetric(float64(b.N)*float64(len(text))/1e6/used.Seconds(), "MB/cpu-s")
	b.ReportMetric(float64(b.N)*float64(lines)/used.Seconds(), "lines/cpu-s")
}
