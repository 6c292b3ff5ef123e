package console

import (
	"cmp"
	"fmt"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

// card is a warning as the overview shows it.
type card struct {
	Warning  *matcher.Warning
	ID       string // of the element
	Rank     string
	Object   []keyPart
	Seen     int
	Total    int
	Climb    climb
	Forecast string // when, in words; empty: no forecast
	Of       string // what is expected then
	Interval string
	Source   string // what the forecast is made of
	Remedy   *signatures.Remedy
	Command  string
	Said     []sightings.Feedback
	Acked    bool
	Held     string // what keeps people from being told of it
}

// keyPart is one part of what is affected.
type keyPart struct{ Name, Value string }

func objectOf(w *matcher.Warning) (parts []keyPart) {
	for _, a := range w.Key {
		if a.Value != "" {
			parts = append(parts, keyPart{a.Key, a.Value})
		}
	}
	if len(parts) == 0 {
		parts = append(parts, keyPart{"", cmp.Or(w.KeyText, "the cluster")})
	}
	return parts
}

// cardOf makes the card of a warning.
func (k *Console) cardOf(e *entry, now time.Time) card {
	w := &e.warning
	o := k.outlook(w)
	f := forecastOf(w, o)
	c := card{
		Warning: w, ID: "w-" + w.ID, Rank: rank(w, f), Object: objectOf(w), Seen: stagesSeen(w), Total: max(w.Total, 1),
		Climb: climbOf(w, f, now), Said: k.c.Book.Feedback(w.ID),
	}
	if f != nil {
		c.Forecast, c.Of, c.Interval = f.text(now), f.Of, f.interval(now)
		c.Source = "slope of the metric"
		if f.Sightings > 0 {
			c.Source = plural(f.Sightings, "sighting")
		}
	}
	if k.c.Held != nil && !w.State.Final() {
		c.Held = k.c.Held(w)
	}
	known := *w
	known.Outlook = o
	if c.Remedy = notify.FirstRemedy(&known); c.Remedy != nil {
		c.Command = notify.Command(w, c.Remedy)
	}
	for _, s := range c.Said {
		c.Acked = c.Acked || s.Verdict == sightings.Acknowledged
	}
	return c
}

// outlook is the one that came with the warning, or what the book says.
func (k *Console) outlook(w *matcher.Warning) *matcher.Outlook {
	if o := k.c.Book.Outlook(w); o != nil {
		return o
	}
	return w.Outlook
}

// rank orders open warnings by urgency, as texts: what happens before what is about to, then what comes soonest, the worst, the newest.
func rank(w *matcher.Warning, f *forecast) string {
	state := 2
	switch w.State {
	case matcher.InIncident:
		state = 0
	case matcher.Imminent:
		state = 1
	case matcher.Forming, matcher.Averted, matcher.Resolved, matcher.Expired:
	}
	const never = int64(1) << 60
	due := never
	if f != nil {
		due = f.Expected.Unix()
	}
	return fmt.Sprintf("%d-%019d-%d-%019d-%s", state, due, 4-severityRank(w.Severity), never-w.Time.Unix(), w.ID)
}

// severityRank is 4 for the worst.
func severityRank(s signatures.Severity) int {
	for i, x := range []signatures.Severity{signatures.Critical, signatures.High, signatures.Medium, signatures.Low} {
		if s == x {
			return 4 - i
		}
	}
	return 0
}
