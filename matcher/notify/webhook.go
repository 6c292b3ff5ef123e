package notify

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Webhook posts each revision of a warning as JSON, signed as Standard Webhooks 1.0 says
// (https://www.standardwebhooks.com): headers webhook-id, webhook-timestamp and webhook-signature, the signature being
// "v1," and the base64 of HMAC-SHA256, or "v1a," and that of Ed25519, over "id.timestamp.body".
//
// The body is {"type": "warning.<state>", "timestamp": RFC 3339, "data": the warning}. webhook-id is "<warning id>-<revision>", the same at every
// try, so that a receiver can drop repeats. A body over 20 kB loses evidence, the oldest but one first, and says so. Several warnings that are told
// together are posted one by one, each with its own id, and with "thread", which all of them share; what is counted and not told by itself is a post of type
// "digest".
//
// With a template of the body, one post tells the whole notice, with the notice's id.
type Webhook struct {
	url    string
	keys   []signer
	header http.Header // besides those of Standard Webhooks; nil for none
	client *http.Client
	words  *wording
	now    func() time.Time
	steps  steps
}

// signer makes one signature of the content.
type signer func(content []byte) string

// maxWebhookBody is the size that Standard Webhooks asks senders to stay below.
const maxWebhookBody = 20_000

func makeWebhook(m *maker) Notifier {
	var secrets []string
	for _, f := range m.SecretFiles {
		if s := m.secret("secret_files", f, "whsec_bWFkZSB1cCwgb2YgYXQgbGVhc3QgMjQgYnl0ZXM="); s != "" {
			secrets = append(secrets, s)
		}
	}
	address, header, client, words := m.address(), m.authorization(), m.client(), m.wording()
	if address == "" || len(m.mistakes) > 0 {
		return nil
	}
	w, err := NewWebhook(address, secrets, client)
	if err != nil {
		m.wrong("secret_files", err.Error(), "")
		return nil
	}
	if words.body != nil {
		for _, n := range examples() {
			if s, _ := words.Body(n); !json.Valid([]byte(s)) {
				m.wrong("templates.body", "it makes no JSON: "+clip(oneLine(s), 80), "write texts as {{ json .Headline }}, which adds the quotes")
				return nil
			}
		}
	}
	w.header, w.words = header, words
	return w
}

// NewWebhook checks the URL and the secrets. A secret is "whsec_" and the base64 of 24 to 64 bytes, or "whsk_" and the base64 of an Ed25519 private
// key; several are used at once while a key is rotated; none means that nothing is signed.
func NewWebhook(url string, secrets []string, client *http.Client) (*Webhook, error) {
	if err := checkURL("webhook url", url); err != nil {
		return nil, err
	}
	w := &Webhook{url: url, client: client, now: time.Now, words: &wording{}}
	for i, s := range secrets {
		key, err := newSigner(s)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d: %w", i+1, err)
		}
		w.keys = append(w.keys, key)
	}
	return w, nil
}

func newSigner(secret string) (signer, error) {
	kind, text, _ := strings.Cut(secret, "_")
	b, err := base64.StdEncoding.DecodeString(text)
	switch {
	case kind == "whsec" && err == nil && len(b) >= 24 && len(b) <= 64:
		return func(content []byte) string {
			m := hmac.New(sha256.New, b)
			_, _ = m.Write(content)
			return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
		}, nil
	case kind == "whsk" && err == nil && len(b) == ed25519.PrivateKeySize:
		return func(content []byte) string {
			return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(b, content))
		}, nil
	case kind == "whsk":
		return nil, fmt.Errorf("want whsk_ and the base64 of the %d bytes of an Ed25519 private key", ed25519.PrivateKeySize)
	}
	return nil, fmt.Errorf("want whsec_ and the base64 of 24 to 64 bytes: make one with `echo whsec_$(head -c 32 /dev/urandom | base64)`")
}

// Notify posts the warnings one by one, in order, or what the template makes of all of them.
func (h *Webhook) Notify(ctx context.Context, n Notice) error {
	if text, ok := h.words.Body(n); ok {
		return h.post(ctx, n.ID, []byte(text))
	}
	thread := ""
	if len(n.Warnings) > 1 {
		thread = n.Thread
	}
	return h.steps.each(n, func(w *matcher.Warning) error {
		body, err := webhookBody(w, thread)
		if err != nil {
			return Permanent(err)
		}
		return h.post(ctx, revisionID(w), body)
	}, func(d *Digest) error {
		body, err := json.Marshal(webhookDigest{"digest", n.Warnings[0].Time, n.Thread, d})
		if err != nil {
			return Permanent(fmt.Errorf("encode the digest of %s: %w", n.ID, err))
		}
		return h.post(ctx, n.ID, body)
	})
}

// revisionID is the same for every try of one revision of a warning, and for no other.
func revisionID(w *matcher.Warning) string {
	return w.ID + "-" + strconv.FormatUint(uint64(w.Revision), 10)
}

func (h *Webhook) post(ctx context.Context, id string, body []byte) error {
	stamp := strconv.FormatInt(h.now().Unix(), 10)
	header := http.Header{}
	maps.Copy(header, h.header)
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", stamp)
	if len(h.keys) > 0 {
		header.Set("webhook-signature", sign(h.keys, id, stamp, body))
	}
	return post(ctx, h.client, h.url, header, body)
}

func sign(keys []signer, id, stamp string, body []byte) string {
	content := slices.Concat([]byte(id+"."+stamp+"."), body)
	var all []string
	for _, key := range keys {
		all = append(all, key(content))
	}
	return strings.Join(all, " ")
}

// webhookDigest is the body of a post that counts what is not told by itself.
type webhookDigest struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Thread    string    `json:"thread"`
	Data      *Digest   `json:"data"`
}

// webhookBody is a warning's body; thread, if not "", is that of the notice which tells several.
func webhookBody(w *matcher.Warning, thread string) ([]byte, error) {
	return fitted(w, maxWebhookBody, "20 kB", func(c *matcher.Warning) ([]byte, error) {
		return json.Marshal(struct {
			Type      string           `json:"type"`
			Timestamp time.Time        `json:"timestamp"`
			Thread    string           `json:"thread,omitempty"`
			Data      *matcher.Warning `json:"data"`
		}{"warning." + string(c.State), c.Time, thread, c})
	})
}

// fitted encodes a warning, its commands filled, in less than so many bytes. What is too large loses evidence, the oldest but one first, then the remedies but the
// one to try first, and says so; what none of that makes small enough stays as it is.
func fitted(w *matcher.Warning, most int, limit string, encode func(*matcher.Warning) ([]byte, error)) ([]byte, error) {
	c := Filled(w)
	for {
		b, err := encode(&c)
		if err != nil {
			return nil, fmt.Errorf("encode warning %s: %w", w.ID, err)
		}
		n := len(c.Evidence)
		if len(b) < most || n < 2 && len(c.Remedies) < 2 {
			return b, nil
		}
		if n == len(w.Evidence) && len(c.Remedies) == len(w.Remedies) {
			c.Incomplete = append(append([]string(nil), c.Incomplete...), "evidence was left out to stay below "+limit)
		}
		if n < 2 {
			c.Remedies = []signatures.Remedy{*FirstRemedy(&c)}
			continue
		}
		drop := min(max(1, (len(b)-most)*n/len(b)), n-1)
		c.Evidence = append(c.Evidence[:1:1], c.Evidence[1+drop:]...) // the first one tells how it began
	}
}
