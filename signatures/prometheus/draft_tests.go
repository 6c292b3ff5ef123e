package prometheus

import (
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// What a draft's tests say: times, and a series' labels.
const (
	later   = signatures.Duration(10 * time.Minute)
	scraped = time.Minute
)

func fired(c *signatures.AlertCondition, at signatures.Duration, state string) signatures.TestRecord {
	l := map[string]string{}
	for name, m := range c.Labels {
		l[name] = m.Equals[0]
	}
	return signatures.TestRecord{At: at, Alert: &signatures.TestAlert{Name: c.Name.Equals[0], State: state, Labels: l}}
}

// alertTests are those of a draft in which a firing alert is the stage.
func alertTests(r *Rule, c *signatures.AlertCondition) []signatures.Test {
	other := *c
	other.Name = signatures.Match{Equals: []string{r.Alert + "Other"}}
	return []signatures.Test{
		{
			Name: "it fires and is resolved", Until: 2 * later,
			Records: []signatures.TestRecord{fired(c, 0, "firing"), fired(c, later, "resolved")},
			Expect:  []signatures.Expect{{State: "imminent"}, {State: "averted"}},
		},
		{Name: "another alert fires", Until: later, Records: []signatures.TestRecord{fired(&other, 0, "firing")}, Expect: []signatures.Expect{}},
	}
}

// sampleTests are those of a draft that looks at the metric itself.
func sampleTests(r *Rule, c *signatures.SampleCondition) []signatures.Test {
	l, ok := exampleLabels(c.Labels)
	if !ok {
		return nil
	}
	limit, passed := 0.0, 0.0
	if c.Above != nil {
		limit, passed = *c.Above, *c.Above+1+abs(*c.Above)
	} else {
		limit, passed = *c.Below, *c.Below-1-abs(*c.Below)
	}
	run := func(value float64) []signatures.TestRecord {
		every := max(scraped, time.Duration(r.For)/100)
		n := int(time.Duration(r.For)/every) + 2
		return []signatures.TestRecord{{
			Repeat: n, Every: signatures.Duration(every), Attrs: map[string]string{"namespace": "shop", "pod": "web-1", "container": "app", "node": "n1", "claim": "data-0"},
			Sample: &signatures.TestSample{Metric: c.Metric, Labels: l, Value: value},
		}}
	}
	return []signatures.Test{
		{Name: "it holds for long enough", Records: run(passed), Expect: []signatures.Expect{{State: "imminent"}}},
		{Name: "it stands at the limit", Records: run(limit), Expect: []signatures.Expect{}},
	}
}

func abs(f float64) float64 { return max(f, -f) }

// exampleLabels are labels that meet the conditions, unless an expression is asked for.
func exampleLabels(conditions map[string]signatures.Match) (map[string]string, bool) {
	out := map[string]string{}
	for name, m := range conditions {
		switch {
		case len(m.Equals) > 0:
			out[name] = m.Equals[0]
		case m.Regex == "(?s:.+)":
			out[name] = "x"
		case m.Regex != "":
			return nil, false
		}
	}
	return out, true
}

// incidentTests are those of a draft in which the alert is the incident.
func incidentTests(s *signatures.Signature) []signatures.Test {
	first := s.Stages[0].When
	if first.Alert == nil {
		return nil // a person writes them with the values that they know
	}
	records := []signatures.TestRecord{}
	for i := range s.Stages {
		records = append(records, fired(s.Stages[i].When.Alert, signatures.Duration(i)*later, "firing"))
	}
	last := signatures.Duration(len(records)) * later
	expect := []signatures.Expect{{State: "imminent"}, {State: "incident"}, {State: "resolved"}}
	if len(s.Stages) > 1 {
		expect = append([]signatures.Expect{{State: "forming"}}, expect...)
	}
	records = append(records, fired(s.Incident.When.Alert, last, "firing"), fired(s.Incident.When.Alert, last+later, "resolved"))
	return []signatures.Test{
		{Name: "the stages, then the alert", Until: last + 2*later, Records: records, Expect: expect},
		{Name: "the alert alone", Until: later, Records: []signatures.TestRecord{fired(s.Incident.When.Alert, 0, "firing")}, Expect: []signatures.Expect{}},
	}
}
