package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is there comes first, then a sign that it was all, then what is published later; a second follower sees the same.
func TestFollowGivesWhatIsThereAndThenWhatComes(t *testing.T) {
	s := open(t, Options{DataDir: t.TempDir()})
	p, err := s.Publisher(PublisherConfig{})
	require.NoError(t, err)
	put := func(from, to int) {
		for i := from; i <= to; i++ {
			require.NoError(t, p.Publish(t.Context(), WarningsSubject, "", fmt.Appendf(nil, "%d", i), nil))
		}
		require.NoError(t, p.Flush(t.Context()))
	}
	put(1, 100)
	for _, from := range []uint64{0, 51} {
		ctx, stop := context.WithCancel(t.Context())
		got, caughtUp, ended := make(chan string, 1000), make(chan int, 2), make(chan error, 1)
		go func() {
			ended <- s.Follow(ctx, Warnings, WarningsSubject, from, func(m Message) error {
				got <- string(m.Data)
				return nil
			}, func() { caughtUp <- len(got) })
		}()
		first := max(int(from), 1)
		last, err := s.LastSeq(t.Context(), Warnings, "")
		require.NoError(t, err)
		require.Equal(t, int(last)-first+1, <-caughtUp, "all that was there, and it is told once")
		put(int(last)+1, int(last)+20)
		for i := first; i <= int(last)+20; i++ {
			select {
			case x := <-got:
				require.Equal(t, fmt.Sprint(i), x)
			case <-time.After(10 * time.Second):
				require.Fail(t, "a message is missing", "number %d", i)
			}
		}
		stop()
		require.NoError(t, <-ended)
		require.Empty(t, caughtUp)
	}
	require.NoError(t, p.Close(t.Context()))
	infos, err := s.Info(t.Context())
	require.NoError(t, err)
	for _, i := range infos {
		require.Empty(t, i.Consumers)
	}
}
