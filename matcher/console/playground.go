package console

import (
	"errors"
	"fmt"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Trial is what a person tries in the playground: signatures, and an input as it could have been pasted.
type Trial struct {
	// YAML is one signature or several, as a file holds them. It may be empty when signatures are Armed.
	YAML string `json:"yaml"`
	// Armed are signatures to try as well. One of the same id in YAML stands for it.
	Armed []*signatures.Signature `json:"armed,omitempty"`
	// Input is what was pasted: anything that `forewarn scan` reads, or records in their JSON form. A line `==> NAME <==`, as tail and
	// head write it, begins another file.
	Input string `json:"input"`
	// Attrs are attributes of all records that do not say them, by name or by the topology words of tests.
	Attrs map[string]string `json:"attrs,omitempty"`
	// After is how long time goes on after the last record, with all sources alive and nothing to tell.
	After signatures.Duration `json:"after,omitempty"`
	// Now is the present: what has no date, or no time, gets it. The zero time believes every stamp.
	Now time.Time `json:"now,omitzero"`
	// Explain is the number of a record for which the verdict of every role is wanted, those of armed signatures too; 0 is none.
	Explain int `json:"explain,omitempty"`
}

// Bounds keep a trial from costing more than a glance is worth. The zero Bounds are the defaults.
type Bounds struct {
	YAML       int           // bytes of signatures: 256 KiB
	Input      int           // bytes of input: 1 MiB
	Signatures int           // how many are tried at once, those that are armed among them: 500
	Records    int           // how many are looked at: 20,000
	Shown      int           // how many are shown one by one: 500
	Explained  int           // records times roles for which it is told why they are not met: 100,000
	Time       time.Duration // 4 s; what was found until then is shown
}

// withDefaults fills what is not set.
func (b Bounds) withDefaults() Bounds {
	set := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	set(&b.YAML, 256<<10)
	set(&b.Input, 1<<20)
	set(&b.Signatures, 500)
	set(&b.Records, 20_000)
	set(&b.Shown, 500)
	set(&b.Explained, 100_000)
	if b.Time <= 0 {
		b.Time = 4 * time.Second
	}
	return b
}

// ErrTrialTooLarge is returned for a trial that is beyond its [Bounds] and was not begun.
var ErrTrialTooLarge = errors.New("too much for the playground")

// check refuses what is too large to begin with.
func (b Bounds) check(t *Trial) error {
	switch {
	case len(t.YAML) > b.YAML:
		return fmt.Errorf("%w: the signatures have %d bytes and %d are taken: try fewer of them, or use `forewarn scan --signatures`", ErrTrialTooLarge, len(t.YAML), b.YAML)
	case len(t.Input) > b.Input:
		return fmt.Errorf("%w: the input has %d bytes and %d are taken: paste the part that matters, or use `forewarn scan`", ErrTrialTooLarge, len(t.Input), b.Input)
	case len(t.Armed) > b.Signatures:
		return fmt.Errorf("%w: %d signatures are armed and %d can be tried at once: choose some of them", ErrTrialTooLarge, len(t.Armed), b.Signatures)
	}
	return nil
}

// Outcome is what came of a trial.
type Outcome struct {
	Problems   []signatures.Problem `json:"problems"`   // of the YAML, sorted by place
	Signatures []Tried              `json:"signatures"` // those that were tried
	Tests      []TestOutcome        `json:"tests"`      // the tests that the YAML's signatures carry
	Formats    []string             `json:"formats"`    // what the input was taken for
	Faults     []InputFault         `json:"faults"`     // of the input
	Records    int                  `json:"records"`    // how many there are
	Shown      []ShownRecord        `json:"shown"`      // the first of them, in order of time, and all that hit as far as there is room
	Hits       int                  `json:"hits"`       // records that met something
	Revisions  []Revision           `json:"revisions"`  // what people would be told, in order
	Warnings   []matcher.Warning    `json:"warnings"`   // as they stand at the end
	Progress   []matcher.Progress   `json:"progress"`   // of the YAML's signatures, for each key, at the last record
	Why        []Why                `json:"why"`        // of each role of the YAML's signatures, in order
	Notes      []string             `json:"notes"`      // what should be known to believe the rest
	Took       time.Duration        `json:"took_ns"`
}

// Tried is a signature that was tried.
type Tried struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Armed bool   `json:"armed,omitempty"` // it is not of the YAML
	Hits  int    `json:"hits"`
	State string `json:"state,omitempty"` // the worst that came of it
}

// TestOutcome is the outcome of one test of a signature.
type TestOutcome struct {
	Signature string   `json:"signature"`
	Name      string   `json:"name"`
	Line      int      `json:"line,omitempty"`
	Failures  []string `json:"failures,omitempty"`
}

// InputFault is something of the input that could not be used.
type InputFault struct {
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

// ShownRecord is a record as it was understood.
type ShownRecord struct {
	Number int               `json:"number"`         // from 1, in order of time
	Line   int               `json:"line,omitempty"` // of the input, where it is known
	Kind   string            `json:"kind"`
	Time   time.Time         `json:"time"`
	Text   string            `json:"text,omitempty"`
	Count  uint32            `json:"count,omitempty"` // of an event
	Value  string            `json:"value,omitempty"` // of a sample
	Attrs  map[string]string `json:"attrs,omitempty"`
	Hits   []RecordHit       `json:"hits,omitempty"`
	Misses []RecordMiss      `json:"misses,omitempty"`
}

// RecordHit says what a record met of one signature.
type RecordHit struct {
	Signature string   `json:"signature"`
	Key       string   `json:"key"`
	On        []string `json:"on,omitempty"`  // stages by name, incident, clear, unless 1
	Off       []string `json:"off,omitempty"` // what it ended
}

// RecordMiss says why a record does not meet one role.
type RecordMiss struct {
	Signature string `json:"signature"`
	Role      string `json:"role"`
	Path      string `json:"path"`
	Wanted    string `json:"wanted"`
	Seen      string `json:"seen"`
}

// Revision is one thing that people would be told.
type Revision struct {
	Signature string    `json:"signature"`
	Key       string    `json:"key"`
	State     string    `json:"state"`
	Stage     string    `json:"stage"`
	Time      time.Time `json:"time"`
	Text      string    `json:"text"`
	Retracted bool      `json:"retracted,omitempty"`
}

// Why tells of one role how many records met it, and what the others fell short of.
type Why struct {
	Signature string `json:"signature"`
	Role      string `json:"role"` // a stage's name, incident, clear, unless 1
	Title     string `json:"title,omitempty"`
	Line      int    `json:"line,omitempty"` // of the YAML
	Met       int    `json:"met"`
	Best      string `json:"best,omitempty"`  // of a stage that needs several records: how many of them came within its time, at best
	Lacks     []Lack `json:"lacks,omitempty"` // the nearest first
}

// Lack is what records fell short of, all at the same part of a condition.
type Lack struct {
	Path    string `json:"path"`
	Wanted  string `json:"wanted"`
	Seen    string `json:"seen"` // by the first of them
	Records int    `json:"records"`
	Example int    `json:"example"` // its number
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}
