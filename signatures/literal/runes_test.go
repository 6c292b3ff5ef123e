package literal

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainRunesAreWhatTheJoinerMakesOfThem(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("abXY19 _-éßΩ日kKsS\u212a\u017f\ufffd")
	plain := 0
	for range 20_000 {
		runes := make([]rune, random.IntN(12))
		if random.IntN(50) == 0 {
			runes = make([]rune, 240+random.IntN(40))
		}
		for i := range runes {
			runes[i] = alphabet[random.IntN(10+random.IntN(len(alphabet)-9))]
		}
		fold := random.IntN(2) == 0
		got, ok := plainRunes(runes, fold)
		if !ok {
			continue
		}
		plain++
		var w walk
		var j joiner
		for _, r := range runes {
			j.add(info{exact: w.ofRune(r, fold)})
		}
		require.Equal(t, info{exact: []Literal{got}}, j.done(), "%q fold %t", string(runes), fold)
	}
	require.Greater(t, plain, 5000)
}
