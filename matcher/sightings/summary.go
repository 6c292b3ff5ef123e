package sightings

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// Summary is what sightings tell of one signature.
type Summary struct {
	Signature string            `json:"signature,omitempty"` // empty when only others have seen it and it is not known here
	Digest    string            `json:"digest"`
	Here      matcher.Past      `json:"here"`
	Elsewhere matcher.Past      `json:"elsewhere"`
	Clusters  int               `json:"clusters"` // how many others have seen it
	Steps     []Step            `json:"steps,omitempty"`
	Lead      *float64          `json:"lead_seconds,omitempty"` // the median of how long before an incident people could be told
	Minors    map[string]uint64 `json:"kubernetes,omitempty"`
	Remedies  []Done            `json:"remedies,omitempty"`
}

// Step is one stage, and how long it took from there, here and elsewhere.
type Step struct {
	Stage      int          `json:"stage"` // from 1 on
	Past       matcher.Past `json:"past"`
	Next       *Times       `json:"next,omitempty"`
	ToIncident *Times       `json:"to_incident,omitempty"`
}

// Times is an interval of 80 % in seconds. A Late of 0 is an open end.
type Times struct {
	Early   float64 `json:"early_seconds"`
	Typical float64 `json:"typical_seconds"`
	Late    float64 `json:"late_seconds,omitempty"`
	Of      uint64  `json:"of"`
}

func timesOf(c *Curve) *Times {
	x, ok := c.expect(0)
	if !ok {
		return nil
	}
	t := &Times{Early: x.early.Seconds(), Typical: x.mid.Seconds(), Of: x.of}
	if !x.open {
		t.Late = x.late.Seconds()
	}
	return t
}

// Summaries returns what is known of each content of a signature, here and elsewhere. ids names those that have not been seen here by their digest.
func (b *Book) Summaries(ids map[string]string) []Summary {
	type sums struct {
		here, elsewhere Tally
		clusters        map[string]bool
	}
	own := b.Own()
	names := maps.Clone(ids)
	if names == nil {
		names = map[string]string{}
	}
	all := map[string]*sums{}
	of := func(digest string) *sums {
		if all[digest] == nil {
			all[digest] = &sums{clusters: map[string]bool{}}
		}
		return all[digest]
	}
	for _, t := range own {
		of(t.Digest).here.plus(t)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for signature, entries := range b.entries {
		for _, e := range entries {
			names[e.Digest] = signature
		}
	}
	for key := range b.closed {
		names[key.digest] = key.signature
	}
	for key, t := range b.shared {
		x := of(key.Digest)
		x.elsewhere.plus(t)
		x.clusters[key.Origin] = true
	}
	list := make([]Summary, 0, len(all))
	for digest, x := range all {
		var whole Tally
		whole.plus(&x.here)
		whole.plus(&x.elsewhere)
		s := Summary{
			Signature: names[digest], Digest: digest, Here: past(&x.here, 0, false), Elsewhere: past(&x.elsewhere, 0, false), Clusters: len(x.clusters),
			Minors: whole.Kubernetes, Remedies: whole.Remedies,
		}
		if lead, ok := whole.Lead.Quantile(0.5); ok {
			seconds := lead.Seconds()
			s.Lead = &seconds
		}
		for i := 1; i < len(whole.Rungs); i++ {
			r := &whole.Rungs[i]
			s.Steps = append(s.Steps, Step{Stage: i, Past: past(&whole, i, false), Next: timesOf(&r.Next), ToIncident: timesOf(&r.ToIncident)})
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(x, y Summary) int {
		return cmp.Or(cmp.Compare(y.Here.Reached, x.Here.Reached), cmp.Compare(y.Elsewhere.Reached, x.Elsewhere.Reached), strings.Compare(x.Signature+x.Digest, y.Signature+y.Digest))
	})
	return list
}

// Counted reports whether a warning with this id is over and counted.
func (b *Book) Counted(warning string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, of := range b.entries {
		if e, has := of[warning]; has {
			return !e.Retracted
		}
	}
	return false
}
