// Package matcher recognises failures: it compiles signatures into an immutable [Program], scans batches of records for
// hits, and tracks hits through the stages into warnings.
//
// It is pure: no I/O, no goroutine and no clock. Time comes in as the marks of sources, and only through
// [Tracker.Advance]. The same hits and marks give the same changes. README.md beside this file is the specification.
package matcher

import (
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Role numbers: a hit's roles are bits of a uint64.
const (
	MaxStages    = 40 // roles 0 to 39 are the stages
	RoleIncident = 40
	RoleClear    = 41
	RoleUnless   = 42 // 42 to 49: the signature's unless list
	MaxUnless    = 8
	MaxNegates   = 22 // 42 to 63: the negates of a signature with a frame, which has neither unless nor limits
	RoleLimit    = 50 // 50 to 63: the limit series of samples with `of`, in the order of their conditions
	MaxLimits    = 14
)

// Hit is a record that meets at least one condition of a signature, or ends one that it met before.
//
// Hits from [Program.Scan] alias the batch and the scratch: they are valid until either is used again.
type Hit struct {
	// Signature is the short digest of the signature as it was compiled: see [Program.Lookup]. A signature that changes gets
	// another one.
	Signature uint64
	// Key is the correlation key: name=value parts in the order of the signature's `by`, each ended by a 0x1f byte.
	Key []byte
	// Source names the collector instance that the record came from.
	Source string
	// On and Off are the roles whose conditions the record meets, and those that it ends.
	On, Off uint64
	// Record is the record itself.
	Record record.Record
}

// Mark is what one source says of its progress: it has given everything up to Time.
type Mark struct {
	Source string       // never empty
	Kinds  uint8        // the kinds it can give, as bits 1<<Kind
	Scope  record.Attrs // what it speaks for; empty for the whole cluster
	Time   int64        // Unix nanoseconds
	Ended  bool         // it gave everything it had and will say no more (a file that was read to its end)
}

// State is a warning's state.
type State string

// The states, in the order of a warning's life; the last three are final.
const (
	Forming    State = "forming"  // an early stage was seen
	Imminent   State = "imminent" // all stages before the incident were seen, or the forecast is inside its alarm time
	InIncident State = "incident" // it happened
	Averted    State = "averted"  // it cleared before the incident: a near miss
	Resolved   State = "resolved" // it cleared after the incident
	Expired    State = "expired"  // nothing was heard any more
)

// Final reports whether a warning in this state is over.
func (s State) Final() bool { return s == Averted || s == Resolved || s == Expired }

// Warning is what a person is told. All times are record times. A value handed out is the receiver's own.
type Warning struct {
	// ID is the same for the whole life of the warning: stages upgrade it in place. Revision grows with each change.
	ID       string `json:"id"`
	Revision uint32 `json:"revision"`

	Signature string              `json:"signature"` // the signature's id
	Digest    string              `json:"digest"`    // of its content, in hex
	Title     string              `json:"title"`
	Severity  signatures.Severity `json:"severity"`
	Impact    string              `json:"impact,omitempty"`

	Key     []record.Attr `json:"key_parts"` // the correlation key's parts
	KeyText string        `json:"key"`       // the values, joined by a slash

	State    State      `json:"state"`
	Stage    string     `json:"stage"`             // the name of the highest rung reached: a stage, or "incident"
	Reached  []Reached  `json:"reached"`           // rungs in the order in which they were reached
	Firings  uint64     `json:"firings,omitempty"` // of a signature with a frame, or of a single record: how often it was met since it opened
	Total    int        `json:"total"`             // how many stages there are (or are needed) before the incident
	Next     *Next      `json:"next,omitempty"`    // what is expected next, while it is not final
	Opened   time.Time  `json:"opened"`            // the first stage
	Time     time.Time  `json:"time"`              // what this revision tells happened then
	Closed   *time.Time `json:"closed,omitempty"`  // final states only
	Incident *time.Time `json:"incident,omitempty"`
	// Lead is how long before the incident people could first be told; only when it happened. What hangs on an absence can be told when
	// that is settled, the allowed lateness after its deadline.
	Lead     time.Duration `json:"lead_ns,omitempty"`
	Forecast *Forecast     `json:"forecast,omitempty"`
	Reason   string        `json:"reason,omitempty"` // why it closed

	Evidence   []Evidence `json:"evidence"`             // oldest first, at most a few of each stage
	Incomplete []string   `json:"incomplete,omitempty"` // why it may not be the whole truth
	Silent     []string   `json:"silent,omitempty"`     // sources whose silence made an absence unknown
	Retracted  bool       `json:"retracted,omitempty"`  // a late record showed that it never was

	// Filled from the signature's body when the warning is raised, not by the tracker.
	Remedies   []signatures.Remedy `json:"remedies,omitempty"`
	References []string            `json:"references,omitempty"`

	// Filled from sightings and the configuration when the warning is told, not by the tracker, and no part of a digest.
	Outlook *Outlook `json:"outlook,omitempty"`
	Links   []Link   `json:"links,omitempty"`
}

// Reached is a rung that was reached.
type Reached struct {
	Stage string    `json:"stage"`
	Title string    `json:"title,omitempty"`
	Time  time.Time `json:"time"`
	Count uint64    `json:"count"` // records that met it so far
}

// Next is the rung that is expected next.
type Next struct {
	Stage string `json:"stage"`
	Title string `json:"title,omitempty"`
	// Missing says by how much it is missing: "2 of 3 records within 5m".
	Missing string `json:"missing,omitempty"`
}

// Forecast is when a limit is expected to be reached, with an 80 % interval. An open end is the zero time.
type Forecast struct {
	Metric   string    `json:"metric"`
	Limit    float64   `json:"limit"`
	Value    float64   `json:"value"`
	Expected time.Time `json:"expected"`
	Earliest time.Time `json:"earliest"`
	Latest   time.Time `json:"latest"`
}

// Evidence is a record that led to a stage.
type Evidence struct {
	Time   time.Time         `json:"time"`
	Stage  string            `json:"stage"`
	Kind   string            `json:"kind"`
	Text   string            `json:"text"` // at most 400 bytes, valid UTF-8
	Source string            `json:"source,omitempty"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Record uint64            `json:"record"`
}

// Change is one new revision of a warning.
type Change struct {
	Warning Warning
	// Was is the state that the last revision told, or "" for a new warning.
	Was State
	// Settled is true when no late record can alter this revision any more.
	Settled bool
}
