package kube

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// readRecorded returns a watch of a real cluster; see README.md for its origin.
func readRecorded(tb testing.TB, name string) []byte {
	tb.Helper()
	packed, err := os.ReadFile("testdata/" + name + ".ndjson.gz")
	require.NoError(tb, err)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(tb, err)
	b, err := io.ReadAll(z)
	require.NoError(tb, err)
	return b
}

type recordsByID map[uint64]record.Record

// Add implements format.Sink.
func (m recordsByID) Add(r *record.Record) {
	c := r.Clone()
	c.Seq, c.Observed = 0, 0
	m[c.ID] = c
}

// TestRecordedWatchesGiveWhatTheirFilesGive: whoever watches a cluster and whoever reads a dump of it later see the same records, whichever of the
// two APIs they come from.
func TestRecordedWatchesGiveWhatTheirFilesGive(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"events-v1": "/apis/events.k8s.io/v1", "events": "/api/v1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := readRecorded(t, name)
			want := recordsByID{}
			p := format.Detect(recorded[:format.Sample]).Open(format.Input{Sink: want}, recorded[:format.Sample])
			p.Write(recorded)
			p.Close()
			require.Greater(t, len(want), 500)

			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("watch") == "true":
					_, _ = w.Write(recorded)
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				case strings.HasPrefix(r.URL.Path, path):
					_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"1"},"items":[]}`)
				default:
					status(w, http.StatusNotFound, "NotFound", "not found")
				}
			})
			x, err := NewEvents(EventsOptions{}, c, collector.Common{Name: "events"})
			require.NoError(t, err)
			d := &downstream{}
			stop := runUntilStopped(t, x, d.emit)
			require.Eventually(t, func() bool { return len(d.all()) >= len(want) }, patience, 10e6)
			stop()
			got := recordsByID{}
			for _, r := range d.all() {
				got.Add(&r)
			}
			require.Equal(t, want, got)
			require.Len(t, d.all(), len(want))
		})
	}
}
