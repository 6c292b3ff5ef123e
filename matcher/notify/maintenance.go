package notify

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Maintenance is a window that comes again, in which what it matches is held back as by a [Silence].
type Maintenance struct {
	Name  string   `yaml:"name" json:"name" doc:"What the window is called where it is told why something was held back."`
	Match []string `yaml:"match,omitempty" json:"match,omitempty" doc:"Matchers that all must hold, as those of a route; without them everything is held back."`
	Days  []string `yaml:"days,omitempty" json:"days,omitempty" doc:"The days on which it begins: mon to sun, or spans such as mon-fri; every day without them."`
	From  string   `yaml:"from" json:"from" doc:"When it begins, such as 22:00."`
	To    string   `yaml:"to" json:"to" doc:"When it ends, such as 02:00; not later than from means on the day after."`
	Zone  string   `yaml:"zone,omitempty" json:"zone,omitempty" doc:"The zone of these times, such as Europe/Berlin; UTC without it."`
}

// Window is a compiled [Maintenance].
type Window struct {
	Maintenance
	match    Matchers
	days     [7]bool
	from, to time.Duration // since midnight
	zone     *time.Location
}

// CompileMaintenance checks windows. All mistakes are found at once.
func CompileMaintenance(list []Maintenance) ([]Window, []Problem) {
	var all []Window
	var problems []Problem
	for i, m := range list {
		path := fmt.Sprintf("maintenance[%d]", i)
		add := func(field, mend string, err error) {
			if err != nil {
				problems = append(problems, Problem{path + field, err.Error(), mend})
			}
		}
		w := Window{Maintenance: m}
		if m.Name == "" {
			add(".name", "say what it is for", errors.New("the window has no name"))
		}
		for j, s := range m.Match {
			x, err := ParseMatcher(s)
			add(fmt.Sprintf(".match[%d]", j), "", err)
			w.match = append(w.match, x)
		}
		for j, s := range m.Days {
			add(fmt.Sprintf(".days[%d]", j), "use mon, tue, wed, thu, fri, sat, sun or a span such as mon-fri", w.day(s))
		}
		if len(m.Days) == 0 {
			w.days = [7]bool{true, true, true, true, true, true, true}
		}
		var err error
		w.from, err = clock(m.From)
		add(".from", "write it like 22:00", err)
		w.to, err = clock(m.To)
		add(".to", "write it like 02:00", err)
		w.zone, err = time.LoadLocation(m.Zone)
		add(".zone", "use UTC or a name such as Europe/Berlin", err)
		all = append(all, w)
	}
	return all, problems
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (w *Window) day(s string) error {
	first, last, span := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "-")
	if !span {
		last = first
	}
	from, to := -1, -1
	for i, name := range weekdays {
		if name == first {
			from = i
		}
		if name == last {
			to = i
		}
	}
	if from < 0 || to < 0 {
		return fmt.Errorf("%q is no day", s)
	}
	for i := from; ; i = (i + 1) % 7 {
		w.days[i] = true
		if i == to {
			return nil
		}
	}
}

func clock(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of the day", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Active reports whether the window is open at a time. It is judged by the clock of its zone, so that a window over a change of the clocks ends when that
// clock says so.
func (w *Window) Active(now time.Time) bool {
	now = now.In(w.zone)
	at := time.Duration(now.Hour())*time.Hour + time.Duration(now.Minute())*time.Minute + time.Duration(now.Second())*time.Second
	today, before := w.days[now.Weekday()], w.days[(now.Weekday()+6)%7]
	if w.from < w.to {
		return today && at >= w.from && at < w.to
	}
	return today && at >= w.from || before && at < w.to
}

// Holds reports whether the window holds back a warning with these labels at a time.
func (w *Window) Holds(l Labels, now time.Time) bool { return w.match.Matches(l) && w.Active(now) }
