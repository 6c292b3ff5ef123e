package notify

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContractOfTeams(t *testing.T) {
	accepted := answer{status: 202}
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "teams", URLFile: secretFile(t, url+"/workflows/secret-part/triggers/manual/paths/invoke?sig=secret-part")}, Env{})
	}
	rows := append(everyStatus(),
		contract{"a 429 inside a 200", answer{status: 200, body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0"}, false, 0},
		contract{"a 502 inside a 200", answer{status: 200, body: "Microsoft Teams endpoint returned HTTP error 502"}, false, 0},
		contract{"a 413 inside a 200", answer{status: 200, body: "Microsoft Teams endpoint returned HTTP error 413"}, true, 0})
	holds(t, "teams.json", accepted, "secret-part", rows, at)
	s := newSink(t, "teams.json", accepted)
	n := at(t, s.URL)
	require.NoError(t, n.Notify(t.Context(), Single(Example(start))))
	require.NoError(t, n.Notify(t.Context(), several(30)))
	golden(t, "teams.json", s.calls(t)[0].body)
	golden(t, "teams-group.json", s.calls(t)[1].body)
	w := Example(start)
	w.Impact, w.Title = strings.Repeat("\"<é", 20_000), strings.Repeat("é", 5000)
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	require.LessOrEqual(t, len(s.calls(t)[2].body), 28<<10)
}
