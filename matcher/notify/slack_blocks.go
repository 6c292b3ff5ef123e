package notify

import (
	"fmt"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// Slack's limits of Block Kit: a section holds 3,000 characters, and a message some 11,000 before it is refused as msg_blocks_too_long; the text that
// notifications show is cut by us, at what a phone shows of it.
const (
	slackSection = 3000
	slackMessage = 9000
	slackLine    = 300
)

// slackText is the part of a message that both ways of sending share. Text is what notifications show; the attachment has the colour.
type slackText struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments,omitempty"`
}

type slackAttachment struct {
	Color  string       `json:"color"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackMark  `json:"text,omitempty"`
	Elements []slackMark `json:"elements,omitempty"`
}

type slackMark struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// slackNotice writes a notice: the headline above, the body in a coloured frame below it, and the links last.
func slackNotice(n Notice, words *wording) slackText {
	state := n.standing()
	out := slackText{Text: picture(state) + " *" + escape(n.stillOpen(words.Title(n)), slackLine) + "*"}
	body, own := words.Body(n)
	switch {
	case own:
		body = escape(body, slackMessage)
	case n.single():
		body = slackBody(&n.Warnings[0])
	default:
		body = slackList(n.Warnings)
		if n.Digest != nil {
			body += escape(n.Digest.Text(), slackSection)
		}
	}
	if len(n.Also) > 0 {
		body = strings.TrimRight(body, "\n") + "\n*Also open, told before:*\n" + slackList(n.Also)
		if n.More > 0 {
			body += fmt.Sprintf("and %d more\n", n.More)
		}
	}
	var blocks []slackBlock
	for _, part := range sections(body, slackSection) {
		blocks = append(blocks, slackBlock{Type: "section", Text: &slackMark{"mrkdwn", part}})
	}
	if links := slackLinks(n); links != "" {
		blocks = append(blocks, slackBlock{Type: "context", Elements: []slackMark{{"mrkdwn", links}}})
	}
	out.Attachments = []slackAttachment{{Color: color(state), Blocks: blocks}}
	return out
}

// slackBody is the text below the headline, with the commands as code.
func slackBody(w *matcher.Warning) string {
	var b strings.Builder
	for line := range strings.Lines(below(w, 3)) {
		line = strings.TrimSpace(line)
		if b.Len() > slackMessage {
			break
		}
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			line = "`" + escape(strings.ReplaceAll(command, "`", "'"), slackLine) + "`"
		} else {
			line = escape(line, slackLine)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func slackList(ws []matcher.Warning) string {
	var b strings.Builder
	for i := range ws {
		w := &ws[i]
		if i == mostLines {
			fmt.Fprintf(&b, "and %d more\n", len(ws)-i)
			break
		}
		title := escape(oneLine(w.Title), 120)
		if p := page(w); p != "" {
			title = "<" + escape(p, slackLine) + "|" + strings.ReplaceAll(title, "|", "/") + ">"
		}
		fmt.Fprintf(&b, "%s *%s* %s (%s)\n", picture(w.State), title, escape(oneLine(keyText(w)), 120), w.Severity)
	}
	return b.String()
}

// slackLinks are plain links, because a button wants an app that answers when it is pressed.
func slackLinks(n Notice) string {
	w := &n.Warnings[0]
	var all []matcher.Link
	all = append(all, w.Links...)
	if n.single() && !w.State.Final() {
		all = append(all, feedback(w)...)
	}
	var parts []string
	for _, l := range all[:min(len(all), 8)] {
		parts = append(parts, "<"+escape(l.URL, slackLine)+"|"+strings.ReplaceAll(escape(oneLine(l.Title), 75), "|", "/")+">")
	}
	return strings.Join(parts, "  ·  ")
}

// escape writes what Slack reads as text, at most so many characters of it: without it a record could call the whole channel.
func escape(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, "?") {
		piece := string(r)
		switch r {
		case '&':
			piece = "&amp;"
		case '<':
			piece = "&lt;"
		case '>':
			piece = "&gt;"
		}
		if n += len(piece); n > most-len("…") {
			return b.String() + "…"
		}
		b.WriteString(piece)
	}
	return b.String()
}

// sections divides text at line ends into parts of at most so many bytes; a longer line is cut.
func sections(text string, most int) []string {
	var parts []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = clipBytes(line, most)
		if b.Len()+len(line) > most {
			parts = append(parts, b.String())
			b.Reset()
		}
		b.WriteString(line)
	}
	if strings.TrimSpace(b.String()) != "" {
		parts = append(parts, b.String())
	}
	return parts[:min(len(parts), 45)]
}

// color is that of a state, for destinations that draw a frame.
func color(s matcher.State) string {
	switch s {
	case matcher.Forming:
		return "#daa038"
	case matcher.Imminent:
		return "#e8702a"
	case matcher.InIncident:
		return "#a30200"
	case matcher.Averted, matcher.Resolved:
		return "#2eb886"
	case matcher.Expired:
	}
	return "#9e9e9e"
}
