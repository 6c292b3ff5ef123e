package notify

import (
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Style says how a warning is written for a person.
type Style struct {
	Color    bool           // ANSI colours
	Evidence int            // how many records of evidence, the latest; 0 for none
	Location *time.Location // for clock times; nil means UTC
}

// StagesSeen counts the stages, without the incident, that were reached.
func StagesSeen(w *matcher.Warning) int {
	n := 0
	for _, r := range w.Reached {
		if r.Stage != incidentRung {
			n++
		}
	}
	return n
}

const incidentRung = "incident"

// Plain is the warning in a few plain lines, at most 1,000 characters: what, how far, how long, what to do first, evidence.
func Plain(w *matcher.Warning) string {
	s := Text(w, Style{Evidence: 2})
	if r := []rune(s); len(r) > 1000 {
		s = string(r[:999]) + "…"
	}
	return s
}

// Text writes the warning in the order in which a person on call needs it. It ends in a new line.
func Text(w *matcher.Warning, st Style) string {
	p := printer{Style: st}
	if p.Location == nil {
		p.Location = time.UTC
	}
	p.headline(w)
	p.ladder(w)
	p.howLong(w)
	p.whatToDo(w)
	p.evidence(w)
	for _, s := range w.Silent {
		p.line(p.faint("  unknown: " + s + " is silent, so what did not come cannot be told from what was not seen"))
	}
	for _, s := range w.Incomplete {
		p.line(p.faint("  incomplete: " + s))
	}
	return p.b.String()
}

type printer struct {
	Style
	b strings.Builder
}

func (p *printer) line(s string) { p.b.WriteString(s); p.b.WriteByte('\n') }

func (p *printer) clock(t time.Time) string { return t.In(p.Location).Format("15:04:05") }

// ANSI colours by what the reader must do: look now, look soon, nothing.
const (
	red, yellow, green, cyan, bold, dim, reset = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[36m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
)

func (p *printer) paint(code, s string) string {
	if !p.Color {
		return s
	}
	return code + s + reset
}

func (p *printer) faint(s string) string { return p.paint(dim, s) }

func (p *printer) headline(w *matcher.Warning) {
	var color string
	switch w.State {
	case matcher.Forming:
		color = yellow
	case matcher.InIncident, matcher.Imminent:
		color = red
	case matcher.Averted, matcher.Resolved:
		color = green
	case matcher.Expired:
		color = dim
	}
	p.line(fmt.Sprintf("%s  %s  %s  %s",
		w.Time.In(p.Location).Format("2006-01-02 15:04:05"),
		p.paint(color+bold, fmt.Sprintf("%-8s", strings.ToUpper(string(w.State)))),
		p.paint(bold, w.Title), p.paint(cyan, keyText(w))))
}

func keyText(w *matcher.Warning) string {
	var parts []string
	for _, k := range w.Key {
		if k.Value != "" {
			parts = append(parts, k.Key+"="+k.Value)
		}
	}
	if len(parts) == 0 {
		return w.KeyText
	}
	return strings.Join(parts, " ")
}

func (p *printer) ladder(w *matcher.Warning) {
	seen := min(StagesSeen(w), w.Total)
	bar := strings.Repeat("■", seen) + strings.Repeat("□", w.Total-seen)
	s := fmt.Sprintf("  %s %d of %d stages seen", bar, seen, w.Total)
	if w.Total == 1 {
		s = fmt.Sprintf("  %s %d of 1 stage seen", bar, seen)
	}
	s += fmt.Sprintf(", severity %s, signature %s", w.Severity, w.Signature)
	p.line(s)
	if w.Next != nil && !w.State.Final() {
		next := "  next expected: " + title(w.Next.Title, w.Next.Stage)
		if w.Next.Missing != "" {
			next += p.faint(" (" + w.Next.Missing + ")")
		}
		p.line(next)
	}
}

func title(t, name string) string {
	if t != "" {
		return t
	}
	return name
}

func (p *printer) howLong(w *matcher.Warning) {
	switch {
	case w.State == matcher.InIncident && w.Lead > 0:
		p.line("  it happened; forewarned " + p.paint(bold, round(w.Lead)+" before"))
	case w.State == matcher.InIncident:
		p.line("  it happened; there was no time to forewarn")
	case w.State.Final() && w.Retracted:
		p.line("  taken back: " + w.Reason)
	case w.State.Final():
		p.line("  over after " + round(w.Time.Sub(w.Opened)) + ": " + w.Reason)
	case w.Forecast != nil:
		p.line("  forecast: " + ForecastText(w.Forecast))
	}
}

// ForecastText says when the limit is expected, with its interval.
func ForecastText(f *matcher.Forecast) string {
	s := fmt.Sprintf("%s (now %.4g) reaches %.4g about %s", f.Metric, f.Value, f.Limit, f.Expected.UTC().Format("2006-01-02 15:04 MST"))
	switch {
	case f.Earliest.IsZero() && f.Latest.IsZero():
		return s
	case f.Latest.IsZero():
		return s + ", not before " + f.Earliest.UTC().Format("15:04") + " (80 %)"
	default:
		return s + ", between " + f.Earliest.UTC().Format("15:04") + " and " + f.Latest.UTC().Format("2006-01-02 15:04") + " (80 %)"
	}
}

func (p *printer) whatToDo(w *matcher.Warning) {
	if len(w.Remedies) == 0 || w.State.Final() {
		return
	}
	r := &w.Remedies[0]
	p.line("  do first (" + string(r.Risk) + "): " + oneLine(r.Do))
	if c := Command(w, r); c != "" {
		p.line("      $ " + p.paint(bold, oneLine(c)))
	}
}

func (p *printer) evidence(w *matcher.Warning) {
	if p.Evidence == 0 || w.State.Final() {
		return
	}
	var lines []string
	shown := map[uint64]bool{}
	for _, e := range w.Evidence {
		if e.Record != 0 && shown[e.Record] {
			continue // several rungs took it
		}
		shown[e.Record] = true
		what := e.Text
		if reason := e.Attrs[record.EventReason]; reason != "" {
			what = reason + ": " + what
		}
		if runes := []rune(oneLine(what)); len(runes) > 160 {
			what = string(runes[:159]) + "…"
		}
		lines = append(lines, fmt.Sprintf("    %s %-6s %s", p.clock(e.Time), e.Kind, oneLine(what)))
	}
	for _, line := range lines[max(0, len(lines)-p.Evidence):] {
		p.line(p.faint(line))
	}
}

// oneLine keeps what a terminal would act on, or break a line at, out of a line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == ' ' }), " ")
}

func round(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute).String()
	case d >= time.Minute:
		return d.Round(time.Second).String()
	default:
		return d.Round(100 * time.Millisecond).String()
	}
}

// words are the names that a remedy's command may use, and the attributes they stand for.
var words = map[string]string{
	"cluster": record.Cluster, "node": record.Node, "namespace": record.Namespace, "pod": record.Pod, "container": record.Container,
	"workload": record.WorkloadName, "kind": record.WorkloadKind, "volume": record.VolumeClaim, "component": record.Component,
	"object": record.ObjectName, "image": record.Image,
}

// Command fills a remedy's command from the key and the latest evidence. A value that is not known stays in angle
// brackets. It is "" when the remedy has no command or its template is broken (the reader of signatures refuses those).
func Command(w *matcher.Warning, r *signatures.Remedy) string {
	if r.Command == "" {
		return ""
	}
	t, err := template.New("command").Parse(r.Command)
	if err != nil {
		return ""
	}
	values := map[string]string{}
	for word, attr := range words {
		values[word] = "<" + word + ">"
		for _, v := range slices.Backward(w.Evidence) {
			if v := v.Attrs[attr]; v != "" {
				values[word] = shellWord(v)
				break
			}
		}
	}
	for _, k := range w.Key {
		if k.Value != "" {
			values[k.Key] = shellWord(k.Value)
		}
	}
	var b strings.Builder
	if err := t.Execute(&b, values); err != nil {
		return ""
	}
	return b.String()
}

// shellWord quotes what a shell would read as more than one plain word: commands are made to be pasted, and a record's
// values are not ours to trust.
func shellWord(s string) string {
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@%+=,", r) {
			return "'" + strings.ReplaceAll(oneLine(s), "'", `'\''`) + "'"
		}
	}
	return s
}
