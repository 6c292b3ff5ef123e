package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

func someHits(n, text int) []matcher.Hit {
	var hits []matcher.Hit
	for i := range n {
		r := record.Record{
			Kind: record.Log, Time: int64(i), Observed: 7, Seq: uint64(i / 2), ID: uint64(i / 2), Count: 1,
			Text: []byte(fmt.Sprintf("%d %s", i/2, strings.Repeat("x", text))), Attrs: record.Attrs{{Key: "k8s.node.name", Value: "n"}},
		}
		r.Time = int64(i / 2)
		hits = append(hits, matcher.Hit{
			Signature: uint64(i) << 40, Key: fmt.Appendf(nil, "node=n%d\x1f", i), Source: "logs/n", On: 1 << (i % 40), Off: uint64(i) << 50, Record: r,
		})
	}
	return hits
}

func TestHitsComeBackAsTheyWere(t *testing.T) {
	hits := someHits(9, 10)
	var e hitsEncoder
	require.NoError(t, e.reset("logs/n"))
	for i := range hits {
		require.NoError(t, e.add(&hits[i]))
	}
	require.Equal(t, 5, e.builder.Len(), "a record that several signatures hit travels once")
	var d hitsDecoder
	for range 2 { // the decoder is used again
		got, marks, err := d.decode(e.take())
		require.NoError(t, err)
		require.Nil(t, marks)
		require.Equal(t, hits, got)
		for i := range hits {
			require.NoError(t, e.add(&hits[i]))
		}
	}
}

func TestHitsAreCutBeforeAMessageGetsTooLarge(t *testing.T) {
	hits := someHits(4, 400<<10)
	var e hitsEncoder
	require.NoError(t, e.reset("logs/n"))
	var messages [][]byte
	for i := range hits {
		err := e.add(&hits[i])
		if err != nil {
			require.ErrorIs(t, err, record.ErrFull)
			messages = append(messages, e.take())
			require.NoError(t, e.add(&hits[i]))
		}
	}
	messages = append(messages, e.take())
	var got int
	for _, m := range messages {
		require.Less(t, len(m), 1<<20)
		var d hitsDecoder
		h, _, err := d.decode(m)
		require.NoError(t, err)
		got += len(h)
	}
	require.Equal(t, 4, got)
	require.Len(t, messages, 2)
}

func TestMarksComeBackAsTheyWere(t *testing.T) {
	want := []matcher.Mark{
		{Source: "a", Kinds: 6, Time: -5},
		{Source: "b", Scope: record.Attrs{{Key: "k8s.node.name", Value: "n1"}}, Time: 1 << 60, Ended: true},
	}
	var d hitsDecoder
	hits, got, err := d.decode(encodeMarks(want)[0])
	require.NoError(t, err)
	require.Nil(t, hits)
	require.Equal(t, want, got)
}

func TestMarksWithLongNamesAreCutBeforeAMessageGetsTooLarge(t *testing.T) {
	var marks []matcher.Mark
	for i := range 3000 {
		m := matcher.Mark{Source: fmt.Sprint(i), Time: int64(i)}
		if i%10 == 0 {
			m.Scope = record.Attrs{{Key: record.FilePath, Value: strings.Repeat("x", record.MaxValue)}}
		}
		marks = append(marks, m)
	}
	var got []matcher.Mark
	for _, message := range encodeMarks(marks) {
		require.Less(t, len(message), 1<<20)
		var d hitsDecoder
		_, part, err := d.decode(message)
		require.NoError(t, err)
		got = append(got, part...)
	}
	require.Equal(t, marks, got)
	require.Empty(t, encodeMarks(nil))
}

func TestPartitionsAreSpreadAndStable(t *testing.T) {
	seen := map[int]int{}
	for i := range 1000 {
		key := fmt.Appendf(nil, "pod=p%d\x1f", i)
		p := HitPartition(9, key, 8)
		require.Equal(t, p, HitPartition(9, key, 8))
		seen[p]++
	}
	require.Len(t, seen, 8)
	for _, n := range seen {
		require.Greater(t, n, 80)
	}
	require.Zero(t, RecordPartition("x", 1))
	// These numbers are in the streams of every installation.
	require.Equal(t, 5, HitPartition(1, []byte("node=n1\x1f"), 8))
	require.Equal(t, 5, RecordPartition("logs/node-1", 8))
}

func FuzzDecodeHits(f *testing.F) {
	var e hitsEncoder
	_ = e.reset("s")
	for _, h := range someHits(3, 5) {
		_ = e.add(&h)
	}
	f.Add(e.take())
	f.Add(encodeMarks([]matcher.Mark{{Source: "b", Scope: record.Attrs{{Key: "k", Value: "v"}}, Time: 1, Ended: true}})[0])
	f.Add([]byte{hitsFormat, typeMarks, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d hitsDecoder
		hits, marks, err := d.decode(data)
		if err != nil {
			require.ErrorIs(t, err, errHits)
			return
		}
		if data[1] == typeMarks {
			n := 0
			for _, message := range encodeMarks(marks) {
				var again hitsDecoder
				_, got, err := again.decode(message)
				require.NoError(t, err)
				n += len(got)
			}
			require.Len(t, marks, n)
			return
		}
		for _, h := range hits {
			require.True(t, h.Record.Kind.Valid())
		}
	})
}
