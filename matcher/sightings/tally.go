package sightings

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Tally counts the sightings of one signature in one cluster and one month. It is what may leave a cluster: it holds the digest of the
// signature, a random number for the cluster, and numbers. Its origin alone writes it, so that a higher version of the same tally replaces a lower
// one: see [Merge].
type Tally struct {
	Origin  string `json:"origin"`  // a random number of the cluster, in hex
	Digest  string `json:"digest"`  // of the signature's content, in hex
	Month   string `json:"month"`   // such as 2026-11
	Version uint64 `json:"version"` // grows with everything that is counted or corrected

	Finished   uint64            `json:"finished"` // all of them
	Incomplete uint64            `json:"incomplete,omitempty"`
	Right      uint64            `json:"right,omitempty"` // it became an incident, or people said what averted it
	Wrong      uint64            `json:"wrong,omitempty"` // people said that it was a false alarm
	Seen       uint64            `json:"acknowledged,omitempty"`
	Kubernetes map[string]uint64 `json:"kubernetes,omitempty"` // by minor version
	Rungs      []Rung            `json:"rungs"`                // the i-th: those whose highest stage before an incident is the i-th, from none on
	Lead       Histogram         `json:"lead,omitempty"`       // how long before an incident people could be told
	Remedies   []Done            `json:"remedies,omitempty"`   // of those of the signature, by their number
}

// Rung counts by how far sightings got, and what came after.
type Rung struct {
	Averted    uint64 `json:"averted,omitempty"`
	Expired    uint64 `json:"expired,omitempty"`
	Incident   uint64 `json:"incident,omitempty"`
	Next       Curve  `json:"next,omitzero"`        // of all that reached it: from it to the next one, a stage or the incident
	ToIncident Curve  `json:"to_incident,omitzero"` // of all that reached it: from it to the incident
}

// Done is how often people said that they did the remedy with this number, from 0 on, and how often it helped.
type Done struct {
	Remedy int    `json:"remedy"`
	Done   uint64 `json:"done"`
	Helped uint64 `json:"helped"`
}

// Key tells a tally from others: two with the same key are versions of one.
type Key struct{ Origin, Digest, Month string }

// Key returns the key of the tally.
func (t *Tally) Key() Key { return Key{t.Origin, t.Digest, t.Month} }

// Merge adds tallies to those that are known, and reports whether that changed something. Of two versions of one tally the higher stays; of two that
// claim the same version, which only a cluster that was copied can make, the one whose encoding is greater. That is the maximum of a total order in each
// key, so it does not matter in which order, how often and by which ways tallies come together: merging is commutative, associative
// and idempotent, and nothing is ever counted twice. The tallies are kept, and must not be written to.
func Merge(into map[Key]*Tally, more ...*Tally) (changed bool) {
	for _, t := range more {
		if old := into[t.Key()]; old == nil || old.less(t) {
			into[t.Key()] = t
			changed = true
		}
	}
	return changed
}

func (t *Tally) less(o *Tally) bool {
	if t.Version != o.Version {
		return t.Version < o.Version
	}
	return strings.Compare(t.encoding(), o.encoding()) < 0
}

func (t *Tally) encoding() string {
	b, _ := json.Marshal(t) // it holds nothing that cannot be encoded
	return string(b)
}

// said is what people said of one warning, summed up.
type said struct {
	acknowledged bool
	right, wrong int
	done         map[string]bool // by the remedy's name: whether it helped
}

func sum(all []Feedback, s *Sighting) said {
	x := said{done: map[string]bool{}}
	for _, f := range all {
		switch f.Verdict {
		case Acknowledged:
			x.acknowledged = true
			if f.Remedy != "" {
				x.done[f.Remedy] = x.done[f.Remedy] || false
			}
		case FalseAlarm:
			x.wrong++
		case AvertedBy:
			x.right++
			x.done[f.Remedy] = true
		}
	}
	if s.Incident != nil && x.wrong == 0 {
		x.right++
	}
	return x
}

// count adds one sighting with what people said of it.
func (t *Tally) count(s *Sighting, feedback []Feedback) {
	t.Finished++
	x := sum(feedback, s)
	switch {
	case x.right > x.wrong:
		t.Right++
	case x.wrong > x.right:
		t.Wrong++
	}
	if x.acknowledged {
		t.Seen++
	}
	if s.Kubernetes != "" {
		if t.Kubernetes == nil {
			t.Kubernetes = map[string]uint64{}
		}
		t.Kubernetes[s.Kubernetes]++
	}
	for name, helped := range x.done {
		if i := s.remedy(name); i >= 0 {
			t.done(Done{Remedy: i, Done: 1, Helped: b2u(helped)})
		}
	}
	end := t.rung(s.reached())
	switch {
	case s.Incident != nil:
		end.Incident++
	case s.State == "averted" || s.State == "resolved":
		end.Averted++
	default:
		end.Expired++
	}
	if s.Incomplete {
		t.Incomplete++
		return
	}
	if s.Lead != nil {
		t.Lead.add(*s.Lead, 1)
	}
	helped := slices.Contains(slices.Collect(maps.Values(x.done)), true)
	for i, at := range s.Rungs {
		r := t.rung(i + 1)
		switch {
		case i+1 < len(s.Rungs):
			r.Next.Came.add(s.Rungs[i+1]-at, 1)
		case s.Incident != nil:
			r.Next.Came.add(*s.Incident-at, 1)
		case helped:
			r.Next.Left.add(s.Closed-at, 1)
		}
		switch {
		case s.Incident != nil:
			r.ToIncident.Came.add(*s.Incident-at, 1)
		case helped:
			r.ToIncident.Left.add(s.Closed-at, 1)
		}
	}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// rung makes room for a rung, and returns it.
func (t *Tally) rung(n int) *Rung {
	for len(t.Rungs) <= n {
		t.Rungs = append(t.Rungs, Rung{})
	}
	return &t.Rungs[n]
}

func (t *Tally) done(d Done) {
	i, has := slices.BinarySearchFunc(t.Remedies, d.Remedy, func(x Done, n int) int { return cmp.Compare(x.Remedy, n) })
	if !has {
		t.Remedies = slices.Insert(t.Remedies, i, Done{Remedy: d.Remedy})
	}
	t.Remedies[i].Done += d.Done
	t.Remedies[i].Helped += d.Helped
}

// plus adds what another tally counts, of whatever origin and month; the sum is for reading and is no tally to merge.
func (t *Tally) plus(o *Tally) {
	t.Finished += o.Finished
	t.Incomplete += o.Incomplete
	t.Right += o.Right
	t.Wrong += o.Wrong
	t.Seen += o.Seen
	for _, minor := range slices.Sorted(maps.Keys(o.Kubernetes)) {
		if t.Kubernetes == nil {
			t.Kubernetes = map[string]uint64{}
		}
		t.Kubernetes[minor] += o.Kubernetes[minor]
	}
	for i := range o.Rungs {
		r, x := t.rung(i), &o.Rungs[i]
		r.Averted += x.Averted
		r.Expired += x.Expired
		r.Incident += x.Incident
		r.Next.plus(&x.Next)
		r.ToIncident.plus(&x.ToIncident)
	}
	t.Lead.plus(o.Lead)
	for _, d := range o.Remedies {
		t.done(d)
	}
}

// ends is how those that reached at least so many stages ended.
func (t *Tally) ends(reached int) (e Rung) {
	for i := max(reached, 0); i < len(t.Rungs); i++ {
		e.Averted += t.Rungs[i].Averted
		e.Expired += t.Rungs[i].Expired
		e.Incident += t.Rungs[i].Incident
	}
	return e
}
