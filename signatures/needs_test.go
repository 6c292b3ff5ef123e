package signatures

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMetricNeedsAreWhatConditionsLookAt(t *testing.T) {
	sample := func(metric string) *SampleCondition { return &SampleCondition{Metric: metric} }
	filling := Condition{Sample: &SampleCondition{
		Metric: "used", Of: &SeriesRef{Metric: "limit", Labels: map[string]Match{"a": {Equals: []string{"b"}}}},
		Forecast: &Forecast{Over: Duration(time.Hour)}, For: Duration(time.Minute),
	}}
	set, problems := NewSet([]*Signature{
		{
			ID: "a", Stages: []Stage{{When: filling}, {When: Condition{Log: &LogCondition{Regex: "x"}}}}, Incident: &Incident{When: Condition{Sample: sample("incident")}},
			Unless: []Unless{{When: Condition{Any: []Condition{{Sample: sample("unless")}, {Sample: sample("other")}}}}},
			Clear:  Clear{When: &Condition{All: []Condition{{Sample: sample("clear")}, {Not: &Condition{Sample: sample("not")}}}}},
		},
		{
			ID: "b", Frame: &Frame{Negates: []Negate{{When: Condition{Sample: sample("negate")}}}},
			Stages: []Stage{{When: Condition{Sample: &SampleCondition{Metric: "used", Rate: Duration(2 * time.Hour)}}}},
		},
		{ID: "c", Stages: []Stage{{When: Condition{Sample: &SampleCondition{Metric: "used", Labels: map[string]Match{"pod": {Regex: "x"}, "a": {Not: []string{"y"}}}}}}}},
	})
	require.Empty(t, problems)
	require.Equal(t, []MetricNeed{
		{Metric: "clear"},
		{Metric: "incident"},
		{Metric: "limit", Labels: map[string]Match{"a": {Equals: []string{"b"}}}, Window: time.Hour},
		{Metric: "negate"},
		{Metric: "not"},
		{Metric: "other"},
		{Metric: "unless"},
		{Metric: "used", Window: 2 * time.Hour},
		{Metric: "used", Labels: map[string]Match{"pod": {Regex: "x"}, "a": {Not: []string{"y"}}}},
	}, MetricNeeds(set))
	require.Empty(t, MetricNeeds(nil))
}
