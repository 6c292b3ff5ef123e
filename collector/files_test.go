package collector

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// present is what tests take for now.
func present() time.Time { return time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC) }

// collected is one record that owns its memory, and the header of its batch.
type collected struct {
	record.Record
	header record.Header
}

// drain pulls everything and returns the records, and the last header of each source.
func drain(tb testing.TB, f Feed) ([]collected, map[string]record.Header) {
	tb.Helper()
	var all []collected
	last := map[string]record.Header{}
	var b record.Batch
	for {
		frame, err := f.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all, last
		}
		require.NoError(tb, err)
		require.NoError(tb, b.Decode(frame))
		h := *b.Header()
		h.Source, h.Scope = strings.Clone(h.Source), h.Scope.Clone()
		last[h.Source] = h
		for i := range b.Len() {
			r := b.At(i)
			all = append(all, collected{r.Clone(), h})
		}
	}
}

func write(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(tb, os.Chtimes(path, present(), present()))
	return path
}

func texts(records []collected) []string {
	out := make([]string, len(records))
	for i := range records {
		out[i] = string(records[i].Text)
	}
	return out
}

func TestPlainFileGivesOneRecordALine(t *testing.T) {
	t.Parallel()
	path := write(t, "kubelet.log", "2026-11-20T10:00:00Z ERROR one\n2026-11-20T10:00:01Z two\n  more of two\n2026-11-20T10:00:02Z three")
	f, err := Open(Options{Paths: []string{path}, Now: present})
	require.NoError(t, err)
	records, last := drain(t, f)
	require.Equal(t, []string{"2026-11-20T10:00:00Z ERROR one", "2026-11-20T10:00:01Z two\n  more of two", "2026-11-20T10:00:02Z three"}, texts(records))
	require.Equal(t, "error", records[0].Attrs.Value(record.SeverityText))
	require.Equal(t, "kubelet", records[0].Attrs.Value(record.Component))
	require.Equal(t, path, records[0].Attrs.Value(record.FilePath))
	h := last["file/"+path]
	require.True(t, h.Ended)
	require.Equal(t, "2026-11-20T10:00:02Z", time.Unix(0, h.Mark).UTC().Format(time.RFC3339))
	require.True(t, h.HasKind(record.Log))
	require.NoError(t, f.Close())
	require.Equal(t, uint64(3), f.Stats().Records)
}

func TestFilesAreInterleavedByTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var a, b strings.Builder
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for i := range 1000 {
		w := &a
		if i/10%2 == 1 {
			w = &b
		}
		w.WriteString(at.Add(time.Duration(i)*3*time.Second).Format(time.RFC3339) + " line\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte(a.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.log"), []byte(b.String()), 0o600))
	f, err := Open(Options{Paths: []string{dir}, Now: present})
	require.NoError(t, err)
	records, last := drain(t, f)
	require.Len(t, records, 1000)
	require.Len(t, last, 2)
	for i := 1; i < len(records); i++ {
		require.GreaterOrEqual(t, records[i].Time, records[i-1].Time-int64(time.Second))
	}
	for _, h := range last {
		require.True(t, h.Ended)
	}
}

func TestStandardInputIsDeliveredBeforeItEnds(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	f, err := Open(Options{Paths: []string{Stdin}, Stdin: r, Now: present})
	require.NoError(t, err)
	go func() { _, _ = w.Write([]byte("2026-11-20T10:00:00Z first\n")) }()
	frame, err := f.Next(t.Context())
	require.NoError(t, err)
	var b record.Batch
	require.NoError(t, b.Decode(frame))
	require.Equal(t, 1, b.Len())
	require.False(t, b.Header().Ended)
	require.NoError(t, w.Close())
	frame, err = f.Next(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Decode(frame))
	require.True(t, b.Header().Ended)
	_, err = f.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, f.Close())
}
