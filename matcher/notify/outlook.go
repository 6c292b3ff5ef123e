package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// HowLong says when the next rung and the incident are expected, a line each, or "no forecast yet"; nothing of a warning that is over or whose
// incident has come. A nil zone is UTC.
func HowLong(w *matcher.Warning, zone *time.Location) (lines []string) {
	if w.State.Final() || w.State == matcher.InIncident {
		return nil
	}
	if zone == nil {
		zone = time.UTC
	}
	if o := w.Outlook; o != nil {
		if o.Next != nil {
			lines = append(lines, "how long: next about "+intervalText(o.Next, w.Time, zone))
		}
		if o.Incident != nil && (o.Incident.Of > 0 || w.Forecast == nil) { // without a count it is the forecast's own, which says more
			lines = append(lines, "how long: incident about "+intervalText(o.Incident, w.Time, zone))
		}
	}
	if w.Forecast != nil {
		lines = append(lines, "forecast: "+ForecastText(w.Forecast))
	}
	if len(lines) == 0 {
		lines = append(lines, "how long: no forecast yet")
	}
	return lines
}

func intervalText(x *matcher.Interval, told time.Time, zone *time.Location) string {
	clock := func(t time.Time) string {
		t = t.In(zone)
		if a, b := t.Format(time.DateOnly), told.In(zone).Format(time.DateOnly); a != b {
			return t.Format("2006-01-02 15:04")
		}
		return t.Format("15:04")
	}
	s := clock(x.Expected)
	if x.Latest.IsZero() {
		s += fmt.Sprintf(" (not before %s, 80 %%", clock(x.Earliest))
	} else {
		s += fmt.Sprintf(" (%s to %s, 80 %%", clock(x.Earliest), clock(x.Latest))
	}
	if x.Of > 0 {
		s += fmt.Sprintf(" of %d", x.Of)
	}
	return s + ")"
}

// HowOften says how often it got that far before, here and elsewhere, and what ended it; nothing when nothing is known.
func HowOften(w *matcher.Warning) (lines []string) {
	o := w.Outlook
	if o == nil || w.State.Final() {
		return nil
	}
	if o.Here.Reached > 0 {
		lines = append(lines, "before, here: "+pastText(&o.Here))
	}
	if o.Elsewhere.Reached > 0 {
		lines = append(lines, "before, elsewhere: "+pastText(&o.Elsewhere))
	}
	var helped []string
	for _, r := range o.Remedies {
		if r.Helped > 0 && len(helped) < 2 {
			helped = append(helped, fmt.Sprintf("%s (helped %d of %d)", shorten(oneLine(r.Remedy), 90), r.Helped, r.Done))
		}
	}
	if len(helped) > 0 {
		lines = append(lines, "what ended it: "+strings.Join(helped, "; "))
	}
	return lines
}

func pastText(p *matcher.Past) string {
	times := "times"
	if p.Reached == 1 {
		times = "time"
	}
	s := fmt.Sprintf("got this far %d %s: %d became an incident", p.Reached, times, p.Incident)
	if p.Averted > 0 {
		s += fmt.Sprintf(", %d averted", p.Averted)
	}
	if p.Expired > 0 {
		s += fmt.Sprintf(", %d expired", p.Expired)
	}
	return s
}

// FirstRemedy is what to do first: of those with the smallest risk the one that helped most often, and the first that is listed where none is known to
// have helped. However well a riskier one did, it is not silently put first. It is nil without remedies.
func FirstRemedy(w *matcher.Warning) *signatures.Remedy {
	var first *signatures.Remedy
	for i := range w.Remedies {
		r := &w.Remedies[i]
		if first == nil || cmp.Or(cmp.Compare(riskRank(r), riskRank(first)), cmp.Compare(helped(w, first), helped(w, r))) < 0 {
			first = r
		}
	}
	return first
}

func riskRank(r *signatures.Remedy) int {
	if i := slices.Index(signatures.Risks(), r.Risk); i >= 0 {
		return i
	}
	return len(signatures.Risks()) // not known: nobody vouches for it
}

func helped(w *matcher.Warning, r *signatures.Remedy) uint64 {
	if w.Outlook == nil {
		return 0
	}
	for _, o := range w.Outlook.Remedies {
		if o.Remedy == r.Name() {
			return o.Helped
		}
	}
	return 0
}

// shorten cuts s to so many characters.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
