package signatures

// Test is a few records with relative times and the warnings that they must raise. `forewarn signature test` runs it.
type Test struct {
	Name    string       `yaml:"name" json:"name" doc:"What the test shows."`
	Records []TestRecord `yaml:"records" json:"records" doc:"The records, in the order in which they arrive."`
	Until   Duration     `yaml:"until,omitempty" json:"until,omitempty" doc:"How far time goes on after the start, with all sources alive; to the last record without it."`
	Expect  []Expect     `yaml:"expect" json:"expect" doc:"Every warning state that must be reached, in order; an empty list says that nothing may be raised."`
}

// TestRecord is one record. Exactly one of the kinds is set.
type TestRecord struct {
	At     Duration          `yaml:"at" json:"at" doc:"When, counted from the start of the test."`
	Repeat int               `yaml:"repeat,omitempty" json:"repeat,omitempty" doc:"How many such records; 1 without it."`
	Every  Duration          `yaml:"every,omitempty" json:"every,omitempty" doc:"The time between repeats."`
	Attrs  map[string]string `yaml:"attrs,omitempty" json:"attrs,omitempty" doc:"Attributes; topology words (node, pod, namespace) may stand for their attribute names."`
	Event  *TestEvent        `yaml:"event,omitempty" json:"event,omitempty" doc:"An event."`
	Log    string            `yaml:"log,omitempty" json:"log,omitempty" doc:"A log line."`
	Change *TestChange       `yaml:"change,omitempty" json:"change,omitempty" doc:"A change of an object."`
	Sample *TestSample       `yaml:"sample,omitempty" json:"sample,omitempty" doc:"A metric sample."`
	Alert  *TestAlert        `yaml:"alert,omitempty" json:"alert,omitempty" doc:"An alert."`
}

// TestEvent is an event in a test.
type TestEvent struct {
	Type    string `yaml:"type,omitempty" json:"type,omitempty" doc:"Normal or Warning."`
	Reason  string `yaml:"reason" json:"reason" doc:"The reason."`
	Message string `yaml:"message,omitempty" json:"message,omitempty" doc:"The message."`
	Object  string `yaml:"object,omitempty" json:"object,omitempty" doc:"What it is about, as Kind/name or Kind/namespace/name."`
	Source  string `yaml:"source,omitempty" json:"source,omitempty" doc:"The reporting controller."`
	Count   int    `yaml:"count,omitempty" json:"count,omitempty" doc:"The increase of the event's count; 1 without it."`
}

// TestChange is a change in a test.
type TestChange struct {
	Object string `yaml:"object" json:"object" doc:"Which object, as Kind/name or Kind/namespace/name."`
	Path   string `yaml:"path" json:"path" doc:"Where in the object."`
	From   string `yaml:"from,omitempty" json:"from,omitempty" doc:"The value before."`
	To     string `yaml:"to,omitempty" json:"to,omitempty" doc:"The value now."`
	Verb   string `yaml:"verb,omitempty" json:"verb,omitempty" doc:"added, modified (the default) or deleted."`
}

// TestSample is a metric sample in a test.
type TestSample struct {
	Metric string            `yaml:"metric" json:"metric" doc:"The metric's name."`
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Labels."`
	Value  float64           `yaml:"value" json:"value" doc:"The value."`
	Step   float64           `yaml:"step,omitempty" json:"step,omitempty" doc:"How much each repeat adds to the value."`
}

// TestAlert is an alert in a test.
type TestAlert struct {
	Name   string            `yaml:"name" json:"name" doc:"The alert's name."`
	State  string            `yaml:"state,omitempty" json:"state,omitempty" doc:"firing (the default) or resolved."`
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Labels."`
}

// Expect is one state that a warning must reach.
type Expect struct {
	State string    `yaml:"state" json:"state" doc:"forming, imminent, incident, averted, resolved or expired."`
	At    *Duration `yaml:"at,omitempty" json:"at,omitempty" doc:"The record time at which it is reached, counted from the start."`
	Key   string    `yaml:"key,omitempty" json:"key,omitempty" doc:"The correlation key, its parts joined by a slash; any without it."`
}
