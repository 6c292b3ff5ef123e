package collector

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// Absence of events must not become unknown because a file of pods, which could have held events, has ended.
func TestAFileThatEndsGivesTheKindsItWasSeenToGive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pods.ndjson")
	line := `{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-1","namespace":"shop","uid":"u1","creationTimestamp":"2026-11-20T19:08:00Z"},"status":{"phase":"Running"}}}` + "\n"
	require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
	files, err := Open(Options{Paths: []string{path}})
	require.NoError(t, err)
	var batch record.Batch
	for {
		frame, err := files.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, batch.Decode(frame))
		require.Equal(t, uint8(1<<record.Change), batch.Header().Kinds)
	}
	require.True(t, batch.Header().Ended, "the last frame ends the source")
}
