package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/forewarn/forewarn/matcher"
)

// SlackBot posts as an app, with a bot's token of the scope chat:write. A thread of notices is one message in the channel, which is changed in place as
// stages come (chat.postMessage, then chat.update), and each step is told in the message's thread. A step to imminent or incident is shown in
// the channel too, because a message that changes in place calls nobody. What else the thread has open stays in the message.
//
// Where a thread's message is, and which notice it shows, is remembered after each call, so that a try which failed between two of them, or a restart, repeats
// neither.
type SlackBot struct {
	base, channel, name string
	header              http.Header
	client              *http.Client
	words               *wording
	threads             Threads
}

// slackPlace is what is remembered of a thread.
type slackPlace struct {
	Channel  string        `json:"channel"`           // its id, which chat.update wants even where a name was configured
	TS       string        `json:"ts"`                // the message's own id
	Notice   string        `json:"notice"`            // the last one that the message shows
	Told     string        `json:"told"`              // the last one that the thread tells
	Warning  string        `json:"warning,omitempty"` // what it told alone last, if it did
	Revision uint32        `json:"revision,omitempty"`
	State    matcher.State `json:"state"` // what the thread told last
}

// slackAnswer is what every method answers, mostly with status 200.
type slackAnswer struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error"`
	Needed  string `json:"needed"` // the scope that is missing
	Channel string `json:"channel"`
	TS      string `json:"ts"`
}

// slackError is one of Slack's own error words.
type slackError string

func (e slackError) Error() string { return "slack answers " + string(e) + slackMend(string(e)) }

// Notify posts the thread's message or changes it, and tells the step below it.
func (s *SlackBot) Notify(ctx context.Context, n Notice) error {
	key := s.name + "/" + n.Thread
	var at slackPlace
	kept, err := s.threads.Recall(ctx, key)
	if err != nil {
		return fmt.Errorf("recall the message of thread %s: %w", n.Thread, err)
	}
	if len(kept) > 0 {
		if err := json.Unmarshal(kept, &at); err != nil {
			at = slackPlace{} // another format: the thread begins anew
		}
	}
	alone := n.single()
	if alone && at.Warning == n.Warnings[0].ID && at.Revision > n.Warnings[0].Revision {
		return nil // it comes again after a restart, and the message tells more already
	}
	first := at.TS == ""
	if at.Notice != n.ID {
		if at, err = s.show(ctx, n, at); err != nil {
			return err
		}
		at.Notice = n.ID
		if alone {
			at.Warning, at.Revision = n.Warnings[0].ID, n.Warnings[0].Revision
		}
		if first || at.Told == "" {
			at.Told, at.State = n.ID, worst(n) // the message itself tells the first step
		}
		if err := s.remember(ctx, key, at); err != nil {
			return err
		}
	}
	if at.Told == n.ID || n.Quiet {
		return nil
	}
	if err := s.step(ctx, n, at); err != nil {
		return err
	}
	at.Told, at.State = n.ID, worst(n)
	return s.remember(ctx, key, at)
}

// show makes the message say the notice, and returns where it is.
func (s *SlackBot) show(ctx context.Context, n Notice, at slackPlace) (slackPlace, error) {
	type message struct {
		slackText

		Channel string `json:"channel"`
		TS      string `json:"ts,omitempty"`
		Unfurl  bool   `json:"unfurl_links"` // pages of the console are not for Slack to read
		Media   bool   `json:"unfurl_media"`
	}
	text := slackNotice(n, s.words)
	if at.TS != "" {
		_, err := s.call(ctx, "chat.update", message{slackText: text, Channel: at.Channel, TS: at.TS})
		var word slackError
		if !errors.As(err, &word) || !slices.Contains([]slackError{"message_not_found", "cant_update_message", "edit_window_closed"}, word) {
			return at, err
		}
	}
	a, err := s.call(ctx, "chat.postMessage", message{slackText: text, Channel: s.channel})
	if err != nil {
		return at, err
	}
	return slackPlace{Channel: a.Channel, TS: a.TS}, nil
}

// step tells in the thread what has come.
func (s *SlackBot) step(ctx context.Context, n Notice, at slackPlace) error {
	state := worst(n)
	text := picture(state) + " " + escape(s.words.Title(n), slackLine)
	if w := &n.Warnings[0]; n.single() {
		if k := len(w.Reached); k > 0 && !w.State.Final() {
			text += "\n" + escape(oneLine(title(w.Reached[k-1].Title, w.Reached[k-1].Stage)), slackLine)
		}
		if w.Reason != "" {
			text += "\n" + escape(oneLine(w.Reason), slackLine)
		}
	}
	worse := slices.Index(worstFirst(), state) < slices.Index(worstFirst(), at.State)
	_, err := s.call(ctx, "chat.postMessage", struct {
		Text      string `json:"text"`
		Channel   string `json:"channel"`
		Thread    string `json:"thread_ts"`
		Broadcast bool   `json:"reply_broadcast,omitempty"`
		Unfurl    bool   `json:"unfurl_links"`
		Media     bool   `json:"unfurl_media"`
	}{Text: text, Channel: at.Channel, Thread: at.TS, Broadcast: n.Loud || worse && (state == matcher.Imminent || state == matcher.InIncident)})
	return err
}

func (s *SlackBot) remember(ctx context.Context, key string, at slackPlace) error {
	b, err := json.Marshal(at)
	if err != nil {
		return Permanent(fmt.Errorf("encode the place of a message: %w", err))
	}
	if err := s.threads.Remember(ctx, key, b); err != nil {
		return fmt.Errorf("remember the message of %s: %w", key, err)
	}
	return nil
}

// Replaces implements Replacer.
func (s *SlackBot) Replaces() bool { return true }

// call calls one method. Slack says most errors with status 200: what passes by itself is worth another try, every other word means that the same call
// will never be taken.
func (s *SlackBot) call(ctx context.Context, method string, message any) (slackAnswer, error) {
	var a slackAnswer
	body, err := json.Marshal(message)
	if err != nil {
		return a, Permanent(fmt.Errorf("encode %s: %w", method, err))
	}
	raw, err := ask(ctx, s.client, s.base+"/"+method, s.header, body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("%s: the answer is not Slack's: %w", method, err)
	}
	if a.OK {
		return a, nil
	}
	err = fmt.Errorf("%s: %w", method, slackError(a.Error))
	if a.Needed != "" {
		err = fmt.Errorf("%w (scope %s)", err, clip(oneLine(a.Needed), 80))
	}
	if passing(a.Error) {
		return a, err
	}
	return a, Permanent(err)
}

// passing lists the error words of a 200 that pass by themselves.
func passing(word string) bool {
	return slices.Contains([]string{
		"ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
		"team_added_to_org", "external_channel_migrating", "accesslimited",
	}, word)
}

// slackMend says what to do about an error word.
func slackMend(word string) string {
	switch word {
	case "not_in_channel":
		return ": invite the bot to the channel (/invite @name)"
	case "channel_not_found":
		return ": use the channel's id, and invite the bot to it"
	case "is_archived":
		return ": the channel is archived: configure another one"
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired":
		return ": put a valid bot token into token_file"
	case "missing_scope":
		return ": give the app that scope, install it again and renew the token"
	}
	return ""
}
