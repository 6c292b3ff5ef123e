package signatures

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MetricNeed is a metric that some condition looks at. Nothing else of what a cluster measures can make a difference.
type MetricNeed struct {
	// Metric is the metric's name, exactly.
	Metric string
	// Labels are what its series must have to be looked at; nil is every series. The map is a condition's own: read it, do not write to it.
	Labels map[string]Match
	// Window is how far back conditions look from a sample: the longest rate, for and forecast.
	Window time.Duration
}

// MetricNeeds returns what the set's sample conditions look at, the limit series of `of` among them, in the order of the names. One that
// asks for a metric and labels again is joined with the first, and the longer window stays.
func MetricNeeds(s *Set) []MetricNeed {
	n := needs{}
	for _, x := range s.All() {
		for i := range x.Stages {
			n.condition(&x.Stages[i].When)
		}
		if x.Incident != nil {
			n.condition(&x.Incident.When)
		}
		for i := range x.Unless {
			n.condition(&x.Unless[i].When)
		}
		if x.Clear.When != nil {
			n.condition(x.Clear.When)
		}
		if x.Frame != nil {
			for i := range x.Frame.Negates {
				n.condition(&x.Frame.Negates[i].When)
			}
		}
	}
	out := slices.Collect(maps.Values(n))
	slices.SortFunc(out, func(a, b MetricNeed) int {
		return cmp.Or(strings.Compare(a.Metric, b.Metric), strings.Compare(a.key(), b.key()))
	})
	return out
}

// needs are by what tells them apart.
type needs map[string]MetricNeed

func (n needs) condition(c *Condition) {
	for i := range c.All {
		n.condition(&c.All[i])
	}
	for i := range c.Any {
		n.condition(&c.Any[i])
	}
	if c.Not != nil {
		n.condition(c.Not)
	}
	s := c.Sample
	if s == nil {
		return
	}
	window := max(time.Duration(s.Rate), time.Duration(s.For))
	if s.Forecast != nil {
		window = max(window, time.Duration(s.Forecast.Over))
	}
	n.add(MetricNeed{s.Metric, s.Labels, window})
	if s.Of != nil {
		n.add(MetricNeed{s.Of.Metric, s.Of.Labels, window})
	}
}

func (n needs) add(x MetricNeed) {
	key := x.key()
	x.Window = max(x.Window, n[key].Window)
	n[key] = x
}

// key is equal for needs of the same series; fmt writes maps in the order of their keys.
func (n MetricNeed) key() string { return fmt.Sprintf("%q %#v", n.Metric, n.Labels) }
