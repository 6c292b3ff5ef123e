package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

// Sight says how well something can be seen here.
type Sight string

// The sights, the best first.
const (
	Sighted  Sight = "seen"    // such records came
	Quiet    Sight = "quiet"   // a source gives such records, and none came so far, which is as it should be while all is well
	Untested Sight = "unknown" // it was not looked for long enough, or more came than is remembered
	Unseen   Sight = "unseen"  // records of this kind come all the time, and none of this name ever did
	Missing  Sight = "missing" // no source gives records of this kind
)

// sights lists them, the best first.
func sights() []Sight { return []Sight{Sighted, Quiet, Untested, Unseen, Missing} }

// Blind reports whether what has this sight cannot be counted on.
func (s Sight) Blind() bool { return s == Unseen || s == Missing }

func worse(a, b Sight) int {
	return cmp.Compare(slices.Index(sights(), a), slices.Index(sights(), b))
}

// Settle is how long must have been looked before it is said that something was never seen; settleKind, that no source gives a kind of record: sources
// say at once what they can give.
const (
	Settle     = time.Hour
	settleKind = 10 * time.Minute
)

// Given is what a cluster's matching processes are given to see.
type Given struct {
	Now       time.Time
	Processes int           // that told what they see
	Whole     bool          // it is all there is, such as files that were read: nothing is still to come
	Kinds     uint8         // that some source gives, as bits 1<<Kind
	Seen      pipeline.Seen // which records came
}

// GivenOf puts together what the statuses of all matching processes say. Those that stopped are left out.
func GivenOf(now time.Time, all []pipeline.Status) Given {
	v := Given{Now: now}
	for i := range all {
		s := &all[i]
		if s.Stopped || s.Seen == nil {
			continue
		}
		v.Processes++
		v.Seen.Merge(s.Seen)
		for _, in := range s.Inputs {
			for _, name := range in.Kinds {
				if k, err := record.ParseKind(name); err == nil && !in.Ended {
					v.Kinds |= 1 << k
				}
			}
		}
	}
	return v
}

// BlindSpots says which signatures cannot fire here, and for want of what.
type BlindSpots struct {
	Since     time.Time      `json:"since"` // nothing is known of what was before
	Processes int            `json:"processes"`
	Counts    map[string]int `json:"counts"` // signatures by verdict
	Gaps      []Gap          `json:"gaps"`   // the inputs that are missing, that which opens most eyes first
	Spots     []Spot         `json:"spots"`  // all signatures, the blind ones first
}

// Verdict says whether a signature can do what it is for.
type Verdict string

// The verdicts, the worst first.
const (
	CannotFire Verdict = "blind"   // people can never be told by it
	SeesPart   Verdict = "partly"  // people are told, but not of everything
	NotTested  Verdict = "unknown" // too little is known to say
	CanFire    Verdict = "ready"   // everything it needs is given
)

// Verdicts lists them, the worst first.
func Verdicts() []Verdict { return []Verdict{CannotFire, SeesPart, NotTested, CanFire} }

// Spot is one signature as it stands here.
type Spot struct {
	Signature string              `json:"signature"`
	Title     string              `json:"title"`
	Severity  signatures.Severity `json:"severity"`
	Verdict   Verdict             `json:"verdict"`
	Says      []string            `json:"says,omitempty"` // what is lost, in words
	Roles     []RoleSight         `json:"roles"`
}

// RoleSight says how well one role of a signature can be seen.
type RoleSight struct {
	Role  string      `json:"role"`
	Title string      `json:"title,omitempty"`
	Sight Sight       `json:"sight"`
	Needs []NeedSight `json:"needs"` // of its best alternative
}

// NeedSight is one input that a condition needs.
type NeedSight struct {
	Need  string    `json:"need"` // "logs of etcd"
	Kind  string    `json:"kind"`
	Sight Sight     `json:"sight"`
	Last  time.Time `json:"last,omitzero"` // when such a record came last
	Says  string    `json:"says"`
}

// Gap is an input that is missing, and whom it would help.
type Gap struct {
	Need       string   `json:"need"`
	Kind       string   `json:"kind"`
	Sight      Sight    `json:"sight"`
	Says       string   `json:"says"`
	Mend       string   `json:"mend"`
	Signatures []string `json:"signatures"` // that cannot fire, or see less, without it
}

// FindBlindSpots judges signatures by what is seen.
func FindBlindSpots(all []*signatures.Signature, v Given) *BlindSpots {
	b := &BlindSpots{Since: v.Seen.Since, Processes: v.Processes, Counts: map[string]int{}, Gaps: []Gap{}, Spots: []Spot{}}
	gaps := map[string]*Gap{}
	e := eye{given: v, known: map[string]NeedSight{}}
	for _, s := range all {
		spot := e.judge(s)
		b.Counts[string(spot.Verdict)]++
		b.Spots = append(b.Spots, spot)
		for _, r := range spot.Roles {
			for _, n := range r.Needs {
				if !n.Sight.Blind() {
					continue
				}
				need := n.Need
				if n.Sight == Missing { // all of the kind is
					need = kindText(n.Kind)
				}
				g := gaps[need]
				if g == nil {
					g = &Gap{Need: need, Kind: n.Kind, Sight: n.Sight, Says: n.Says, Mend: mendOf(n)}
					gaps[need] = g
				}
				if !slices.Contains(g.Signatures, s.ID) {
					g.Signatures = append(g.Signatures, s.ID)
				}
			}
		}
	}
	for _, g := range gaps {
		b.Gaps = append(b.Gaps, *g)
	}
	slices.SortFunc(b.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(len(b.Signatures), len(a.Signatures)), cmp.Compare(a.Need, b.Need))
	})
	slices.SortStableFunc(b.Spots, func(a, b Spot) int {
		return cmp.Or(cmp.Compare(slices.Index(Verdicts(), a.Verdict), slices.Index(Verdicts(), b.Verdict)),
			cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Signature, b.Signature))
	})
	return b
}

// mendOf says what to collect.
func mendOf(n NeedSight) string {
	switch n.Kind {
	case record.Event.String():
		return "collect the cluster's events: collect: {events: {}}"
	case record.Change.String():
		if n.Sight == Missing {
			return "collect the changes of objects: collect: {changes: {}}"
		}
		return "see that this kind is collected: collect: {changes: {kinds: [...]}}"
	case record.Log.String():
		if n.Sight == Missing {
			return "collect logs: collect: {logs: {}} on each node, pod_logs where nothing may run there, or journal for what runs outside of pods"
		}
		return "collect what it writes: logs for pods, journal for what runs outside of them; if it does not run here, the signature can be left out"
	case record.Sample.String():
		if n.Sight == Missing {
			return "collect metrics: collect: {metrics: {scrape: {}}}, or from a Prometheus"
		}
		return "scrape what exposes this metric, or ask a Prometheus that does: collect: {metrics: {...}}"
	case record.Alert.String():
		return "let Alertmanager send its alerts: collect: {alerts: {}}, and a webhook receiver there"
	}
	return ""
}

// eye judges what signatures need, each need once.
type eye struct {
	given Given
	known map[string]NeedSight
}

// judge says how one signature stands.
func (e *eye) judge(s *signatures.Signature) Spot {
	spot := Spot{Signature: s.ID, Title: s.Title, Severity: s.Severity}
	add := func(role, title string, c *signatures.Condition) Sight {
		r := e.role(c)
		r.Role, r.Title = role, title
		spot.Roles = append(spot.Roles, r)
		return r.Sight
	}
	stages := make([]Sight, len(s.Stages))
	for i := range s.Stages {
		stages[i] = add(s.Stages[i].Name, s.Stages[i].Title, &s.Stages[i].When)
	}
	if s.Incident != nil && add("incident", s.Incident.Title, &s.Incident.When).Blind() {
		spot.Says = append(spot.Says, "the incident itself would not be seen, so no lead time is measured")
	}
	for i := range s.Unless {
		// Its absence is believed while a source of its kind is alive, whether or not such a record ever came.
		if add(fmt.Sprintf("unless %d", i+1), "", &s.Unless[i].When) != Missing {
			continue
		}
		guarded := len(s.Stages) - 1
		for j := range s.Stages {
			if s.Stages[j].Name == s.Unless[i].Anchor {
				guarded = j
			}
		}
		stages[guarded] = Missing
		spot.Says = append(spot.Says, fmt.Sprintf("%s is never reached: nobody could say that what speaks against it is absent", s.Stages[guarded].Name))
	}
	if s.Clear.When != nil && add("clear", "", s.Clear.When).Blind() && s.Clear.Quiet == 0 {
		spot.Says = append(spot.Says, "its end would not be seen: warnings stay open until they expire")
	}
	frame := s.Frame != nil
	if frame {
		for i := range s.Frame.Negates {
			if add(fmt.Sprintf("negate %d", i+1), "", &s.Frame.Negates[i].When) == Missing {
				stages[0] = Missing
			}
		}
	}
	blind := spot.climb(s, stages, frame)
	switch {
	case blind:
		spot.Verdict = CannotFire
	case len(spot.Says) > 0:
		spot.Verdict = SeesPart
	case slices.Contains(stages, Untested):
		spot.Verdict = NotTested
	default:
		spot.Verdict = CanFire
	}
	return spot
}

// climb says in words how far the stages can be climbed, and reports whether nobody is ever told.
func (spot *Spot) climb(s *signatures.Signature, stages []Sight, frame bool) (blind bool) {
	var dark []string
	first, tell := -1, 0
	for i, sight := range stages {
		if sight.Blind() {
			dark = append(dark, s.Stages[i].Name)
			if first < 0 {
				first = i
			}
		}
		if s.Stages[i].Name == s.Tell {
			tell = i
		}
	}
	if first < 0 {
		return false
	}
	names := strings.Join(dark, ", ")
	if s.Order == signatures.Any && !frame {
		need := s.Need
		if need <= 0 {
			need = len(stages)
		}
		switch left := len(stages) - len(dark); {
		case left == 0, s.Tell != "" && stages[tell].Blind():
			spot.first("it cannot fire: " + names + " cannot be seen")
			return true
		case left < need:
			spot.first(fmt.Sprintf("it gets no further than %d of %d stages: %s cannot be seen", left, need, names))
		default:
			spot.first(names + " cannot be seen; the other stages are enough")
		}
		return false
	}
	if frame || first <= tell {
		spot.first("it cannot fire: " + names + " cannot be seen")
		return true
	}
	spot.first(fmt.Sprintf("it gets no further than %s: %s cannot be seen", s.Stages[first-1].Name, names))
	return false
}

// first puts what matters most before everything else that is said.
func (spot *Spot) first(text string) { spot.Says = slices.Insert(spot.Says, 0, text) }
