package signatures_test

import (
	"fmt"
	"strings"
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

func TestManyWarningsAreNoError(t *testing.T) {
	var src strings.Builder
	for i := range 600 {
		fmt.Fprintf(&src, "---\nid: s%d\ntitle: t\nseverity: low\nby: pod\nstages: [{name: a, when: {log: {contains: disk full}}}]\nclear: {quiet: 1h}\n", i)
	}
	got, problems := signatures.Parse("many.yaml", []byte(src.String()))
	require.Len(t, got, 600)
	require.NotEmpty(t, problems)
	require.Empty(t, signatures.Errors(problems))

	src.WriteString("---\nid: [\n")
	_, problems = signatures.Parse("many.yaml", []byte(src.String()))
	require.Len(t, signatures.Errors(problems), 1, "the error is not cut off behind the warnings")
}
