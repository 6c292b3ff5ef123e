package collector

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCollectorsAreMadeByName(t *testing.T) {
	t.Parallel()
	path := write(t, "a.log", stamp+"one\n")
	c, err := Make("files", Options{Paths: []string{path}})
	require.NoError(t, err)
	require.NotNil(t, c)
	_, err = Make("file", Options{})
	require.ErrorContains(t, err, `there are ["files"]`)
	for _, m := range Table() {
		require.NotEmpty(t, m.Does)
	}
}
