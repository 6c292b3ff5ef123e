//go:build e2e

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/deploy/image"
)

func TestTwoBuildsGiveTheSameImage(t *testing.T) {
	certificates := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(certificates, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600))
	var first []byte
	for _, place := range []string{"", t.TempDir()} { // another directory to build in
		if place != "" {
			t.Setenv("TMPDIR", place)
		}
		out := filepath.Join(t.TempDir(), "image.tar")
		o := image.Options{Name: "registry.test/forewarn", Tag: "v1", Revision: "abc"}
		require.NoError(t, build(t.Context(), o, out, []string{runtime.GOARCH}, certificates))
		f, err := os.Open(out)
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if first == nil {
			first = b
		}
		require.True(t, bytes.Equal(first, b), "the same source gives the same bytes")
	}
}
