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

// Text writes the warning in the order in which a person on call needs it: what is about to happen and to what, how far it is, how long there is, how
// often it got that far and what ended it, what to do first, the evidence, links. It ends in a new line.
func Text(w *matcher.Warning, st Style) string {
	var b strings.Builder
	for _, l := range lines(w, st) {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Plain is [Text] without colours in at most 1,000 characters. What matters least goes first, as a whole: evidence from the middle, links but the first, why it
// may not be the whole truth, the impact. A command is whole or not there at all.
func Plain(w *matcher.Warning) string { return plain(w, 1000) }

func plain(w *matcher.Warning, most int) string {
	all := lines(w, Style{Evidence: 12})
	for i := range all {
		switch l := &all[i]; {
		case l.rank != rankCommand:
			l.text = shorten(l.text, 240)
		case len([]rune(l.text)) > most/2:
			l.text = "      (its command is too long for this message)"
		}
	}
	size := 0
	for _, l := range all {
		size += len([]rune(l.text)) + 1
	}
	for size > most && len(all) > 1 {
		least := 0
		for i, l := range all {
			if l.rank > all[least].rank {
				least = i
			}
		}
		size -= len([]rune(all[least].text)) + 1
		all = slices.Delete(all, least, least+1)
	}
	var b strings.Builder
	for _, l := range all {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// line is one line of a warning. Where there is no room for all, those with the highest rank are left out first.
type line struct {
	text string
	rank int
}

// The ranks, from what must be said to what may be left out.
const (
	rankWhat = iota
	rankRemedy
	rankCommand
	rankHowLong
	rankHowFar
	rankHowOften
	rankNext
	rankPage
	rankImpact
	rankFlaw
	rankEvidence // the first and the last; those between have higher ranks, the middle the highest
	rankMiddle
	rankLink = 1 << 20
)

// lines are the lines of a warning in their order.
func lines(w *matcher.Warning, st Style) []line {
	p := printer{Style: st}
	if p.Location == nil {
		p.Location = time.UTC
	}
	p.headline(w)
	p.ladder(w)
	p.howLong(w)
	for _, s := range HowOften(w) {
		p.line(rankHowOften, "  "+s)
	}
	p.whatToDo(w)
	p.evidence(w)
	for i, l := range w.Links {
		rank := rankLink
		if i == 0 {
			rank = rankPage
		}
		p.line(rank, "  "+p.faint(oneLine(l.Title)+": "+oneLine(l.URL)))
	}
	for _, s := range w.Silent {
		p.line(rankFlaw, p.faint("  unknown: "+s+" is silent, so what did not come cannot be told from what was not seen"))
	}
	for _, s := range w.Incomplete {
		p.line(rankFlaw, p.faint("  incomplete: "+s))
	}
	return p.lines
}

type printer struct {
	Style
	lines []line
}

func (p *printer) line(rank int, s string) { p.lines = append(p.lines, line{s, rank}) }

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
	p.line(rankWhat, fmt.Sprintf("%s  %s  %s  %s",
		w.Time.In(p.Location).Format("2006-01-02 15:04:05"),
		p.paint(color+bold, fmt.Sprintf("%-8s", strings.ToUpper(string(w.State)))),
		p.paint(bold, oneLine(w.Title)), p.paint(cyan, oneLine(keyText(w)))))
	if w.Impact != "" && !w.State.Final() {
		p.line(rankImpact, "  "+oneLine(w.Impact))
	}
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
	p.line(rankHowFar, s)
	if w.Next != nil && !w.State.Final() {
		next := "  next expected: " + title(w.Next.Title, w.Next.Stage)
		if w.Next.Missing != "" {
			next += p.faint(" (" + w.Next.Missing + ")")
		}
		p.line(rankNext, next)
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
		p.line(rankHowLong, "  it happened; forewarned "+p.paint(bold, round(w.Lead)+" before"))
	case w.State == matcher.InIncident:
		p.line(rankHowLong, "  it happened; there was no time to forewarn")
	case w.State.Final() && w.Retracted:
		p.line(rankHowLong, "  taken back: "+w.Reason)
	case w.State.Final():
		p.line(rankHowLong, "  over after "+round(w.Time.Sub(w.Opened))+": "+w.Reason)
	}
	for _, s := range HowLong(w, p.Location) {
		p.line(rankHowLong, "  "+s)
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
	r := FirstRemedy(w)
	if r == nil || w.State.Final() {
		return
	}
	p.line(rankRemedy, "  do first ("+string(r.Risk)+"): "+oneLine(r.Do))
	if c := Command(w, r); c != "" {
		p.line(rankCommand, "      $ "+p.paint(bold, oneLine(c)))
	}
}

func (p *printer) evidence(w *matcher.Warning) {
	if p.Evidence == 0 || w.State.Final() {
		return
	}
	var texts []string
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
		texts = append(texts, fmt.Sprintf("    %s %-6s %s", p.clock(e.Time), e.Kind, oneLine(what)))
	}
	if over := len(texts) - p.Evidence; over > 0 { // how it began, and how it is now
		texts = append(texts[:1:1], texts[1+over:]...)
		if p.Evidence == 1 {
			texts = texts[:1]
		}
	}
	for i, text := range texts {
		rank := rankEvidence
		if edge := min(i, len(texts)-1-i); edge > 0 {
			rank = rankMiddle + edge
		}
		p.line(rank, p.faint(text))
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

// Filled is a copy of the warning whose remedies have their commands as a person would be shown them, for programs that are given all of it.
func Filled(w *matcher.Warning) matcher.Warning {
	c := *w
	c.Remedies = slices.Clone(w.Remedies)
	for i := range c.Remedies {
		c.Remedies[i].Command = Command(w, &w.Remedies[i])
	}
	return c
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
