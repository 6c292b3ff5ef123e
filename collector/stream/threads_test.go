package stream

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestThreadsAreRememberedByWhoeverTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(t.Context(), Options{DataDir: dir})
	require.NoError(t, err)
	require.NoError(t, first.EnsureStreams(t.Context()))
	got, err := first.Threads().Recall(t.Context(), "chat/a")
	require.NoError(t, err)
	require.Nil(t, got)
	require.NoError(t, first.Threads().Remember(t.Context(), "chat/a", []byte("one")))
	require.NoError(t, first.Threads().Remember(t.Context(), "chat/a", []byte("two")))
	require.NoError(t, first.Threads().Remember(t.Context(), "chat/größe *.>", []byte("any key")))
	require.NoError(t, first.Close())

	second := open(t, Options{DataDir: dir})
	for key, want := range map[string]string{"chat/a": "two", "chat/größe *.>": "any key", "chat/b": "", "chat": ""} {
		got, err := second.Threads().Recall(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, want, string(got), key)
	}
}

func TestEventsAreKeptOnceByTheirID(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	b, err := s.EventBus(t.Context(), []string{"forewarn.events.*.*"})
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, b.PublishEvent(t.Context(), "forewarn.events.forming.x", "a-1", map[string]string{"ce-id": "a-1", "Content-Type": "application/json"}, []byte("{}")))
	}
	require.NoError(t, b.PublishEvent(t.Context(), "forewarn.events.imminent.x", "a-2", nil, []byte("{}")))
	stream, err := s.js.Stream(t.Context(), Events)
	require.NoError(t, err)
	require.EqualValues(t, 2, stream.CachedInfo().State.Msgs)
	m, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []string{"a-1"}, m.Header["ce-id"], "the name of a header keeps its case: the NATS binding of CloudEvents wants small letters")

	_, err = s.EventBus(t.Context(), []string{"forewarn.events.*.*", "others.*.*"})
	require.NoError(t, err)
	b, err = s.EventBus(t.Context(), []string{"others.*.*"})
	require.NoError(t, err, "a second start finds what the first one made")
	require.NoError(t, b.PublishEvent(t.Context(), "others.forming.x", "a-1b", nil, nil))
	require.NoError(t, b.PublishEvent(t.Context(), "forewarn.events.forming.x", "a-3", nil, nil), "what was kept goes on being kept")
}

func TestAnOperatorsOwnStreamKeepsItsEvents(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OPS", Subjects: []string{"ops.>"}})
	require.NoError(t, err)
	b, err := s.EventBus(t.Context(), []string{"ops.events.*.*"})
	require.NoError(t, err)
	require.NoError(t, b.PublishEvent(t.Context(), "ops.events.forming.x", "a-1", nil, nil))
	_, err = s.js.Stream(t.Context(), Events)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	require.ErrorContains(t, b.PublishEvent(t.Context(), "nobody.keeps.this", "a-1", nil, nil), "no stream keeps the subject")
}
