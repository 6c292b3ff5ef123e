package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// climb is a warning drawn over time: a line that rises by a rung with each stage, and the band in which the incident, or the next stage, is expected. All
// numbers are per cent of the picture.
type climb struct {
	Label   string // what the picture says, in words
	Rungs   []rung // from the lowest to the incident
	Rises   []line // the line, in pieces
	Dots    []dot
	Ahead   *line // from now on, as long as nothing is known
	Band    *band
	Now     float64
	Over    bool // it is final: there is no now
	From    time.Time
	Until   time.Time
	State   matcher.State
	NowAt   time.Time
	Marks   []dot // records of evidence
	Pixels  int   // the picture's height
	Letters int   // the most of a rung's name
}

type rung struct {
	Y        float64
	Name     string
	NameX    float64 // where its name begins, or ends when AtEnd is set: where the line is not
	AtEnd    bool
	Seen     bool
	Next     bool
	Incident bool
}

type line struct{ X1, Y1, X2, Y2 float64 }

type dot struct {
	X, Y  float64
	Title string
	Stage string
}

type band struct {
	X, Width, Y, Expected float64
	Open                  bool // its end is not known
	Beyond                bool // it ends outside of the picture
}

// forecast is when something is expected of a warning, wherever that is known from.
type forecast struct {
	Of                         string // what is expected: "incident", "next stage", or the limit that is reached
	Earliest, Expected, Latest time.Time
	Sightings                  uint64 // how many it is made of; 0: the slope of a metric
	Incident                   bool
}

// forecastOf takes what is known best: the incident from a slope or from sightings, whichever is sooner, else the next stage. Nil: no forecast yet.
func forecastOf(w *matcher.Warning, o *matcher.Outlook) *forecast {
	if w.State.Final() || w.State == matcher.InIncident {
		return nil
	}
	var best *forecast
	take := func(f forecast) {
		if best == nil || f.Expected.Before(best.Expected) {
			best = &f
		}
	}
	if f := w.Forecast; f != nil {
		take(forecast{fmt.Sprintf("%s reaches %.4g", f.Metric, f.Limit), f.Earliest, f.Expected, f.Latest, 0, true})
	}
	if o != nil && o.Incident != nil {
		take(forecast{"incident", o.Incident.Earliest, o.Incident.Expected, o.Incident.Latest, o.Incident.Of, true})
	}
	if best == nil && o != nil && o.Next != nil {
		take(forecast{"next stage", o.Next.Earliest, o.Next.Expected, o.Next.Latest, o.Next.Of, false})
	}
	return best
}

// text says when, with its interval.
func (f *forecast) text(now time.Time) string {
	if f == nil {
		return "no forecast yet"
	}
	s := "about " + relative(f.Expected.Sub(now))
	if !f.Expected.After(now) {
		s = "due since " + span(now.Sub(f.Expected))
	}
	return s
}

// interval says between when and when.
func (f *forecast) interval(now time.Time) string {
	from := "now"
	if f.Earliest.After(now) {
		from = span(f.Earliest.Sub(now))
	}
	switch {
	case f.Latest.IsZero():
		return "not before " + relative(max(0, f.Earliest.Sub(now))) + ", with no end known"
	case !f.Latest.After(now):
		return "later than 9 of 10 times before"
	default:
		return "between " + from + " and " + span(f.Latest.Sub(now)) + " (80 %)"
	}
}

// rungTop and rungLow are where the incident's and the first stage's rungs are drawn.
const (
	rungTop, rungLow = 12.0, 80.0
	edge             = 2.0 // kept free on both sides
)

// climbOf draws a warning as of now.
func climbOf(w *matcher.Warning, f *forecast, now time.Time) climb {
	c := climb{State: w.State, Over: w.State.Final(), From: w.Opened, NowAt: now, Label: ladderText(w, f, now)}
	c.Pixels, c.Letters = 54+25*min(max(w.Total, 1), 8), 40
	end := now
	if c.Over && w.Closed != nil {
		end = *w.Closed
	}
	for _, r := range w.Reached {
		if r.Time.Before(c.From) {
			c.From = r.Time
		}
		if r.Time.After(end) {
			end = r.Time
		}
	}
	c.Until = end
	past := max(end.Sub(c.From), time.Second)
	if f != nil {
		// The future gets as much room as the band needs, but the past stays readable.
		ahead := f.Latest.Sub(end)
		if f.Latest.IsZero() {
			ahead = 2 * f.Expected.Sub(end)
		}
		c.Until = end.Add(min(max(ahead*11/10, past/4), 6*past+4*f.Expected.Sub(end)))
	} else if !c.Over {
		c.Until = end.Add(past / 3)
	}
	x := func(t time.Time) float64 {
		return edge + (100-2*edge)*float64(t.Sub(c.From))/float64(max(c.Until.Sub(c.From), time.Second))
	}
	total := max(w.Total, 1)
	y := func(step int) float64 { return rungLow - (rungLow-rungTop)*float64(step-1)/float64(total) }
	c.rungs(w, total, y)
	c.rises(w, total, x, y, end)
	c.names()
	c.marks(w, x)
	c.Now = x(end)
	if f != nil {
		c.band(f, w, total, x, y, end)
	}
	return c
}

// rungs names the rungs: those that were reached, the next one, and the others that are known by number only.
func (c *climb) rungs(w *matcher.Warning, total int, y func(int) float64) {
	seen := 0
	for _, r := range w.Reached {
		if r.Stage == incidentRung || seen >= total {
			continue
		}
		seen++
		c.Rungs = append(c.Rungs, rung{Y: y(seen), Name: named(r.Title, r.Stage), Seen: true})
	}
	open := !w.State.Final()
	for n := seen + 1; n <= total; n++ {
		r := rung{Y: y(n), Name: fmt.Sprintf("stage %d", n)}
		if n == seen+1 && w.Next != nil && w.Next.Stage != incidentRung {
			r.Name, r.Next = named(w.Next.Title, w.Next.Stage), open
		}
		c.Rungs = append(c.Rungs, r)
	}
	last := rung{Y: y(total + 1), Name: "incident", Incident: true, Seen: w.Incident != nil}
	last.Next = open && !last.Seen && w.Next != nil && w.Next.Stage == incidentRung
	c.Rungs = append(c.Rungs, last)
}

// rises draws the line from rung to rung.
func (c *climb) rises(w *matcher.Warning, total int, x func(time.Time) float64, y func(int) float64, end time.Time) {
	step, lastX, lastY := 0, 0.0, 0.0
	for _, r := range w.Reached {
		rung := step + 1
		if r.Stage == incidentRung {
			rung = total + 1
		} else if rung > total {
			continue
		}
		at := dot{x(r.Time), y(rung), named(r.Title, r.Stage), r.Stage}
		if step > 0 {
			c.Rises = append(c.Rises, line{lastX, lastY, at.X, lastY}, line{at.X, lastY, at.X, at.Y})
		}
		c.Dots = append(c.Dots, at)
		step, lastX, lastY = rung, at.X, at.Y
	}
	if step == 0 {
		return
	}
	c.Rises = append(c.Rises, line{lastX, lastY, x(end), lastY})
	if !c.Over {
		c.Ahead = &line{x(end), lastY, 100 - edge, lastY}
	}
}

// names puts each rung's name where the line does not cross it: right of where the line leaves the rung, left of where it arrives, or on the way between.
func (c *climb) names() {
	const roomy = 42 // per cent that a name may take
	at := map[float64]int{}
	for i, d := range c.Dots {
		at[d.Y] = i
	}
	for i := range c.Rungs {
		r := &c.Rungs[i]
		n, seen := at[r.Y]
		if !seen {
			continue
		}
		arrives, leaves := c.Dots[n].X, 100.0
		if n+1 < len(c.Dots) {
			leaves = c.Dots[n+1].X
		}
		switch {
		case leaves <= 100-roomy:
			r.NameX = leaves + 1.2
		case arrives >= roomy || leaves-arrives < roomy && arrives > 100-leaves:
			r.NameX, r.AtEnd = arrives-1.5, true
		default:
			r.NameX = arrives + 1.2
		}
	}
}

// marks puts the records of evidence onto the rungs that they led to.
func (c *climb) marks(w *matcher.Warning, x func(time.Time) float64) {
	y := map[string]float64{}
	for _, d := range c.Dots {
		y[d.Stage] = d.Y
	}
	for _, e := range w.Evidence {
		if at, ok := y[e.Stage]; ok {
			c.Marks = append(c.Marks, dot{X: min(max(x(e.Time), 0), 100), Y: at})
		}
	}
}

func (c *climb) band(f *forecast, w *matcher.Warning, total int, x func(time.Time) float64, y func(int) float64, end time.Time) {
	from, until := f.Earliest, f.Latest
	if from.Before(end) {
		from = end
	}
	b := band{X: x(from), Open: until.IsZero(), Expected: min(max(x(f.Expected), x(end)), 100-edge)}
	right := 100 - edge
	if !b.Open {
		b.Beyond = x(until) > right
		right = min(max(x(until), b.X+1.5), right)
	}
	b.Width = max(right-b.X, 1.5)
	b.Y = y(total + 1)
	if !f.Incident {
		b.Y = y(min(stagesSeen(w)+1, total+1))
	}
	c.Band = &b
}

const incidentRung = "incident"

func named(title, name string) string {
	if title != "" {
		return title
	}
	return name
}

// stagesSeen counts the stages, without the incident.
func stagesSeen(w *matcher.Warning) int {
	n := 0
	for _, r := range w.Reached {
		if r.Stage != incidentRung {
			n++
		}
	}
	return min(n, max(w.Total, 1))
}

// ladderText says in words what the picture shows.
func ladderText(w *matcher.Warning, f *forecast, now time.Time) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%d of %s seen", stagesSeen(w), plural(max(w.Total, 1), "stage")) // a builder takes everything
	for i, r := range w.Reached {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		_, _ = fmt.Fprintf(&b, "%s%s %s", sep, named(r.Title, r.Stage), relative(r.Time.Sub(now)))
	}
	switch {
	case w.State.Final() || w.State == matcher.InIncident:
	case f == nil:
		b.WriteString("; no forecast yet")
	default:
		_, _ = fmt.Fprintf(&b, "; %s %s, %s", f.Of, f.text(now), f.interval(now))
	}
	return clean(b.String())
}
