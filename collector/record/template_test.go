package record

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// templateFrame has n records, every third of which has a slot in its pod's name.
func templateFrame(t *testing.T, n int, compress bool) []byte {
	t.Helper()
	b := Builder{Compress: compress}
	require.NoError(t, b.Reset(Header{Source: "logs/n1", Kinds: 1 << Log}))
	for i := range n {
		r := Record{
			Kind: Log, Time: int64(1000 * i), Observed: int64(1000 * i), Seq: uint64(i), ID: Identity("id", fmt.Sprint(i)), Count: 1,
			Text: []byte("an ordinary line"), Attrs: Attrs{{Key: Pod, Value: "web"}},
		}
		if i%3 == 0 {
			r.Attrs = Attrs{{Key: Pod, Value: fmt.Sprintf("web-%d-######", i)}}
		}
		require.NoError(t, b.Add(&r))
	}
	return b.AppendTo(nil)
}

func TestCopiesOfATemplateAreOtherObservations(t *testing.T) {
	for _, n := range []int{1, 7} {
		for _, compress := range []bool{false, true} {
			x, err := NewTemplate(templateFrame(t, n, false), "######")
			require.NoError(t, err)
			require.Equal(t, n, x.Len())
			require.Equal(t, (n+2)/3, x.Slots())
			seen := map[uint64]bool{}
			for round := range uint64(3) {
				wire := x.Append([]byte("before"), Stamp{Time: 50, Mark: 70, Seq: 100 * round, ID: round << 32, Number: 40 + 10*round, Compress: compress})
				require.Equal(t, "before", string(wire[:6]))
				require.True(t, compress || len(wire) == 6+len(x.frame))
				var b Batch
				require.NoError(t, b.Decode(wire[6:]))
				require.Equal(t, int64(70), b.Header().Mark)
				require.Equal(t, n, b.Len())
				for i := range b.Len() {
					r := b.At(i)
					require.Equal(t, int64(1000*i+50), r.Time)
					require.Equal(t, int64(1000*i+50), r.Observed)
					require.Equal(t, uint64(i)+100*round, r.Seq)
					require.False(t, seen[r.ID])
					seen[r.ID] = true
					if i%3 == 0 {
						require.Equal(t, fmt.Sprintf("web-%d-%06d", i, 40+10*int(round)+i/3), r.Attrs[0].Value)
					}
				}
			}
		}
	}
}

func TestTemplateRefusesWhatItCannotStamp(t *testing.T) {
	_, err := NewTemplate([]byte("no frame"), "#")
	require.Error(t, err)
	_, err = NewTemplate(templateFrame(t, 300, true), "######")
	require.ErrorContains(t, err, "is compressed")
	_, err = NewTemplate(templateFrame(t, 3, false), "")
	require.ErrorContains(t, err, "marker is empty")
	var b Builder
	require.NoError(t, b.Reset(Header{Source: "s"}))
	for i := range 3 {
		require.NoError(t, b.Add(&Record{Kind: Log, ID: uint64(i)}))
	}
	_, err = NewTemplate(b.AppendTo(nil), "#")
	require.ErrorContains(t, err, "spread over all values")
}

func BenchmarkTemplate(b *testing.B) {
	var build Builder
	require.NoError(b, build.Reset(Header{Source: "s"}))
	for i := range 1400 {
		r := Record{Kind: Log, ID: Identity(fmt.Sprint(i)), Text: make([]byte, 180)}
		require.NoError(b, build.Add(&r))
	}
	x, err := NewTemplate(build.AppendTo(nil), "######")
	require.NoError(b, err)
	b.SetBytes(int64(len(x.frame)))
	var dst []byte
	for i := uint64(0); b.Loop(); i++ {
		dst = x.Append(dst[:0], Stamp{Time: 5, ID: i})
	}
}
