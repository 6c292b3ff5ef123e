package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Webhook posts each revision of a warning as JSON, signed as Standard Webhooks 1.0 says
// (https://www.standardwebhooks.com): headers webhook-id, webhook-timestamp and webhook-signature, the signature being
// "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body".
//
// The body is {"type": "warning.<state>", "timestamp": RFC 3339, "data": the warning}. webhook-id is "<warning id>-<revision>", the same at every
// try, so that a receiver can drop repeats. A body over 20 kB loses evidence, the oldest but one first, and says so.
type Webhook struct {
	url     string
	secrets [][]byte
	client  *http.Client
	now     func() time.Time
}

// maxWebhookBody is the size that Standard Webhooks asks senders to stay below.
const maxWebhookBody = 20_000

// NewWebhook checks the URL and the secrets. A secret is "whsec_" and the base64 of 24 to 64 bytes; several are used at once
// while a key is rotated; none means that nothing is signed.
func NewWebhook(url string, secrets []string, client *http.Client) (*Webhook, error) {
	if err := checkURL("webhook url", url); err != nil {
		return nil, err
	}
	w := &Webhook{url: url, client: client, now: time.Now}
	for i, s := range secrets {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || !strings.HasPrefix(s, "whsec_") || len(b) < 24 || len(b) > 64 {
			return nil, fmt.Errorf("webhook secret %d: want whsec_ and the base64 of 24 to 64 bytes: make one with `echo whsec_$(head -c 32 /dev/urandom | base64)`", i+1)
		}
		w.secrets = append(w.secrets, b)
	}
	return w, nil
}

// Notify posts the warnings one by one, in order.
func (h *Webhook) Notify(ctx context.Context, n Notice) error {
	for i := range n.Warnings {
		w := &n.Warnings[i]
		body, err := webhookBody(w)
		if err != nil {
			return Permanent(err)
		}
		id := w.ID + "-" + strconv.FormatUint(uint64(w.Revision), 10)
		stamp := strconv.FormatInt(h.now().Unix(), 10)
		header := http.Header{}
		header.Set("webhook-id", id)
		header.Set("webhook-timestamp", stamp)
		if len(h.secrets) > 0 {
			header.Set("webhook-signature", sign(h.secrets, id, stamp, body))
		}
		if err := post(ctx, h.client, h.url, header, body); err != nil {
			return err
		}
	}
	return nil
}

func sign(secrets [][]byte, id, stamp string, body []byte) string {
	var all []string
	for _, s := range secrets {
		m := hmac.New(sha256.New, s)
		_, _ = fmt.Fprintf(m, "%s.%s.", id, stamp)
		_, _ = m.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	return strings.Join(all, " ")
}

func webhookBody(w *matcher.Warning) ([]byte, error) {
	c := *w
	for {
		b, err := json.Marshal(struct {
			Type      string           `json:"type"`
			Timestamp time.Time        `json:"timestamp"`
			Data      *matcher.Warning `json:"data"`
		}{"warning." + string(c.State), c.Time, &c})
		if err != nil {
			return nil, fmt.Errorf("encode warning %s: %w", w.ID, err)
		}
		if len(b) < maxWebhookBody || len(c.Evidence) < 2 {
			return b, nil
		}
		if len(c.Evidence) == len(w.Evidence) {
			c.Incomplete = append(append([]string(nil), c.Incomplete...), "evidence was left out to stay below 20 kB")
		}
		c.Evidence = append(c.Evidence[:1:1], c.Evidence[2:]...) // the first one tells how it began
	}
}
