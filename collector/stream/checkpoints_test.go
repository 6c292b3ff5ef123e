package stream

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func checkpoints(t *testing.T, s *Stream) *Checkpoints {
	t.Helper()
	c, err := s.Checkpoints(t.Context())
	require.NoError(t, err)
	return c
}

func TestCheckpointsAreFoundByTheNextProcess(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	c := checkpoints(t, s)
	none, err := c.Load("events/prod")
	require.NoError(t, err)
	require.Nil(t, none)
	for i, value := range [][]byte{[]byte("one"), bytes.Repeat([]byte("long "), 400_000), []byte("short again"), bytes.Repeat([]byte("longer "), 300_000)} {
		require.NoError(t, c.Save("events/prod", value))
		require.NoError(t, c.Save("a name. with * > \x00 all kinds", []byte("other")))
		got, err := checkpoints(t, s).Load("events/prod")
		require.NoError(t, err)
		require.Equal(t, value, got, "value %d", i)
	}
	kv, err := s.js.KeyValue(t.Context(), checkpointsBucket)
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2+5, "the parts of what was replaced are removed: %q", keys)
}

// TestSecondWriterOfACheckpointIsRefused: a process that slept through its replacement must not put back what the new one has done.
func TestSecondWriterOfACheckpointIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	old, next := checkpoints(t, s), checkpoints(t, s)
	require.NoError(t, old.Save("events", []byte("1")))
	require.ErrorIs(t, next.Save("events", []byte("2")), ErrOtherWriter, "it has not seen what there is")
	_, err := next.Load("events")
	require.NoError(t, err)
	require.NoError(t, next.Save("events", []byte("2")))
	require.NoError(t, next.Save("events", []byte("3")))
	require.ErrorIs(t, old.Save("events", []byte("4")), ErrOtherWriter)
	require.ErrorIs(t, old.Save("events", bytes.Repeat([]byte("4"), partBytes+1)), ErrOtherWriter)
	got, err := old.Load("events")
	require.NoError(t, err)
	require.Equal(t, "3", string(got))
	require.NoError(t, old.Save("events", []byte("5")), "it has seen what there is")
}

func TestFactsAreToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	require.NoError(t, s.PutFacts(t.Context(), "inventory/prod", []byte("1.30")))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make(chan map[string][]byte, 10)
	ended := make(chan error, 1)
	go func() { ended <- s.WatchFacts(ctx, func(facts map[string][]byte) { seen <- facts }) }()
	require.Equal(t, map[string][]byte{checkpointKey("inventory/prod"): []byte("1.30")}, <-seen)
	require.NoError(t, s.PutFacts(t.Context(), "inventory/prod", []byte("1.31")))
	require.Equal(t, map[string][]byte{checkpointKey("inventory/prod"): []byte("1.31")}, <-seen)
	cancel()
	require.NoError(t, <-ended)
}
