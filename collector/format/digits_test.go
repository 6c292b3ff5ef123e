package format

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEightDigitsAreReadAsANumber(t *testing.T) {
	t.Parallel()
	d := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		text := fmt.Appendf(nil, "%08d", d.IntN(100_000_000))
		want, err := strconv.ParseUint(string(text), 10, 64)
		require.NoError(t, err)
		got, ok := eightDigits(binary.LittleEndian.Uint64(text))
		require.True(t, ok, "%s", text)
		require.Equal(t, want, got)
		text[d.IntN(8)] = [...]byte{'/', ':', '0' - 16, '0' + 16, '9' + 128, ' ', 'Z', 0, 255}[d.IntN(9)]
		_, ok = eightDigits(binary.LittleEndian.Uint64(text))
		require.False(t, ok, "%q", text)
	}
}

func TestFractionsOfAnyLengthAreNanoseconds(t *testing.T) {
	t.Parallel()
	digits := "123456789123"
	for n := 1; n <= len(digits); n++ {
		for _, behind := range []string{"", "Z", "+02:00", " stdout F x"} {
			ns, end := fraction([]byte("."+digits[:n]+behind), 0)
			want, err := strconv.ParseInt((digits[:min(n, 9)] + "000000000")[:9], 10, 64)
			require.NoError(t, err)
			require.Equal(t, want, ns, "%d digits", n)
			require.Equal(t, n+1, end)
		}
	}
}
