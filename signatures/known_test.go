package signatures_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

func TestWhatIsKnownIsNotParsedAgain(t *testing.T) {
	files := fstest.MapFS{
		"a.yaml": {Data: signatures.Template("first")},
		"b.yaml": {Data: signatures.Template("second")},
		"c.yaml": {Data: []byte("id: [")},
	}
	set, problems := signatures.LoadFS(files, signatures.Options{})
	require.NotEmpty(t, signatures.Errors(problems))
	require.Len(t, set.Contents(), 2, "a file with an error is read again")

	files["b.yaml"] = &fstest.MapFile{Data: signatures.Template("changed")}
	again, _ := signatures.LoadFS(files, signatures.Options{Known: set.Contents()})
	first, ok := again.Get("first")
	require.True(t, ok)
	was, _ := set.Get("first")
	require.Same(t, was, first)
	_, ok = again.Get("changed")
	require.True(t, ok)
	_, ok = again.Get("second")
	require.False(t, ok)
}
