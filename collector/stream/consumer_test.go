package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func consume(t *testing.T, s *Stream, change func(c *ConsumerConfig)) *Consumer {
	t.Helper()
	config := ConsumerConfig{Stream: Records, Subject: RecordsSubject(0), Durable: "scan-0", PinnedTTL: 2 * time.Second}
	if change != nil {
		change(&config)
	}
	c, err := s.Consume(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

func owner(c *ConsumerConfig) { c.Pinned, c.Ordered = true, true }

func ownerAfter(seq uint64) func(c *ConsumerConfig) {
	return func(c *ConsumerConfig) {
		owner(c)
		c.After = seq
	}
}

func nextOf(t *testing.T, c *Consumer) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.Next(ctx)
	require.NoError(t, err)
	return m
}

func requireNext(t *testing.T, c *Consumer, from, to int) (last uint64) {
	t.Helper()
	for i := from; i < to; i++ {
		m := nextOf(t, c)
		require.Equal(t, fmt.Sprint(i), string(m.Data))
		if last = m.Seq; i%100 == 99 {
			require.NoError(t, c.AckThrough(last))
		}
	}
	return last
}

func requireNothing(t *testing.T, c *Consumer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// eventually waits until the only consumer of RECORDS is as wanted.
func eventually(t *testing.T, s *Stream, as func(ConsumerInfo) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		infos, err := s.Info(t.Context())
		return err == nil && len(infos[0].Consumers) == 1 && as(infos[0].Consumers[0])
	}, patience, 5*time.Millisecond)
}

func TestConsumerGivesItsPartitionInOrder(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	c := consume(t, s, owner)
	publish(t, p, 1, 0, 5)
	publish(t, p, 0, 0, 500)
	last := requireNext(t, c, 0, 500)
	require.NoError(t, c.AckThrough(last))
	eventually(t, s, func(i ConsumerInfo) bool { return i.Unacked == 0 && i.Pending == 0 && i.Owned && i.AckedSeq == last })
	requireNothing(t, c)
	publish(t, p, 0, 500, 502)
	requireNext(t, c, 500, 502)
}

func TestConsumerConfigIsChecked(t *testing.T) {
	s := open(t, Options{})
	for want, c := range map[string]ConsumerConfig{
		"are required":             {Stream: Records},
		"use 2 seconds or more":    {Stream: Records, Subject: RecordsSubject(0), Durable: "d", PinnedTTL: time.Second},
		"stream not found":         {Stream: "NONE", Subject: "x", Durable: "d"},
		"the stream ends at 0":     {Stream: Records, Subject: RecordsSubject(0), Durable: "d", Ordered: true, After: 5},
		"as a.b: nats: invalid co": {Stream: Records, Subject: RecordsSubject(0), Durable: "a.b"},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := s.Consume(t.Context(), c)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestOneOfSeveralOwnersIsActiveAndAnotherTakesOver(t *testing.T) {
	n := newNATS(t, nil)
	one, two := open(t, Options{URL: n.url("")}), open(t, Options{URL: n.url("")})
	p := publisher(t, one, PublisherConfig{})
	first := consume(t, one, owner)
	publish(t, p, 0, 0, 10)
	last := requireNext(t, first, 0, 5)
	require.NoError(t, first.AckThrough(last))

	second := consume(t, two, owner)
	requireNothing(t, second)
	publish(t, p, 0, 10, 12)
	requireNothing(t, second)
	requireNext(t, first, 5, 8) // given, not acknowledged
	require.NoError(t, first.Close(t.Context()))
	_, err := first.Next(t.Context())
	require.ErrorIs(t, err, ErrClosed)

	requireNext(t, second, 5, 12)
	publish(t, p, 0, 12, 14)
	requireNext(t, second, 12, 14)
}

func TestAnOwnerThatDiesIsReplacedAndLeavesNoGap(t *testing.T) {
	n := newNATS(t, nil)
	one, two := open(t, Options{URL: n.url("")}), open(t, Options{URL: n.url("")})
	p := publisher(t, two, PublisherConfig{})
	first := consume(t, one, owner)
	publish(t, p, 0, 0, 10)
	last := requireNext(t, first, 0, 4)
	require.NoError(t, first.AckThrough(last))
	require.NoError(t, one.flush(t.Context()))
	requireNext(t, first, 4, 6)
	one.conn.Close() // as a kill would: nothing is given back

	second := consume(t, two, ownerAfter(last))
	publish(t, p, 0, 10, 300)
	requireNext(t, second, 4, 300) // long before the server gives 4 to 9 again
}

func TestOrderedBeginsAfterThePositionOfTheCaller(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	publish(t, p, 0, 0, 200)
	c := consume(t, s, owner)
	last := requireNext(t, c, 0, 150)
	require.NoError(t, c.AckThrough(last))
	require.NoError(t, c.Close(t.Context()))

	c = consume(t, s, ownerAfter(3)) // the caller's state is older than the server's
	requireNext(t, c, 3, 200)
	require.NoError(t, c.Close(t.Context()))
	c = consume(t, s, ownerAfter(190)) // and newer
	requireNext(t, c, 190, 200)
}

func TestOrderedWithoutAPositionGivesNothingAcknowledgedAgain(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	publish(t, p, 0, 0, 20)
	c := consume(t, s, owner)
	require.NoError(t, c.AckThrough(requireNext(t, c, 0, 15)))
	require.NoError(t, c.Close(t.Context()))
	c = consume(t, s, owner)
	requireNext(t, c, 15, 20)
	require.NoError(t, c.AckThrough(20))
	require.NoError(t, c.Close(t.Context()))
	c = consume(t, s, owner)
	requireNothing(t, c)
	publish(t, p, 0, 20, 21)
	requireNext(t, c, 20, 21)
}

func TestUnacknowledgedComesAgainButOrderedGivesItOnce(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	publish(t, p, 0, 0, 2)
	plain := consume(t, s, func(c *ConsumerConfig) { c.AckWait, c.Durable = 200*time.Millisecond, "plain" })
	ordered := consume(t, s, func(c *ConsumerConfig) {
		owner(c)
		c.AckWait = 200 * time.Millisecond
	})
	requireNext(t, ordered, 0, 2)
	first := nextOf(t, plain)
	require.False(t, first.Redelivered)
	require.NoError(t, first.Ack())
	require.Equal(t, "1", string(nextOf(t, plain).Data))
	again := nextOf(t, plain)
	require.Equal(t, "1", string(again.Data))
	require.True(t, again.Redelivered)
	require.NoError(t, plain.AckThrough(again.Seq))
	require.Eventually(t, func() bool {
		info, err := ordered.cons.Info(t.Context())
		return err == nil && info.NumRedelivered > 0
	}, patience, 10*time.Millisecond, "the server gives it again")
	requireNothing(t, ordered)
	require.NoError(t, ordered.AckThrough(2))
	require.Eventually(t, func() bool {
		info, err := ordered.cons.Info(t.Context())
		return err == nil && info.NumAckPending == 0
	}, patience, 10*time.Millisecond)
}

func TestConsumerGoesOnWhenTheServerRestarts(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	p := publisher(t, s, PublisherConfig{})
	c := consume(t, s, owner)
	publish(t, p, 0, 0, 50)
	last := requireNext(t, c, 0, 20)
	require.NoError(t, c.AckThrough(last))
	n.stop()
	n.start()
	publish(t, p, 0, 50, 100)
	requireNext(t, c, 20, 100)
}

func TestCloseWakesANextThatWaits(t *testing.T) {
	s := open(t, Options{})
	c := consume(t, s, owner)
	done := make(chan error, 1)
	go func() {
		_, err := c.Next(t.Context())
		done <- err
	}()
	eventually(t, s, func(i ConsumerInfo) bool { return i.Waiting > 0 })
	require.NoError(t, c.Close(t.Context()))
	require.ErrorIs(t, <-done, ErrClosed)
}

func TestCloseDoesNotWaitForAServerThatIsGone(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	p := publisher(t, s, PublisherConfig{})
	c := consume(t, s, owner)
	publish(t, p, 0, 0, 30)
	requireNext(t, c, 0, 3)
	n.stop()
	require.Eventually(t, func() bool { return !s.conn.IsConnected() }, patience, time.Millisecond)
	begun := time.Now()
	require.NoError(t, c.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, s.Close())
	require.Less(t, time.Since(begun), 2*time.Second)
	n.start()
}

// Owners with one state come and go. Each applies what it is given only when it follows the state, as a transaction would.
func TestOwnersThatComeAndGoApplyEverythingOnce(t *testing.T) {
	n := newNATS(t, nil)
	main := open(t, Options{URL: n.url("")})
	p := publisher(t, main, PublisherConfig{})
	const all = 2000
	go func() {
		for i := range all {
			if p.PublishRecords(t.Context(), i%2, fmt.Sprint(i), fmt.Append(nil, i)) != nil {
				return // Next times out and tells
			}
		}
	}()
	r := rand.New(rand.NewPCG(7, 7))
	position, want := uint64(0), 0
	for round := 0; want < all; round++ {
		s, err := Open(t.Context(), Options{URL: n.url("")})
		require.NoError(t, err)
		config := ConsumerConfig{Stream: Records, Subject: RecordsSubject(0), Durable: "track-0", PinnedTTL: 2 * time.Second}
		ownerAfter(position)(&config)
		c, err := s.Consume(t.Context(), config)
		require.NoError(t, err)
		for range 1 + r.IntN(200) {
			if want == all {
				break
			}
			m := nextOf(t, c)
			require.Equal(t, fmt.Sprint(want), string(m.Data), "round %d", round)
			require.Greater(t, m.Seq, position)
			want, position = want+2, m.Seq // committed
			if r.IntN(10) == 0 {
				require.NoError(t, c.AckThrough(position))
			}
		}
		if round%8 != 7 { // else it dies and gives nothing back
			require.NoError(t, c.Close(t.Context()))
		}
		require.NoError(t, s.Close())
	}
}

func TestLostCountsWhatWasRemovedUnread(t *testing.T) {
	s := open(t, Options{Records: Retention{MaxBytes: mebibyte}})
	p := publisher(t, s, PublisherConfig{})
	c := consume(t, s, owner)
	idle := consume(t, s, func(c *ConsumerConfig) { c.Durable, c.Subject = "idle", RecordsSubject(1) })
	lost := func(c *Consumer) uint64 {
		n, err := c.Lost(t.Context())
		require.NoError(t, err)
		return n
	}
	publish(t, p, 0, 0, 10)
	require.NoError(t, c.AckThrough(requireNext(t, c, 0, 10)))
	require.NoError(t, s.flush(t.Context()))
	require.Zero(t, lost(c))
	require.Zero(t, lost(idle))

	flood := func(n int) { // the stream has room for some fifteen of these
		for i := range n {
			require.NoError(t, p.PublishRecords(t.Context(), 0, "", make([]byte, 64<<10)))
			if i%5 == 4 {
				require.NoError(t, p.Flush(t.Context()))
				require.Zero(t, lost(idle), "what was not its own is no loss to an idle partition")
			}
		}
	}
	flood(20)
	st, err := s.js.Stream(t.Context(), Records)
	require.NoError(t, err)
	first := st.CachedInfo().State.FirstSeq
	require.Greater(t, first, uint64(11))
	require.Zero(t, lost(c), "what was removed was on its way already")

	flood(60)
	c.loss.asked = time.Time{} // as if this had taken more than an instant
	came := 10                 // what was fetched before it was removed, and what is still there
	for ; ; came++ {
		m := nextOf(t, c)
		require.NoError(t, c.AckThrough(m.Seq))
		if m.Seq == 90 {
			break
		}
	}
	require.Equal(t, uint64(90-came-1), lost(c))
	require.Equal(t, uint64(90-came-1), lost(c), "each is counted once")
}

func TestLossCountsWhatAFastWriterRemovesUnderASlowReader(t *testing.T) {
	now := time.Unix(0, 0)
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var l loss
		l.begin(&jetstream.ConsumerInfo{})
		var first, last, read, lost uint64 = 1, 0, 0, 0
		for range 300 {
			last += r.Uint64N(20) // written
			if last > first+100 {
				removed := last - 100 // the stream keeps a hundred
				if removed > read+1 {
					lost += removed - 1 - read
					read = removed - 1
				}
				first = removed
			}
			for range r.Uint64N(16) { // read
				if read == last {
					break
				}
				if read++; l.stale(read, now) {
					l.tell(jetstream.StreamState{FirstSeq: first, LastSeq: last}, now)
				}
				l.deliver(read)
			}
			now = now.Add(100 * time.Millisecond)
		}
		if read < last { // what was removed since the last delivery shows with the next one
			read++
			l.tell(jetstream.StreamState{FirstSeq: first, LastSeq: last}, now)
			l.deliver(read)
		}
		require.Equal(t, lost, l.total)
	}
}

func TestLossKnowsAnIdlePartition(t *testing.T) {
	at := func(acked, delivered, pending uint64) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{
			AckFloor: jetstream.SequenceInfo{Stream: acked}, NumPending: pending,
			Delivered: jetstream.SequenceInfo{Stream: acked, Consumer: delivered},
		}
	}
	look := func(l *loss, first, last uint64, info *jetstream.ConsumerInfo) uint64 {
		l.tell(jetstream.StreamState{FirstSeq: first, LastSeq: last}, time.Time{})
		l.look(info)
		return l.total
	}
	var l loss
	l.begin(at(0, 0, 0))
	require.Zero(t, look(&l, 500, 600, at(0, 0, 0)), "it came after they were gone")
	require.Zero(t, look(&l, 550, 700, at(0, 0, 9)))
	require.Equal(t, uint64(49), look(&l, 650, 700, at(0, 0, 9)), "up to 600 there was nothing of its own")
	require.Equal(t, uint64(49), look(&l, 690, 700, at(700, 9, 0)), "read before they went")

	l = loss{}
	l.begin(at(100, 50, 20))
	require.Equal(t, uint64(199), look(&l, 300, 400, at(100, 50, 20)), "while nobody was here")
}

// TestAnOwnerThatWasBusyTooLongLeavesItsMessagesToTheNext: it holds some ready, which the next owner has had meanwhile.
func TestAnOwnerThatWasBusyTooLongLeavesItsMessagesToTheNext(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{DataDir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	p, err := s.Publisher(PublisherConfig{})
	require.NoError(t, err)
	tell := func(texts ...string) {
		for _, x := range texts {
			require.NoError(t, p.PublishWarning(t.Context(), x, []byte(x)))
		}
		require.NoError(t, p.Flush(t.Context()))
	}
	consume := func() *Consumer {
		c, err := s.Consume(t.Context(), ConsumerConfig{
			Stream: Warnings, Subject: WarningsSubject, Durable: "pager", Pinned: true, Ordered: true, PinnedTTL: 2 * time.Second, AckWait: 2 * time.Second,
		})
		require.NoError(t, err)
		return c
	}
	next := func(c *Consumer) string {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		m, err := c.Next(ctx)
		require.NoError(t, err)
		require.NoError(t, c.AckThrough(m.Seq))
		return string(m.Data)
	}
	tell("one", "two", "three")
	busy := consume()
	require.Equal(t, "one", next(busy)) // and holds the others ready
	other := consume()
	require.Equal(t, "two", next(other), "after the busy one was silent for too long")
	require.Equal(t, "three", next(other))

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = busy.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "its messages were given by the other one")
	require.NoError(t, other.Close(t.Context()))
	tell("four")
	require.Equal(t, "four", next(busy))
	require.NoError(t, busy.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()))
}
