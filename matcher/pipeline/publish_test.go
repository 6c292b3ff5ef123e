package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// frames is a source that ends, or breaks.
type frames struct {
	list [][]byte
	end  error
}

var _ Frames = (*frames)(nil)

func (f *frames) Next(context.Context) ([]byte, error) {
	if len(f.list) == 0 {
		return nil, f.end
	}
	x := f.list[0]
	f.list = f.list[1:]
	return x, nil
}

func TestTheSameObservationsArePublishedOnce(t *testing.T) {
	r := newRig(t, t.TempDir())
	reg := prometheus.NewPedanticRegistry()
	p, err := NewPublisher(r.stream, 0, reg)
	require.NoError(t, err)
	again := line("n1", 1, "hello")
	again.Observed += 1e9 // read once more, a second later
	err = p.Drain(t.Context(), &frames{end: io.EOF, list: [][]byte{
		frame(t, "logs/n1", 1, false, line("n1", 1, "hello")), frame(t, "logs/n1", 1, false, again), // the same
		frame(t, "logs/n1", 2, false, line("n1", 2, "hello")),        // another one
		frame(t, "logs/n2", 1, false, line("n1", 1, "hello")),        // of another source
		frame(t, "logs/n1", 3, false), frame(t, "logs/n1", 3, false), // heartbeats
	}})
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Stats().Duplicates)
	require.EqualValues(t, 6, p.Stats().Stored)

	broken := errors.New("the file went away")
	require.Equal(t, broken, p.Drain(t.Context(), &frames{end: broken}))
	require.ErrorContains(t, p.Emit(t.Context(), []byte("junk")), "publish a batch")
	n, err := testutil.GatherAndCount(reg, "forewarn_pipeline_published_batches_total")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, p.Close(t.Context()))

	seen := 0
	require.NoError(t, r.stream.Read(t.Context(), stream.Records, "", 0, 0, func(m stream.Message) error {
		var b record.Batch
		require.NoError(t, b.Decode(m.Data))
		require.Equal(t, stream.RecordsSubject(RecordPartition(b.Header().Source, 2)), m.Subject)
		seen++
		return nil
	}))
	require.Equal(t, 5, seen)
}

func TestAFeedGivesWhatIsToldFromNowOn(t *testing.T) {
	r := newRig(t, t.TempDir())
	out, err := r.stream.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	tell := func(id string) {
		body, err := EncodeWarning(&matcher.Change{Warning: matcher.Warning{
			ID: id, Revision: 1, State: matcher.Forming, Key: []record.Attr{{Key: "node", Value: "n1"}}, Opened: start, Time: start,
		}, Settled: true})
		require.NoError(t, err)
		require.NoError(t, out.PublishWarning(t.Context(), WarningID(id, 1), body))
		require.NoError(t, out.Flush(t.Context()))
	}
	tell("old")
	f, err := NewFeed(t.Context(), r.stream, "pager", nil)
	require.NoError(t, err)
	require.NoError(t, out.Publish(t.Context(), stream.WarningsSubject, "", []byte("junk"), nil))
	tell("one")
	tell("two")

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w, _, done, err := f.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "one", w.ID)
	require.Equal(t, []record.Attr{{Key: "node", Value: "n1"}}, w.Key)
	require.NoError(t, done())
	w, _, _, err = f.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "two", w.ID)
	require.NoError(t, f.Close(ctx))

	f, err = NewFeed(ctx, r.stream, "pager", nil)
	require.NoError(t, err)
	w, _, done, err = f.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "two", w.ID, "what was not done comes again")
	require.NoError(t, done())
	require.NoError(t, f.Close(ctx))
	require.NoError(t, out.Close(ctx))
}

func TestAWarningComesBackAsItWasTold(t *testing.T) {
	closed := start.Add(time.Hour)
	c := matcher.Change{Was: matcher.Imminent, Settled: true, Warning: matcher.Warning{
		ID: "a", Revision: 3, Signature: "memory", State: matcher.Averted, Key: []record.Attr{{Key: "node", Value: "n1"}}, KeyText: "n1",
		Opened: start, Time: closed, Closed: &closed, Reached: []matcher.Reached{{Stage: "first", Time: start, Count: 2}},
	}}
	b, err := EncodeWarning(&c)
	require.NoError(t, err)
	got, err := DecodeWarning(b)
	require.NoError(t, err)
	require.Equal(t, Told{c.Warning, matcher.Imminent, true}, got)
	for _, bad := range []string{``, `[]`, `{}`, `{"id":5}`} {
		_, err := DecodeWarning([]byte(bad))
		require.Error(t, err, bad)
	}
	_, err = StatusOf([]byte("x"))
	require.Error(t, err)
}

func FuzzDecodeWarning(f *testing.F) {
	f.Add([]byte(`{"id":"a","revision":1,"state":"forming","key_parts":[{"name":"node","value":"n1"}],"was":"","settled":true}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		told, err := DecodeWarning(data)
		if err != nil {
			return
		}
		b, err := EncodeWarning(&matcher.Change{Warning: told.Warning, Was: told.Was, Settled: told.Settled})
		if err != nil {
			return // a number or time that JSON lacks
		}
		again, err := DecodeWarning(b)
		require.NoError(t, err)
		require.Equal(t, told.Warning.ID, again.Warning.ID)
		require.Equal(t, told.Warning.Key, again.Warning.Key)
	})
}

// lossy is a consumer whose server does not answer now and then.
type lossy struct {
	errs []error // of the next calls
	acks int
}

func (l *lossy) Next(context.Context) (stream.Message, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return stream.Message{}, err
	}
	body, err := EncodeWarning(&matcher.Change{Warning: matcher.Warning{ID: "a", Revision: 1, State: matcher.Forming}})
	if l.acks == 0 {
		body = []byte("junk")
	}
	return stream.Message{Seq: 1, Data: body}, err
}

func (l *lossy) AckThrough(uint64) error {
	l.acks++
	return errors.New("the connection is being made again")
}

func (l *lossy) Close(context.Context) error { return nil }

func TestAFeedOutlivesAServerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lossy{errs: []error{context.DeadlineExceeded, errors.New("no responders")}}
		f := &Feed{c: l, log: slog.New(slog.DiscardHandler)}
		w, _, _, err := f.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a", w.ID)
		require.Equal(t, 1, l.acks)

		l.errs = slices.Repeat([]error{errors.New("no responders")}, feedFor+1)
		_, _, _, err = f.Next(t.Context())
		require.ErrorContains(t, err, "no responders")
		l.errs = []error{stream.ErrClosed}
		_, _, _, err = f.Next(t.Context())
		require.ErrorIs(t, err, stream.ErrClosed)
	})
}
