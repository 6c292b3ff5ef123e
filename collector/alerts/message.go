package alerts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// message is what an Alertmanager sends: version 4 of its webhook.
type message struct {
	Version         string  `json:"version"`
	TruncatedAlerts int     `json:"truncatedAlerts"`
	Alerts          []alert `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// decode reads a message. Its error says what the sender should mend.
func decode(body []byte) (*message, error) {
	var m message
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read the body as an Alertmanager's webhook: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the message: send one JSON object")
	}
	switch {
	case m.Version != "4":
		return nil, fmt.Errorf("the version is %.20q: version 4 of an Alertmanager's webhook is read here", m.Version)
	case m.Alerts == nil:
		return nil, errors.New("the alerts are missing: point webhook_configs of an Alertmanager here")
	}
	return &m, nil
}

// losses are what of a message is in no record.
type losses struct{ truncated, bad, labels int }

// maxLabels leaves room for what labels tell of the topology; see [record.MaxAttrs].
const maxLabels = 40

// records makes a record of each alert that can be read.
func (m *message) records(now time.Time) ([]record.Record, losses) {
	lost := losses{truncated: max(m.TruncatedAlerts, 0)}
	out := make([]record.Record, 0, len(m.Alerts))
	for i := range m.Alerts {
		a := &m.Alerts[i]
		if a.Labels["alertname"] == "" || a.Status != "firing" && a.Status != "resolved" {
			lost.bad++
			continue
		}
		out = append(out, a.record(now, &lost))
	}
	return out, lost
}

// record makes the record of one change of state. It happened when the alert began or ceased to fire, by the sender's clock.
func (a *alert) record(now time.Time, lost *losses) record.Record {
	at := a.StartsAt
	if a.Status == "resolved" {
		at = a.EndsAt
	}
	if at.Year() < 1990 || at.After(now.Add(24*time.Hour)) {
		at = now
	}
	names := slices.Sorted(maps.Keys(a.Labels))
	id := a.Fingerprint
	if id == "" {
		for _, n := range names {
			id += strconv.Quote(n) + strconv.Quote(a.Labels[n])
		}
	}
	labels := make([]format.Label, 0, len(names))
	for _, n := range names {
		switch {
		case n == "alertname" || a.Labels[n] == "":
		case n == "" || len(n) > 200 || len(labels) == maxLabels:
			lost.labels++
		default:
			labels = append(labels, format.Label{Name: n, Value: a.Labels[n]})
		}
	}
	attrs := format.SeriesAttrs("", labels, record.Attrs{
		{Key: record.AlertName, Value: cut(a.Labels["alertname"], record.MaxValue)}, {Key: record.AlertState, Value: a.Status},
	})
	text := cmp.Or(a.Annotations["summary"], a.Annotations["message"], a.Annotations["description"], a.Annotations["title"], a.Labels["alertname"])
	return record.Record{
		Kind: record.Alert, Time: at.UnixNano(), Count: 1, Text: []byte(cut(text, record.MaxText)), Attrs: attrs,
		ID: record.Identity("alert", id, a.StartsAt.UTC().Format(time.RFC3339Nano), a.Status),
	}
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
