package catalog

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// load reads the whole catalogue as strictly as it can be read.
func load(t *testing.T) []*signatures.Signature {
	t.Helper()
	names, err := fs.Glob(FS, "*.yaml")
	require.NoError(t, err)
	var all []*signatures.Signature
	for _, name := range names {
		src, err := FS.ReadFile(name)
		require.NoError(t, err)
		read, problems := signatures.Options{Catalogue: true}.Parse(name, src)
		for _, p := range problems {
			t.Error(p)
		}
		all = append(all, read...)
	}
	require.False(t, t.Failed(), "the catalogue has problems")
	return all
}

func TestEveryFileIsOneSoundSignature(t *testing.T) {
	names, err := fs.Glob(FS, "*.yaml")
	require.NoError(t, err)
	all := load(t)
	require.Len(t, all, len(names), "one signature a file")
	for i, s := range all {
		require.Equal(t, names[i], s.ID+path.Ext(names[i]), "the file is named after the id")
		require.NotEmpty(t, strings.TrimSpace(s.Cause), "%s: a cause", s.ID)
		require.NotEmpty(t, strings.TrimSpace(s.Impact), "%s: an impact", s.ID)
	}
}

func TestTheCatalogueCompiles(t *testing.T) {
	_, problems := matcher.Compile(load(t), matcher.CompileOptions{})
	for _, p := range problems {
		t.Error(p)
	}
}
