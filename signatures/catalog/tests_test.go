package catalog

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
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
		met = met || c.Change != nil || c.Sample != nil // it has no text, and may be what the tests use
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

// Records of a test arrive in the order in which they stand; those that come too late for their time would be judged as late.
func TestRecordsStandInTheOrderOfTheirTimes(t *testing.T) {
	for _, s := range load(t) {
		for i := range s.Tests {
			records, err := s.Tests[i].Build(time.Unix(0, 0))
			require.NoError(t, err)
			inOrder := slices.IsSortedFunc(records, func(a, b record.Record) int { return cmp.Compare(a.Time, b.Time) })
			require.True(t, inOrder, "%s: %s", s.ID, s.Tests[i].Name)
		}
	}
}

func TestSignaturesPassTheirOwnTests(t *testing.T) {
	for _, s := range load(t) {
		for i := range s.Tests {
			t.Run(s.ID+"/"+s.Tests[i].Name, func(t *testing.T) {
				require.Empty(t, matcher.RunTest(s, &s.Tests[i]))
			})
		}
	}
}

// What is a near miss of one signature must not be another's false alarm. Some near misses are another failure, and that one is right.
func TestNearMissesRaiseNoOtherSignature(t *testing.T) {
	rightly := map[string]string{
		"node-flapping: one reboot today and one tomorrow":                           "node-not-ready",
		"nodes-lost-together: a rolling replacement of nodes, one every ten minutes": "node-not-ready",
	}
	all := load(t)
	program := compile(t)
	for _, of := range all {
		for _, miss := range nearMisses(of) {
			name := of.ID + ": " + miss.Name
			met := meets(t, program, miss)
			for _, s := range all {
				if !met[s.ID] {
					require.NotEqual(t, s.ID, rightly[name], "%s is said to raise it", name)
					continue
				}
				if rightly[name] == s.ID {
					require.NotEmpty(t, matcher.RunTest(s, miss), "%s is said to raise %s", name, s.ID)
					continue
				}
				require.Empty(t, matcher.RunTest(s, miss), "the near miss %q, seen by %s", name, s.ID)
			}
		}
	}
}

// meets returns the ids of the signatures of which any record of the test meets any condition.
func meets(t *testing.T, program *matcher.Program, c *signatures.Test) map[string]bool {
	t.Helper()
	var builder record.Builder
	require.NoError(t, builder.Reset(record.Header{Source: "test", Kinds: 0b111110}))
	records, err := c.Build(time.Unix(0, 0))
	require.NoError(t, err)
	for i := range records {
		require.NoError(t, builder.Add(&records[i]))
	}
	var batch record.Batch
	require.NoError(t, batch.Decode(builder.AppendTo(nil)))
	ids := map[string]bool{}
	for _, h := range program.Scan(&batch, matcher.NewScratch(program)) {
		ids[program.Lookup(h.Signature).Signature.ID] = true
	}
	return ids
}
