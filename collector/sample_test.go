package collector

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSampleTakesSomeOfEachFile(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.log", i)), bytes.Repeat([]byte{byte('a' + i%26)}, 5000), 0o600))
	}
	text := Sample([]string{dir}, 16_000)
	require.Len(t, text, 16_000)
	kinds := map[byte]bool{}
	for _, c := range text {
		kinds[c] = true
	}
	require.Greater(t, len(kinds), 10)

	packed := filepath.Join(dir, "x.gz")
	require.NoError(t, os.WriteFile(packed, []byte{0x1f, 0x8b, 8, 0, 0}, 0o600))
	require.Empty(t, Sample([]string{packed, Stdin, filepath.Join(dir, "missing"), os.DevNull}, 1000))
	require.Equal(t, "aaa", string(Sample([]string{packed, filepath.Join(dir, "00.log")}, 6)))
}
