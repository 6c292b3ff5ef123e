package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Templates are a destination's own words, as Go templates over a [View]. What is left out is said in forewarn's own words.
type Templates struct {
	Title string `yaml:"title,omitempty" json:"title,omitempty" doc:"One line: Slack's and Teams' first line, PagerDuty's and Alertmanager's summary, the subject of an e-mail."`
	Body  string `yaml:"body,omitempty" json:"body,omitempty" doc:"The text below it; of a webhook the whole body, as JSON."`
	HTML  string `yaml:"html,omitempty" json:"html,omitempty" doc:"email: the body as HTML; what is put into it is escaped."`
	File  string `yaml:"file,omitempty" json:"file,omitempty" doc:"A file that defines templates of the names title, body and html, as many as you like, and others that they use."`
}

// View is what a template sees: {{ .Headline }}, {{ .Warning.Title }}, {{ range .Warnings }}{{ .KeyText }}{{ end }}.
type View struct {
	ID, Thread string            // of the notice
	Warning    *matcher.Warning  // the most urgent
	Warnings   []matcher.Warning // all of them; one, unless several are told together
	Count      int               // how many it tells of, those that a digest counts among them
	Digest     *Digest           // what is counted and not shown, or nil
	State      matcher.State     // the most urgent
	Over       bool              // every one has ended
	Headline   string            // the title as it is without a template
	Text       string            // the body as it is without a template
	Page       string            // the warning's page in the console, or ""
	Feedback   []matcher.Link    // where a person says what became of it
}

func viewOf(n Notice) View {
	w := &n.Warnings[0]
	return View{
		ID: n.ID, Thread: n.Thread, Warning: w, Warnings: n.Warnings, Count: n.count(), Digest: n.Digest, State: worst(n), Over: n.Over,
		Headline: Headline(n), Text: PlainNotice(n), Page: page(w), Feedback: feedback(w),
	}
}

// functions are what templates may call, besides what Go's templates know by themselves.
func functions() template.FuncMap {
	return template.FuncMap{
		"upper": strings.ToUpper, "lower": strings.ToLower, "trim": strings.TrimSpace, "oneline": oneLine,
		"join":     func(with string, list []string) string { return strings.Join(list, with) },
		"replace":  func(from, to, s string) string { return strings.ReplaceAll(s, from, to) },
		"truncate": func(most int, s string) string { return clip(s, max(most, 1)) },
		"default": func(or, s string) string {
			if s == "" {
				return or
			}
			return s
		},
		"time": func(layout string, t time.Time) string { return t.UTC().Format(layout) },
		"ago":  func(from, to time.Time) string { return round(to.Sub(from)) },
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
		"sign": picture, "key": keyText, "seen": StagesSeen, "forecast": ForecastText, "plain": Plain, "entry": entry,
		"command": func(w *matcher.Warning, r signatures.Remedy) string { return Command(w, &r) },
	}
}

// wording says what people read: by templates where there are some, else in forewarn's own words. The zero wording has none.
type wording struct {
	title, body *template.Template
	html        *htmltemplate.Template
}

// wording reads the templates, and tries them on examples of everything that can be told.
func (m *maker) wording() *wording {
	w := &wording{}
	t := m.Templates
	if t.HTML != "" && m.Type != "email" {
		m.wrong("templates.html", "only e-mails have HTML", "leave it out")
	}
	if t.File != "" {
		m.file(w, t.File)
	}
	w.title = m.text(w.title, "title", t.Title)
	w.body = m.text(w.body, "body", t.Body)
	if t.HTML != "" {
		if w.html != nil {
			m.wrong("templates.html", "the file defines it, too", "leave one of them out")
		}
		parsed, err := htmltemplate.New("html").Funcs(functions()).Parse(t.HTML)
		if w.html = parsed; err != nil {
			m.broken("html", err)
		}
	}
	if w.html != nil && len(m.mistakes) == 0 {
		m.vet("html", w.html.Tree)
	}
	if len(m.mistakes) == 0 {
		m.try(w)
	}
	return w
}

func (m *maker) text(before *template.Template, name, src string) *template.Template {
	if src == "" {
		return before
	}
	if before != nil {
		m.wrong("templates."+name, "the file defines it, too", "leave one of them out")
	}
	t, err := template.New(name).Funcs(functions()).Parse(src)
	if err != nil {
		m.broken(name, err)
		return nil
	}
	m.vet(name, t.Tree)
	return t
}

func (m *maker) file(w *wording, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		m.wrong("templates.file", fmt.Sprintf("read templates: %v", err), "mend its name")
		return
	}
	texts, err := template.New(file).Funcs(functions()).Parse(string(src))
	if err != nil {
		m.broken("file", err)
		return
	}
	w.title, w.body = texts.Lookup("title"), texts.Lookup("body")
	for _, t := range []*template.Template{w.title, w.body} {
		if t != nil {
			m.vet("file", t.Tree)
		}
	}
	if pages, err := htmltemplate.New(file).Funcs(functions()).Parse(string(src)); err != nil {
		m.broken("file", err)
	} else {
		w.html = pages.Lookup("html")
	}
	if w.title == nil && w.body == nil && w.html == nil {
		m.wrong("templates.file", file+" defines neither title, body nor html", `write {{ define "title" }}...{{ end }} around what is in it`)
	}
}

// broken tells a template's error, which has the line, and often the column, in front.
func (m *maker) broken(name string, err error) {
	m.wrong("templates."+name, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "template: "), "html/template:"), "forewarn notify preview shows what it makes")
}

// try fills the templates with examples, so that what fails does so before a warning depends on it.
func (m *maker) try(w *wording) {
	for _, n := range examples() {
		for _, f := range []struct {
			name string
			make func(Notice) (string, error)
		}{{"title", w.tryTitle}, {"body", w.tryBody}, {"html", w.tryHTML}} {
			if _, err := f.make(n); err != nil {
				m.broken(f.name, err)
				return
			}
		}
	}
}

func (w *wording) tryTitle(n Notice) (string, error) { return fill(w.title, n) }
func (w *wording) tryBody(n Notice) (string, error)  { return fill(w.body, n) }
func (w *wording) tryHTML(n Notice) (string, error) {
	if w.html == nil {
		return "", nil
	}
	var b bytes.Buffer
	err := w.html.Execute(&b, viewOf(n))
	return b.String(), err
}

// maxWords bounds what a template makes; no destination takes nearly as much.
const maxWords = 256 << 10

func fill(t *template.Template, n Notice) (string, error) {
	if t == nil {
		return "", nil
	}
	b := &bounded{most: maxWords}
	err := t.Execute(b, viewOf(n))
	return b.String(), err
}

// bounded is a buffer that refuses to grow beyond a size.
type bounded struct {
	strings.Builder
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, errors.New("it makes more than 256 KiB")
	}
	return b.Builder.Write(p)
}

// Title returns the notice's one line. A template that fails on it costs the own words, never the warning.
func (w *wording) Title(n Notice) string { return w.titleOr(n, Headline(n)) }

func (w *wording) titleOr(n Notice, or string) string {
	if s, err := w.tryTitle(n); err == nil && strings.TrimSpace(s) != "" {
		return oneLine(s)
	}
	return or
}

// Body returns what the templates say below the title, and whether they say anything.
func (w *wording) Body(n Notice) (string, bool) {
	if w.body == nil {
		return "", false
	}
	s, err := w.tryBody(n)
	if err != nil {
		return PlainNotice(n) + "(the template of the body failed: " + err.Error() + ")\n", true
	}
	return s, true
}

// Text is the body, in forewarn's own words where no template says it.
func (w *wording) Text(n Notice) string {
	if s, ok := w.Body(n); ok {
		return s
	}
	return PlainNotice(n)
}
