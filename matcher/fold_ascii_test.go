package matcher

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContainsFoldAgreesWithASlowLoop(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 9))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "aAbBkK@`[{ \x00\xe9"[r.IntN(13)]
		}
		return b
	}
	found := 0
	for range 200_000 {
		text, word := random(r.IntN(40)), bytes.ToLower(random(r.IntN(6)))
		for i := range word { // ToLower replaces what is not valid
			word[i] = lower(word[i])
		}
		want := false
		for i := 0; i+len(word) <= len(text) && !want; i++ {
			want = true
			for j := range word {
				want = want && lower(text[i+j]) == word[j]
			}
		}
		if want {
			found++
		}
		if got := containsFold(text, string(word)); got != want {
			require.Equal(t, want, got, "%q in %q", word, text)
		}
	}
	require.Greater(t, found, 20_000)
}
