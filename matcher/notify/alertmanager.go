package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Alertmanager posts warnings to the v2 API of every peer of an Alertmanager cluster (never through a load balancer: the
// peers find duplicates themselves).
//
// An alert's identity is its label set, so labels hold only what stays the same for the life of a warning: alertname (ForewarnWarning),
// forewarn_id, signature, severity and the key's parts. State, stage, forecast and evidence are annotations, and change in
// place. A firing alert is repeated each Interval with an endsAt of four intervals ahead, so that it ends by itself when forewarn
// dies; a closed one is sent with its endsAt in the past and repeated for five minutes, for peers that were away.
type Alertmanager struct {
	urls     []string
	header   http.Header
	client   *http.Client
	interval time.Duration
	now      func() time.Time
	active   map[string]sent // by warning id; touched only by the Deliverer's goroutine
}

type sent struct {
	warning matcher.Warning
	ended   time.Time // zero while it fires
}

const repeatResolved = 5 * time.Minute

// NewAlertmanager takes the base URL of each peer (http://host:9093, with the route prefix if there is one), and headers such as
// Authorization. interval 0 means one minute.
func NewAlertmanager(peers []string, header http.Header, interval time.Duration, client *http.Client) (*Alertmanager, error) {
	if len(peers) == 0 {
		return nil, errors.New("alertmanager urls: none given: name every peer, such as http://alertmanager-0:9093")
	}
	if interval == 0 {
		interval = time.Minute
	}
	a := &Alertmanager{header: header, client: client, interval: interval, now: time.Now, active: map[string]sent{}}
	for _, p := range peers {
		if err := checkURL("alertmanager url", p); err != nil {
			return nil, err
		}
		a.urls = append(a.urls, strings.TrimSuffix(p, "/")+"/api/v2/alerts")
	}
	return a, nil
}

// Interval is the time between two repeats of firing alerts.
func (a *Alertmanager) Interval() time.Duration { return a.interval }

// Prime takes over the warnings that an earlier process delivered: the open ones go on being repeated.
func (a *Alertmanager) Prime(ws []matcher.Warning) {
	for _, w := range ws {
		a.remember(w)
	}
}

// Notify sends the warnings in one call. It succeeds when every peer took them.
func (a *Alertmanager) Notify(ctx context.Context, n Notice) error {
	for _, w := range n.Warnings {
		a.remember(w)
	}
	return a.send(ctx, n.Warnings)
}

// Tick repeats everything that fires, and what ended less than five minutes ago.
func (a *Alertmanager) Tick(ctx context.Context, now time.Time) error {
	var ws []matcher.Warning
	for _, id := range slices.Sorted(maps.Keys(a.active)) {
		s := a.active[id]
		if !s.ended.IsZero() && now.Sub(s.ended) > repeatResolved {
			delete(a.active, id)
			continue
		}
		ws = append(ws, s.warning)
	}
	if len(ws) == 0 {
		return nil
	}
	return a.send(ctx, ws)
}

func (a *Alertmanager) remember(w matcher.Warning) {
	if old, ok := a.active[w.ID]; ok && old.warning.Revision > w.Revision {
		return // a repeat of an older revision after a restart
	}
	s := sent{warning: w}
	if w.State.Final() {
		s.ended = a.now()
	}
	a.active[w.ID] = s
}

func (a *Alertmanager) send(ctx context.Context, ws []matcher.Warning) error {
	alerts := make([]alert, 0, len(ws))
	for i := range ws {
		s, ok := a.active[ws[i].ID]
		if !ok {
			s = sent{warning: ws[i]}
		}
		alerts = append(alerts, a.alert(&s))
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		return Permanent(fmt.Errorf("encode %d alerts: %w", len(alerts), err))
	}
	var failed []error
	refused := 0
	for _, u := range a.urls {
		err := post(ctx, a.client, u, a.header, body)
		if IsPermanent(err) {
			refused++
		}
		failed = append(failed, err)
	}
	err = errors.Join(failed...)
	if err != nil && refused < len(a.urls) {
		// Some peers took it or may take it later: trying again does no harm, the identity is the same.
		return retryable{err}
	}
	return err
}

// retryable hides a permanent error of one peer while another is worth a try.
type retryable struct{ err error }

func (r retryable) Error() string { return r.err.Error() }

type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (a *Alertmanager) alert(s *sent) alert {
	w := &s.warning
	labels := map[string]string{}
	for _, p := range w.Key {
		labels[labelName(p.Key)] = p.Value
	}
	labels["alertname"] = "ForewarnWarning"
	labels["forewarn_id"] = w.ID
	labels["signature"] = w.Signature
	labels["severity"] = string(w.Severity)
	notes := map[string]string{
		"summary":     w.Title + " (" + w.KeyText + ")",
		"description": Plain(w),
		"state":       string(w.State),
		"stage":       w.Stage,
		"stages_seen": strconv.Itoa(StagesSeen(w)) + " of " + strconv.Itoa(w.Total),
	}
	if w.Impact != "" {
		notes["impact"] = w.Impact
	}
	if w.Next != nil {
		notes["next"] = w.Next.Stage
	}
	if w.Forecast != nil {
		notes["eta"] = ForecastText(w.Forecast)
	}
	if len(w.Remedies) > 0 {
		notes["remedy"] = FirstRemedy(w).Do
		if c := Command(w, FirstRemedy(w)); c != "" {
			notes["command"] = c
		}
	}
	if len(w.References) > 0 {
		notes["reference"] = w.References[0]
	}
	out := alert{Labels: labels, Annotations: notes, StartsAt: w.Opened, EndsAt: a.now().Add(4 * a.interval)}
	if !s.ended.IsZero() {
		out.EndsAt = s.ended
		if out.EndsAt.Before(out.StartsAt) {
			out.StartsAt = out.EndsAt // Alertmanager refuses an alert that ends before it starts
		}
	}
	return out
}

var notLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labelName makes a Prometheus label name of a key part's name; one that would clash with ours, or begin with a digit, gets key_ in front.
func labelName(s string) string {
	s = notLabel.ReplaceAllString(s, "_")
	switch {
	case s == "", s[0] >= '0' && s[0] <= '9', strings.HasPrefix(s, "__"), s == "alertname", s == "severity", s == "signature", s == "forewarn_id":
		return "key_" + s
	}
	return s
}
