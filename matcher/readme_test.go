package matcher_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheTestsThatTheReadmeNamesExist reads the names in README.md's tables and looks for them in the test files of the whole
// repository, and for the files that it names.
func TestTheTestsThatTheReadmeNamesExist(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var sources strings.Builder
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		sources.Write(b)
		return err
	})
	require.NoError(t, err)
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(names), 10)
	for _, n := range names {
		require.True(t, strings.Contains(sources.String(), "func "+n[1]+"(t *testing.T)"), n[1]) //nolint:testifylint // Contains would print every test there is
	}
	for _, f := range regexp.MustCompile(`\((signatures/testdata/[a-z/.-]+)\)`).FindAllStringSubmatch(string(text), -1) {
		require.FileExists(t, filepath.Join("..", f[1]))
	}
}
