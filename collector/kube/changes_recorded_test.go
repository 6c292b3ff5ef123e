package kube

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// parsed keeps what a parser gives.
type parsed map[uint64]record.Record

// Add implements [format.Sink].
func (p parsed) Add(r *record.Record) { p[r.ID] = r.Clone() }

// TestRecordedWatchTellsWhatADumpOfItWould: genuine watches of a cluster in trouble, live and read from a file, are the same changes under the same
// ids; all that a dump tells besides is how new objects began.
func TestRecordedWatchTellsWhatADumpOfItWould(t *testing.T) {
	t.Parallel()
	for path, file := range map[string]string{podsPath: "../format/testdata/watch-pods.in.gz", "/api/v1/nodes": "../format/testdata/watch-nodes.in.gz"} {
		packed, err := os.ReadFile(file)
		require.NoError(t, err)
		z, err := gzip.NewReader(bytes.NewReader(packed))
		require.NoError(t, err)
		stream, err := io.ReadAll(z)
		require.NoError(t, err)

		dump := parsed{}
		p := format.Detect(stream).Open(format.Input{Sink: dump, Now: time.Now()}, stream)
		p.Write(stream)
		p.Close()
		want := map[uint64]string{}
		for id, r := range dump {
			if r.Attrs.Value(record.ChangeVerb) != "added" {
				want[id] = r.When().String() + " " + string(r.Text)
			}
		}
		require.NotEmpty(t, want)

		client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.URL.Query().Get("watch") == "":
				_, _ = io.WriteString(w, `{"kind":"List","metadata":{"resourceVersion":"1"},"items":null}`)
				return
			case r.URL.Path == path && r.URL.Query().Get("resourceVersion") == "1":
				_, _ = w.Write(stream)
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		out := &kept{}
		run, _ := startWith(t, client, out, setup{})
		got := func() map[uint64]string {
			out.mu.Lock()
			defer out.mu.Unlock()
			m := map[uint64]string{}
			for _, r := range out.records {
				if r.Attrs.Value(record.ChangeVerb) != "added" {
					m[r.ID] = r.When().String() + " " + string(r.Text)
				}
			}
			return m
		}
		eventually(t, func() bool { return len(got()) >= len(want) }, "told")
		run.end(t)
		require.Equal(t, want, got())
		for _, r := range out.records {
			if r.Attrs.Value(record.ObjectKind) == "Pod" && strings.HasPrefix(r.Attrs.Value(record.ChangePath), "status.containerStatuses") {
				require.NotEmpty(t, r.Attrs.Value(record.Image))
				require.NotEmpty(t, r.Attrs.Value(record.Node))
			}
		}
	}
}
