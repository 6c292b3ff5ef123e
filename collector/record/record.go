// Package record is forewarn's leaf vocabulary: the [Record], its attributes, and the [Batch] in which records travel.
//
// A record is one observation of one source: a Kubernetes event, a log line, a change of an object, a metric sample or an
// alert. Whatever its kind, it has the same shape: two times, an identity, a text, a few numbers and a set of attributes
// under OpenTelemetry names. What a kind adds is held in attributes too, so that one matcher serves all kinds:
//
//	kind    Text                          attributes it adds                                numbers
//	event   the event's message           k8s.event.reason, k8s.event.type, k8s.object.*    Count: the increase of its count
//	log     the line, without its frame   service.name, log.file.path, severity_text
//	change  "path: from -> to"            forewarn.change.path, .from, .to, k8s.object.*
//	sample  empty                         metric.name, label.<name>                         Value
//	alert   the summary annotation        alert.name, alert.state, label.<name>
//
// Records of one source are grouped into batches: a versioned, flat, columnar frame that is scanned in place.
// This package imports nothing of forewarn and does no I/O.
package record

import (
	"fmt"
	"sort"
	"time"
)

// Kind says what was observed. The zero Kind is invalid.
type Kind uint8

// The closed set of kinds. Their numbers are part of the wire format.
const (
	Event  Kind = 1 // a Kubernetes Event, or the increase of its count
	Log    Kind = 2 // one log entry; multi-line entries are already joined
	Change Kind = 3 // one field of an object became another value
	Sample Kind = 4 // one value of one metric series
	Alert  Kind = 5 // a change of state of one alert
)

// Kinds lists every valid kind in wire order.
func Kinds() []Kind { return []Kind{Event, Log, Change, Sample, Alert} }

var kindNames = [...]string{Event: "event", Log: "log", Change: "change", Sample: "sample", Alert: "alert"}

// String returns the kind's name as YAML and JSON write it.
func (k Kind) String() string {
	if k.Valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool { return k >= Event && k <= Alert }

// ParseKind is the inverse of [Kind.String].
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds() {
		if kindNames[k] == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown record kind %q: use event, log, change, sample or alert", s)
}

// Record is one observation.
//
// Records handed out by a [Batch] alias its buffer: Text and the attributes' strings are valid only until the batch is
// decoded again or its wire bytes are reused. [Record.Clone] makes a copy that owns its memory.
type Record struct {
	Kind Kind
	// Time is when it happened, by the observed system's clock, in Unix nanoseconds. All windows are on it.
	Time int64
	// Observed is when the collector read it, in Unix nanoseconds. It is never used for matching.
	Observed int64
	// Seq is the record's place within its source (an offset, a line number, a resource version). It orders records with
	// equal times; between sources it means nothing.
	Seq uint64
	// ID identifies the observation itself: the same observation, read twice, has the same ID. See [Identity].
	ID uint64
	// Count is by how much an event's count rose with this record, at least 1. It is 1 for every other kind.
	Count uint32
	// Value is a sample's value; 0 for every other kind.
	Value float64
	// Text is what text conditions look at. It may hold any bytes, new lines and invalid UTF-8 among them.
	Text []byte
	// Attrs describe what the record is about and what its kind adds, sorted by key, each key once.
	Attrs Attrs
}

// Clone returns a deep copy that stays valid when the batch it came from is gone.
func (r *Record) Clone() Record {
	c := *r
	c.Text = append([]byte(nil), r.Text...)
	c.Attrs = r.Attrs.Clone()
	return c
}

// When returns Time as a time.Time in UTC.
func (r *Record) When() time.Time { return time.Unix(0, r.Time).UTC() }

// Attr is one attribute.
type Attr struct {
	Key   string `json:"name"`
	Value string `json:"value"`
}

// Attrs is a set of attributes, sorted by key, without repeats.
type Attrs []Attr

// Get returns the value under key, and whether there is one.
func (a Attrs) Get(key string) (string, bool) {
	for i := range a {
		if a[i].Key == key {
			return a[i].Value, true
		}
	}
	return "", false
}

// Value returns the value under key, or "".
func (a Attrs) Value(key string) string {
	v, _ := a.Get(key)
	return v
}

// Clone returns a copy whose strings are its own.
func (a Attrs) Clone() Attrs {
	if a == nil {
		return nil
	}
	c := make(Attrs, len(a))
	for i, x := range a {
		c[i] = Attr{string(append([]byte(nil), x.Key...)), string(append([]byte(nil), x.Value...))}
	}
	return c
}

// NewAttrs builds a set from a map. Empty values are left out: an absent attribute and an empty one are the same.
func NewAttrs(m map[string]string) Attrs {
	a := make(Attrs, 0, len(m))
	for k, v := range m {
		if v != "" {
			a = append(a, Attr{k, v})
		}
	}
	sort.Slice(a, func(i, j int) bool { return a[i].Key < a[j].Key })
	return a
}

// With returns a copy of a with key set to value; an empty value removes the key.
func (a Attrs) With(key, value string) Attrs {
	c := make(Attrs, 0, len(a)+1)
	done := value == ""
	for _, x := range a {
		if !done && x.Key > key {
			c, done = append(c, Attr{key, value}), true
		}
		if x.Key == key {
			if !done {
				c, done = append(c, Attr{key, value}), true
			}
			continue
		}
		c = append(c, x)
	}
	if !done {
		c = append(c, Attr{key, value})
	}
	return c
}
