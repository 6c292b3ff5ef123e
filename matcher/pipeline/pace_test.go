package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

func TestNoScannerRunsAheadOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(3, 10)
		ctx, cancel := context.WithCancel(t.Context())
		began := make(chan bool, 1)
		begin := func(partition int, number uint64) { go func() { began <- p.begin(ctx, partition, number) }() }
		waits := func() bool { synctest.Wait(); return len(began) == 0 }

		begin(0, 10)
		require.False(t, waits(), "inside of the slack")
		<-began
		begin(0, 11)
		require.True(t, waits(), "the others have not begun")
		p.rest(1)
		require.True(t, waits())
		p.rest(2)
		require.False(t, waits(), "who has nothing to do holds nobody back")
		require.True(t, <-began)

		require.True(t, p.begin(ctx, 1, 12))
		begin(0, 23)
		require.True(t, waits())
		require.True(t, p.begin(ctx, 1, 13), "the lowest never waits")
		require.False(t, waits())
		require.True(t, <-began)

		begin(0, 99)
		require.True(t, waits())
		cancel()
		require.False(t, <-began)
	})
}

func TestNoScannerTellsOfTimeBeforeTheOthersHaveSentWhatCameEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(3, 100)
		ctx, cancel := context.WithCancel(t.Context())
		level := make(chan bool, 1)
		ask := func(partition int, number uint64) { go func() { level <- p.level(ctx, partition, number) }() }
		waits := func() bool { synctest.Wait(); return len(level) == 0 }

		p.reach(0, 20)
		p.rest(2)
		ask(0, 20)
		require.True(t, waits(), "nobody has heard of the sources of 1")
		require.False(t, p.waits(1, 7, 9), "it is inside of the slack")
		require.True(t, waits(), "7 is not sent")
		require.True(t, p.level(ctx, 1, 9), "the lowest never waits")
		p.reach(1, 21)
		require.False(t, waits())
		require.True(t, <-level)

		ask(0, 30)
		require.True(t, waits())
		cancel()
		require.False(t, <-level)
	})
}

func TestHowLateABacklogIsIsWhatItsOldestPartitionIs(t *testing.T) {
	p := newPace(3, 10)
	require.Zero(t, p.behind(), "nothing came yet")
	p.scanned(0, time.Minute)
	p.scanned(1, time.Hour)
	p.scanned(2, -time.Second)
	require.Equal(t, time.Hour, p.behind())
	p.rest(1)
	require.Equal(t, time.Minute, p.behind(), "who has nothing to do is not late")
	p.scanned(0, 0)
	require.Zero(t, p.behind(), "a server's clock that goes ahead makes nobody late")

	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	s := scanner{fetch: 8, now: func() time.Time { return now }}
	require.Equal(t, time.Minute, s.age(&stream.Message{Time: now.Add(-time.Minute), Pending: 9}))
	require.Zero(t, s.age(&stream.Message{Time: now.Add(-time.Minute), Pending: 8}), "what was asked for already is no backlog")
	require.Zero(t, s.age(&stream.Message{Pending: 9}), "when it was stored is not known")
}
