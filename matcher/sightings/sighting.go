package sightings

import (
	"hash/fnv"
	"regexp"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Sighting is one finished warning, as its own cluster keeps it: it holds neither names nor text of what the warning was about, but the warning's id,
// by which feedback finds it, so it is not for others: see [Tally].
type Sighting struct {
	Warning   string `json:"warning"`
	Revision  uint32 `json:"revision"`
	Signature string `json:"signature"`
	Digest    string `json:"digest"` // of the signature's content, in hex
	Month     string `json:"month"`  // when it was counted, such as 2026-11

	Kubernetes string          `json:"kubernetes,omitempty"` // the minor version, such as 1.31
	Total      int             `json:"total"`                // stages before the incident
	Rungs      []time.Duration `json:"rungs_ns"`             // when each stage before the incident was reached, since the first
	Incident   *time.Duration  `json:"incident_ns,omitempty"`
	Closed     time.Duration   `json:"closed_ns"`
	Lead       *time.Duration  `json:"lead_ns,omitempty"` // how long before the incident people could first be told
	State      matcher.State   `json:"state"`
	Incomplete bool            `json:"incomplete,omitempty"` // its steps may not be the whole truth: they are in no forecast
	Retracted  bool            `json:"retracted,omitempty"`  // it counted once, until a late record showed that it never was
	Remedies   []uint32        `json:"remedies,omitempty"`   // hashes of what its signature says to do, to know it again in feedback
}

// Of makes the sighting of a warning that is over, counted at a time. A warning that is not over, or that never was, has none: ok is
// false. A retracted one still comes back, so that what was counted before is taken back.
func Of(w *matcher.Warning, kubernetes string, counted time.Time) (s Sighting, ok bool) {
	if !w.State.Final() {
		return s, false
	}
	s = Sighting{
		Warning: w.ID, Revision: w.Revision, Signature: w.Signature, Digest: w.Digest, Month: counted.UTC().Format(monthLayout), Kubernetes: Minor(kubernetes),
		Total: w.Total, State: w.State, Incomplete: len(w.Incomplete) > 0, Retracted: w.Retracted,
	}
	if w.Retracted {
		return s, false
	}
	for _, r := range w.Reached {
		since := max(r.Time.Sub(w.Opened), 0)
		if r.Stage == incidentRung {
			s.Incident = &since
			break // what is seen after it is no step towards it
		}
		s.Rungs = append(s.Rungs, since)
	}
	if len(s.Rungs) > maxRungs || len(s.Rungs) == 0 && s.Incident == nil {
		return s, false
	}
	if s.Incident != nil {
		lead := w.Lead
		s.Lead = &lead
	}
	s.Closed = max(w.Time.Sub(w.Opened), 0)
	if w.Closed != nil {
		s.Closed = max(w.Closed.Sub(w.Opened), 0)
	}
	for i := range w.Remedies {
		s.Remedies = append(s.Remedies, wordsHash(w.Remedies[i].Name()))
	}
	return s, true
}

const (
	incidentRung = "incident"
	monthLayout  = "2006-01"
	maxRungs     = matcher.MaxStages
)

// reached is how many stages were reached before the incident.
func (s *Sighting) reached() int { return len(s.Rungs) }

// remedy is the number of what people said they did, in the list of the signature; -1 when it is none of them.
func (s *Sighting) remedy(name string) int {
	h := wordsHash(name)
	for i, x := range s.Remedies {
		if x == h {
			return i
		}
	}
	return -1
}

func wordsHash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	return h.Sum32()
}

var minorVersion = regexp.MustCompile(`^v?([1-9][0-9]?\.[0-9]{1,3})(?:[.+-]|$)`)

// Minor is the minor version of a version such as v1.31.2-eks-abc, "" when it is none.
func Minor(version string) string {
	if m := minorVersion.FindStringSubmatch(strings.TrimSpace(version)); m != nil {
		return m[1]
	}
	return ""
}
