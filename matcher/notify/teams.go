package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// Teams posts Adaptive Cards to a workflow of Power Automate ("when a Teams webhook request is received"), which answers 202. A workflow can change
// nothing that it said, so each notice is a card of its own.
//
// What records say is put into text runs, in which Teams reads no Markdown.
type Teams struct {
	url    string
	client *http.Client
	words  *wording
}

// maxTeams is the size of a message that Teams takes, with room for what the workflow adds.
const maxTeams = 27_000

func makeTeams(m *maker) Notifier { return &Teams{m.address(), m.client(), m.wording()} }

type card struct {
	Schema  string         `json:"$schema"`
	Type    string         `json:"type"`
	Version string         `json:"version"`
	Teams   map[string]any `json:"msteams"`
	Body    []any          `json:"body"`
	Actions []cardAction   `json:"actions,omitempty"`
}

type cardText struct {
	Type    string    `json:"type"`
	Inlines []cardRun `json:"inlines"`
}

type cardRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
	Font   string `json:"fontType,omitempty"`
}

type cardAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func run(text string) cardRun { return cardRun{Type: "TextRun", Text: text} }

// Notify posts one card.
func (t *Teams) Notify(ctx context.Context, n Notice) error {
	body, err := t.message(n)
	if err != nil {
		return Permanent(err)
	}
	answer, err := ask(ctx, t.client, t.url, nil, body)
	if err != nil {
		return err
	}
	return teamsAnswer(answer)
}

var teamsFailed = regexp.MustCompile(`returned HTTP error (\d{3})`)

// teamsAnswer finds the failures that the older connectors tell with status 200.
func teamsAnswer(answer []byte) error {
	m := teamsFailed.FindSubmatch(answer)
	if m == nil {
		return nil
	}
	err := fmt.Errorf("teams answers 200, but %s", oneLine(clip(string(answer), 300)))
	if m[1][0] == '5' || string(m[1]) == "429" || string(m[1]) == "408" {
		return err
	}
	return Permanent(err)
}

// message puts the card into its envelope. A body that is too large loses its end.
func (t *Teams) message(n Notice) ([]byte, error) {
	text := t.words.Text(n)
	if _, own := t.words.Body(n); !own && n.single() {
		text = below(&n.Warnings[0], 3)
	}
	for most := 20_000; ; most /= 2 {
		body, err := json.Marshal(map[string]any{
			"type":        "message",
			"attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": t.card(n, clipBytes(text, most))}},
		})
		if err != nil {
			return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
		}
		if len(body) <= maxTeams {
			return body, nil
		}
		if most < 100 {
			return nil, fmt.Errorf("notice %s is larger than Teams takes even without its text", n.ID)
		}
	}
}

func (t *Teams) card(n Notice, text string) card {
	state := worst(n)
	c := card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: map[string]any{"width": "Full"},
	}
	head := run(picture(state) + " " + clip(t.words.Title(n), 500))
	head.Size, head.Weight, head.Color = "Large", "Bolder", cardColor(state)
	c.Body = append(c.Body, cardText{"RichTextBlock", []cardRun{head}})
	for line := range strings.Lines(text) {
		r := run(strings.TrimSpace(line))
		if command, ok := strings.CutPrefix(r.Text, "$ "); ok {
			r.Text, r.Font = command, "Monospace"
		}
		if r.Text != "" {
			c.Body = append(c.Body, cardText{"RichTextBlock", []cardRun{r}})
		}
	}
	w := &n.Warnings[0]
	links := append([]matcher.Link(nil), w.Links...)
	if n.single() && !w.State.Final() {
		links = append(links, feedback(w)...)
	}
	for _, l := range links[:min(len(links), 6)] { // Teams shows six
		c.Actions = append(c.Actions, cardAction{"Action.OpenUrl", clip(oneLine(l.Title), 60), l.URL})
	}
	return c
}

func cardColor(s matcher.State) string {
	switch s {
	case matcher.Forming:
		return "Warning"
	case matcher.Imminent, matcher.InIncident:
		return "Attention"
	case matcher.Averted, matcher.Resolved:
		return "Good"
	case matcher.Expired:
	}
	return "Default"
}
