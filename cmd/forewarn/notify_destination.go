package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

// wrongDestination finds what is wrong in a destination, each mistake at its own key.
func wrongDestination(d notify.Destination, env notify.Env, path string, place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	_, err := notify.New(d, env)
	for _, m := range notify.Mistakes(err) {
		at := path
		if m.Key != "" {
			at += "." + m.Key
		}
		message := m.Message
		if d.Name != "" {
			message = fmt.Sprintf("destination %q: %s", d.Name, message)
		}
		problems = append(problems, place(at, message, m.Mend))
	}
	return problems
}

// chosen are the destinations of the settings with these names, all of them without one; the terminal when none is configured.
func (s *settings) chosen(names []string) ([]notify.Destination, error) {
	all := s.Notify
	if len(all) == 0 {
		all = []notify.Destination{{Name: "terminal", Type: "terminal"}}
	}
	if len(names) == 0 {
		return all, nil
	}
	var have []string
	for _, d := range all {
		have = append(have, d.Name)
	}
	var out []notify.Destination
	for _, name := range names {
		i := slices.Index(have, name)
		if i < 0 {
			return nil, usage("there is no destination %q: the configuration has %s", name, strings.Join(have, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}
