package matcher

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Compiled is one signature as the tracker needs it. It is immutable.
type Compiled struct {
	Signature  Label
	Digest     uint64 // the short digest, which hits carry
	DigestText string // the whole digest in hex
	By         []KeyPart
	InOrder    bool
	Need       int           // stages needed before the incident
	Within     time.Duration // order any: how close together they must lie; 0 for any distance
	Tell       int           // the stage from which people are told
	TellAny    bool          // order any without a stage to tell from: people are told of whichever comes first
	Stages     []Rung
	Incident   *Rung // nil without one
	Unless     []Guard
	Frame      *Frame        // nil without one
	Clear      bool          // there is a clear condition
	ClearFor   time.Duration // how long a clear must hold
	Quiet      time.Duration // 0 without one
	Expire     time.Duration // never 0
	StageKinds uint8         // the kinds that stages and incident look at, as bits 1<<Kind
	ClearKinds uint8
}

// Label is what a warning says of its signature before it is dressed with the body.
type Label struct {
	ID, Title string
	Severity  signatures.Severity
	Impact    string // only of a signature that is gone, whose body may be gone too
}

// KeyPart is one part of a correlation key: a name for people, and the attributes of which the first that is present gives its value.
type KeyPart struct {
	Name     string
	Attrs    []string
	Optional bool // its absence does not make the key fall back to the stream
}

// Rung is a stage or the incident.
type Rung struct {
	Name, Title   string
	Count         uint64        // at least 1
	Distinct      []KeyPart     // nil without one
	DistinctCount int           // 0 without one
	Within        time.Duration // 0 means without limit, and is only possible when one record is enough
	FollowsWithin time.Duration // 0 means any time
	Kinds         uint8         // the kinds of record that can meet it
	Hold          time.Duration // a change's `for`; 0 without one
	Series        *Series       // a sample; nil for all other conditions
}

// Series says how the samples of a rung become on or off.
type Series struct {
	Metric   string
	Rate     time.Duration // 0: the value itself
	Limit    int           // the RoleLimit role that gives the divisor, or -1
	Above    *float64
	Below    *float64
	For      time.Duration
	Forecast *signatures.Forecast
}

// Guard is an `unless`.
type Guard struct {
	Stage         int // the stage that it guards
	Slide, Window time.Duration
	Kinds         uint8
}

// Frame is what makes the stages a figure in time.
type Frame struct {
	Window   time.Duration
	Stream   bool // the key is the stream, so that a stream's end says that nothing more comes
	Negates  []Negate
	keep     time.Duration // how long a record is kept for frames to come
	lookBack time.Duration // how far before a frame a negate can count
}

// Negate is what speaks against a frame.
type Negate struct {
	Window, Slide time.Duration
	Anchor        int // below the number of the frame's records
	Absolute      bool
	Kinds         uint8
}

func newFrameTimes(s *signatures.Signature) *Frame {
	if s.Frame == nil {
		return nil
	}
	f := &Frame{Window: time.Duration(s.Frame.Window), Stream: slices.Contains(s.By, "stream")}
	for i := range s.Frame.Negates {
		n := &s.Frame.Negates[i]
		f.Negates = append(f.Negates, Negate{
			Window: time.Duration(n.Window), Slide: time.Duration(n.Slide), Anchor: n.Anchor, Absolute: n.Absolute, Kinds: Kinds(&n.When),
		})
	}
	f.derive()
	return f
}

// derive finds out how long what is held can matter.
func (f *Frame) derive() {
	f.keep = f.Window
	for _, n := range f.Negates {
		f.keep = max(f.keep, f.Window+n.Window+n.Slide)
		f.lookBack = max(f.lookBack, -n.Slide)
	}
}

// NewCompiled derives the tracker's view. The signature must have passed [signatures.Parse]'s checks; names that it refers
// to are then known to exist.
func NewCompiled(s *signatures.Signature) *Compiled {
	d := s.Digest()
	c := &Compiled{
		Signature: Label{ID: s.ID, Title: s.Title, Severity: s.Severity}, Digest: binary.BigEndian.Uint64(d[:8]), DigestText: hex.EncodeToString(d[:]),
		By: KeyParts(s.By), InOrder: s.Order != signatures.Any, Need: len(s.Stages),
		Expire: time.Duration(s.Expire), Quiet: time.Duration(s.Clear.Quiet),
		Clear: s.Clear.When != nil, ClearFor: time.Duration(s.Clear.For),
	}
	if !c.InOrder {
		c.TellAny = s.Tell == ""
		c.Within = time.Duration(s.Within)
		if s.Need > 0 {
			c.Need = s.Need
		}
	}
	if c.Expire == 0 {
		c.Expire = signatures.DefaultExpire
	}
	limit := RoleLimit
	for i := range s.Stages {
		st := &s.Stages[i]
		if st.Name == s.Tell {
			c.Tell = i
		}
		r := newRung(st.Name, st.Title, &st.When, st.Count, st.Distinct, st.Within, &limit)
		r.FollowsWithin = time.Duration(st.FollowsWithin)
		c.StageKinds |= r.Kinds
		c.Stages = append(c.Stages, r)
	}
	if in := s.Incident; in != nil {
		r := newRung("incident", in.Title, &in.When, in.Count, in.Distinct, in.Within, &limit)
		c.StageKinds |= r.Kinds
		c.Incident = &r
	}
	for i := range s.Unless {
		u := &s.Unless[i]
		g := Guard{Stage: len(s.Stages) - 1, Slide: time.Duration(u.Slide), Window: time.Duration(u.Window), Kinds: Kinds(&u.When)}
		for j := range s.Stages {
			if s.Stages[j].Name == u.Anchor {
				g.Stage = j
			}
		}
		c.Unless = append(c.Unless, g)
	}
	c.Frame = newFrameTimes(s)
	if s.Clear.When != nil {
		c.ClearKinds = Kinds(s.Clear.When)
	}
	return c
}

func newRung(name, title string, when *signatures.Condition, count int, d *signatures.Distinct, within signatures.Duration, limit *int) Rung {
	r := Rung{Name: name, Title: title, Count: uint64(max(count, 1)), Within: time.Duration(within), Kinds: Kinds(when)}
	if d != nil {
		r.Distinct, r.DistinctCount = KeyParts(d.Of), d.Count
	}
	switch {
	case when.Change != nil:
		r.Hold = time.Duration(when.Change.For)
	case when.Sample != nil:
		s := when.Sample
		r.Series = &Series{
			Metric: s.Metric, Rate: time.Duration(s.Rate), Limit: -1, Above: s.Above, Below: s.Below,
			For: time.Duration(s.For), Forecast: s.Forecast,
		}
		if s.Of != nil {
			r.Series.Limit = *limit
			*limit++
		}
	}
	return r
}

// Kinds returns the kinds of record that can meet a condition, as bits 1<<Kind.
func Kinds(c *signatures.Condition) uint8 {
	var k uint8
	for i := range c.All { // a record has one kind, so all of them narrow; the first that names a kind decides
		if x := Kinds(&c.All[i]); x != 0 {
			return x
		}
	}
	for i := range c.Any {
		k |= Kinds(&c.Any[i])
	}
	switch {
	case c.Event != nil:
		k |= 1 << record.Event
	case c.Log != nil:
		k |= 1 << record.Log
	case c.Change != nil:
		k |= 1 << record.Change
	case c.Sample != nil:
		k |= 1 << record.Sample
	case c.Alert != nil:
		k |= 1 << record.Alert
	}
	return k
}

// KeyParts resolves the words of a `by` or `of`: topology words to their attributes, every other word to itself.
func KeyParts(k signatures.Key) []KeyPart {
	var parts []KeyPart
	for _, w := range k {
		parts = append(parts, keyParts(w)...)
	}
	return parts
}

func keyParts(word string) []KeyPart {
	namespace := KeyPart{Name: "namespace", Attrs: []string{record.Namespace}}
	pod := KeyPart{Name: "pod", Attrs: []string{record.Pod}}
	switch word {
	case "container":
		return []KeyPart{namespace, pod, {Name: "container", Attrs: []string{record.Container}}}
	case "pod":
		return []KeyPart{namespace, pod}
	case "workload":
		return []KeyPart{namespace, {Name: "kind", Attrs: []string{record.WorkloadKind}}, {Name: "workload", Attrs: []string{record.WorkloadName}}}
	case "node":
		return []KeyPart{{Name: "node", Attrs: []string{record.Node}}}
	case "volume":
		namespace.Optional = true
		return []KeyPart{namespace, {Name: "volume", Attrs: []string{record.VolumeClaim, record.Volume}}}
	case "namespace":
		return []KeyPart{namespace}
	case "cluster":
		return []KeyPart{{Name: "cluster", Attrs: []string{record.Cluster}, Optional: true}}
	case "stream":
		return nil // an empty key falls back to the stream
	default:
		return []KeyPart{{Name: word, Attrs: []string{word}}}
	}
}
