package pipeline

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
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
