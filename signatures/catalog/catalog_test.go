package catalog

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// load reads the whole catalogue as strictly as it can be read, in the order of the ids.
func load(t *testing.T) []*signatures.Signature {
	t.Helper()
	set, problems := signatures.LoadFS(FS, signatures.Options{Catalogue: true})
	for _, p := range problems {
		t.Error(p)
	}
	require.Empty(t, problems, "the catalogue has problems")
	return set.All()
}

func TestEveryFileIsOneSoundSignature(t *testing.T) {
	names, err := fs.Glob(FS, "*.yaml")
	require.NoError(t, err)
	all := load(t)
	require.Len(t, all, len(names), "one signature a file")
	for _, s := range all {
		require.Contains(t, names, s.ID+".yaml", "the file is named after the id")
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
