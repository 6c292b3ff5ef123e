package notify

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

var (
	_ Replacer = (*SlackBot)(nil)
	_ Replacer = (*PagerDuty)(nil)
)

// storm is a notice that shows two warnings and counts 10,000.
func storm() Notice {
	n := several(2)
	n.Digest = &Digest{
		Total: 10_000, Open: 9_990, States: []Count{{"forming", 9_990}, {"averted", 10}}, Signatures: []Count{{"example-memory-leak", 10_000}},
		Nodes: []Count{{"worker-7", 10_000}}, Keys: []string{"example-memory-leak shop/cart-7 (forming)"},
	}
	return n
}

func TestEveryDestinationShowsWhatADigestCounts(t *testing.T) {
	for _, d := range []Destination{
		{Type: "terminal"},
		{Type: "json"},
		{Type: "webhook", URLs: []string{"https://h"}},
		{Type: "slack", URLFile: "f"},
		{Type: "slack", TokenFile: "f", Channel: "c"},
		{Type: "pagerduty", KeyFile: "f"},
		{Type: "teams", URLFile: "f"},
		{Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}},
		{Type: "cloudevents"},
	} {
		d.Name = "x"
		m, err := Preview(t.Context(), d, Style{}, storm())
		require.NoError(t, err, d.Type)
		var all strings.Builder
		for _, x := range m {
			all.WriteString(x.Body)
		}
		require.Contains(t, all.String(), "10000", d.Type)
		require.Contains(t, all.String(), "worker-7", d.Type)
		require.Contains(t, all.String(), "cart-7", d.Type)
		if d.Person() {
			require.Len(t, m, 1, "%s: a person gets one message", d.Type)
		}
	}
	require.LessOrEqual(t, len([]rune(PlainNotice(storm()))), 1000)
}

func TestAThreadIsOverWhenTheRouterSaysSo(t *testing.T) {
	s := newSink(t, "pagerduty.json", answer{status: 202})
	p := made(t, Destination{Type: "pagerduty", KeyFile: secretFile(t, routingKey), URLs: []string{s.URL}}, Env{})
	n := several(3)
	for i := range n.Warnings {
		n.Warnings[i].State = matcher.Resolved
	}
	require.NoError(t, p.Notify(t.Context(), n))
	n.ID, n.Over = "group-7-2", true
	require.NoError(t, p.Notify(t.Context(), n))
	calls := s.calls(t)
	require.Contains(t, string(calls[0].body), `"event_action":"trigger"`, "others of the group are open")
	require.Contains(t, string(calls[1].body), `"event_action":"resolve"`)
}

func TestAQuietNoticeChangesSlacksMessageAndTellsNoStep(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"1.1"}`})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{})
	require.NoError(t, bot.Notify(t.Context(), Single(warning(1, matcher.Forming))))
	quiet := Single(warning(2, matcher.Forming))
	quiet.Quiet = true
	require.NoError(t, bot.Notify(t.Context(), quiet))
	require.NoError(t, bot.Notify(t.Context(), Single(warning(3, matcher.Imminent))))
	var methods []string
	for _, c := range slackCalls(t, s) {
		methods = append(methods, c.Method)
	}
	require.Equal(t, []string{"chat.postMessage", "chat.update", "chat.update", "chat.postMessage"}, methods)
}

// joined is the first revision of a warning that joins the thread of another one.
func joined() Notice {
	w := warning(1, matcher.Forming)
	w.ID, w.KeyText = "0000000000000b0b", "shop/other"
	n := Single(w)
	n.Thread = warning(1, matcher.Forming).ID
	return n
}

func TestSlackTellsAWarningThatJoinsTheThreadOfAnOlderOne(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"1.1"}`})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{})
	require.NoError(t, bot.Notify(t.Context(), Single(warning(5, matcher.Forming))))
	require.NoError(t, bot.Notify(t.Context(), joined()))
	calls := slackCalls(t, s)
	require.Len(t, calls, 3, "its revision is lower, and it is another warning's")
	require.Contains(t, calls[2].Text, "shop/other")
}

func TestMailsOfOneThreadHaveIDsOfTheirOwn(t *testing.T) {
	e := made(t, Destination{Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}}, Env{}).(*Email)
	id := regexp.MustCompile(`(?m)^Message-ID: (.*)\r$`)
	seen := map[string]bool{}
	for _, n := range []Notice{Single(warning(1, matcher.Forming)), joined(), Single(warning(2, matcher.Imminent))} {
		m, err := e.message(n)
		require.NoError(t, err)
		found := id.FindSubmatch(m)
		require.NotNil(t, found)
		require.False(t, seen[string(found[1])], "mail programs drop what has the id of another mail")
		seen[string(found[1])] = true
	}
}

func TestAMessageInPlaceShowsWhatElseTheThreadHasOpen(t *testing.T) {
	n := joined()
	n.Warnings[0].State = matcher.Averted
	other := warning(3, matcher.InIncident)
	other.Severity = signatures.Critical
	n.Also, n.More = []matcher.Warning{other}, 2
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"1.1"}`})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{})
	require.NoError(t, bot.Notify(t.Context(), n))
	body := string(s.calls(t)[0].body)
	require.Contains(t, body, "3 more open")
	require.Contains(t, body, "Also open")
	require.Contains(t, body, color(matcher.InIncident))

	p := newSink(t, "pagerduty.json", answer{status: 202})
	pager := made(t, Destination{Type: "pagerduty", KeyFile: secretFile(t, routingKey), URLs: []string{p.URL}}, Env{})
	require.NoError(t, pager.Notify(t.Context(), n))
	n.Quiet = true
	require.NoError(t, pager.Notify(t.Context(), n))
	calls := p.calls(t)
	require.Len(t, calls, 1, "what is quiet must not open again what somebody resolved by hand")
	require.Contains(t, string(calls[0].body), `"severity":"critical"`, "the worst that is open, not what has ended")
	require.Contains(t, string(calls[0].body), "also_open")
}
