package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Route sends the warnings that it matches to destinations, as the configuration file holds it. Routes are looked at in order; the first that
// matches decides, and with Continue those after it are looked at too.
type Route struct {
	Name          string               `yaml:"name,omitempty" json:"name,omitempty" doc:"What the route is called where it is explained; its place in the list without it."`
	Match         []string             `yaml:"match,omitempty" json:"match,omitempty" doc:"Matchers that all must hold: label=value, !=, =~ or !~ with an expression that matches the whole value. Labels are signature, severity, state, stage, cluster, namespace, node, pod, container, workload, volume, component, id and every part of the key by its name. The last route has none: it takes what is left."`
	To            []string             `yaml:"to" json:"to" doc:"The names of the destinations."`
	Continue      bool                 `yaml:"continue,omitempty" json:"continue,omitempty" doc:"Look at the routes after this one too."`
	GroupBy       []string             `yaml:"group_by,omitempty" json:"group_by,omitempty" doc:"Labels: warnings with the same values are told together; [id] tells every warning alone. Without it, people are told by cluster and signature, and tools each warning alone."`
	GroupWait     *signatures.Duration `yaml:"group_wait,omitempty" json:"group_wait,omitempty" doc:"How long the first warning of a group waits for others; what is imminent or an incident never waits. Without it, not at all."`
	GroupInterval *signatures.Duration `yaml:"group_interval,omitempty" json:"group_interval,omitempty" doc:"How long after a message of a group the next one comes that tells of further warnings; 5m without it. Changes of a few warnings that were told are told at once."`
	Budget        *Budget              `yaml:"budget,omitempty" json:"budget,omitempty" doc:"How many messages this route may send to each destination; what is over it is told in a digest. Without it the destination's."`
}

// Routes are the compiled routes of a configuration. The zero value sends everything everywhere.
type Routes struct{ list []compiledRoute }

type compiledRoute struct {
	Route
	match Matchers
}

// Problem is a mistake in a part of the configuration.
type Problem struct {
	Path    string // the field, such as routes[1].match[0]
	Message string
	Mend    string
}

// CompileRoutes checks routes to destinations of these names. All mistakes are found at once.
func CompileRoutes(list []Route, names []string) (Routes, []Problem) {
	var all Routes
	var problems []Problem
	seen := map[string]bool{}
	for i, r := range list {
		c := routeCheck{at: fmt.Sprintf("routes[%d]", i)}
		if r.Name == "" {
			r.Name = fmt.Sprintf("route %d", i+1)
		}
		if seen[r.Name] {
			c.add(".name", "give each route a name of its own", "the name %q stands twice", r.Name)
		}
		seen[r.Name] = true
		match := c.route(&r, names)
		switch last := i == len(list)-1; {
		case !last && len(r.Match) == 0 && !r.Continue:
			c.add("", "move it to the end, give it a match, or set continue", "the route takes everything, so that none after it is ever looked at")
		case last && len(r.Match) > 0:
			c.add(".match", "add a last route with `to` and no match", "a warning that no route matches would go nowhere: the last route must take what is left")
		}
		all.list, problems = append(all.list, compiledRoute{r, match}), append(problems, c.problems...)
	}
	return all, problems
}

// routeCheck collects what is wrong with the route at a place.
type routeCheck struct {
	at       string
	problems []Problem
}

func (c *routeCheck) add(field, mend, format string, args ...any) {
	c.problems = append(c.problems, Problem{c.at + field, fmt.Sprintf(format, args...), mend})
}

// route checks what a route says for itself, and returns its matchers.
func (c *routeCheck) route(r *Route, names []string) (match Matchers) {
	for j, s := range r.Match {
		m, err := ParseMatcher(s)
		if err != nil {
			c.add(fmt.Sprintf(".match[%d]", j), "", "%v", err)
		}
		match = append(match, m)
	}
	if len(r.To) == 0 {
		c.add("", "name the destinations in to", "the route leads nowhere")
	}
	for j, to := range r.To {
		if !slices.Contains(names, to) {
			c.add(fmt.Sprintf(".to[%d]", j), "use one of: "+orNone(names), "there is no destination %q", to)
		}
	}
	for j, label := range r.GroupBy {
		if strings.TrimSpace(label) == "" || strings.ContainsAny(label, "=!~ ") {
			c.add(fmt.Sprintf(".group_by[%d]", j), "use labels, such as signature and namespace, or [id] for every warning alone", "%q is no label", label)
		}
	}
	for _, d := range []struct {
		field string
		value *signatures.Duration
	}{{".group_wait", r.GroupWait}, {".group_interval", r.GroupInterval}} {
		if d.value != nil && (*d.value < 0 || time.Duration(*d.value) > 24*time.Hour) {
			c.add(d.field, "use 0s to 24h", "%s is no time to wait", time.Duration(*d.value))
		}
	}
	if r.Budget != nil {
		if err := r.Budget.check(); err != nil {
			c.add(".budget", "", "%v", err)
		}
	}
	return match
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none is configured: add one under notify"
	}
	return strings.Join(names, ", ")
}

// Hop is what became of a warning at one route.
type Hop struct {
	Route   string   `json:"route"`
	To      []string `json:"to,omitempty"`      // where it goes by this route
	Because string   `json:"because,omitempty"` // the matcher that does not hold, where it does not match
}

// Explain walks the routes as they are walked for a warning with these labels.
func (rs *Routes) Explain(l Labels) []Hop {
	var hops []Hop
	for i := range rs.list {
		r := &rs.list[i]
		if m, failed := r.match.failing(l); failed {
			hops = append(hops, Hop{Route: r.Name, Because: fmt.Sprintf("%s does not hold: it is %q", m, l[m.name])})
			continue
		}
		hops = append(hops, Hop{Route: r.Name, To: r.To})
		if !r.Continue {
			break
		}
	}
	return hops
}

// to finds the route by which a warning with these labels goes to a destination: its number, or noRoute when it does not.
func (rs *Routes) to(destination string, l Labels) int {
	if len(rs.list) == 0 {
		return everything
	}
	for i := range rs.list {
		r := &rs.list[i]
		if !r.match.Matches(l) {
			continue
		}
		if slices.Contains(r.To, destination) {
			return i
		}
		if !r.Continue {
			return noRoute
		}
	}
	return noRoute
}

const (
	noRoute    = -1 // the warning does not go there
	everything = -2 // there are no routes
)

// follow is to, for a warning that may be over.
func (rs *Routes) follow(destination string, w *matcher.Warning, l Labels) int {
	if at := rs.to(destination, l); at != noRoute || !w.State.Final() {
		return at
	}
	// Whoever was told of it by what it was is told of its end. What it was can be read from the last revision.
	for _, s := range statesBefore(w) {
		l["state"] = string(s)
		if at := rs.to(destination, l); at != noRoute {
			l["state"] = string(w.State)
			return at
		}
	}
	l["state"] = string(w.State)
	return noRoute
}

// statesBefore are the states that a closed warning has been in, the gravest first.
func statesBefore(w *matcher.Warning) []matcher.State {
	states := []matcher.State{matcher.Forming}
	if StagesSeen(w) >= w.Total || w.Forecast != nil || w.Incident != nil {
		states = append(states, matcher.Imminent)
	}
	if w.Incident != nil {
		states = append(states, matcher.InIncident)
	}
	slices.Reverse(states)
	return states
}

// manner is how a destination is told of what comes by a route.
type manner struct {
	alone          bool // every warning, every revision, at once
	by             []string
	wait, interval time.Duration
	budget         *Budget // nil: none
	lane           string  // which messages the budget counts together
}

const (
	// gather is how long after the first message of a group, or the first warning that is over the budget, others are waited for.
	gather          = 30 * time.Second
	defaultInterval = 5 * time.Minute
)

// manner returns how a destination is told by a route.
func (rs *Routes) manner(at int, person bool) manner {
	m := manner{alone: !person, by: []string{"cluster", "signature"}, interval: defaultInterval}
	if person {
		m.budget = &Budget{Messages: 5, Per: signatures.Duration(10 * time.Minute)}
	}
	if at < 0 || at >= len(rs.list) {
		return m
	}
	r := &rs.list[at]
	if r.GroupBy != nil {
		m.by, m.alone = r.GroupBy, false
	}
	if r.GroupWait != nil {
		m.wait, m.alone = time.Duration(*r.GroupWait), false
	}
	if r.GroupInterval != nil {
		m.interval, m.alone = time.Duration(*r.GroupInterval), false
	}
	if r.Budget != nil {
		m.budget, m.lane, m.alone = r.Budget, r.Name, false
	}
	return m
}

// direct reports whether a destination is told of every warning alone, by whichever route.
func (rs *Routes) direct(destination string, person bool) bool {
	if person {
		return false
	}
	for i := range rs.list {
		if slices.Contains(rs.list[i].To, destination) && !rs.manner(i, person).alone {
			return false
		}
	}
	return true
}

// ProblemsError joins problems into one error, or returns nil.
func ProblemsError(problems []Problem) error {
	var all []error
	for _, p := range problems {
		err := fmt.Errorf("%s: %s", p.Path, p.Message)
		if p.Mend != "" {
			err = fmt.Errorf("%w: %s", err, p.Mend)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Person reports whether people read the destination, so that warnings are grouped and budgeted there unless a route says otherwise.
func (d *Destination) Person() bool {
	return slices.Contains([]string{"terminal", "slack", "teams", "email", "pagerduty"}, d.Type)
}
