package bench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

func TestWorkloadIsTheSameEachTimeAndItsSignaturesAreAccepted(t *testing.T) {
	w := Plain{Seed: 7, Signatures: 200, Bytes: 1 << 20, Planted: 50}
	var sigs, a, b bytes.Buffer
	require.NoError(t, w.WriteSignatures(&sigs))
	parsed, problems := signatures.Parse("bench.yaml", sigs.Bytes())
	require.Empty(t, signatures.Errors(problems))
	require.Len(t, parsed, 200)
	n, err := w.WriteLog(&a)
	require.NoError(t, err)
	require.Equal(t, 50, n)
	_, err = w.WriteLog(&b)
	require.NoError(t, err)
	require.Equal(t, a.Bytes(), b.Bytes())
	require.Equal(t, 50, strings.Count(a.String(), "attempt="))
}
