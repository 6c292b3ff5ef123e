package notify

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// PagerDuty sends to Events API v2. The dedup_key is the notice's thread, so one incident lives as long as the warning: it is triggered by the first
// revision, each later one changes it, and the last one resolves it. How bad it is there grows with the state, up to what the signature's severity
// allows: forming at most warning, imminent at most error, incident up to critical.
type PagerDuty struct {
	url, key string
	client   *http.Client
	words    *wording
}

// Limits of Events API v2: the size of an event, and the characters of a summary.
const (
	maxPagerDutyEvent   = 512_000
	maxPagerDutySummary = 1024
	maxPagerDutyKey     = 255
)

func makePagerDuty(m *maker) Notifier {
	host := map[string]string{"": "https://events.pagerduty.com", "us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}[m.Region]
	if host == "" {
		m.wrong("region", fmt.Sprintf("unknown region %q", m.Region), "use us or eu")
	}
	if len(m.URLs) > 0 {
		host = m.address()
	}
	key := m.secret("key_file", m.KeyFile, "0123456789abcdef0123456789abcdef")
	if key != "" && len(key) != 32 {
		m.wrong("key_file", fmt.Sprintf("%s holds %d characters, and an integration key has 32", m.KeyFile, len(key)), "copy the Integration Key of an Events API v2 integration")
	}
	return &PagerDuty{strings.TrimSuffix(host, "/") + "/v2/enqueue", key, m.client(), m.wording()}
}

type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Links      []pagerDutyLink   `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp time.Time      `json:"timestamp"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Notify sends one event: 202 is taken, 429 and 5xx are worth another try, 400 never is.
func (p *PagerDuty) Notify(ctx context.Context, n Notice) error {
	if n.Quiet && !n.Over {
		return nil // PagerDuty would call people again if somebody has resolved the incident by hand
	}
	body, err := p.event(n)
	if err != nil {
		return Permanent(err)
	}
	return post(ctx, p.client, p.url, nil, body)
}

// Replaces implements Replacer: a trigger of an incident that is open notifies nobody again.
func (p *PagerDuty) Replaces() bool { return true }

func (p *PagerDuty) event(n Notice) ([]byte, error) {
	w := &n.Warnings[0]
	e := pagerDutyEvent{RoutingKey: p.key, Action: "trigger", DedupKey: dedupKey(n.Thread)}
	if n.Over {
		e.Action = "resolve"
	}
	e.Payload = &pagerDutyPayload{
		Summary: clip(n.stillOpen(p.words.Title(n)), maxPagerDutySummary), Source: cmp.Or(w.KeyText, "forewarn"), Severity: pagerDutySeverity(n), Timestamp: w.Time,
		Component: w.Signature, Group: keyValue(w, "namespace"), Class: string(w.State),
		Details: details(n, p.words),
	}
	e.Client, e.ClientURL = "forewarn", page(w)
	for _, l := range append(append([]matcher.Link(nil), w.Links...), feedback(w)...) {
		e.Links = append(e.Links, pagerDutyLink{l.URL, l.Title})
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode notice %s: %w", n.ID, err)
	}
	if len(body) <= maxPagerDutyEvent {
		return body, nil
	}
	e.Payload.Details = map[string]any{"text": clip(p.words.Text(n), 10_000), "incomplete": "the rest was left out: an event is at most 512 kB"}
	e.Links = e.Links[:min(len(e.Links), 10)]
	if body, err = json.Marshal(e); err == nil && len(body) > maxPagerDutyEvent {
		err = fmt.Errorf("notice %s is larger than PagerDuty takes even without its details", n.ID)
	}
	return body, err
}

// dedupKey is the thread, or its hash where it is too long.
func dedupKey(thread string) string {
	if len(thread) <= maxPagerDutyKey {
		return thread
	}
	h := fnv.New128a()
	_, _ = h.Write([]byte(thread))
	return hex.EncodeToString(h.Sum(nil))
}

// pagerDutySeverity is the worst of the warnings that are open.
func pagerDutySeverity(n Notice) string {
	all := []string{"critical", "error", "warning", "info"}
	worst := len(all) - 1
	for _, w := range slices.Concat(n.Warnings, n.Also) {
		at := map[signatures.Severity]int{signatures.Critical: 0, signatures.High: 1, signatures.Medium: 2}
		rank, known := at[w.Severity]
		if !known || w.State.Final() {
			rank = 3
		}
		switch w.State { //nolint:exhaustive // the others take nothing away
		case matcher.Forming:
			rank = max(rank, 2)
		case matcher.Imminent:
			rank = max(rank, 1)
		}
		worst = min(worst, rank)
	}
	return all[worst]
}

func keyValue(w *matcher.Warning, name string) string {
	for _, k := range w.Key {
		if k.Key == name {
			return k.Value
		}
	}
	return ""
}

// details are the facts of a notice by name, for destinations that show a table of them.
func details(n Notice, words *wording) map[string]any {
	out := map[string]any{"text": words.Text(n)}
	if n.Digest != nil {
		out["digest"] = n.Digest
	}
	list := func(ws []matcher.Warning) (all []string) {
		for i := range ws {
			all = append(all, strings.TrimSpace(entry(&ws[i])))
		}
		return all
	}
	if len(n.Also) > 0 {
		out["also_open"], out["more_open"] = list(n.Also), n.More
	}
	if !n.single() {
		out["warnings"] = list(n.Warnings)
		return out
	}
	w := &n.Warnings[0]
	put := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	put("warning", w.ID)
	put("signature", w.Signature)
	put("severity", string(w.Severity))
	put("state", string(w.State))
	put("stage", w.Stage)
	put("stages_seen", fmt.Sprintf("%d of %d", StagesSeen(w), w.Total))
	put("impact", w.Impact)
	put("eta", eta(w))
	put("history", strings.Join(HowOften(w), "; "))
	put("reason", w.Reason)
	for _, k := range w.Key {
		put("key_"+k.Key, k.Value)
	}
	if r := FirstRemedy(w); r != nil {
		put("remedy", r.Do)
		put("command", Command(w, r))
	}
	var evidence []string
	for _, e := range w.Evidence {
		evidence = append(evidence, e.Time.UTC().Format(time.RFC3339)+" "+e.Kind+" "+oneLine(e.Text))
	}
	if len(evidence) > 0 {
		out["evidence"] = evidence
	}
	return out
}
