package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// crowded is a stream of a mebibyte, a publisher that waits for readers, and a goroutine that publishes n messages of 32 KiB through
// it; what it ended with comes from the channel.
func crowded(t *testing.T, s *Stream, n int) (*Publisher, <-chan error) {
	t.Helper()
	p, err := s.Publisher(PublisherConfig{Stream: Records, Readers: "scan-"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(context.Background()) }) // what is lost with a stream that closes first is told to who publishes
	done := make(chan error, 1)
	go func() {
		for i := range n {
			b := make([]byte, 32<<10)
			b[0] = byte(i)
			if err := p.PublishRecords(t.Context(), 0, "", b); err != nil {
				done <- err
				return
			}
		}
		done <- p.Flush(t.Context())
	}()
	return p, done
}

func waits(t *testing.T, p *Publisher) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Stats().Trouble != nil }, patience, time.Millisecond)
	require.ErrorContains(t, p.Stats().Trouble, "three quarters of stream RECORDS")
	require.NotZero(t, p.Stats().Waits)
	require.Less(t, p.Stats().Stored, uint64(30), "a mebibyte has room for thirty")
}

func TestPublishWaitsForReadersBeforeTheStreamRemovesWhatIsUnread(t *testing.T) {
	s := open(t, Options{Records: Retention{MaxBytes: mebibyte}})
	c := consume(t, s, owner)
	const n = 150
	p, done := crowded(t, s, n)
	waits(t, p)
	for i := range n {
		m := nextOf(t, c)
		require.Equal(t, byte(i), m.Data[0])
		require.NoError(t, c.AckThrough(m.Seq))
	}
	require.NoError(t, <-done)
	lost, err := c.Lost(t.Context())
	require.NoError(t, err)
	require.Zero(t, lost)
	require.NoError(t, p.Stats().Trouble)
	require.Equal(t, uint64(n), p.Stats().Stored)
}

func TestWithoutAnyReaderEverythingIsUnread(t *testing.T) {
	s := open(t, Options{Records: Retention{MaxBytes: mebibyte}})
	const n = 60
	p, done := crowded(t, s, n)
	waits(t, p)
	c := consume(t, s, owner) // a matcher that starts later
	for i := range n {
		m := nextOf(t, c)
		require.Equal(t, byte(i), m.Data[0])
		require.NoError(t, c.AckThrough(m.Seq))
	}
	require.NoError(t, <-done)
}

func TestPublishersOfOneStreamShareTheRoomAndCloseWakesWhoWaits(t *testing.T) {
	s := open(t, Options{Records: Retention{MaxBytes: mebibyte}})
	p, done := crowded(t, s, 60)
	waits(t, p)
	other, err := s.Publisher(PublisherConfig{Stream: Records, Readers: "scan-"})
	require.NoError(t, err)
	require.Same(t, p.gate, other.gate)
	blocked := make(chan error, 1)
	go func() { blocked <- other.PublishRecords(t.Context(), 0, "", []byte("x")) }()
	require.Eventually(t, func() bool {
		p.gate.mu.Lock()
		defer p.gate.mu.Unlock()
		return p.gate.waiting == 2
	}, patience, time.Millisecond)
	require.NoError(t, other.Close(t.Context()))
	require.ErrorContains(t, <-blocked, "the publisher is closed")
	require.NoError(t, s.Close())
	require.Error(t, <-done)
}

func TestRoomIsWhatTheSlowestReaderLeavesOfThreeQuarters(t *testing.T) {
	reader := func(acked, pending uint64, unacked int) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{AckFloor: jetstream.SequenceInfo{Stream: acked}, NumPending: pending, NumAckPending: unacked}
	}
	full := jetstream.StreamState{Msgs: 100, Bytes: 1000, FirstSeq: 1001, LastSeq: 1100}
	for name, tc := range map[string]struct {
		state   jetstream.StreamState
		readers []*jetstream.ConsumerInfo
		want    int64
	}{
		"an empty stream":                     {want: 900},
		"nobody reads":                        {state: full, want: -100},
		"all is read":                         {state: full, readers: []*jetstream.ConsumerInfo{reader(1100, 0, 0), reader(7, 0, 0)}, want: 900},
		"one is far behind, with one message": {state: full, readers: []*jetstream.ConsumerInfo{reader(1090, 3, 0), reader(1010, 0, 1)}, want: 0},
		"one has read nothing that is left":   {state: full, readers: []*jetstream.ConsumerInfo{reader(3, 2, 0)}, want: -100},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, room(&tc.state, 1200, oldestUnread(&tc.state, tc.readers, nil)))
		})
	}
	exact := oldestUnread(&full, []*jetstream.ConsumerInfo{reader(1090, 3, 0), reader(3, 1, 0)}, func(_ *jetstream.ConsumerInfo, after uint64) uint64 {
		return max(after+1, 1095)
	})
	require.Equal(t, uint64(1095), exact, "what lies between is of others")
}

func TestAReaderOfFewMessagesHoldsNobodyBack(t *testing.T) {
	s := open(t, Options{Records: Retention{MaxBytes: mebibyte}})
	busy := consume(t, s, owner)
	quiet := consume(t, s, func(c *ConsumerConfig) { owner(c); c.Durable, c.Subject = "scan-1", RecordsSubject(1) })
	p := publisher(t, s, PublisherConfig{Stream: Records, Readers: "scan-"})
	for i := range 300 {
		if i%150 == 149 { // the quiet one has a message, and has not come to it
			require.NoError(t, p.PublishRecords(t.Context(), 1, "", []byte("x")))
		}
		require.NoError(t, p.PublishRecords(t.Context(), 0, "", make([]byte, 32<<10)))
		require.NoError(t, busy.AckThrough(nextOf(t, busy).Seq))
		if i%150 == 149 {
			require.NoError(t, quiet.AckThrough(nextOf(t, quiet).Seq))
		}
	}
	require.NoError(t, p.Stats().Trouble)
}

func TestGateLetsSomeThroughWhenTheServerNeverSays(t *testing.T) {
	s := open(t, Options{})
	g, err := s.gate(Records, "scan-")
	require.NoError(t, err)
	silent := errors.New("no answer")
	require.False(t, g.learn(0, 0, silent), "nothing was ever known")
	require.Positive(t, g.left)
	g.left = 0
	g.learn(0, 0, silent)
	require.Zero(t, g.left, "one failure is no reason")
	g.looked = time.Now().Add(-2 * gatePatience)
	g.learn(0, 0, silent)
	require.Positive(t, g.left)
	require.NoError(t, g.full)
}

func TestGateCountsWhatIsOnItsWay(t *testing.T) {
	s := open(t, Options{})
	g, err := s.gate(Records, "scan-")
	require.NoError(t, err)
	g.learn(8000, 64000, nil)
	require.Equal(t, int64(1000), g.left)
	g.looked = time.Now()
	require.NoError(t, g.pass(t.Context(), nil, 400))
	g.learn(8000, 64000, nil)
	require.Equal(t, int64(1000), g.left, "a sixty-fourth of the stream at least, while there is so much")
	g.flying = 7500
	g.learn(8000, 64000, nil)
	require.Equal(t, int64(500), g.left)
	g.flying = 9000
	g.learn(8000, 64000, nil)
	require.Zero(t, g.left)
	require.Error(t, g.full)
	g.stored(9000)
	g.learn(8000, 64000, nil)
	require.NoError(t, g.full)
}
