package notify

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// known is a warning of which sightings tell everything.
func known() matcher.Warning {
	w := warning(2, matcher.Imminent)
	w.Remedies = []signatures.Remedy{
		{Do: "See who uses the memory.", Risk: signatures.Look, Command: "kubectl top pods --field-selector spec.nodeName={{ .node }}"},
		{Do: "See what the kernel says.", Risk: signatures.Look, Command: "kubectl debug node/{{ .node }} -it --image=busybox"},
		{Do: "Restart the largest pod.", Risk: signatures.Restart, Command: "kubectl delete pod <pod>"},
	}
	at := func(minutes int) time.Time { return w.Time.Add(time.Duration(minutes) * time.Minute) }
	w.Outlook = &matcher.Outlook{
		Here: matcher.Past{Reached: 23, Incident: 9, Averted: 12, Expired: 2}, Elsewhere: matcher.Past{Reached: 1, Incident: 1},
		Next:     &matcher.Interval{Earliest: at(5), Expected: at(9), Latest: at(20), Of: 12},
		Incident: &matcher.Interval{Earliest: at(30), Expected: at(60 * 13), Of: 10},
		Remedies: []matcher.Outcome{{Remedy: w.Remedies[2].Name(), Done: 6, Helped: 5}, {Remedy: w.Remedies[1].Name(), Done: 3, Helped: 1}},
	}
	w.Links = []matcher.Link{{Title: "Console", URL: "https://console.example/warnings/00c0ffee00c0ffee"}, {Title: "docs.example", URL: "https://docs.example/eviction"}}
	w.Evidence = nil
	for i := range 6 {
		w.Evidence = append(w.Evidence, matcher.Evidence{Time: start.Add(time.Duration(i) * time.Second), Kind: "log", Text: fmt.Sprintf("line %d", i), Record: uint64(i + 1)})
	}
	return w
}

func TestTextTellsEverythingInTheOrderOfTheNight(t *testing.T) {
	w := known()
	require.Equal(t, `2026-11-20 12:01:00  IMMINENT  Node runs out of memory  node=worker-1
  pods are evicted
  ■□ 1 of 2 stages seen, severity critical, signature node-memory-eviction
  next expected: the node reports pressure (0 of 1 records)
  how long: next about 12:10 (12:06 to 12:21, 80 % of 12)
  how long: incident about 2026-11-21 01:01 (not before 12:31, 80 % of 10)
  before, here: got this far 23 times: 9 became an incident, 12 averted, 2 expired
  before, elsewhere: got this far 1 time: 1 became an incident
  what ended it: restart: Restart the largest pod. (helped 5 of 6); look: See what the kernel says. (helped 1 of 3)
  do first (look): See what the kernel says.
      $ kubectl debug node/worker-1 -it --image=busybox
    12:00:00 log    line 0
    12:00:04 log    line 4
    12:00:05 log    line 5
  Console: https://console.example/warnings/00c0ffee00c0ffee
  docs.example: https://docs.example/eviction
`, Text(&w, Style{Evidence: 3}))
	w.State = matcher.InIncident
	require.NotContains(t, Text(&w, Style{}), "how long", "it is there")
	w.State = matcher.Averted
	require.NotContains(t, Text(&w, Style{}), "got this far")
}

func TestTheSafestRemedyComesFirstAndOfTheseTheBest(t *testing.T) {
	w := known()
	require.Equal(t, "See what the kernel says.", FirstRemedy(&w).Do, "restarting helped more often, and is riskier")
	w.Outlook = nil
	require.Equal(t, "See who uses the memory.", FirstRemedy(&w).Do)
	w.Remedies = []signatures.Remedy{{Do: "b", Risk: signatures.Data}, {Do: "a", Risk: "odd"}, {Do: "c", Risk: signatures.Scale}}
	require.Equal(t, "c", FirstRemedy(&w).Do, "whatever the order in the file")
	w.Remedies = nil
	require.Nil(t, FirstRemedy(&w))
}

func TestASlopeIsTheForecastWhereNoSightingIs(t *testing.T) {
	w := warning(1, matcher.Forming)
	require.Equal(t, []string{"how long: no forecast yet"}, HowLong(&w, nil))
	w.Forecast = &matcher.Forecast{Metric: "disk", Value: 80, Limit: 100, Expected: start, Earliest: start, Latest: start}
	w.Outlook = &matcher.Outlook{Incident: &matcher.Interval{Earliest: start, Expected: start, Latest: start}}
	require.Len(t, HowLong(&w, nil), 1, "the same is not said twice")
	require.Contains(t, HowLong(&w, nil)[0], "disk (now 80) reaches 100")
}

func TestPlainLeavesOutWhatMattersLeastAndNeverPartOfACommand(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := known()
		long := func(most int) string { return strings.Repeat("é ", r.IntN(most)) }
		w.Title, w.Impact, w.KeyText = "Node"+long(300), long(400), long(100)
		w.Key[0].Value = "n" + strings.Repeat("x", r.IntN(300))
		w.Remedies[1].Do = "See what " + long(300)
		w.Outlook.Remedies = nil
		for i := range w.Evidence {
			w.Evidence[i].Text += " " + long(200)
		}
		for range r.IntN(4) {
			w.Incomplete = append(w.Incomplete, long(100))
		}
		command := "      $ " + Command(&w, FirstRemedy(&w))
		text := Plain(&w)
		require.LessOrEqual(t, len([]rune(text)), 1000, "seed %d", seed)
		for l := range strings.Lines(text) {
			if strings.HasPrefix(l, "      $ ") {
				require.Equal(t, command, strings.TrimSuffix(l, "\n"), "seed %d", seed)
			}
		}
		require.Contains(t, text, "Node", "what it is about is always there")
		if strings.Contains(text, "line 2") {
			require.Contains(t, text, command, "evidence in the middle goes before the remedy")
			require.Contains(t, text, "line 0")
			require.Contains(t, text, "line 5")
		}
		if !strings.Contains(text, "how long") {
			require.NotContains(t, text, "line ", "evidence goes before how long there is")
		}
	}
	w := known()
	w.Remedies[0].Command, w.Outlook = "echo "+strings.Repeat("x", 2000), nil
	require.Contains(t, Plain(&w), "its command is too long for this message")
	require.Contains(t, Plain(&w), "how long: no forecast yet")
}

func TestProgramsAreGivenCommandsAsPeopleAre(t *testing.T) {
	w := matcher.Warning{
		Key:      []record.Attr{{Key: "pod", Value: "{{ .namespace }}"}},
		Remedies: []signatures.Remedy{{Do: "Look.", Risk: "look", Command: "kubectl -n {{ .namespace }} logs {{ .pod }}"}, {Do: "Wait.", Risk: "look"}},
	}
	var out strings.Builder
	require.NoError(t, (&JSONLines{Out: &out}).Notify(t.Context(), Single(w)))
	var told matcher.Warning
	require.NoError(t, json.Unmarshal([]byte(out.String()), &told))
	require.Equal(t, "kubectl -n <namespace> logs '{{ .namespace }}'", told.Remedies[0].Command)
	require.Empty(t, told.Remedies[1].Command)
	require.Equal(t, "kubectl -n {{ .namespace }} logs {{ .pod }}", w.Remedies[0].Command, "the warning itself stays as it is")
}
