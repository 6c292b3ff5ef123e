package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
)

// pastOf is a history that is known.
type pastOf struct {
	last uint64
	told map[string]uint32
}

var _ history = pastOf{}

func (p pastOf) LastHits(context.Context) (uint64, error) { return p.last, nil }

func (p pastOf) Told(context.Context) (map[string]uint32, error) { return p.told, nil }

// refusing is a store that refuses some commits.
type refusing struct {
	*store.Store
	times int
	with  error
}

func (r *refusing) Commit(partition int, c store.Commit) (uint64, error) {
	if r.times > 0 {
		r.times--
		return 0, r.with
	}
	return r.Store.Commit(partition, c)
}

func testOwner(t *testing.T, s ledger, out publisher, past pastOf) *owner {
	t.Helper()
	p := program(t, "memory")
	return &owner{
		partition: 0, program: func() *matcher.Program { return p }, store: s, out: out, history: past, metrics: testMetrics(t),
		newTracker: func(p matcher.Lookup, d matcher.Details) (tracker, error) {
			return matcher.NewTracker(p, matcher.TrackerOptions{Details: d})
		},
		dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now),
		log:  slog.New(slog.DiscardHandler), commitEvery: 500 * time.Millisecond, commitMax: 100,
		behind: func() time.Duration { return 0 },
	}
}

// hitsOf is the message of the hits of some lines of a node.
func hitsOf(t *testing.T, seq uint64, second int, texts ...string) stream.Message {
	t.Helper()
	p := program(t, "memory")
	var e hitsEncoder
	require.NoError(t, e.reset("logs/n1"))
	for i, text := range texts {
		r := line("n1", second+i, text)
		h := matcher.Hit{Signature: p.Signatures()[0].Digest, Key: []byte("node=n1\x1f"), Source: "logs/n1", Record: r}
		switch text {
		case "memory is getting low":
			h.On = 1
		case "memory is nearly gone":
			h.On = 2
		default:
			h.On = 1 << matcher.RoleIncident
		}
		require.NoError(t, e.add(&h))
	}
	return stream.Message{Seq: seq, Data: e.take()}
}

// follow runs an owner over messages.
func follow(t *testing.T, o *owner, messages ...stream.Message) (acked uint64) {
	t.Helper()
	require.NoError(t, o.restore(context.Background()))
	in, a := make(chan stream.Message, len(messages)), &acks{}
	for _, m := range messages {
		in <- m
	}
	close(in)
	require.NoError(t, o.run(context.Background(), context.Background(), in, a.ack))
	return a.get()
}

// told gives "state-revision" of what was published.
func told(t *testing.T, out *sent) (list []string) {
	t.Helper()
	for _, m := range out.take() {
		w, err := DecodeWarning(m.data)
		require.NoError(t, err)
		require.Equal(t, WarningID(w.Warning.ID, w.Warning.Revision), m.id)
		list = append(list, string(w.Warning.State))
	}
	return list
}

func TestOwnerCommitsBeforeItTellsAndAcknowledges(t *testing.T) {
	s, out := memoryStore(t), &sent{}
	o := testOwner(t, s, out, pastOf{last: 9})
	require.EqualValues(t, 9, follow(t, o, hitsOf(t, 4, 1, "memory is getting low"), hitsOf(t, 9, 2, "memory is nearly gone", "killed")))
	require.Equal(t, []string{"forming", "imminent", "incident"}, told(t, out))
	at, err := s.Position(0)
	require.NoError(t, err)
	require.EqualValues(t, 9, at)
	require.NoError(t, s.Outbox(0, func(p store.Pending) error { t.Errorf("left in the outbox: %s", p.ID); return nil }))

	// What comes again is acknowledged and does nothing.
	o = testOwner(t, s, out, pastOf{last: 9})
	require.EqualValues(t, 9, follow(t, o, hitsOf(t, 4, 1, "memory is getting low"), hitsOf(t, 9, 2, "killed")))
	require.Empty(t, told(t, out))
	require.EqualValues(t, 2, o.metrics.repeats.Value())
	require.Equal(t, map[openKind]int{{"memory", signatures.High, matcher.InIncident}: 1}, o.state.Load().Open, "the state was restored")
}

func TestInABacklogWarningsShareACommit(t *testing.T) {
	for _, c := range []struct {
		behind time.Duration
		waits  bool
	}{{0, false}, {time.Second, false}, {24 * time.Hour, true}} {
		t.Run(c.behind.String(), func(t *testing.T) {
			out := &sent{}
			o := testOwner(t, memoryStore(t), out, pastOf{})
			o.behind = func() time.Duration { return c.behind }
			o.commitEvery = time.Hour
			require.NoError(t, o.restore(t.Context()))
			in, a, done := make(chan stream.Message), &acks{}, make(chan error)
			go func() { done <- o.run(t.Context(), t.Context(), in, a.ack) }()
			acked := func(seq uint64) func() bool { return func() bool { return a.get() == seq } }

			in <- hitsOf(t, 1, 1, "memory is getting low")
			require.Eventually(t, acked(1), 10*time.Second, time.Millisecond, "the first waits for nothing")
			in <- hitsOf(t, 2, 2, "memory is nearly gone")
			if c.waits {
				require.Never(t, acked(2), 100*time.Millisecond, time.Millisecond, "it waits for others to share the commit with")
			} else {
				require.Eventually(t, acked(2), 10*time.Second, time.Millisecond, "it waits for no message to come")
			}
			close(in)
			require.NoError(t, <-done)
			require.EqualValues(t, 2, a.get())
			require.Equal(t, []string{"forming", "imminent"}, told(t, out))
		})
	}
}

func TestOwnerTellsAfterARestartWhatItHadNot(t *testing.T) {
	s, out := memoryStore(t), &sent{hold: make(chan struct{})}
	o := testOwner(t, s, out, pastOf{last: 4})
	require.NoError(t, o.restore(t.Context()))
	ctx, kill := context.WithCancel(t.Context())
	in, a, done := make(chan stream.Message), &acks{}, make(chan error)
	go func() { done <- o.run(ctx, ctx, in, a.ack) }()
	in <- hitsOf(t, 4, 1, "memory is getting low")
	require.Eventually(t, func() bool { at, err := s.Position(0); return err == nil && at == 4 }, 5*time.Second, time.Millisecond)
	kill() // committed, sent, and not known to be stored
	require.Error(t, <-done)
	require.Zero(t, a.get())
	first := out.take()
	require.Len(t, first, 1)

	out = &sent{}
	o = testOwner(t, s, out, pastOf{last: 4})
	require.EqualValues(t, 4, follow(t, o, hitsOf(t, 4, 1, "memory is getting low")))
	again := out.take()
	require.Equal(t, first, again, "the same revision under the same id")

	out = &sent{}
	follow(t, testOwner(t, s, out, pastOf{last: 4}))
	require.Empty(t, out.take())
}

func TestOwnerStandsStillWhileTheStoreRefuses(t *testing.T) {
	out := &sent{}
	s := &refusing{Store: memoryStore(t), times: 2, with: store.ErrDiskFull}
	o := testOwner(t, s, out, pastOf{last: 4})
	m := hitsOf(t, 4, 1, "memory is getting low")
	require.EqualValues(t, 4, follow(t, o, m))
	require.Equal(t, []string{"forming"}, told(t, out))
	require.EqualValues(t, 2, o.metrics.commitErrors.Value())

	s.times, s.with = 1, store.ErrCorrupt
	o = testOwner(t, s, out, pastOf{last: 5})
	require.NoError(t, o.restore(t.Context()))
	in := make(chan stream.Message, 1)
	in <- hitsOf(t, 5, 2, "memory is nearly gone")
	close(in)
	require.ErrorIs(t, o.run(t.Context(), t.Context(), in, (&acks{}).ack), store.ErrCorrupt)
	require.Empty(t, out.take(), "nothing is told that is not written")
}

func TestOwnerPassesOverWhatIsNoHits(t *testing.T) {
	s, out := memoryStore(t), &sent{}
	o := testOwner(t, s, out, pastOf{last: 6})
	require.EqualValues(t, 6, follow(t, o, stream.Message{Seq: 5, Data: []byte("junk")}, hitsOf(t, 6, 1, "memory is getting low")))
	require.Equal(t, []string{"forming"}, told(t, out))
	require.EqualValues(t, 1, o.metrics.badHits.Value())
	require.Equal(t, "HITS", o.dead.last()[0].Stream)
}

func TestOneDamagedProgressDoesNotTakeThePartitionWithIt(t *testing.T) {
	s, out := memoryStore(t), &sent{}
	follow(t, testOwner(t, s, out, pastOf{last: 4}), hitsOf(t, 4, 1, "memory is getting low"))
	_, err := s.Commit(0, store.Commit{Position: 4, Progress: []store.Entry{{Key: []byte("junk"), Value: []byte("junk")}}})
	require.NoError(t, err)

	o := testOwner(t, s, out, pastOf{last: 5})
	follow(t, o, hitsOf(t, 5, 2, "memory is nearly gone"))
	require.Equal(t, []string{"forming", "imminent"}, told(t, out))
	require.EqualValues(t, 1, o.metrics.lostProgress.Value())
}

func TestAStreamThatLostItsEndIsFollowedOn(t *testing.T) {
	s, out := memoryStore(t), &sent{}
	follow(t, testOwner(t, s, out, pastOf{last: 900}), hitsOf(t, 900, 1, "memory is getting low"))

	o := testOwner(t, s, out, pastOf{last: 5})
	require.EqualValues(t, 6, follow(t, o, hitsOf(t, 6, 2, "memory is nearly gone")))
	require.Equal(t, []string{"forming", "imminent"}, told(t, out))
	require.EqualValues(t, 1, o.metrics.streamResets.Value())
}

func TestWhatAnEarlierOwnerToldIsNotToldAgain(t *testing.T) {
	out := &sent{}
	a, b := hitsOf(t, 4, 1, "memory is getting low"), hitsOf(t, 5, 2, "memory is nearly gone")
	follow(t, testOwner(t, memoryStore(t), out, pastOf{last: 5}), a, b)
	all := out.take()
	require.Len(t, all, 2)
	w, err := DecodeWarning(all[0].data)
	require.NoError(t, err)

	a.Redelivered, b.Redelivered = true, true // a new owner reads them again
	s := memoryStore(t)
	follow(t, testOwner(t, s, out, pastOf{last: 5, told: map[string]uint32{w.Warning.ID: w.Warning.Revision}}), a, b)
	kept := 0
	require.NoError(t, s.Warnings(store.Filter{}, func(store.Revision) error { kept++; return nil }))
	require.Equal(t, 1, kept)
	require.Equal(t, []string{"imminent"}, told(t, out), "the first revision is in the stream, the second was not told yet")
}

func TestWhatWasCaughtUpIsNotToldWithTheFirstNewMessage(t *testing.T) {
	out := &sent{}
	a, b := hitsOf(t, 4, 1, "memory is getting low"), hitsOf(t, 5, 2, "memory is nearly gone")
	follow(t, testOwner(t, memoryStore(t), out, pastOf{last: 4}), a)
	w, err := DecodeWarning(out.take()[0].data)
	require.NoError(t, err)

	a.Redelivered = true // read again by another owner, and b comes before that is committed
	o := testOwner(t, memoryStore(t), out, pastOf{last: 5, told: map[string]uint32{w.Warning.ID: w.Warning.Revision}})
	require.EqualValues(t, 5, follow(t, o, a, b))
	require.Equal(t, []string{"imminent"}, told(t, out))
	require.Nil(t, o.told)
}

func TestWhoHasNoPartitionClosesNoWarningsOfIt(t *testing.T) {
	s, out := memoryStore(t), &sent{}
	follow(t, testOwner(t, s, out, pastOf{last: 4}), hitsOf(t, 4, 1, "memory is getting low"))
	require.Equal(t, []string{"forming"}, told(t, out))

	// Another process has had the partition since, and all of them take up a program without the signature.
	o := testOwner(t, s, out, pastOf{last: 9})
	require.NoError(t, o.restore(t.Context()))
	without := program(t, "other")
	o.program = func() *matcher.Program { return without }
	o.commitEvery = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, o.run(ctx, t.Context(), make(chan stream.Message), (&acks{}).ack))
	require.Empty(t, told(t, out), "its state may be of long ago")

	in := make(chan stream.Message, 1)
	in <- stream.Message{Seq: 5, Data: encodeMarks([]matcher.Mark{{Source: "a", Time: 1}})[0]}
	close(in)
	require.NoError(t, o.run(t.Context(), t.Context(), in, (&acks{}).ack))
	require.Equal(t, []string{"expired"}, told(t, out))
}

func TestOwnerReportsWhatCannotBePublished(t *testing.T) {
	s, out := memoryStore(t), &sent{fail: errors.New("the message is too large")}
	o := testOwner(t, s, out, pastOf{last: 4})
	require.EqualValues(t, 4, follow(t, o, hitsOf(t, 4, 1, "memory is getting low")))
	require.EqualValues(t, 1, o.metrics.lostWarnings.Value())
	left := 0
	require.NoError(t, s.Outbox(0, func(store.Pending) error { left++; return nil }))
	require.Equal(t, 1, left, "a later start tries again")
}
