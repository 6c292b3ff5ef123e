// Package signatures is the signature language: its types, its strict reader, its checks and its schema.
//
// A signature describes one known failure: the stages that come before it, what makes records belong together, how it
// clears, and what helps. People write it in YAML:
//
//	id: etcd-slow-disk
//	title: etcd loses its leader because its disk is slow
//	severity: critical
//	by: node
//	stages:
//	  - name: slow-apply
//	    when: {log: {component: etcd, contains: apply request took too long}}
//	    count: 5
//	    within: 2m
//	  - name: late-heartbeat
//	    when: {log: {component: etcd, contains: leader failed to send out heartbeat on time}}
//	    follows_within: 15m
//	incident: {when: {log: {component: etcd, contains: lost leader}}}
//	clear: {quiet: 30m}
//
// Reading never stops at the first mistake: [Parse] returns every [Problem] with its file, line, column and a mend. The
// package is pure but for [Load] and the watcher, which read files. What the words mean when records flow is written
// down once, in matcher/README.md.
package signatures

import (
	"strings"
	"time"
)

// Signature is one known failure. Values are immutable once loaded and shared by all goroutines.
//
// The yaml tags are the language; `doc` tags become the JSON Schema's descriptions and `forewarn signature explain`.
type Signature struct {
	ID         string   `yaml:"id" json:"id" doc:"Unique name in lower case letters, digits and dashes; stays the same for the life of the signature."`
	Title      string   `yaml:"title" json:"title" doc:"What is about to happen, in one line that a person reads at night."`
	Severity   Severity `yaml:"severity" json:"severity" doc:"critical, high, medium, low or info."`
	Impact     string   `yaml:"impact,omitempty" json:"impact,omitempty" doc:"What users and operators lose when it happens."`
	Cause      string   `yaml:"cause,omitempty" json:"cause,omitempty" doc:"Why it happens."`
	Components []string `yaml:"components,omitempty" json:"components,omitempty" doc:"The software concerned: kubelet, etcd, coredns."`
	References []string `yaml:"references,omitempty" json:"references,omitempty" doc:"Who says so: links to issues, post-mortems, documentation."`
	Applies    *Applies `yaml:"applies,omitempty" json:"applies,omitempty" doc:"Where the signature holds; without it, everywhere."`

	By     Key      `yaml:"by" json:"by" doc:"What makes records belong together: container, pod, workload, node, volume, namespace, cluster, stream, or attribute names."`
	Order  Order    `yaml:"order,omitempty" json:"order,omitempty" doc:"sequence (the default): stages are climbed in order; any: in whatever order they come."`
	Need   int      `yaml:"need,omitempty" json:"need,omitempty" doc:"With order any: how many of the stages are enough; all of them without it."`
	Within Duration `yaml:"within,omitempty" json:"within,omitempty" doc:"With order any: the stages that count lie within this time of each other."`
	Tell   string   `yaml:"tell,omitempty" json:"tell,omitempty" doc:"The name of the stage from which people are told; without it the first (with order any: whichever is seen first)."`
	Stages []Stage  `yaml:"stages" json:"stages" doc:"The rungs of the ladder, at least one and at most 40."`

	Frame    *Frame    `yaml:"frame,omitempty" json:"frame,omitempty" doc:"The stages are a figure in time that uses up the records it is made of, as CRE rules describe it."`
	Incident *Incident `yaml:"incident,omitempty" json:"incident,omitempty" doc:"The failure itself, so that lead time is measured."`
	Unless   []Unless  `yaml:"unless,omitempty" json:"unless,omitempty" doc:"What, if it is seen, shows that this is not the failure."`
	Clear    Clear     `yaml:"clear" json:"clear" doc:"When it is over: a condition, a quiet time, or both (whichever comes first)."`
	Expire   Duration  `yaml:"expire,omitempty" json:"expire,omitempty" doc:"How long after its last record a warning that did not clear is given up; 24h without it."`

	Remedies []Remedy `yaml:"remedies,omitempty" json:"remedies,omitempty" doc:"What to do, the safest first."`
	Tests    []Test   `yaml:"tests,omitempty" json:"tests,omitempty" doc:"Records and what they must raise; at least one that fires and one near miss."`

	AlertingRule *AlertingRule `yaml:"alerting_rule,omitempty" json:"alerting_rule,omitempty" doc:"The Prometheus alerting rule that it was drafted from; it changes nothing, and 'forewarn rules generate' gives it back."`

	origin *Problem  // the place of a signature that was read from another language; nil else
	source *document // where it was read from, for positions; nil when it was loaded from the store
}

// DefaultExpire is Expire's value when the author gave none.
const DefaultExpire = 24 * time.Hour

// Stage is one rung of the ladder. It is satisfied when enough records that meet When came within Within.
type Stage struct {
	Name          string    `yaml:"name" json:"name" doc:"Unique within the signature; lower case letters, digits and dashes."`
	Title         string    `yaml:"title,omitempty" json:"title,omitempty" doc:"What this stage means, for people."`
	When          Condition `yaml:"when" json:"when" doc:"The condition that a record must meet."`
	Count         int       `yaml:"count,omitempty" json:"count,omitempty" doc:"How many records are needed (an event counts by the increase of its count); 1 without it."`
	Distinct      *Distinct `yaml:"distinct,omitempty" json:"distinct,omitempty" doc:"Over how many different pods, nodes or other values they must be spread."`
	Within        Duration  `yaml:"within,omitempty" json:"within,omitempty" doc:"The sliding window for count and distinct; needed when either is more than 1."`
	FollowsWithin Duration  `yaml:"follows_within,omitempty" json:"follows_within,omitempty" doc:"With order sequence: how long after the last record of the stage before it may come; any time without it."`
}

// Distinct asks for breadth: Count different values of Of.
type Distinct struct {
	Of    Key `yaml:"of" json:"of" doc:"What must differ: pod, node, namespace, or attribute names."`
	Count int `yaml:"count" json:"count" doc:"How many different ones, at least 2."`
}

// Incident is the failure that the stages lead to.
type Incident struct {
	Title    string    `yaml:"title,omitempty" json:"title,omitempty" doc:"What the incident is, for people."`
	When     Condition `yaml:"when" json:"when" doc:"The condition that shows that it happened."`
	Count    int       `yaml:"count,omitempty" json:"count,omitempty" doc:"How many records are needed; 1 without it."`
	Distinct *Distinct `yaml:"distinct,omitempty" json:"distinct,omitempty" doc:"Over how many different values they must be spread."`
	Within   Duration  `yaml:"within,omitempty" json:"within,omitempty" doc:"The sliding window for count and distinct."`
}

// Unless is a claim of absence: the stage Anchor is satisfied only if no record that meets When came in
// [t+Slide, t+Slide+Window], both ends inclusive, t being the time at which the stage's own records were complete.
type Unless struct {
	When   Condition `yaml:"when" json:"when" doc:"The condition that must not be met."`
	Anchor string    `yaml:"anchor,omitempty" json:"anchor,omitempty" doc:"The name of the stage that it guards; the last stage without it."`
	Slide  Duration  `yaml:"slide,omitempty" json:"slide,omitempty" doc:"Moves the window; -30s begins half a minute before the stage."`
	Window Duration  `yaml:"window" json:"window" doc:"How long it must not be met."`
}

// Clear says when a warning is over. At least one of When and Quiet is set.
type Clear struct {
	When  *Condition `yaml:"when,omitempty" json:"when,omitempty" doc:"A record that meets it shows that the trouble is over."`
	For   Duration   `yaml:"for,omitempty" json:"for,omitempty" doc:"With when: how long no stage and no incident may be seen after it before it counts."`
	Quiet Duration   `yaml:"quiet,omitempty" json:"quiet,omitempty" doc:"It is over when no stage and no incident was seen for this long."`
}

// Remedy is one thing to do.
type Remedy struct {
	Do      string `yaml:"do" json:"do" doc:"What to do, as an instruction."`
	Risk    Risk   `yaml:"risk" json:"risk" doc:"look, restart, scale, drain or data: what it may cost."`
	Command string `yaml:"command,omitempty" json:"command,omitempty" doc:"A command to start from; {{ .node }}, {{ .namespace }}, {{ .pod }} and other key names are filled in."`
}

// Name is what people and sightings call a remedy: its risk class and its first words.
func (r *Remedy) Name() string {
	words := strings.Join(strings.Fields(r.Do), " ")
	if runes := []rune(words); len(runes) > 80 {
		words = string(runes[:80])
	}
	return string(r.Risk) + ": " + words
}

// Applies limits a signature to clusters for which it is true. A fact that is not known does not disarm it.
type Applies struct {
	Kubernetes string            `yaml:"kubernetes,omitempty" json:"kubernetes,omitempty" doc:"A range of Kubernetes versions, such as >=1.24 <1.33."`
	Components map[string]string `yaml:"components,omitempty" json:"components,omitempty" doc:"Ranges of component versions by service.name."`
	Facts      map[string]string `yaml:"facts,omitempty" json:"facts,omitempty" doc:"Attributes that must have these values where they are known."`
}

// Severity orders signatures by how bad the incident is.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
)

// Severities lists them, worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info} }

// Rank is 0 for the worst severity and grows as it gets milder; an unknown one comes last.
func (s Severity) Rank() int {
	all := Severities()
	for i, x := range all {
		if s == x {
			return i
		}
	}
	return len(all)
}

// Order says whether stages are climbed in order.
type Order string

// The orders; an empty one means [Sequence].
const (
	Sequence Order = "sequence"
	Any      Order = "any"
)

// Risk is what a remedy may cost, from nothing to data.
type Risk string

// The risk classes, the safest first.
const (
	Look    Risk = "look"    // changes nothing
	Restart Risk = "restart" // a pod or process restarts
	Scale   Risk = "scale"   // capacity or limits change
	Drain   Risk = "drain"   // workloads move
	Data    Risk = "data"    // data may be lost
)

// Risks lists them, the safest first.
func Risks() []Risk { return []Risk{Look, Restart, Scale, Drain, Data} }

// Key names what records are grouped by: topology words or attribute keys. In YAML it is one word or a list.
type Key []string

// Duration is a time.Duration that YAML writes as 90s, 5m, 1h30m, 2d or 1w; negative ones begin with a minus.
type Duration time.Duration //nolint:recvcheck // it is a value; only those who fill it need a pointer
