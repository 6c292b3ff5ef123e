// Package prometheus stands between signatures and Prometheus, in both directions.
//
// [Generate] makes alerting rules of signatures: on forewarn's own metrics for each of them, and PromQL on the cluster's metrics where a stage or
// the incident is a condition on metrics, so that these warn without a matcher too. With the rules come unit tests for promtool, made of
// the signatures' own tests. What has no faithful PromQL gets no rule, and the reason why.
//
// [Read] reads alerting rules, as rule files or PrometheusRule objects, and [Draft] makes signatures of them, in which a firing alert, or
// the condition it stands for, is a stage or the incident.
//
// The package is pure. README.md says what is translated, and how.
package prometheus

import (
	"cmp"
	"time"

	"github.com/prometheus/common/model"
)

// File is a file of rules, in the form that Prometheus reads.
type File struct {
	Groups []Group `yaml:"groups"`
}

// Group is rules that are evaluated together.
type Group struct {
	Name        string            `yaml:"name"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Interval    model.Duration    `yaml:"interval,omitempty"`
	QueryOffset model.Duration    `yaml:"query_offset,omitempty"`
	Limit       int               `yaml:"limit,omitempty"`
	Rules       []Rule            `yaml:"rules"`

	Notes []string `yaml:"-"` // comments above it: what was left out, and why
}

// Rule is an alerting rule, or a recording rule.
type Rule struct {
	Record        string            `yaml:"record,omitempty"`
	Alert         string            `yaml:"alert,omitempty"`
	Expr          string            `yaml:"expr"`
	For           model.Duration    `yaml:"for,omitempty"`
	KeepFiringFor model.Duration    `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels,omitempty"`
	Annotations   map[string]string `yaml:"annotations,omitempty"`

	place place // where it was read
}

// minute is the grid of everything here: rules are evaluated once a minute in tests, and times in subqueries are whole minutes.
const minute = time.Minute

// grid is d divided by parts, as whole minutes, at least one: how far apart a subquery looks.
func grid(d time.Duration, parts int) time.Duration {
	part := d / time.Duration(parts)
	if whole := part.Truncate(minute); whole == part && part > 0 {
		return part
	}
	return part.Truncate(minute) + minute
}

func span(d time.Duration) string { return model.Duration(cmp.Or(d, minute)).String() }
