package signatures

// Condition is a predicate on one record (or, for sample, on a short series). Exactly one field is set, except that CEL and
// Attrs may stand beside a leaf and then narrow it.
//
// The set is closed: a new kind of leaf is one type here, and the linter then lists every switch to extend.
type Condition struct {
	All []Condition `yaml:"all,omitempty" json:"all,omitempty" doc:"Every one of these is met by the same record."`
	Any []Condition `yaml:"any,omitempty" json:"any,omitempty" doc:"At least one of these is met."`
	Not *Condition  `yaml:"not,omitempty" json:"not,omitempty" doc:"This is not met; only inside all, beside a condition that is positive."`

	Event  *EventCondition  `yaml:"event,omitempty" json:"event,omitempty" doc:"A Kubernetes event."`
	Log    *LogCondition    `yaml:"log,omitempty" json:"log,omitempty" doc:"A log line."`
	Change *ChangeCondition `yaml:"change,omitempty" json:"change,omitempty" doc:"A field of an object became another value."`
	Sample *SampleCondition `yaml:"sample,omitempty" json:"sample,omitempty" doc:"A metric's value, rate, share or forecast."`
	Alert  *AlertCondition  `yaml:"alert,omitempty" json:"alert,omitempty" doc:"A Prometheus alert."`

	Attrs map[string]Match `yaml:"attrs,omitempty" json:"attrs,omitempty" doc:"Attributes of the record, by name; beside a leaf."`
	CEL   string           `yaml:"cel,omitempty" json:"cel,omitempty" doc:"A CEL expression over kind, text, value, count and attrs; beside a leaf."`
}

// EventCondition is met by an event record. All fields that are set must match.
type EventCondition struct {
	Type    Match        `yaml:"type,omitempty" json:"type,omitzero" doc:"Normal or Warning."`
	Reason  Match        `yaml:"reason,omitempty" json:"reason,omitzero" doc:"The event's reason, exactly; a list means any of them."`
	Message Text         `yaml:"message,omitempty" json:"message,omitzero" doc:"The event's message contains this."`
	Object  *ObjectMatch `yaml:"object,omitempty" json:"object,omitempty" doc:"What the event is about."`
	Line    Text         `yaml:"line,omitempty" json:"line,omitzero" doc:"The event, written as one line of text as kubectl and other tools do, contains this."`
	Source  Match        `yaml:"source,omitempty" json:"source,omitzero" doc:"The reporting controller: kubelet, node-controller."`
}

// ObjectMatch describes a Kubernetes object.
type ObjectMatch struct {
	Kind      Match `yaml:"kind,omitempty" json:"kind,omitzero" doc:"Pod, Node, Deployment."`
	Name      Match `yaml:"name,omitempty" json:"name,omitzero" doc:"The object's name."`
	Namespace Match `yaml:"namespace,omitempty" json:"namespace,omitzero" doc:"The object's namespace."`
}

// LogCondition is met by a log record. All fields that are set must match.
type LogCondition struct {
	Component Match      `yaml:"component,omitempty" json:"component,omitzero" doc:"The software that wrote it (service.name), exactly. A record that does not say who wrote it (a plain file) matches."`
	Container Match      `yaml:"container,omitempty" json:"container,omitzero" doc:"The container's name."`
	Severity  Match      `yaml:"severity,omitempty" json:"severity,omitzero" doc:"The line's level, lower case: debug, info, warn, error, fatal."`
	Contains  Text       `yaml:"contains,omitempty" json:"contains,omitzero" doc:"The line contains this text; a list means any of them."`
	Regex     string     `yaml:"regex,omitempty" json:"regex,omitempty" doc:"The line matches this RE2 expression anywhere."`
	JQ        string     `yaml:"jq,omitempty" json:"jq,omitempty" doc:"A jq program that gives something other than null and false for the line, which is JSON."`
	Fields    []LogField `yaml:"fields,omitempty" json:"fields,omitempty" doc:"Fields of a JSON or logfmt line."`
}

// LogField looks at one field of a structured line (JSON or logfmt).
type LogField struct {
	Name  string   `yaml:"name" json:"name" doc:"The field's name; dots step into JSON objects."`
	Is    Match    `yaml:"is,omitempty" json:"is,omitzero" doc:"Its value, as text."`
	Above *float64 `yaml:"above,omitempty" json:"above,omitempty" doc:"Its value is a number (or a duration, in seconds) above this."`
	Below *float64 `yaml:"below,omitempty" json:"below,omitempty" doc:"Its value is a number (or a duration, in seconds) below this."`
}

// ChangeCondition is met by a change record.
type ChangeCondition struct {
	Kind Match    `yaml:"kind" json:"kind" doc:"The object's kind: Pod, Node, Deployment."`
	Path string   `yaml:"path" json:"path" doc:"Where in the object: status.conditions[Ready].status; [*] stands for any element. List elements are named by their type, name or key, else by number."`
	From Match    `yaml:"from,omitempty" json:"from,omitzero" doc:"The value before."`
	To   Match    `yaml:"to,omitempty" json:"to,omitzero" doc:"The value now."`
	Verb Match    `yaml:"verb,omitempty" json:"verb,omitzero" doc:"added, modified or deleted."`
	For  Duration `yaml:"for,omitempty" json:"for,omitempty" doc:"How long it must have stayed so, on the same object."`
}

// SampleCondition is met by metric samples. Without Above, Below or Forecast any sample of the series meets it.
type SampleCondition struct {
	Metric   string           `yaml:"metric" json:"metric" doc:"The metric's name."`
	Labels   map[string]Match `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Label values."`
	Rate     Duration         `yaml:"rate,omitempty" json:"rate,omitempty" doc:"Look at the increase a second over this time instead of the value; counter resets are allowed for."`
	Of       *SeriesRef       `yaml:"of,omitempty" json:"of,omitempty" doc:"Look at the share of this other metric (a limit) with the same correlation key, instead of the value."`
	Above    *float64         `yaml:"above,omitempty" json:"above,omitempty" doc:"It is above this."`
	Below    *float64         `yaml:"below,omitempty" json:"below,omitempty" doc:"It is below this."`
	For      Duration         `yaml:"for,omitempty" json:"for,omitempty" doc:"For at least this long, in every sample."`
	Forecast *Forecast        `yaml:"forecast,omitempty" json:"forecast,omitempty" doc:"It is on its way to a limit."`
}

// SeriesRef names another series.
type SeriesRef struct {
	Metric string           `yaml:"metric" json:"metric" doc:"The metric's name."`
	Labels map[string]Match `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Label values."`
}

// Forecast is met when the value's trend reaches Limit within Within. With Of the value is a share, so Limit is one too.
type Forecast struct {
	Reaches float64  `yaml:"reaches" json:"reaches" doc:"The limit."`
	Within  Duration `yaml:"within" json:"within" doc:"The alarm time: met when the limit is expected sooner than this."`
	Over    Duration `yaml:"over" json:"over" doc:"How much of the past the trend is taken from."`
}

// AlertCondition is met by an alert record.
type AlertCondition struct {
	Name   Match            `yaml:"name" json:"name" doc:"The alert's name."`
	State  Match            `yaml:"state,omitempty" json:"state,omitzero" doc:"firing (the default) or resolved."`
	Labels map[string]Match `yaml:"labels,omitempty" json:"labels,omitempty" doc:"The alert's labels."`
}

// Match tests a short field. In YAML a word means equality, a list any of them, and a mapping one of the operators below. The
// zero Match is unset and matches everything.
type Match struct { //nolint:recvcheck // it is a value; only the reader, which fills it, needs a pointer
	Equals     []string `yaml:"equals,omitempty" json:"equals,omitempty" doc:"Exactly this, or any of these."`
	Not        []string `yaml:"not,omitempty" json:"not,omitempty" doc:"None of these; an absent field matches."`
	Contains   []string `yaml:"contains,omitempty" json:"contains,omitempty" doc:"Any of these is part of it."`
	Prefix     []string `yaml:"prefix,omitempty" json:"prefix,omitempty" doc:"It begins with any of these."`
	Suffix     []string `yaml:"suffix,omitempty" json:"suffix,omitempty" doc:"It ends with any of these."`
	Regex      string   `yaml:"regex,omitempty" json:"regex,omitempty" doc:"The whole of it matches this RE2 expression."`
	IgnoreCase bool     `yaml:"ignore_case,omitempty" json:"ignore_case,omitempty" doc:"ASCII letters compare without case; not for regex."`
}

// IsZero reports whether the match is unset.
func (m Match) IsZero() bool {
	return len(m.Equals) == 0 && len(m.Not) == 0 && len(m.Contains) == 0 && len(m.Prefix) == 0 && len(m.Suffix) == 0 && m.Regex == ""
}

// Text tests a long text. In YAML a string means that it is contained, a list that any of them is, and a mapping one or more
// of the fields below, all of which must hold. The zero Text is unset and matches everything.
type Text struct { //nolint:recvcheck // it is a value; only the reader, which fills it, needs a pointer
	Any        []string `yaml:"any,omitempty" json:"any,omitempty" doc:"At least one of these is contained."`
	All        []string `yaml:"all,omitempty" json:"all,omitempty" doc:"All of these are contained, in any order."`
	None       []string `yaml:"none,omitempty" json:"none,omitempty" doc:"None of these is contained."`
	Regex      string   `yaml:"regex,omitempty" json:"regex,omitempty" doc:"It matches this RE2 expression anywhere."`
	IgnoreCase bool     `yaml:"ignore_case,omitempty" json:"ignore_case,omitempty" doc:"ASCII letters compare without case; not for regex, which has (?i)."`
}

// IsZero reports whether the text test is unset.
func (t Text) IsZero() bool {
	return len(t.Any) == 0 && len(t.All) == 0 && len(t.None) == 0 && t.Regex == ""
}
