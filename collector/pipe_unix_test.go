//go:build unix

package collector

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestNamedPipesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	f, err := Open(Options{Paths: []string{path}, Now: present})
	require.NoError(t, err)
	opened := make(chan *os.File, 1)
	go func() {
		w, _ := os.OpenFile(path, os.O_WRONLY, 0)
		_, _ = w.WriteString(stamp + "first\n")
		opened <- w
	}()
	frame, err := f.Next(t.Context())
	require.NoError(t, err)
	var b record.Batch
	require.NoError(t, b.Decode(frame))
	require.Equal(t, stamp+"first", string(b.At(0).Text))
	require.NoError(t, (<-opened).Close())
	_, last := drain(t, f)
	require.True(t, last["file/"+path].Ended)
}
