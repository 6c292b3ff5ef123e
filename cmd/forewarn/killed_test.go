package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

func TestStatusOfAKilledProcessSaysThatNothingAnswers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, stream.URLFile), []byte("nats://token@127.0.0.1:1"), 0o600))
	a := cli(t, "status", "--data-dir", dir)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "nothing answers on the data directory "+dir)
	require.Contains(t, a.err, "start `forewarn run`")
	require.NotContains(t, a.err, "token@")
}
