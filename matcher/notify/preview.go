package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
)

// Message is what would be sent by one request, mail or event.
type Message struct {
	To     string   `json:"to"`               // where, without what is secret
	Header []string `json:"header,omitempty"` // "Name: value", without what is secret
	Body   string   `json:"body"`
}

// Preview returns what a destination would be sent for a notice, in order. Nothing is sent, no secret is read, and none is in the messages.
func Preview(ctx context.Context, d Destination, style Style, n Notice) ([]Message, error) {
	p := &pretender{}
	var out bytes.Buffer
	env := Env{Out: &out, Style: style, Client: &http.Client{Transport: p}, Bus: p, Objects: p, Mail: p, Pretend: true}
	to, err := New(d, env)
	if err != nil {
		return nil, err
	}
	if err := to.Notify(ctx, n); err != nil {
		return nil, fmt.Errorf("notifier %q: %w", d.Name, err)
	}
	if out.Len() > 0 {
		p.messages = append(p.messages, Message{To: "stdout", Body: out.String()})
	}
	return p.messages, nil
}

// pretender takes everything as the real destinations do, and keeps it.
type pretender struct {
	mu       sync.Mutex // an Alertmanager's peers are told at once
	messages []Message
}

func (p *pretender) keep(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, m)
}

// RoundTrip implements http.RoundTripper.
func (p *pretender) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	var header []string
	for k, v := range r.Header {
		if k == "Authorization" {
			kind, _, _ := strings.Cut(v[0], " ")
			v = []string{kind + " ***"}
		}
		header = append(header, k+": "+strings.Join(v, ", "))
	}
	slices.Sort(header)
	where := redacted(r.URL.String())
	if r.URL.Host == "slack.com" {
		where = r.URL.String() // the method, and nothing secret
	}
	p.keep(Message{To: "POST " + where, Header: header, Body: string(body)})
	answer := `{"ok":true,"channel":"C0123456789","ts":"1700000000.000100"}` // as Slack has it; the others look at the status alone
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// PublishEvent implements Bus.
func (p *pretender) PublishEvent(_ context.Context, subject, id string, header map[string]string, body []byte) error {
	all := []string{"Nats-Msg-Id: " + id}
	for k, v := range header {
		all = append(all, k+": "+v)
	}
	slices.Sort(all)
	p.keep(Message{To: "NATS " + subject, Header: all, Body: string(body)})
	return nil
}

// RecordEvent implements EventRecorder.
func (p *pretender) RecordEvent(_ context.Context, e ObjectEvent) error {
	kind := "Normal"
	if e.Warning {
		kind = "Warning"
	}
	on := e.On.Kind + " " + e.On.Name
	if e.On.Namespace != "" {
		on = e.On.Kind + " " + e.On.Namespace + "/" + e.On.Name
	}
	p.keep(Message{
		To: "Event on " + on, Header: []string{"Name: " + e.Name, "Namespace: " + cmp.Or(e.On.Namespace, "default"), "Type: " + kind, "Reason: " + e.Reason}, Body: e.Note,
	})
	return nil
}

// Send implements Mailer. It shows a mail as a person reads it, and not as it travels.
func (p *pretender) Send(_ context.Context, from string, to []string, message []byte) (map[string]error, error) {
	out := Message{To: "mail from " + from + " to " + strings.Join(to, ", ")}
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("read the mail: %w", err)
	}
	for k, v := range m.Header {
		if text, err := new(mime.WordDecoder).DecodeHeader(strings.Join(v, ", ")); err == nil {
			out.Header = append(out.Header, k+": "+text)
		}
	}
	slices.Sort(out.Header)
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("read the mail: %w", err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the mail: %w", err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("read the mail: %w", err)
		}
		out.Body += "--- " + part.Header.Get("Content-Type") + "\n" + strings.ReplaceAll(string(body), "\r\n", "\n") + "\n"
	}
	p.keep(out)
	return nil, nil
}
