package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

func TestContractOfSlackWebhooks(t *testing.T) {
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "slack", URLFile: secretFile(t, url+"/services/T0/B0/secret-part")}, Env{})
	}
	rows := append(everyStatus(),
		contract{"invalid_payload", answer{status: 400, body: "invalid_payload"}, true, 0},
		contract{"no_service", answer{status: 404, body: "no_service"}, true, 0},
		contract{"rollup_error", answer{status: 500, body: "rollup_error"}, false, 0})
	holds(t, "slack.json", answer{status: 200, body: "ok"}, "secret-part", rows, at)
	s := newSink(t, "slack.json", answer{status: 200, body: "ok"})
	n := at(t, s.URL)
	require.NoError(t, n.Notify(t.Context(), Single(Example(start))))
	require.NoError(t, n.Notify(t.Context(), several(30)))
	golden(t, "slack.json", s.calls(t)[0].body)
	golden(t, "slack-group.json", s.calls(t)[1].body)
}

func TestSlackEscapesWhatRecordsSayAndKeepsItsLimits(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: "ok"})
	n := made(t, Destination{Type: "slack", URLFile: secretFile(t, s.URL+"/x")}, Env{})
	w := Example(start)
	w.Title = "<!channel> & " + strings.Repeat("<", 4000)
	w.Impact = strings.Repeat("&", 9000)
	w.KeyText = "<https://evil.example|click>"
	w.Remedies[0].Command = "echo `id` " + strings.Repeat("x", 5000)
	for i := range 60 {
		w.Evidence = append(w.Evidence, matcher.Evidence{Time: start, Kind: "log", Text: strings.Repeat("<é>", 300), Record: uint64(i + 10)})
	}
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	var text slackText
	body := s.calls(t)[0].body
	require.NoError(t, json.Unmarshal(body, &text))
	require.Less(t, len(body), 30_000)
	all := text.Text
	for _, b := range text.Attachments[0].Blocks {
		if b.Text != nil {
			all += b.Text.Text
		}
	}
	require.NotContains(t, all, "<!channel>")
	require.NotContains(t, all, "<https://evil")
	require.NotRegexp(t, `&(lt|gt|amp)?(…|$)`, all, "no entity is cut")
}

func TestContractOfSlackBots(t *testing.T) {
	ok := answer{status: 200, body: `{"ok":true,"channel":"C024BE91L","ts":"1700000000.000100"}`}
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret-part"), Channel: "#on-call", URLs: []string{url + "/api/"}}, Env{})
	}
	rows := everyStatus()
	for _, word := range []string{"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "message_limit_exceeded"} {
		rows = append(rows, contract{word, answer{status: 200, body: `{"ok":false,"error":"` + word + `"}`}, false, 0})
	}
	for _, word := range []string{"invalid_auth", "channel_not_found", "not_in_channel", "is_archived", "msg_blocks_too_long", "invalid_blocks", "missing_scope", "token_revoked", "a_word_of_tomorrow"} {
		rows = append(rows, contract{word, answer{status: 200, body: `{"ok":false,"error":"` + word + `","needed":"chat:write"}`}, true, 0})
	}
	rows = append(rows, contract{"a page of a proxy", answer{status: 200, body: "<html>"}, false, 0})
	holds(t, "slack.json", ok, "secret-part", rows, at)
}

// slackCall is what the tests look at of a call.
type slackCall struct {
	Method    string
	Channel   string
	TS        string
	Thread    string `json:"thread_ts"`
	Broadcast bool   `json:"reply_broadcast"`
	Text      string
}

func slackCalls(t *testing.T, s *sink) (all []slackCall) {
	t.Helper()
	for _, c := range s.calls(t) {
		var x slackCall
		require.NoError(t, json.Unmarshal(c.body, &x))
		x.Method = strings.TrimPrefix(c.path, "/api/")
		require.Equal(t, "Bearer xoxb-secret", c.header.Get("Authorization"))
		require.Equal(t, "application/json; charset=utf-8", c.header.Get("Content-Type"))
		all = append(all, x)
	}
	return all
}

func TestSlackBotChangesOneMessageInPlaceAlsoAfterARestart(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C024BE91L","ts":"1700000000.000100"}`})
	threads := &memory{}
	bot := func() Notifier { // each is a process of its own
		return made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "on-call", URLs: []string{s.URL + "/api"}}, Env{Threads: threads})
	}
	tell := func(n Notice) { require.NoError(t, bot().Notify(t.Context(), n)) }
	first, second, third := Single(warning(1, matcher.Forming)), Single(warning(2, matcher.Imminent)), Single(warning(3, matcher.Averted))
	tell(first)
	tell(first) // a repeat
	tell(second)
	tell(first) // an old one that comes again
	tell(second)
	tell(third)
	calls := slackCalls(t, s)
	require.Equal(t, []string{"chat.postMessage", "chat.update", "chat.postMessage", "chat.update", "chat.postMessage"}, []string{calls[0].Method, calls[1].Method, calls[2].Method, calls[3].Method, calls[4].Method})
	require.Len(t, calls, 5)
	require.Equal(t, "on-call", calls[0].Channel)
	require.Equal(t, slackCall{Method: "chat.update", Channel: "C024BE91L", TS: "1700000000.000100", Text: calls[1].Text}, calls[1], "by the channel's id")
	require.Contains(t, calls[1].Text, "IMMINENT")
	require.True(t, calls[2].Broadcast, "a step to imminent calls the channel")
	require.Equal(t, "1700000000.000100", calls[2].Thread)
	require.False(t, calls[4].Broadcast)
}

func TestSlackBotGoesOnWhereATryFailed(t *testing.T) {
	ok := answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"1.1"}`}
	s := newSink(t, "slack.json", ok, ok, ok, answer{status: 503})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{})
	require.NoError(t, bot.Notify(t.Context(), Single(warning(1, matcher.Forming))))
	require.Error(t, bot.Notify(t.Context(), Single(warning(2, matcher.Imminent))), "the message is changed, its thread not told")
	require.NoError(t, bot.Notify(t.Context(), Single(warning(2, matcher.Imminent))))
	calls := slackCalls(t, s)
	require.Len(t, calls, 3, "the message is not changed again")
	require.Equal(t, "1.1", calls[2].Thread)
}

func TestSlackBotPostsAnewWhatSomebodyDeleted(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"2.2"}`},
		answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"1.1"}`}, answer{status: 200, body: `{"ok":false,"error":"message_not_found"}`})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{})
	for i := range 3 {
		require.NoError(t, bot.Notify(t.Context(), Single(warning(uint32(i+1), matcher.Forming))))
	}
	calls := slackCalls(t, s)
	require.Equal(t, "chat.postMessage", calls[2].Method)
	require.Equal(t, "2.2", calls[len(calls)-1].Thread, "what comes later belongs to the new one")
}

// forgetful is Threads that fail.
type forgetful struct{ memory }

func (*forgetful) Remember(context.Context, string, []byte) error { return errors.New("no") }

var _ Threads = (*forgetful)(nil)

func TestSlackBotDoesNotSayThatItIsTakenWhenItCannotRemember(t *testing.T) {
	s := newSink(t, "slack.json", answer{status: 200, body: `{"ok":true,"channel":"C1","ts":"2.2"}`})
	bot := made(t, Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-secret"), Channel: "C1", URLs: []string{s.URL + "/api"}}, Env{Threads: &forgetful{}})
	err := bot.Notify(t.Context(), Single(warning(1, matcher.Forming)))
	require.ErrorContains(t, err, "remember the message")
	require.False(t, IsPermanent(err))
}
