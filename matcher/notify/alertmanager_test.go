package notify

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

func TestContractOfAlertmanager(t *testing.T) {
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "alertmanager", URLs: []string{url}, TokenFile: secretFile(t, "secret-part")}, Env{})
	}
	holds(t, "alertmanager.json", answer{status: 200}, "secret-part", everyStatus(), at)
	s := newSink(t, "alertmanager.json", answer{status: 200})
	a := at(t, s.URL).(*Alertmanager)
	a.now = func() time.Time { return start }
	require.NoError(t, a.Notify(t.Context(), Single(Example(start))))
	golden(t, "alertmanager.json", s.calls(t)[0].body)
	require.NoError(t, a.Notify(t.Context(), several(maxAlerts+1)))
	calls := s.calls(t)
	require.Len(t, calls, 3, "many alerts go in several requests")
	seen := map[string]bool{}
	for _, c := range calls {
		var alerts []alert
		require.NoError(t, json.Unmarshal(c.body, &alerts))
		for _, x := range alerts {
			seen[x.Labels["forewarn_id"]] = true
			for _, name := range []string{"state", "stage", "eta"} {
				require.NotContains(t, x.Labels, name, "what changes is no part of the identity")
				require.Equal(t, name != "eta" || x.Annotations["state"] != "incident", x.Annotations[name] != "")
			}
		}
	}
	require.Len(t, seen, maxAlerts+2)
}

func TestAnAlertmanagerThatHangsHoldsBackNothing(t *testing.T) {
	dead := newSink(t, "", answer{hang: true})
	alive := newSink(t, "alertmanager.json", answer{status: 200})
	n := made(t, Destination{Type: "alertmanager", URLs: []string{dead.URL, alive.URL}}, Env{}).(*Alertmanager)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, n.Notify(ctx, Single(warning(1, matcher.Forming))), "the peers tell each other")
	require.Len(t, alive.calls(t), 1)
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, n.Tick(ctx, start), "deadline exceeded", "and status says that one is away")
}
