package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// mostLines bounds how many warnings of a notice are listed for a person; the rest is counted.
const mostLines = 20

// single reports whether the notice tells one warning and nothing else.
func (n *Notice) single() bool { return len(n.Warnings) == 1 && n.Digest == nil }

// count is how many warnings the notice tells of.
func (n *Notice) count() int {
	if n.Digest != nil {
		return n.Digest.Total
	}
	return len(n.Warnings)
}

// states counts them, the most urgent first, or the most frequent.
func (n *Notice) states() string {
	if n.Digest != nil {
		return countList(n.Digest.States, 6)
	}
	return stateCounts(n.Warnings)
}

// Headline is the notice in one line: state, title and key of its warning, or how many there are.
func Headline(n Notice) string {
	w := &n.Warnings[0]
	if n.single() {
		return strings.ToUpper(string(w.State)) + ": " + oneLine(w.Title) + " (" + oneLine(where(w)) + ")"
	}
	return fmt.Sprintf("%d warnings (%s), first: %s (%s)", n.count(), n.states(), oneLine(w.Title), oneLine(where(w)))
}

// Topic is what the headline is about without what changes, so that mail programs keep the notices of a thread together.
func Topic(n Notice) string {
	w := &n.Warnings[0]
	if n.single() {
		return oneLine(w.Title) + " (" + oneLine(where(w)) + ")"
	}
	return "several warnings: " + n.Thread
}

func where(w *matcher.Warning) string { return cmp.Or(w.KeyText, "everywhere") }

// stateCounts counts states, the most urgent first.
func stateCounts(ws []matcher.Warning) string {
	counts := map[matcher.State]int{}
	for i := range ws {
		counts[ws[i].State]++
	}
	var parts []string
	for _, s := range worstFirst() {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	return strings.Join(parts, ", ")
}

// worstFirst lists the states, the most urgent first.
func worstFirst() []matcher.State {
	return []matcher.State{matcher.InIncident, matcher.Imminent, matcher.Forming, matcher.Resolved, matcher.Averted, matcher.Expired}
}

// worst returns the most urgent state of a notice.
func worst(n Notice) matcher.State {
	state := n.Warnings[0].State
	for i := range n.Warnings {
		if s := n.Warnings[i].State; slices.Index(worstFirst(), s) < slices.Index(worstFirst(), state) {
			state = s
		}
	}
	return state
}

// rest is how many warnings of its thread are open besides those that the notice tells.
func (n *Notice) rest() int { return len(n.Also) + n.More }

// standing returns the most urgent state of everything that the thread has open, and of what the notice tells.
func (n *Notice) standing() matcher.State {
	all := *n
	all.Warnings = slices.Concat(n.Warnings, n.Also)
	return worst(all)
}

// stillOpen adds to a title how many others of the thread are open.
func (n *Notice) stillOpen(title string) string {
	if n.rest() == 0 {
		return title
	}
	return fmt.Sprintf("%s; %d more open", title, n.rest())
}

// PlainNotice is the notice in at most 1,000 characters: see [Plain]. Of several warnings it says one in a line.
func PlainNotice(n Notice) string {
	if n.single() {
		return Plain(&n.Warnings[0])
	}
	return clip(listing(n, 1000), 1000)
}

// listing writes a notice of several warnings: how many, each in a line, for about so many characters, and what is counted besides; it ends in a
// new line.
func listing(n Notice, most int) string {
	tail := ""
	if n.Digest != nil {
		tail = n.Digest.Text()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d warnings: %s\n", n.count(), n.states())
	for i := range n.Warnings {
		line := entry(&n.Warnings[i])
		if i == mostLines || b.Len()+len(line)+len(tail) > most-80 {
			fmt.Fprintf(&b, "  and %d more: `forewarn status` counts them, the console shows them\n", len(n.Warnings)-i)
			break
		}
		b.WriteString(line)
	}
	return b.String() + tail
}

func entry(w *matcher.Warning) string {
	return fmt.Sprintf("  %-8s  %s  %s  (%s)\n", strings.ToUpper(string(w.State)), clip(oneLine(w.Title), 80), clip(oneLine(keyText(w)), 80), w.Severity)
}

// below is the text of a warning without its headline and links, for places that have their own for both.
func below(w *matcher.Warning, evidence int) string {
	c := *w
	c.Links = nil
	_, text, _ := strings.Cut(Text(&c, Style{Evidence: evidence}), "\n")
	return text
}

// clip shortens s to so many characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// clipBytes shortens s to so many bytes, at a character's end.
func clipBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// picture stands for a state, in places where a colour may not be seen.
func picture(s matcher.State) string {
	switch s {
	case matcher.Forming:
		return "🟡"
	case matcher.Imminent:
		return "🟠"
	case matcher.InIncident:
		return "🔴"
	case matcher.Averted, matcher.Resolved:
		return "🟢"
	case matcher.Expired:
		return "⚪"
	}
	return "❔"
}

// page is the warning's page in the console, or "": the link that ends in its id.
func page(w *matcher.Warning) string {
	for _, l := range w.Links {
		if strings.HasSuffix(l.URL, "/warnings/"+w.ID) {
			return l.URL
		}
	}
	return ""
}

// feedback are links to the form on the warning's page where a person says what became of it. Following one changes nothing by itself, because
// mail programs and chats follow links too.
func feedback(w *matcher.Warning) []matcher.Link {
	p := page(w)
	if p == "" {
		return nil
	}
	return []matcher.Link{
		{Title: "Acknowledge", URL: p + "?verdict=acknowledged#feedback"},
		{Title: "False alarm", URL: p + "?verdict=false-alarm#feedback"},
		{Title: "Averted", URL: p + "?verdict=averted#feedback"},
	}
}
