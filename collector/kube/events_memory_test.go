package kube

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestSavedStateOpensAsItWas(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]eventState{
		"empty":  {counts: []eventCount{}},
		"full":   {follows: 7, version: "1234", counts: []eventCount{{eventKeyOf("a"), 3, 9}, {eventKeyOf("b"), 0, 0}}, frames: [][]byte{[]byte("one"), {}, []byte("three")}},
		"snaps":  {version: "9", counts: []eventCount{{eventKeyOf("2b4720e8-5577-4f36-8dbf-0c6b2ac6a5eb"), 1 << 31, 1 << 31}}},
		"frames": {frames: [][]byte{make([]byte, 1<<20)}, counts: []eventCount{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, sum := s.appendTo(nil)
			var got eventState
			read, err := got.decode(b)
			require.NoError(t, err)
			require.Equal(t, sum, read)
			require.Equal(t, s, got)
			for i := range min(len(b), 300) {
				bad := append([]byte(nil), b...)
				bad[i] ^= 1
				_, err := new(eventState).decode(bad)
				require.ErrorIs(t, err, errEventState)
				_, err = new(eventState).decode(b[:i])
				require.ErrorIs(t, err, errEventState)
			}
		})
	}
}

func FuzzEventState(f *testing.F) {
	s := eventState{follows: 7, version: "1234", counts: []eventCount{{eventKeyOf("a"), 3, 9}}, frames: [][]byte{[]byte("one")}}
	b, _ := s.appendTo(nil)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s eventState
		if _, err := s.decode(b); err != nil {
			return
		}
		again, _ := s.appendTo(nil)
		require.Equal(t, b, again)
	})
}

func TestKeysOfUIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[eventKey]string{}
	for _, uid := range []string{
		"", "a", "2b4720e8-5577-4f36-8dbf-0c6b2ac6a5eb", "2b4720e8-5577-4f36-8dbf-0c6b2ac6a5ec", "xb4720e8-5577-4f36-8dbf-0c6b2ac6a5eb",
		"2b4720e8x5577-4f36-8dbf-0c6b2ac6a5eb\x00", "shop\x00web.1\x00u\x00BackOff",
	} {
		k := eventKeyOf(uid)
		require.NotContains(t, seen, k, uid)
		seen[k] = uid
	}
}

func TestMemoryForgetsTheOldest(t *testing.T) {
	t.Parallel()
	m := eventMemory{limit: 100}
	forgotten := 0
	for i := range 1000 {
		gone := m.put(eventKeyOf(fmt.Sprint(i)), 1, uint32(i))
		forgotten += len(gone)
		require.LessOrEqual(t, len(m.seen), 100)
	}
	require.Equal(t, 1000-len(m.seen), forgotten)
	require.Equal(t, uint32(1), m.count(eventKeyOf("999")))
	require.Zero(t, m.count(eventKeyOf("0")))
}

func TestMemoryFollowsWhatTheServerHas(t *testing.T) {
	t.Parallel()
	m := eventMemory{}
	m.put(eventKeyOf("kept"), 1, 1)
	m.put(eventKeyOf("gone"), 1, 1)
	m.list()
	m.listed(eventKeyOf("kept"))
	m.put(eventKeyOf("new"), 1, 1)
	require.Equal(t, []eventKey{eventKeyOf("gone")}, m.listEnd())
	require.Len(t, m.seen, 2)
}

// TestDamagedCheckpointIsToldAndCollectedAnew: a position that cannot be read costs repeats under the same ids, and no loss.
func TestDamagedCheckpointIsToldAndCollectedAnew(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"tail", "snapshot"} {
		keep := newMemoryCheckpoints()
		keep.values["events/"+part] = []byte("not ours")
		l := newEventsLedger(keep, "events", 0, func(context.Context, []byte) error { return nil })
		damaged, err := l.load(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, damaged, errEventState)
		require.Empty(t, l.version)
	}
}

// TestTailBecomesASnapshotBeforeItIsLong: what is written with every batch must stay small.
func TestTailBecomesASnapshotBeforeItIsLong(t *testing.T) {
	t.Parallel()
	keep := newMemoryCheckpoints()
	l := newEventsLedger(keep, "events", 0, func(context.Context, []byte) error { return nil })
	var b record.Builder
	for i := range 5 * eventsTail {
		key := eventKeyOf(fmt.Sprint(i))
		require.NoError(t, b.Reset(record.Header{Source: "events", Kinds: 1 << record.Event}))
		r := record.Record{Kind: record.Event, ID: uint64(i + 1), Text: []byte("x")}
		require.NoError(t, b.Add(&r))
		l.add(r.ID, key, 1, 0)
		require.NoError(t, l.emit(t.Context(), b.AppendTo(nil)))
		if i%10 == 9 {
			require.NoError(t, l.commit(fmt.Sprint(i), false))
			require.LessOrEqual(t, len(keep.values["events/tail"]), (eventsTail+20)*eventCountSize+10_000)
		}
	}
	require.NoError(t, l.commit(fmt.Sprint(5*eventsTail-1), true))
	require.Contains(t, keep.values, "events/snapshot")
	again := newEventsLedger(keep.other(), "events", 0, func(context.Context, []byte) error { return nil })
	damaged, err := again.load(t.Context())
	require.NoError(t, err)
	require.NoError(t, damaged)
	require.Equal(t, "9999", again.version)
	require.Equal(t, l.memory.seen, again.memory.seen)
}
