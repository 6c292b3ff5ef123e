// Package dashboard makes the Grafana dashboard of forewarn: what it warns of, whether it sees everything, and what it lost.
package dashboard

import (
	"encoding/json"
	"fmt"
)

// panel is one graph or number.
type panel struct {
	title, about string
	kind         string // stat or timeseries
	unit         string
	width        int // of 24
	queries      []query
}

type query struct{ expr, legend string }

// selected are the labels by which everything is chosen.
const selected = `namespace=~"$namespace"`

func panels() [][]panel {
	sel := func(format string) string { return fmt.Sprintf(format, selected) }
	return [][]panel{
		{
			{"Open warnings", "Warnings that are open now, by state.", "stat", "short", 8, []query{{sel(`sum by (state) (forewarn_pipeline_open_warnings{%s})`), "{{state}}"}}},
			{"Signatures", "Armed, disarmed because they do not apply, and refused: see forewarn status for the reasons.", "stat", "short", 6, []query{{sel(`max by (state) (forewarn_pipeline_signatures{%s})`), "{{state}}"}}},
			{"Lost in an hour", "Everything that was lost, late, evicted or passed over. Anything but 0 has a name below.", "stat", "short", 5, []query{
				{fmt.Sprintf(`sum(increase(forewarn_pipeline_losses_total{%[1]s}[1h])) + (sum(increase(forewarn_collector_lost_total{%[1]s}[1h])) or vector(0))`, selected), "lost"},
			}},
			{"Sources without a connection", "Collectors that do not have what they collect from.", "stat", "short", 5, []query{{sel(`count(forewarn_collector_connected{%s} == 0) or vector(0)`), "collectors"}}},
		},
		{
			{"Warnings told", "Revisions of warnings a minute, by the state that they tell.", "timeseries", "short", 12, []query{{sel(`sum by (state) (rate(forewarn_pipeline_revisions_total{%s}[$__rate_interval])) * 60`), "{{state}}"}}},
			{"Delivered", "Warnings by destination and what became of them, a minute; retries mean that a destination refuses or does not answer.", "timeseries", "short", 12, []query{
				{sel(`sum by (destination, result) (rate(forewarn_notify_warnings_total{%s}[$__rate_interval])) * 60`), "{{destination}} {{result}}"},
				{sel(`sum by (destination) (rate(forewarn_notify_retries_total{%s}[$__rate_interval])) * 60`), "{{destination}} tried again"},
			}},
		},
		{
			{"Open by signature", "What is about to break, or has broken, by signature and state.", "timeseries", "short", 8, []query{{sel(`sum by (signature, state) (forewarn_pipeline_signature_open_warnings{%s})`), "{{signature}} {{state}}"}}},
			{"Stages reached in a day", "How far signatures came: the steps of each ladder, the incident last.", "timeseries", "short", 8, []query{{sel(`sum by (signature, stage) (increase(forewarn_pipeline_stages_reached_total{%s}[1d])) > 0`), "{{signature}} {{stage}}"}}},
			{"Lead time", "How long before their incidents people could first be told.", "timeseries", "s", 8, []query{
				{sel(`histogram_quantile(0.5, sum by (le) (rate(forewarn_pipeline_lead_time_seconds_bucket{%s}[1d])))`), "half"},
				{sel(`histogram_quantile(0.1, sum by (le) (rate(forewarn_pipeline_lead_time_seconds_bucket{%s}[1d])))`), "9 of 10 had more"},
			}},
		},
		{
			{"Records collected", "By collector and kind.", "timeseries", "cps", 12, []query{{sel(`sum by (collector, kind) (rate(forewarn_collector_records_total{%s}[$__rate_interval]))`), "{{collector}} {{kind}}"}}},
			{"Behind", "How far each collector is behind the clock. Absence is believed only up to there.", "timeseries", "s", 12, []query{{sel(`max by (collector) (time() - (forewarn_collector_collected_up_to_timestamp_seconds{%s} > 0))`), "{{collector}}"}}},
		},
		{
			{"Records matched", "Records that were scanned, and hits that came of them.", "timeseries", "cps", 12, []query{
				{sel(`sum(rate(forewarn_pipeline_records_total{%s}[$__rate_interval]))`), "records"},
				{sel(`sum(rate(forewarn_pipeline_hits_total{%s}[$__rate_interval]))`), "hits"},
				{sel(`sum(rate(forewarn_pipeline_intake_records_total{%s}[$__rate_interval]))`), "from the intake"},
			}},
			{"Waiting", "Messages that nobody has taken yet, by consumer. What grows here is seen late.", "timeseries", "short", 12, []query{{sel(`max by (consumer) (forewarn_pipeline_lag_messages{%s})`), "{{consumer}}"}}},
		},
		{
			{"Lost while matching", "By what it was: matcher/README.md and matcher/pipeline/README.md say what each means and what to do.", "timeseries", "short", 12, []query{{sel(`sum by (what) (rate(forewarn_pipeline_losses_total{%s}[$__rate_interval])) * 60 > 0`), "{{what}}"}}},
			{"Lost while collecting", "By collector and reason, a minute.", "timeseries", "short", 12, []query{
				{sel(`sum by (collector, reason) (rate(forewarn_collector_lost_total{%s}[$__rate_interval])) * 60 > 0`), "{{collector}} {{reason}}"},
				{sel(`sum by (collector) (rate(forewarn_collector_reconnects_total{%s}[$__rate_interval])) * 60 > 0`), "{{collector}} connected again"},
			}},
		},
		{
			{"Time to write state", "How long a step of a partition took to be stored: slow disks show here first.", "timeseries", "s", 8, []query{
				{sel(`histogram_quantile(0.5, sum by (le) (rate(forewarn_pipeline_commit_duration_seconds_bucket{%s}[$__rate_interval])))`), "half"},
				{sel(`histogram_quantile(0.99, sum by (le) (rate(forewarn_pipeline_commit_duration_seconds_bucket{%s}[$__rate_interval])))`), "99 of 100"},
			}},
			{"CPU", "Cores that each pod uses.", "timeseries", "short", 8, []query{{sel(`sum by (pod) (rate(process_cpu_seconds_total{%s, job="forewarn"}[$__rate_interval]))`), "{{pod}}"}}},
			{"Memory", "Resident memory of each pod.", "timeseries", "bytes", 8, []query{{sel(`sum by (pod) (process_resident_memory_bytes{%s, job="forewarn"})`), "{{pod}}"}}},
		},
	}
}

// JSON is the dashboard as Grafana imports it.
func JSON() ([]byte, error) {
	source := map[string]any{"type": "prometheus", "uid": "${datasource}"}
	var out []any
	id, top := 1, 0
	for _, row := range panels() {
		left, height := 0, 8
		if row[0].kind == "stat" {
			height = 4
		}
		for _, p := range row {
			var targets []any
			for i, q := range p.queries {
				targets = append(targets, map[string]any{
					"refId": string(rune('A' + i)), "datasource": source, "expr": q.expr, "legendFormat": q.legend, "instant": p.kind == "stat", "range": p.kind != "stat",
				})
			}
			options := map[string]any{"legend": map[string]any{"displayMode": "list", "placement": "bottom"}, "tooltip": map[string]any{"mode": "multi", "sort": "desc"}}
			if p.kind == "stat" {
				options = map[string]any{"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "textMode": "value_and_name", "colorMode": "value"}
			}
			out = append(out, map[string]any{
				"id": id, "title": p.title, "description": p.about, "type": p.kind, "datasource": source, "targets": targets, "options": options,
				"gridPos":     map[string]any{"x": left, "y": top, "w": p.width, "h": height},
				"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "min": 0}, "overrides": []any{}},
			})
			id++
			left += p.width
		}
		top += height
	}
	b, err := json.MarshalIndent(map[string]any{
		"uid": "forewarn", "title": "forewarn", "tags": []string{"forewarn"}, "schemaVersion": 39, "version": 1, "editable": true, "refresh": "30s",
		"time": map[string]any{"from": "now-6h", "to": "now"}, "panels": out,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			map[string]any{
				"name": "namespace", "label": "Namespace", "type": "query", "datasource": source, "multi": true, "includeAll": true, "refresh": 2,
				"query": "label_values(forewarn_pipeline_signatures, namespace)", "current": map[string]any{"text": "All", "value": "$__all"},
			},
		}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the dashboard: %w", err)
	}
	return append(b, '\n'), nil
}

// Queries are the expressions of all panels.
func Queries() []string {
	var all []string
	for _, row := range panels() {
		for _, p := range row {
			for _, q := range p.queries {
				all = append(all, q.expr)
			}
		}
	}
	return all
}
