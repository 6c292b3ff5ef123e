package record

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// summaryOf is the slow twin: it decodes the frame.
func summaryOf(b *Batch) Summary {
	s := Summary{Source: b.Header().Source, Mark: b.Header().Mark, Ended: b.Header().Ended, Records: b.Len()}
	if b.Len() == 0 {
		return s
	}
	var ids []byte
	for i := range b.Len() {
		ids = binary.LittleEndian.AppendUint64(ids, b.At(i).ID)
	}
	s.Seq, s.IDs = b.At(0).Seq, xxhash.Sum64(ids)
	return s
}

func TestSummaryIsThatOfTheDecodedFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var x Summarizer
	for round := range 400 {
		b := Builder{Compress: round%2 == 0}
		require.NoError(t, b.Reset(Header{Source: "logs/n1", Scope: Attrs{{Key: Node, Value: "n1"}}}))
		width := r.IntN(65)
		for range r.IntN(5) * r.IntN(10) {
			rec := Record{
				Kind: Log, Time: r.Int64(), Seq: r.Uint64() >> r.IntN(64), ID: r.Uint64() >> (64 - width), Text: make([]byte, r.IntN(40)),
				Attrs: Attrs{{Key: Pod, Value: string(rune('a' + r.IntN(5)))}},
			}
			require.NoError(t, b.Add(&rec))
		}
		b.SetMark(r.Int64(), round%3 == 0)
		wire := b.AppendTo(nil)
		var batch Batch
		require.NoError(t, batch.Decode(wire))
		got, err := x.Read(wire)
		require.NoError(t, err)
		require.Equal(t, summaryOf(&batch), got)
	}
}

func TestSummaryOfADamagedFrameIsAnError(t *testing.T) {
	frame := templateFrame(t, 9, false)
	var x Summarizer
	for n := range frame {
		_, err := x.Read(frame[:n])
		require.Error(t, err, "cut off at %d", n)
	}
}

func FuzzSummary(f *testing.F) {
	var b Builder
	require.NoError(f, b.Reset(Header{Source: "logs/n1"}))
	require.NoError(f, b.Add(&Record{Kind: Log, ID: 1 << 40, Text: []byte("x")}))
	f.Add(b.AppendTo(nil))
	b.Compress = true
	require.NoError(f, b.Add(&Record{Kind: Log, ID: 1 << 40, Text: make([]byte, 500)}))
	f.Add(b.AppendTo(nil))
	var x Summarizer
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := x.Read(wire)
		var batch Batch
		if batch.Decode(wire) != nil {
			return
		}
		require.NoError(t, err)
		require.Equal(t, summaryOf(&batch), got)
	})
}
