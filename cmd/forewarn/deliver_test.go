package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

// TestARestartRepeatsOnlyWhatIsWantedAndOpen: what a destination repeats by itself is taken from the stream, which holds the
// warnings of a month for everybody.
func TestARestartRepeatsOnlyWhatIsWantedAndOpen(t *testing.T) {
	t.Parallel()
	posted := make(chan []string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var alerts []struct {
			Labels map[string]string `json:"labels"`
		}
		if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var ids []string
		for _, a := range alerts {
			ids = append(ids, a.Labels["forewarn_id"])
		}
		posted <- ids
	}))
	defer server.Close()

	s, err := stream.Open(t.Context(), stream.Options{DataDir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	out, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	at := time.Now()
	for _, w := range []matcher.Warning{
		{ID: "open", State: matcher.Forming, Severity: "critical"},
		{ID: "mild", State: matcher.Forming, Severity: "low"},
		{ID: "over", State: matcher.Resolved, Severity: "critical"},
	} {
		w.Revision, w.Opened, w.Time = 1, at, at
		body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
		require.NoError(t, err)
		require.NoError(t, out.PublishWarning(t.Context(), w.ID, body))
	}
	require.NoError(t, out.Close(t.Context()))

	p := &process{globals: &globals{log: slog.New(slog.DiscardHandler)}, stream: s, registry: prometheus.NewRegistry()}
	p.settings.Notify = []notify.Destination{{
		Name: "pager", Type: "alertmanager", Severity: "high", URLs: []string{server.URL}, Interval: signatures.Duration(10 * time.Millisecond),
	}}
	require.NoError(t, p.openFeeds(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.runNotify(ctx) }()
	require.Equal(t, []string{"open"}, <-posted)
	stop()
	require.NoError(t, <-done)
}

// remembering is a Ticker that keeps what it was primed with.
type remembering struct{ primed []matcher.Warning }

func (*remembering) Notify(context.Context, notify.Notice) error { return nil }
func (*remembering) Interval() time.Duration                     { return time.Hour }
func (*remembering) Tick(context.Context, time.Time) error       { return nil }
func (r *remembering) Prime(ws []matcher.Warning)                { r.primed = append(r.primed, ws...) }

// TestAWaitingNotifierLearnsWhatIsOver: the server gives the warnings to another process, and this one must not repeat for ever
// what was open when it started.
func TestAWaitingNotifierLearnsWhatIsOver(t *testing.T) {
	t.Parallel()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	out, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	tell := func(revision uint32, state matcher.State, severity signatures.Severity) {
		w := matcher.Warning{ID: "a", Revision: revision, State: state, Severity: severity, Opened: time.Now(), Time: time.Now()}
		body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
		require.NoError(t, err)
		require.NoError(t, out.PublishWarning(t.Context(), pipeline.WarningID(w.ID, revision), body))
		require.NoError(t, out.Flush(t.Context()))
	}
	r := &remembering{}
	i := &informed{Ticker: r, stream: s, goes: func(w *matcher.Warning) (bool, bool) { return w.Severity == signatures.High, false }}
	require.NoError(t, i.Tick(t.Context(), time.Now()), "there is nothing to learn")
	tell(1, matcher.Forming, signatures.High)
	require.NoError(t, i.Tick(t.Context(), time.Now()))
	tell(2, matcher.Averted, signatures.High)
	tell(3, matcher.Forming, signatures.Low)
	require.NoError(t, i.Tick(t.Context(), time.Now()))
	require.NoError(t, i.Tick(t.Context(), time.Now()), "and each revision once")
	require.NoError(t, out.Close(t.Context()))
	require.Len(t, r.primed, 2)
	require.Equal(t, matcher.Averted, r.primed[1].State)
}

// TestAWaitingNotifierKnowsWhatSilencesHoldBack: it repeats what it must when its turn comes, and nothing that is over.
func TestAWaitingNotifierKnowsWhatSilencesHoldBack(t *testing.T) {
	t.Parallel()
	silent := false
	r := &remembering{}
	i := &informed{Ticker: r, goes: func(*matcher.Warning) (bool, bool) { return true, silent }}
	hear := func(id string, revision uint32, state matcher.State) (told []string) {
		r.primed = nil
		i.learn([]matcher.Warning{{ID: id, Revision: revision, State: state}})
		for _, w := range r.primed {
			told = append(told, w.ID+" "+string(w.State))
		}
		return told
	}
	require.Equal(t, []string{"a forming"}, hear("a", 1, matcher.Forming))
	silent = true
	require.Empty(t, hear("a", 2, matcher.Imminent))
	require.Equal(t, []string{"a averted"}, hear("a", 3, matcher.Averted), "else it would be repeated for ever")
	require.Empty(t, hear("b", 1, matcher.Forming))
	require.Empty(t, hear("b", 2, matcher.Averted), "nobody was told of it")
	require.Empty(t, hear("c", 1, matcher.Forming))
	silent = false
	require.Equal(t, []string{"d forming", "c forming"}, hear("d", 1, matcher.Forming), "c is free")
	require.Empty(t, i.held)
}
