package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestEverySignatureIsShownWhole(t *testing.T) {
	for _, s := range load(t) {
		ends := func(state matcher.State) bool {
			return slices.ContainsFunc(s.Tests, func(c signatures.Test) bool {
				return slices.ContainsFunc(c.Expect, func(e signatures.Expect) bool { return e.State == string(state) })
			})
		}
		require.True(t, ends(matcher.InIncident), "%s: a test climbs to the incident", s.ID)
		require.True(t, ends(matcher.Resolved), "%s: a test shows how it clears after the incident", s.ID)
		require.True(t, ends(matcher.Averted), "%s: a test is averted", s.ID)
		require.NotEmpty(t, nearMisses(s), "%s: a test raises nothing", s.ID)
		require.NotEmpty(t, s.Title+s.Incident.Title)
		for _, st := range s.Stages {
			require.NotEmpty(t, st.Title, "%s: stage %s says what it means", s.ID, st.Name)
		}
	}
}

// A text that stands in a condition and in no test is a guess.
func TestEveryTextStandsInATest(t *testing.T) {
	for _, s := range load(t) {
		var said strings.Builder
		for _, c := range s.Tests {
			for _, r := range c.Records {
				said.WriteString(r.Log + "\n")
				if r.Event != nil {
					said.WriteString(r.Event.Message + "\n")
				}
			}
		}
		whens := []signatures.Condition{s.Incident.When}
		for _, st := range s.Stages {
			whens = append(whens, st.When)
		}
		for i := range whens {
			met, texts := someTextIn(&whens[i], said.String())
			require.True(t, met, "%s: no test says any of %q", s.ID, texts)
		}
	}
}

// someTextIn reports whether at least one of a condition's texts, as it is written, stands in what the tests say. A condition
// without texts passes.
func someTextIn(c *signatures.Condition, said string) (bool, []string) {
	var met, some bool
	var texts []string
	leaf := func(text signatures.Text) {
		if len(text.Any)+len(text.All) == 0 {
			return
		}
		some = true
		texts = append(append(texts, text.Any...), text.All...)
		all := !slices.ContainsFunc(text.All, func(w string) bool { return !strings.Contains(said, w) })
		anyOf := len(text.Any) == 0 || slices.ContainsFunc(text.Any, func(w string) bool { return strings.Contains(said, w) })
		met = met || all && anyOf
	}
	var walk func(*signatures.Condition)
	walk = func(c *signatures.Condition) {
		for i := range c.All {
			walk(&c.All[i])
		}
		for i := range c.Any {
			walk(&c.Any[i])
		}
		if c.Event != nil {
			leaf(c.Event.Message)
		}
		if c.Log != nil {
			leaf(c.Log.Contains)
		}
		if c.Change != nil || c.Sample != nil {
			// It has no text, and may be what the tests use.
			met = met || len(c.Any) > 0
		}
	}
	walk(c)
	return met || !some, texts
}

func nearMisses(s *signatures.Signature) []*signatures.Test {
	var out []*signatures.Test
	for i := range s.Tests {
		if len(s.Tests[i].Expect) == 0 {
			out = append(out, &s.Tests[i])
		}
	}
	return out
}
