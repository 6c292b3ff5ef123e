package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// BenchmarkEvents measures a watch that gives events as fast as they are taken, every one a new one, with checkpoints on a disk. The server that
// makes them is in the same process.
func BenchmarkEvents(b *testing.B) {
	template := fakeEvent{name: "web-0.18e9d673872f4a2c", uid: "00000000-0000-4000-8000-@@@@@@@@@@@@", message: strings.Repeat("back-off restarting failed container ", 4), count: 3, first: startOfTrouble(), last: startOfTrouble()}.json(false)
	before, after, _ := strings.Cut(template, "@@@@@@@@@@@@")
	c := newTestClient(b, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("sendInitialEvents") == "true":
			_, _ = io.WriteString(w, (&fakeEvents{}).bookmark(1, true))
			for i := range b.N {
				_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":%s%012x%s}`+"\n", before, i, after)
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"1"},"items":[]}`)
		}
	})
	x, err := NewEvents(EventsOptions{MaxEvents: 1 << 30}, c, collector.Common{Name: "events", Checkpoints: collector.Directory(b.TempDir())})
	require.NoError(b, err)
	x.(*events).pause = time.Millisecond
	var got atomic.Int64
	var batch record.Batch
	done := make(chan struct{})
	b.ResetTimer()
	stop := runUntilStopped(b, x, func(_ context.Context, frame []byte) error {
		if err := batch.Decode(frame); err != nil {
			return err
		}
		for i := range batch.Len() {
			if got.Add(int64(batch.At(i).Count)) == int64(3*b.N) {
				close(done)
			}
		}
		return nil
	})
	<-done
	b.StopTimer()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
	stop()
}
