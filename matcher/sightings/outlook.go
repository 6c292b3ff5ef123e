package sightings

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// known is what is known of one signature.
type known struct {
	here, elsewhere Tally
	words           map[string]matcher.Outcome // what was done here, by its name
}

// outlook says what comes of a warning, as of now.
func (k *known) outlook(w *matcher.Warning, now time.Time) *matcher.Outlook {
	reached, incident, last := progress(w)
	o := &matcher.Outlook{Here: past(&k.here, reached, incident), Elsewhere: past(&k.elsewhere, reached, incident), Remedies: k.outcomes(w)}
	if !w.State.Final() && !incident {
		next, whole := Curve{}, Curve{}
		for _, t := range []*Tally{&k.here, &k.elsewhere} {
			if reached < len(t.Rungs) {
				next.plus(&t.Rungs[reached].Next)
				whole.plus(&t.Rungs[reached].ToIncident)
			}
		}
		waited := max(now.Sub(last), 0)
		o.Next, o.Incident = interval(&next, last, waited), combine(interval(&whole, last, waited), w.Forecast, now)
	}
	if o.Here == (matcher.Past{}) && o.Elsewhere == (matcher.Past{}) && o.Next == nil && o.Incident == nil && len(o.Remedies) == 0 {
		return nil
	}
	return o
}

// progress is how many stages a warning reached before its incident, whether that came, and when the last step was.
func progress(w *matcher.Warning) (reached int, incident bool, last time.Time) {
	last = w.Opened
	for _, r := range w.Reached {
		last = r.Time
		if r.Stage == incidentRung {
			return reached, true, last
		}
		reached++
	}
	return reached, false, last
}

func past(t *Tally, reached int, incident bool) matcher.Past {
	e := t.ends(reached)
	if incident { // those that got at least as far are those that happened
		return matcher.Past{Reached: e.Incident, Incident: e.Incident}
	}
	return matcher.Past{Reached: e.Averted + e.Expired + e.Incident, Incident: e.Incident, Averted: e.Averted, Expired: e.Expired}
}

func interval(c *Curve, last time.Time, waited time.Duration) *matcher.Interval {
	x, ok := c.expect(waited)
	if !ok {
		return nil
	}
	v := &matcher.Interval{Earliest: last.Add(x.early), Expected: last.Add(x.mid), Of: x.of}
	if !x.open {
		v.Latest = last.Add(x.late)
	}
	return v
}

// combine chooses between what sightings say of the incident and what the slope of this very series says: the narrower of the two, as the time that is
// left, for each is an interval of 80 % by itself, and their errors are of different kinds. Averaging them would promise more than either knows. An
// interval without an end, or one that lies in the past, is the wider one.
func combine(sightings *matcher.Interval, slope *matcher.Forecast, now time.Time) *matcher.Interval {
	if slope == nil || slope.Expected.IsZero() || slope.Latest.IsZero() || slope.Latest.Before(now) {
		return sightings
	}
	s := &matcher.Interval{Earliest: slope.Earliest, Expected: slope.Expected, Latest: slope.Latest}
	if sightings == nil || sightings.Latest.IsZero() || s.Latest.Sub(s.Earliest) <= sightings.Latest.Sub(sightings.Earliest) {
		return s
	}
	return sightings
}

// outcomes are the records of what was done, here under its name, and elsewhere by its number in the list of the signature.
func (k *known) outcomes(w *matcher.Warning) []matcher.Outcome {
	all := maps.Clone(k.words)
	if all == nil {
		all = map[string]matcher.Outcome{}
	}
	add := func(d Done) {
		if d.Remedy < len(w.Remedies) {
			x := all[w.Remedies[d.Remedy].Name()]
			x.Done += d.Done
			x.Helped += d.Helped
			all[w.Remedies[d.Remedy].Name()] = x
		}
	}
	for _, d := range k.elsewhere.Remedies {
		add(d)
	}
	for _, d := range k.here.Remedies { // of months that are closed: the others are in words
		add(d)
	}
	list := make([]matcher.Outcome, 0, len(all))
	for name, x := range all {
		x.Remedy = name
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b matcher.Outcome) int {
		return cmp.Or(cmp.Compare(b.Helped, a.Helped), cmp.Compare(a.Done, b.Done), strings.Compare(a.Remedy, b.Remedy))
	})
	return list
}
