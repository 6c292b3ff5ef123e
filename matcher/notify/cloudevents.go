package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// CloudEvents makes each revision of a warning a CloudEvent 1.0, on a NATS subject or over HTTP, structured (everything is in the body) or binary (the
// attributes are headers, the body is the warning). An event's id is "<warning id>-<revision>", on NATS the Nats-Msg-Id too, so that a repeat is dropped
// by the server. Several warnings that are told together are events of their own.
type CloudEvents struct {
	bus     Bus // of a subject
	subject string
	url     string // else
	header  http.Header
	client  *http.Client
	source  string
	binary  bool
	steps   steps
}

// Bus publishes messages on a stream. PublishEvent returns when the stream has the message; one whose id it has already, it drops.
type Bus interface {
	PublishEvent(ctx context.Context, subject, id string, header map[string]string, body []byte) error
}

// maxCloudEvent is the size up to which everybody on the way has to forward an event.
const maxCloudEvent = 64 << 10

// ownSubjects are forewarn's own, in front of which nothing else may be published.
func ownSubjects() []string {
	return []string{"forewarn.records", "forewarn.hits", "forewarn.warnings", "forewarn.intake"}
}

func makeCloudEvents(m *maker) Notifier {
	e := &CloudEvents{bus: m.env.Bus, subject: cmp.Or(m.Subject, "forewarn.events"), source: cmp.Or(m.Source, "/forewarn"), client: m.client(), header: m.authorization()}
	switch m.Mode {
	case "", "structured":
	case "binary":
		e.binary = true
	default:
		m.wrong("mode", fmt.Sprintf("unknown mode %q", m.Mode), "use structured or binary")
	}
	if _, err := url.Parse(e.source); err != nil {
		m.wrong("source", fmt.Sprintf("%q is no URI reference", e.source), "write it like /clusters/prod")
	}
	if len(m.URLs) > 0 {
		e.url = m.address()
		if m.Subject != "" {
			m.wrong("subject", "there are urls, too", "leave one of them out")
		}
		return e
	}
	if m.TokenFile != "" || m.CAFile != "" {
		m.wrong("token_file", "NATS is reached by the settings under nats", "leave token_file and ca_file out")
	}
	if strings.ContainsAny(e.subject, " \t*>") || strings.HasPrefix(e.subject, ".") || strings.HasSuffix(e.subject, ".") || strings.Contains(e.subject, "..") || strings.HasPrefix(e.subject, "$") {
		m.wrong("subject", fmt.Sprintf("%q is no NATS subject", e.subject), "write words with points between them, such as forewarn.events")
	}
	for _, own := range ownSubjects() {
		if e.subject == own || strings.HasPrefix(e.subject, own+".") {
			m.wrong("subject", own+" holds what forewarn tells itself", "use another one, such as forewarn.events")
		}
	}
	return e
}

// OnBus reports whether the destination is a subject of NATS.
func (d *Destination) OnBus() bool { return d.Type == "cloudevents" && len(d.URLs) == 0 }

// EventSubjects are those that a destination of type cloudevents publishes on, with wildcards.
func (d *Destination) EventSubjects() []string {
	return []string{cmp.Or(d.Subject, "forewarn.events") + ".*.*"}
}

// Notify publishes an event for each warning, and for the digest of those that are not told by themselves.
func (e *CloudEvents) Notify(ctx context.Context, n Notice) error {
	return e.steps.each(n, func(w *matcher.Warning) error {
		attributes := map[string]string{
			"id": revisionID(w), "source": e.sourceOf(w), "type": "dev.forewarn.warning." + string(w.State), "subject": w.ID, "time": w.Time.UTC().Format(time.RFC3339Nano),
			"signature": w.Signature, "severity": string(w.Severity), "partitionkey": w.ID,
		}
		header, body, err := fittedEvent(w, func(c *matcher.Warning) (map[string]string, []byte, error) { return e.event(attributes, c) })
		if err != nil {
			return Permanent(err)
		}
		return e.publish(ctx, e.subject+"."+string(w.State)+"."+token(w.Signature), attributes["id"], header, body)
	}, func(d *Digest) error {
		w := &n.Warnings[0]
		header, body, err := e.event(map[string]string{
			"id": n.ID, "source": e.sourceOf(w), "type": "dev.forewarn.digest", "subject": n.Thread, "time": w.Time.UTC().Format(time.RFC3339Nano), "partitionkey": n.Thread,
		}, d)
		if err != nil {
			return Permanent(err)
		}
		return e.publish(ctx, e.subject+".digest."+token(n.Thread), n.ID, header, body)
	})
}

func (e *CloudEvents) publish(ctx context.Context, subject, id string, header map[string]string, body []byte) error {
	if e.url != "" {
		h := maps.Clone(e.header)
		for k, v := range header {
			h.Set(k, v)
		}
		return post(ctx, e.client, e.url, h, body)
	}
	if e.bus == nil {
		return errors.New("there is no NATS to publish events on")
	}
	if err := e.bus.PublishEvent(ctx, subject, id, header, body); err != nil {
		return fmt.Errorf("publish event %s on %s: %w", id, subject, err)
	}
	return nil
}

func (e *CloudEvents) sourceOf(w *matcher.Warning) string {
	if e.source != "/forewarn" {
		return e.source
	}
	for _, x := range slices.Backward(w.Evidence) {
		if c := x.Attrs[record.Cluster]; c != "" {
			return e.source + "/" + url.PathEscape(c)
		}
	}
	return e.source
}

// event returns the message: its headers, Content-Type among them, and its body.
func (e *CloudEvents) event(attributes map[string]string, data any) (header map[string]string, body []byte, err error) {
	body, err = json.Marshal(data)
	if err != nil {
		return nil, nil, fmt.Errorf("encode event %s: %w", attributes["id"], err)
	}
	if e.binary {
		header = map[string]string{"Content-Type": "application/json", "ce-specversion": "1.0"}
		for k, v := range attributes {
			header["ce-"+k] = headerValue(v)
		}
		return header, body, nil
	}
	all := map[string]any{"specversion": "1.0", "datacontenttype": "application/json", "data": json.RawMessage(body)}
	for k, v := range attributes {
		all[k] = v
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return nil, nil, fmt.Errorf("encode event %s: %w", attributes["id"], err)
	}
	return map[string]string{"Content-Type": "application/cloudevents+json; charset=utf-8"}, bytes.TrimSpace(b.Bytes()), nil
}

// fittedEvent makes the event of a warning that is small enough to be forwarded by everybody.
func fittedEvent(w *matcher.Warning, event func(*matcher.Warning) (map[string]string, []byte, error)) (header map[string]string, body []byte, err error) {
	body, err = fitted(w, maxCloudEvent, "64 KiB", func(c *matcher.Warning) (b []byte, err error) {
		header, b, err = event(c)
		return b, err
	})
	return header, body, err
}

// headerValue percent-encodes what the HTTP binding does: spaces, double quotes, percent signs and everything that is not printable ASCII.
func headerValue(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c == '"' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// token makes one token of a subject.
func token(s string) string {
	return cmp.Or(strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameLetters, r) {
			return r
		}
		return '_'
	}, s), "_")
}
