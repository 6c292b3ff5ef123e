package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"html"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Email sends each notice as a message of plain text and HTML. Message-ID is made of the notice, so that a repeat is recognised, and every message refers to its
// thread's root, so that mail programs show a warning's messages together; the subject stays the same for that reason, too: what changes is the body's first
// line.
//
// Each recipient is accepted or refused for itself. One who was accepted is not written to again when another has to be tried again.
type Email struct {
	from   *mail.Address
	to     []*mail.Address
	words  *wording
	mailer Mailer
	now    func() time.Time

	notice  string          // the one that sent is about
	sent    map[string]bool // who has it already
	refused map[string]error
}

// Mailer hands one message to a mail server. The result holds, of those who could not be written to, why; its errors are those of a Notifier.
type Mailer interface {
	Send(ctx context.Context, from string, to []string, message []byte) (failed map[string]error, err error)
}

func makeEmail(m *maker) Notifier {
	e := &Email{now: time.Now, words: m.wording(), mailer: m.env.Mail}
	var err error
	if e.from, err = mail.ParseAddress(m.From); err != nil && m.From != "" {
		m.wrong("from", fmt.Sprintf("%q is no address: %v", m.From, err), "write it like forewarn <forewarn@example.org>")
	}
	seen := map[string]bool{}
	for _, to := range m.To {
		a, err := mail.ParseAddress(to)
		switch {
		case err != nil:
			m.wrong("to", fmt.Sprintf("%q is no address: %v", to, err), "write it like on-call@example.org")
		case seen[a.Address]:
			m.wrong("to", fmt.Sprintf("%q stands twice", a.Address), "leave one out")
		default:
			seen[a.Address] = true
			e.to = append(e.to, a)
		}
	}
	server := newSMTP(m)
	if e.mailer == nil {
		e.mailer = server
	}
	return e
}

// Notify writes to everybody who has not been written to yet.
func (e *Email) Notify(ctx context.Context, n Notice) error {
	if e.notice != n.ID {
		e.notice, e.sent, e.refused = n.ID, map[string]bool{}, map[string]error{}
	}
	var to []string
	for _, a := range e.to {
		if !e.sent[a.Address] && e.refused[a.Address] == nil {
			to = append(to, a.Address)
		}
	}
	message, err := e.message(n)
	if err != nil {
		return Permanent(err)
	}
	var waiting []error
	if len(to) > 0 {
		failed, err := e.mailer.Send(ctx, e.from.Address, to, message)
		if err != nil {
			return err
		}
		for _, a := range to {
			switch why := failed[a]; {
			case why == nil:
				e.sent[a] = true
			case IsPermanent(why):
				e.refused[a] = why
			default:
				waiting = append(waiting, why)
			}
		}
	}
	if len(waiting) > 0 {
		return errors.Join(waiting...)
	}
	e.notice = ""
	return errors.Join(slices.Collect(maps.Values(e.refused))...)
}

// message is the whole message as RFC 5322 wants it, with lines that end in CR LF.
func (e *Email) message(n Notice) ([]byte, error) {
	_, domain, _ := strings.Cut(e.from.Address, "@")
	id := func(s string) string {
		h := fnv.New128a()
		_, _ = h.Write([]byte(s))
		return "<forewarn." + hex.EncodeToString(h.Sum(nil)) + "@" + domain + ">"
	}
	root := id("thread " + n.Thread)
	own := id("notice " + n.ID)
	first := n.single() && n.Warnings[0].ID == n.Thread && n.Warnings[0].Revision <= 1 // the thread's root itself
	if first {
		own = root
	}
	to := make([]string, len(e.to))
	for i, a := range e.to {
		to[i] = a.String()
	}
	w := &n.Warnings[0]
	header := [][2]string{
		{"From", e.from.String()},
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", clip(e.words.titleOr(n, "[forewarn] "+Topic(n)), 200))},
		{"Date", e.now().UTC().Format(time.RFC1123Z)},
		{"Message-ID", own},
	}
	if !first {
		header = append(header, [2]string{"In-Reply-To", root}, [2]string{"References", root})
	}
	header = append(header, [2]string{"Auto-Submitted", "auto-generated"}, [2]string{"X-Forewarn-State", string(worst(n))},
		[2]string{"X-Forewarn-Signature", mime.QEncoding.Encode("utf-8", oneLine(w.Signature))})
	if s := worst(n); s == matcher.Imminent || s == matcher.InIncident {
		header = append(header, [2]string{"Importance", "high"}, [2]string{"X-Priority", "1"})
	}
	header = append(header, [2]string{"MIME-Version", "1.0"})

	var b, body bytes.Buffer
	parts := multipart.NewWriter(&body)
	if err := parts.SetBoundary(strings.Trim(id("boundary "+n.ID), "<>")[:41]); err != nil {
		return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
	}
	text := e.text(n)
	for _, p := range [][2]string{{"text/plain", text}, {"text/html", e.page(n, text)}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {p[0] + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
		}
		q := quotedprintable.NewWriter(w)
		_, err = q.Write([]byte(strings.ReplaceAll(p[1], "\r\n", "\n")))
		if err := errors.Join(err, q.Close()); err != nil {
			return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
		}
	}
	if err := parts.Close(); err != nil {
		return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
	}
	header = append(header, [2]string{"Content-Type", `multipart/alternative; boundary="` + parts.Boundary() + `"`})
	for _, h := range header {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body.Bytes())
	return b.Bytes(), nil
}

// text is the body as plain text. A mail has room, so it is the long text, with where to go on.
func (e *Email) text(n Notice) string {
	if s, own := e.words.Body(n); own {
		return s
	}
	if !n.single() {
		return listing(n, 50_000)
	}
	w := &n.Warnings[0]
	var b strings.Builder
	b.WriteString(Text(w, Style{Evidence: 10}))
	for _, l := range e.links(n) {
		if !strings.Contains(b.String(), l.URL) {
			b.WriteString("\n" + oneLine(l.Title) + ": " + l.URL + "\n")
		}
	}
	return b.String()
}

func (e *Email) links(n Notice) []matcher.Link {
	w := &n.Warnings[0]
	all := append([]matcher.Link(nil), w.Links...)
	if !w.State.Final() {
		all = append(all, feedback(w)...)
	}
	return all
}

// page is the body as HTML: the template's, or the text in a frame of the state's colour.
func (e *Email) page(n Notice, text string) string {
	if s, err := e.words.tryHTML(n); err == nil && strings.TrimSpace(s) != "" {
		return s
	}
	var links strings.Builder
	if n.single() {
		for _, l := range e.links(n) {
			fmt.Fprintf(&links, `<a href="%s">%s</a> &nbsp; `, html.EscapeString(l.URL), html.EscapeString(oneLine(l.Title)))
		}
	}
	return fmt.Sprintf(`<!doctype html>
<html lang="en"><body style="font-family: sans-serif">
<div style="border-left: 6px solid %s; padding-left: 12px">
<h2 style="margin: 0">%s</h2>
<pre style="white-space: pre-wrap; font-size: 14px">%s</pre>
<p>%s</p>
</div>
</body></html>
`, color(worst(n)), html.EscapeString(cmp.Or(e.words.Title(n), Headline(n))), html.EscapeString(text), links.String())
}
