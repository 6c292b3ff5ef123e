package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// SlackHook posts notices to an incoming webhook of Slack. A webhook can change nothing that it said, so each notice is a message of its own: for one
// message a warning, see [SlackBot].
type SlackHook struct {
	url    string
	client *http.Client
	words  *wording
}

func makeSlack(m *maker) Notifier {
	switch {
	case m.URLFile == "" && m.TokenFile == "":
		m.wrong("url_file", "neither url_file nor token_file is there", "name a file with the URL of an incoming webhook, or one with a bot's token")
		return nil
	case m.URLFile != "" && m.TokenFile != "":
		m.wrong("url_file", "there is a token_file, too", "leave one of them out")
		return nil
	case m.URLFile != "":
		if m.Channel != "" {
			m.wrong("channel", "a webhook has a channel of its own", "leave it out, or use token_file")
		}
		if len(m.URLs) > 0 {
			m.wrong("urls", "the webhook's URL is a secret", "leave it out; it stands in url_file")
			return nil
		}
		return &SlackHook{m.address(), m.client(), m.wording()}
	}
	token := m.secret("token_file", m.TokenFile, "xoxb-token-of-your-file")
	if token != "" && !strings.HasPrefix(token, "xoxb-") && !strings.HasPrefix(token, "xoxe.xoxb-") {
		m.wrong("token_file", m.TokenFile+" does not hold a bot's token", "it begins with xoxb-; install the app with the scope chat:write, and copy the Bot User OAuth Token")
	}
	if m.Channel == "" {
		m.wrong("channel", "channel is missing: a bot has to be told where to post", "write the channel's id, such as C0123456789; invite the bot there")
	}
	base := "https://slack.com/api"
	if len(m.URLs) > 0 {
		base = m.address()
	}
	b := &SlackBot{base: strings.TrimSuffix(base, "/"), channel: m.Channel, client: m.client(), words: m.wording(), name: m.Name, threads: m.env.Threads}
	if b.threads == nil {
		b.threads = &memory{}
	}
	b.header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json; charset=utf-8"}}
	return b
}

// Notify posts one message.
func (s *SlackHook) Notify(ctx context.Context, n Notice) error {
	body, err := json.Marshal(slackNotice(n, s.words))
	if err != nil {
		return Permanent(fmt.Errorf("encode notice %s: %w", n.ID, err))
	}
	return post(ctx, s.client, s.url, nil, body) // 4xx says in a word why it is refused, 429 when to come again
}
