package collector

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckpointsAreKeptByName(t *testing.T) {
	t.Parallel()
	d := Directory(filepath.Join(t.TempDir(), "made", "by it"))
	names := []string{"events", "files/var/log", "files%2Fvar/log", "..", "a.b"}
	for _, name := range names {
		b, err := d.Load(name)
		require.NoError(t, err)
		require.Nil(t, b)
		require.NoError(t, d.Save(name, []byte("old")))
		require.NoError(t, d.Save(name, []byte(name)))
	}
	for _, name := range names {
		b, err := d.Load(name)
		require.NoError(t, err)
		require.Equal(t, name, string(b))
	}
	files, err := os.ReadDir(string(d))
	require.NoError(t, err)
	require.Len(t, files, len(names), "nothing is left over")
}

func TestCheckpointThatCannotBeSavedLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	d := Directory(filepath.Join(file, "below"))
	require.ErrorContains(t, d.Save("events", []byte("x")), "save checkpoint events")
	_, err := d.Load("events")
	require.ErrorContains(t, err, "load checkpoint")
}

func TestBackoffDoublesWithJitterUpToItsMost(t *testing.T) {
	t.Parallel()
	b := Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for _, ms := range []int{100, 200, 400, 800, 1000, 1000} {
		most := time.Duration(ms) * time.Millisecond
		got := b.step()
		require.LessOrEqual(t, got, most)
		require.GreaterOrEqual(t, got, most/2)
	}
	b.Reset()
	require.LessOrEqual(t, b.step(), 100*time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.False(t, (&Backoff{Min: time.Hour, Max: time.Hour}).Wait(ctx))
	require.True(t, (&Backoff{Min: 1, Max: 1}).Wait(t.Context()))
}
