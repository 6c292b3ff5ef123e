package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLedgerIsFollowedInOrderAndOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{DataDir: dir})
	require.NoError(t, err)
	_, err = s.Sightings(t.Context())
	require.ErrorContains(t, err, "Start this version there once")
	require.NoError(t, s.EnsureStreams(t.Context()))
	l, err := s.Sightings(t.Context())
	require.NoError(t, err)
	first, err := l.Replace(t.Context(), "s.one", []byte("1"), 0)
	require.NoError(t, err)
	_, err = l.Replace(t.Context(), "s.one", []byte("2"), 0)
	require.ErrorIs(t, err, ErrConflict)
	second, err := l.Replace(t.Context(), "s.one", []byte("2"), first)
	require.NoError(t, err)
	require.Greater(t, second, first)
	_, err = l.Replace(t.Context(), "s.one", []byte("3"), first)
	require.ErrorIs(t, err, ErrConflict)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var seen []string
	require.NoError(t, l.Follow(ctx, func(e Entry) {
		seen = append(seen, fmt.Sprintf("%s=%s", e.Key, e.Value))
		if e.Key == "s.one" && e.Value == nil {
			cancel()
		}
	}, func() {
		seen = append(seen, "whole")
		_, err := l.Put(t.Context(), "s.two", []byte("x"))
		require.NoError(t, err)
		require.NoError(t, l.Remove(t.Context(), "s.one"))
	}))
	require.Equal(t, []string{"s.one=2", "whole", "s.two=x", "s.one="}, seen)
	_, has, err := l.Get(t.Context(), "s.one")
	require.NoError(t, err)
	require.False(t, has)
	_, err = l.Replace(t.Context(), "s.one", []byte("again"), 0)
	require.NoError(t, err, "what was removed may come again")
	require.NoError(t, s.Close())

	s, err = Open(t.Context(), Options{DataDir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	l, err = s.Sightings(t.Context())
	require.NoError(t, err)
	e, has, err := l.Get(t.Context(), "s.two")
	require.NoError(t, err)
	require.True(t, has)
	require.Equal(t, "x", string(e.Value))
	shared, err := s.Shared(t.Context(), SharedSightings)
	require.NoError(t, err)
	_, err = shared.Put(t.Context(), "a", nil)
	require.NoError(t, err)
}
