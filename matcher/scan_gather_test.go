package matcher

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomTier has a bitmap of a size between the least and the most, a part of it full.
func randomTier(d *rand.Rand, window int) *tier {
	size := minBitmap << d.IntN(log2(maxBitmap/minBitmap)+1)
	t := &tier{window: window, stride: 4, shift: uint(64 - log2(size)), bitmap: make([]uint64, size/64)}
	for i := range t.bitmap {
		for range d.IntN(4) {
			t.bitmap[i] |= 1 << d.IntN(64)
		}
	}
	return t
}

func randomBytes(d *rand.Rand, n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte(d.IntN(256))
	}
	return text
}

func TestGathersFindWhatPlainLookUpsFind(t *testing.T) {
	t.Parallel()
	d := rand.New(rand.NewPCG(4, 1))
	for range 200 {
		x := randomTier(d, []int{4, 8}[d.IntN(2)])
		text := randomBytes(d, padding+d.IntN(40_000))
		most := len(text) - padding + 1
		from := d.IntN(most/4+1) * 4
		to := from + d.IntN(most-min(from, most)+1)
		want := x.appendPositions([]uint32{7}, text, from, to, false)
		require.Equal(t, want, x.appendPositions([]uint32{7}, text, from, to, vectors()), "window %d, %d to %d of %d", x.window, from, to, len(text))
		if to-from > 1000 {
			require.Greater(t, len(want), 1)
		}
	}
}

func TestIsASCIIFindsAByteAnywhere(t *testing.T) {
	t.Parallel()
	for n := range 400 {
		text := make([]byte, n, n+200)
		for i := range text {
			text[i] = byte(i % 0x80)
		}
		require.True(t, isASCII(text), "%d bytes", n)
		text[:n+1][n] = 0xff
		require.True(t, isASCII(text), "%d bytes, and one behind them", n)
		for i := range text {
			was := text[i]
			text[i] = 0x80
			require.False(t, isASCII(text), "byte %d of %d", i, n)
			text[i] = was
		}
	}
}

// What a gather is chosen for: the same look-ups with vector instructions and without, on a text that is not in a cache.
func BenchmarkLookUps(b *testing.B) {
	d := rand.New(rand.NewPCG(1, 2))
	const text = 32 << 20
	corpus := make([]byte, text+padding)
	for i := range corpus {
		corpus[i] = byte('a' + d.IntN(26))
	}
	for _, window := range []int{8, 4} {
		for _, kb := range []int{32, 256, 1024} {
			size := kb << 13
			t := tier{window: window, stride: 4, shift: uint(64 - log2(size)), bitmap: make([]uint64, size/64)}
			for range size / bitsPerWindow {
				h := d.Uint64() >> t.shift
				t.bitmap[h>>6] |= 1 << (h & 63)
			}
			for _, gather := range []bool{false, true} {
				b.Run(fmt.Sprintf("window=%d/bitmap=%dKB/gather=%v", window, kb, gather), func(b *testing.B) {
					if gather && !vectors() {
						b.Skip("this processor has no AVX2")
					}
					b.SetBytes(blockSize)
					var positions []uint32
					from := 0
					for b.Loop() {
						positions = t.appendPositions(positions[:0], corpus, from, from+blockSize, gather)
						from = (from + blockSize) % text
					}
					b.ReportMetric(float64(len(positions))/(blockSize/4), "found/window")
				})
			}
		}
	}
}
