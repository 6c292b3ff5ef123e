package teddy

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlocksFindWhatBucketsSayPlaceByPlace(t *testing.T) {
	t.Parallel()
	if !Available() {
		require.Empty(t, new(Tables).AppendPlaces(nil, make([]byte, 100), 0, 3), "finds nothing where it can't run")
		return
	}
	d := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var tables Tables
		for bucket := range Buckets {
			for place := range Run {
				for range 1 + d.IntN(4) {
					tables.Add(bucket, place, byte(d.IntN(256)))
				}
			}
		}
		text := make([]byte, d.IntN(5000))
		for i := range text {
			text[i] = byte(d.IntN(256))
		}
		from := d.IntN(len(text) + 1)
		blocks := Blocks(from, len(text))
		var want []uint32
		for i := from; i < from+blocks*Block; i++ {
			if tables.Buckets(uint32(text[i])|uint32(text[i+1])<<8|uint32(text[i+2])<<16|uint32(text[i+3])<<24) != 0 {
				want = append(want, uint32(i))
			}
		}
		require.Equal(t, want, tables.AppendPlaces(nil, text, from, blocks))
		require.Less(t, len(text)-from-blocks*Block, Block+Run, "only what is less than a block is left")
		require.Empty(t, tables.AppendPlaces(nil, text, from, blocks+1), "beyond the text is not read")
	}
}
