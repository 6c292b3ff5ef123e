package notify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

const routingKey = "0123456789abcdef0123456789abcdef"

func TestContractOfPagerDuty(t *testing.T) {
	accepted := answer{status: 202, body: `{"status":"success","message":"Event processed","dedup_key":"x"}`}
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "pagerduty", KeyFile: secretFile(t, routingKey), URLs: []string{url}}, Env{})
	}
	holds(t, "pagerduty.json", accepted, routingKey, everyStatus(), at)

	s := newSink(t, "pagerduty.json", accepted)
	n := at(t, s.URL)
	var keys []string
	for i, c := range []struct {
		severity signatures.Severity
		state    matcher.State
		action   string
		want     string
	}{
		{signatures.Critical, matcher.Forming, "trigger", "warning"},
		{signatures.Critical, matcher.Imminent, "trigger", "error"},
		{signatures.Critical, matcher.InIncident, "trigger", "critical"},
		{signatures.High, matcher.InIncident, "trigger", "error"},
		{signatures.Medium, matcher.InIncident, "trigger", "warning"},
		{signatures.Low, matcher.Imminent, "trigger", "info"},
		{signatures.Info, matcher.Forming, "trigger", "info"},
		{signatures.Critical, matcher.Resolved, "resolve", "info"},
		{signatures.Critical, matcher.Averted, "resolve", "info"},
		{signatures.Critical, matcher.Expired, "resolve", "info"},
	} {
		w := Example(start)
		w.Severity, w.State, w.Revision = c.severity, c.state, uint32(i+1)
		require.NoError(t, n.Notify(t.Context(), Single(w)))
		calls := s.calls(t)
		var e pagerDutyEvent
		require.NoError(t, json.Unmarshal(calls[len(calls)-1].body, &e))
		require.Equal(t, "/v2/enqueue", calls[len(calls)-1].path)
		require.Equal(t, c.action, e.Action, c.state)
		require.Equal(t, c.want, e.Payload.Severity, "%s %s", c.severity, c.state)
		keys = append(keys, e.DedupKey)
	}
	for _, k := range keys {
		require.Equal(t, Example(start).ID, k, "one incident for the warning's life")
	}
	golden(t, "pagerduty.json", s.calls(t)[1].body)
	require.NoError(t, n.Notify(t.Context(), several(30)))
	calls := s.calls(t)
	golden(t, "pagerduty-group.json", calls[len(calls)-1].body)
}

func TestPagerDutyKeepsItsLimits(t *testing.T) {
	s := newSink(t, "pagerduty.json", answer{status: 202})
	n := made(t, Destination{Type: "pagerduty", KeyFile: secretFile(t, routingKey), URLs: []string{s.URL}}, Env{})
	w := Example(start)
	w.Title = strings.Repeat("é", 5000)
	for range 2000 {
		w.Evidence = append(w.Evidence, matcher.Evidence{Time: start, Kind: "log", Text: strings.Repeat("x", 400)})
	}
	notice := Single(w)
	notice.Thread = strings.Repeat("t", 300)
	require.NoError(t, n.Notify(t.Context(), notice))
	require.NoError(t, n.Notify(t.Context(), several(10_000)))
	for _, c := range s.calls(t) {
		require.LessOrEqual(t, len(c.body), maxPagerDutyEvent)
		require.Contains(t, string(c.body), "the rest was left out")
	}
}

func TestPagerDutyIsAskedWhereTheAccountIs(t *testing.T) {
	for region, want := range map[string]string{"": "https://events.pagerduty.com/v2/enqueue", "us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"} {
		n := made(t, Destination{Type: "pagerduty", KeyFile: secretFile(t, routingKey), Region: region}, Env{})
		require.Equal(t, want, n.(*PagerDuty).url)
	}
}
