//go:build e2e

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// axe-core finds what a person with a screen reader, or without a mouse, would stumble over. It is fetched when it is needed, and is no part of the repository.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c" // SHA-256 of axe.min.js
)

// axe returns the script of axe-core: of an earlier run, or by npm.
func axe(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(repository(t), ".cache", "axe-core")
	pack := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	require.NoError(t, os.MkdirAll(dir, 0o750))
	if _, err := os.Stat(pack); err != nil {
		out, err := exec.CommandContext(t.Context(), "npm", "pack", "axe-core@"+axeVersion, "--silent", "--pack-destination", dir).CombinedOutput()
		require.NoError(t, err, "fetch axe-core %s (it needs npm): %s", axeVersion, out)
	}
	f, err := os.Open(pack)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		require.NoError(t, err, "axe.min.js is not in the package")
		if h.Name != "package/axe.min.js" {
			continue
		}
		b, err := io.ReadAll(files)
		require.NoError(t, err)
		sum := sha256.Sum256(b)
		require.Equal(t, axeSum, hex.EncodeToString(sum[:]), "axe.min.js is not the one that was looked at")
		return string(b)
	}
}

// violation is what axe-core found.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML, FailureSummary string
	}
}

// requireNoViolation runs all of axe-core's rules, the best practices and the experimental ones too.
func (x *tab) requireNoViolation(script, what string) {
	x.t.Helper()
	_ = ask[*int](x, script+"; null")
	result := ask[string](x, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations))`)
	var found []violation
	require.NoError(x.t, json.Unmarshal([]byte(result), &found))
	for _, v := range found {
		for _, n := range v.Nodes {
			x.t.Errorf("%s: %s (%s): %.300s\n%s", what, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}
