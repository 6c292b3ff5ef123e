package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

// rules are the compiled routes, inhibitions and maintenance windows of the settings.
type rules struct {
	routes      notify.Routes
	inhibit     []notify.Inhibitor
	maintenance []notify.Window
}

// rules compiles what decides where warnings go, and finds all mistakes in it.
func (s *settings) rules() (r rules, problems []notify.Problem) {
	var names []string
	for _, d := range s.Notify {
		names = append(names, d.Name)
	}
	if len(names) == 0 {
		names = []string{"terminal"}
	}
	var more []notify.Problem
	r.routes, problems = notify.CompileRoutes(s.Routes, names)
	r.inhibit, more = notify.CompileInhibit(s.Inhibit)
	problems = append(problems, more...)
	r.maintenance, more = notify.CompileMaintenance(s.Maintenance)
	return r, append(problems, more...)
}

// windows are the maintenance windows, which were checked when they were read.
func (s *settings) windows() []notify.Window {
	all, _ := notify.CompileMaintenance(s.Maintenance)
	return all
}

// checkRules finds mistakes in routes, inhibitions and maintenance windows.
func (s *settings) checkRules(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	_, wrong := s.rules()
	for _, p := range wrong {
		problems = append(problems, place(p.Path, p.Message, p.Mend))
	}
	return problems
}

// warningFlags describe a warning that is only thought of.
type warningFlags struct {
	severity, state, signature string
	labels                     []string
}

// labels returns its labels, or what is wrong with the flags.
func (f *warningFlags) warning() (matcher.Warning, error) {
	w := matcher.Warning{
		ID: "dry-run", Revision: 1, Signature: f.signature, Severity: signatures.Severity(f.severity), State: matcher.State(f.state), Stage: "stage",
	}
	if f.severity != "" && w.Severity.Rank() >= len(signatures.Severities()) {
		return w, usage("--severity %q: use %s", f.severity, strings.Join(severities(), ", "))
	}
	switch w.State {
	case matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Averted, matcher.Resolved, matcher.Expired:
	default:
		return w, usage("--state %q: use forming, imminent, incident, averted, resolved or expired", f.state)
	}
	for _, l := range f.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return w, usage("label %q: write it like namespace=payments", l)
		}
		w.Key = append(w.Key, record.Attr{Key: name, Value: value})
	}
	return w, nil
}

// routed is what `forewarn notify route` tells of one destination.
type routed struct {
	Destination string `json:"destination"`
	Told        bool   `json:"told"`
	Because     string `json:"because"`
}

func newNotifyRoute(g *globals) *cobra.Command {
	var f warningFlags
	var file string
	c := &cobra.Command{
		Use:   "route [LABEL=VALUE...]",
		Short: "Say which destinations a warning would go to, and why",
		Long: `route walks the routes of a configuration for a warning of which the labels are given, and tells at each one whether it matches, and of
each destination whether it would be told. Nothing is sent. Silences are not looked at, as they are the running forewarn's; maintenance windows are.`,
		Example: `  forewarn notify route -c forewarn.yaml --severity critical --state imminent namespace=payments
  forewarn notify route -c forewarn.yaml --signature pod-oom-killed pod=cart-7d9f namespace=shop`,
		RunE: func(_ *cobra.Command, labels []string) error {
			if file == "" {
				return usage("--config is missing: name the configuration whose routes are to be walked")
			}
			s, err := readSettings(file)
			if err != nil {
				return err
			}
			f.labels = labels
			w, err := f.warning()
			if err != nil {
				return err
			}
			return g.tellRoute(&s, &w, time.Now())
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "the configuration file")
	c.Flags().StringVar(&f.severity, "severity", string(signatures.High), "the warning's severity")
	c.Flags().StringVar(&f.state, "state", string(matcher.Forming), "its state")
	c.Flags().StringVar(&f.signature, "signature", "", "the id of its signature")
	completeValues(c, map[string][]string{"severity": severities(), "state": {"forming", "imminent", "incident", "averted", "resolved", "expired"}})
	return c
}

// tellRoute prints where a warning would go.
func (g *globals) tellRoute(s *settings, w *matcher.Warning, now time.Time) error {
	r, _ := s.rules() // they were checked when they were read
	labels := notify.LabelsOf(w)
	hops := r.routes.Explain(labels)
	by := map[string]string{}
	for _, h := range hops {
		for _, to := range h.To {
			if by[to] == "" {
				by[to] = h.Route
			}
		}
	}
	held := notify.HeldBy(labels, nil, r.maintenance, now)
	var all []routed
	list := s.Notify
	if len(list) == 0 {
		list = []notify.Destination{{Name: "terminal"}}
	}
	for i := range list {
		d := &list[i]
		x := routed{Destination: d.Name}
		switch {
		case !d.Wants(w):
			x.Because = fmt.Sprintf("it takes nothing below severity %s", d.Severity)
		case len(s.Routes) > 0 && by[d.Name] == "":
			x.Because = "no route that matches leads there"
		case held != "":
			x.Because = "held back by " + held
		default:
			x.Told, x.Because = true, "there are no routes: everything goes everywhere"
			if by[d.Name] != "" {
				x.Because = "by " + by[d.Name]
			}
		}
		all = append(all, x)
	}
	out := struct {
		Routes       []notify.Hop `json:"routes"`
		Destinations []routed     `json:"destinations"`
	}{append([]notify.Hop{}, hops...), all}
	return g.print(out, func(w io.Writer) error {
		for _, h := range hops {
			line := fmt.Sprintf("%s matches: to %s", h.Route, strings.Join(h.To, ", "))
			if h.Because != "" {
				line = fmt.Sprintf("%s does not match: %s", h.Route, h.Because)
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		rows := [][]string{{"DESTINATION", "TOLD", "BECAUSE"}}
		for _, x := range all {
			rows = append(rows, []string{x.Destination, map[bool]string{true: "yes", false: "no"}[x.Told], x.Because})
		}
		return table(w, rows)
	})
}

// notifyStatus is the role in the keys of the delivering processes' statuses.
const notifyStatus = "notify"

// deliveryStatus is what a delivering process says of itself.
type deliveryStatus struct {
	Instance     string              `json:"instance"`
	Time         time.Time           `json:"time"`
	Stopped      bool                `json:"stopped,omitempty"`
	Destinations []destinationStatus `json:"destinations"`
	Sightings    *sightings.Status   `json:"sightings,omitempty"`
}

type destinationStatus struct {
	Name string `json:"name"`
	notify.Counts
}

// processName names this process among all that are on the stream.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}

// tellDeliveries puts the deliveries' status until ctx ends.
func (p *process) tellDeliveries(ctx context.Context) {
	st := deliveryStatus{Instance: processName()}
	failing := false
	put := func(ctx context.Context) {
		st.Time, st.Destinations = time.Now().UTC(), nil
		if p.keeper != nil {
			st.Sightings = new(p.keeper.Status())
		}
		for _, d := range p.deliveries {
			st.Destinations = append(st.Destinations, destinationStatus{d.Name, d.Counts()})
		}
		b, err := json.Marshal(st)
		if err == nil {
			err = p.stream.PutStatus(ctx, stream.StatusKey(notifyStatus, st.Instance), b)
		}
		if err != nil && !failing && ctx.Err() == nil {
			p.log.Warn("the status of the destinations cannot be told", "error", err)
		}
		failing = err != nil
	}
	t := time.NewTicker(goneAfter / 3)
	defer t.Stop()
	for ctx.Err() == nil {
		put(ctx)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	st.Stopped = true
	put(last)
}

// deliveryTable shows the destinations of all processes, and what is silenced.
func deliveryTable(w io.Writer, processes []deliveryStatus, quiet []silenced, now time.Time) error {
	rows := [][]string{{"DESTINATION", "PROCESS", "STATE", "MESSAGES", "DIGESTED", "SILENCED", "INHIBITED", "WAITING", "HELD", "REFUSED"}}
	var notes []string
	for _, p := range processes {
		for i := range p.Destinations {
			d := &p.Destinations[i]
			state := "serving"
			switch {
			case now.Sub(p.Time) > goneAfter:
				state = "has told nothing for " + age(now, p.Time)
			case d.Waiting > 0 && d.LastError != "" && d.Failed > 0:
				state = "waiting for messages to be taken"
			case !d.Active:
				state = "ready"
			}
			number := func(n uint64) string { return strconv.FormatUint(n, 10) }
			rows = append(rows, []string{
				d.Name, p.Instance, state, number(d.Router.Messages), number(d.Router.Digested), number(d.Router.Silenced),
				number(d.Router.Inhibited), strconv.Itoa(d.Waiting), strconv.Itoa(d.Held), number(d.Refused),
			})
			if d.LastError != "" {
				notes = append(notes, fmt.Sprintf("  %s, last error: %s", d.Name, strings.ReplaceAll(d.LastError, "\n", "\n    ")))
			}
		}
	}
	for i := range processes {
		if s := processes[i].Sightings; s != nil && s.Failed > 0 {
			notes = append(notes, fmt.Sprintf("  sightings, %s: %s, each tried again, last error: %s", processes[i].Instance, plural(s.Failed, "failure"), strings.ReplaceAll(s.LastError, "\n", "\n    ")))
		}
	}
	for _, x := range quiet {
		notes = append(notes, fmt.Sprintf("  silenced: %s, by %s", x.Warning, x.By))
	}
	if len(rows) > 1 {
		if err := table(w, rows); err != nil {
			return err
		}
		notes = append(notes, "")
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}
