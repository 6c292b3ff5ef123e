package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestPublisherKeepsOrderAndDropsRepeatedIDs(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	publish(t, p, 0, 0, 1000)
	publish(t, p, 0, 500, 1500)
	require.Equal(t, numbers(0, 1500), contents(t, s, AllRecords))
	st := p.Stats()
	require.Equal(t, PublisherStats{Stored: 2000, Duplicates: 500}, st)
}

func TestPublisherGivesIDsOfItsOwn(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	header := map[string]string{"Source": "logs"}
	for range 3 {
		require.NoError(t, p.Publish(t.Context(), WarningsSubject, "", []byte("same"), header))
	}
	require.NoError(t, p.Flush(t.Context()))
	n := 0
	require.NoError(t, s.Read(t.Context(), Warnings, WarningsSubject, 0, 0, func(m Message) error {
		n++
		require.Equal(t, []string{"logs"}, m.Header["Source"])
		require.False(t, m.Time.IsZero())
		return nil
	}))
	require.Equal(t, 3, n)
}

func TestPublisherRefusesWhatTheServerWouldNotTake(t *testing.T) {
	s := open(t, Options{})
	require.Equal(t, maxPayload, s.MaxPayload())
	p := publisher(t, s, PublisherConfig{OutstandingBytes: mebibyte})
	err := p.PublishRecords(t.Context(), 0, "", make([]byte, maxPayload))
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "the server takes 8388608 at most: raise max_payload")
	require.NoError(t, p.PublishRecords(t.Context(), 0, "", make([]byte, 4*mebibyte)), "one large message may take all room")
	publish(t, p, 0, 0, 5)
}

func TestPublisherBlocksInsteadOfDropping(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	p := publisher(t, s, PublisherConfig{Outstanding: 4})
	publish(t, p, 0, 0, 2)
	n.stop()

	for i := 2; i < 6; i++ {
		require.NoError(t, p.PublishRecords(t.Context(), 0, "", fmt.Append(nil, i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.PublishRecords(ctx, 0, "", []byte("too much"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, p.Flush(ctx), "while nothing could be stored")
	st := p.Stats()
	require.Equal(t, 4, st.Outstanding)
	require.Error(t, st.Trouble)

	n.start()
	require.NoError(t, p.Flush(t.Context()))
	require.Equal(t, numbers(0, 6), contents(t, s, AllRecords))
	require.NoError(t, p.Stats().Trouble)
}

func TestPublisherLosesNothingWhenTheServerRestarts(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	p := publisher(t, s, PublisherConfig{Outstanding: 64})
	const all = 30_000
	done := make(chan error, 1)
	go func() {
		for i := range all {
			if err := p.PublishRecords(t.Context(), 0, fmt.Sprint(i), fmt.Append(nil, i)); err != nil {
				done <- err
				return
			}
		}
		done <- p.Flush(t.Context())
	}()
	for _, part := range []uint64{all / 10, all / 3, all / 2} {
		require.Eventually(t, func() bool { return p.Stats().Stored >= part }, patience, time.Millisecond)
		n.stop()
		n.start()
	}
	require.NoError(t, <-done)
	require.Equal(t, numbers(0, all), contents(t, s, AllRecords), "all, each once, in order")
	require.NotZero(t, p.Stats().Retries)
}

func TestPublisherWaitsForAStreamThatIsGone(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	require.NoError(t, s.js.DeleteStream(t.Context(), Records))
	require.NoError(t, p.PublishRecords(t.Context(), 0, "", []byte("0")))
	require.Eventually(t, func() bool { return p.Stats().Trouble != nil }, patience, time.Millisecond)
	require.ErrorContains(t, p.Stats().Trouble, "no stream listens there")
	require.NoError(t, s.EnsureStreams(t.Context()))
	require.NoError(t, p.Flush(t.Context()))
	require.Equal(t, numbers(0, 1), contents(t, s, AllRecords))
}

func TestPublisherCloseSaysWhatIsNotStored(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	p, err := s.Publisher(PublisherConfig{Outstanding: 3})
	require.NoError(t, err)
	n.stop()
	for range 3 {
		require.NoError(t, p.PublishRecords(t.Context(), 0, "", []byte("x")))
	}
	blocked := make(chan error, 2)
	for range cap(blocked) {
		go func() { blocked <- p.PublishRecords(t.Context(), 0, "", []byte("x")) }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.Close(ctx), "with 3 messages not stored")
	for range cap(blocked) {
		require.ErrorContains(t, <-blocked, "the publisher is closed")
	}
	require.ErrorContains(t, p.Flush(t.Context()), "closed")
	require.ErrorContains(t, p.PublishRecords(t.Context(), 0, "", nil), "closed")
	n.start()
}

// A real server refuses chosen messages not on demand, so this looks at the window alone.
func TestWindowSendsFromTheOldestAgain(t *testing.T) {
	s := open(t, Options{})
	p, err := s.Publisher(PublisherConfig{})
	require.NoError(t, err)
	require.NoError(t, p.Close(t.Context())) // its goroutine is gone: the window is ours
	w := &window{p: p, backoff: retryFirst, timer: time.NewTimer(time.Hour), dials: s.dials.Load()}
	for i := range 5 {
		require.NoError(t, p.room.Acquire(t.Context(), 1))
		w.add(newOutgoing(i))
	}
	require.Equal(t, 5, w.sent)
	w.answered(ack{number: 2})
	require.Len(t, w.queue, 5, "the oldest one is not stored yet")
	w.answered(ack{number: 1, err: errors.New("disk trouble")})
	require.True(t, w.failing)
	require.Zero(t, w.sent, "everything goes again")
	w.add(newOutgoing(5))
	require.Zero(t, w.sent, "nothing overtakes")
	w.answered(ack{number: 3, err: errors.New("disk trouble")})
	require.Equal(t, uint64(1), w.round, "late bad news of an earlier round says nothing")
	w.answered(ack{number: 3})
	require.True(t, w.failing, "good news of another message does not show the way free")
	w.retry()
	require.Equal(t, 1, w.sent, "the oldest one alone")
	w.answered(ack{number: 0, round: 1, duplicate: true})
	require.False(t, w.failing)
	require.Equal(t, 5, w.sent, "the rest follows")
	w.answered(ack{number: 99, round: 1})
	s.dials.Add(1)
	w.add(newOutgoing(6))
	require.True(t, w.failing, "a new connection may have lost what is on its way")
}

func newOutgoing(i int) *outgoing {
	return &outgoing{msg: &nats.Msg{Subject: RecordsSubject(0), Data: fmt.Append(nil, i), Header: nats.Header{}}}
}

func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{94 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s, err := Open(b.Context(), Options{DataDir: b.TempDir(), Records: Retention{MaxBytes: 512 * mebibyte}})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, s.Close()) })
			require.NoError(b, s.EnsureStreams(b.Context()))
			p, err := s.Publisher(PublisherConfig{})
			require.NoError(b, err)
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := p.PublishRecords(b.Context(), 0, "", payload); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, p.Close(b.Context()))
		})
	}
}

func TestPayloadsAreGivenBackOnceTheyAreStored(t *testing.T) {
	s := open(t, Options{DataDir: t.TempDir()})
	var mu sync.Mutex
	back := map[string]int{}
	p := publisher(t, s, PublisherConfig{Recycle: func(payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		back[string(payload)]++
		clear(payload) // its next user writes to it
	}})
	want := map[string]int{}
	for i := range 300 {
		text := fmt.Sprintf("payload %03d", i)
		want[text] = 1
		require.NoError(t, p.PublishRecords(t.Context(), 0, text, []byte(text)))
	}
	require.NoError(t, p.Flush(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, want, back)
	stored := contents(t, s, AllRecords)
	require.Len(t, stored, 300)
	for i, text := range stored {
		require.Equal(t, fmt.Sprintf("payload %03d", i), text)
	}
}
