package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

// server starts a NATS of a cluster, and returns its URL and how warnings are told on it.
func server(t *testing.T) (nats string, tell func(matcher.Warning)) {
	t.Helper()
	dir := t.TempDir()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.EnsureStreams(t.Context()))
	nats, err = stream.FindURL(dir)
	require.NoError(t, err)
	out, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	return nats, func(w matcher.Warning) {
		body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
		require.NoError(t, err)
		require.NoError(t, out.PublishWarning(t.Context(), pipeline.WarningID(w.ID, w.Revision), body))
		require.NoError(t, out.Flush(t.Context()))
	}
}

// ladder is a warning of two stages that began so long ago; with an incident it is over, and the steps took some minutes.
func ladder(id int, ago time.Duration, minutes float64, over bool) matcher.Warning {
	opened := time.Now().UTC().Add(-ago).Truncate(time.Second)
	at := func(m float64) time.Time { return opened.Add(time.Duration(m * float64(time.Minute))) }
	w := matcher.Warning{
		ID: fmt.Sprintf("%016x", id), Revision: 1, Signature: "cart-loses-its-database", Digest: strings.Repeat("ab", 32), Title: "The cart loses its database",
		Severity: signatures.High, State: matcher.Forming, Key: []record.Attr{{Key: "pod", Value: "cart-planted"}}, KeyText: "cart-planted", Total: 2, Opened: opened, Time: opened,
		Reached:  []matcher.Reached{{Stage: "slow", Time: opened, Count: 1}},
		Remedies: []signatures.Remedy{{Do: "Look at the queries.", Risk: signatures.Look}, {Do: "Restart the pool.", Risk: signatures.Restart}},
	}
	if over {
		incident, closed := at(minutes), at(minutes+5)
		w.Reached = append(w.Reached, matcher.Reached{Stage: "incident", Time: incident, Count: 1})
		w.State, w.Incident, w.Closed, w.Time, w.Lead = matcher.Resolved, &incident, &closed, closed, incident.Sub(opened)
	}
	return w
}

// TestSightingsOfTwoClusters runs two notifying processes of one cluster and one of another, which share what they count: each warning counts once, the next
// one is told with what came before, here and elsewhere, and people's words reach all.
func TestSightingsOfTwoClusters(t *testing.T) {
	t.Parallel()
	shared, _ := server(t)
	here, tellHere := server(t)
	there, tellThere := server(t)
	config := file(t, "forewarn.yaml", "notify: [{name: out, type: json}]\nsightings: {share: {url: \""+shared+"\"}}\n")
	var processes []*running
	for _, nats := range []string{here, here, there} {
		p := start(t, "notify", "-c", config, "--nats", nats, "--data-dir", t.TempDir(), "--log-level", "debug")
		p.logged("msg=running")
		processes = append(processes, p)
	}
	for i := range 12 {
		tellHere(ladder(100+i, 3*time.Hour, float64(20+i), true))
		tellThere(ladder(200+i, 3*time.Hour, float64(20+i), true))
	}
	counted := func(nats string) (s sightings.Summary) {
		a := cli(t, "sightings", "show", "--nats", nats, "-o", "json")
		require.Zero(t, a.code, a.err)
		var all []sightings.Summary
		require.NoError(t, json.Unmarshal([]byte(a.out), &all))
		if len(all) == 1 {
			s = all[0]
		}
		return s
	}
	eventually(t, "each counts its own once", func() bool { return counted(here).Here.Incident == 12 && counted(there).Here.Incident == 12 })

	// By hand, in a file, twice.
	exported := filepath.Join(t.TempDir(), "there.json")
	require.Zero(t, cli(t, "sightings", "export", "--nats", there, exported).code)
	require.Contains(t, cli(t, "sightings", "import", "--nats", here, exported).out, "1 count read from "+exported)
	require.Contains(t, cli(t, "sightings", "import", "--nats", here, exported).out, "0 new or newer")
	require.NotContains(t, cli(t, "sightings", "export", "--nats", there).out, "planted")
	eventually(t, "what others count is known", func() bool { return counted(here).Elsewhere.Incident == 12 })
	require.Equal(t, uint64(12), counted(here).Here.Incident)

	require.Contains(t, cli(t, "feedback", "averted", "--nats", here, "--by", "restart", fmt.Sprintf("%016x", 100)).out, "averted by restart: Restart the pool.")
	eventually(t, "a warning is told with its outlook", func() bool {
		tellHere(ladder(300, time.Minute, 0, false))
		return strings.Contains(processes[0].out.String()+processes[1].out.String(), `"outlook"`)
	})
	told := cli(t, "explain", "--nats", here, fmt.Sprintf("%016x", 300))
	require.Zero(t, told.code, told.err)
	for _, want := range []string{
		"how long: incident about", "80 % of 24)", "before, here: got this far 12 times: 12 became an incident", "before, elsewhere: got this far 12 times",
		"what ended it: restart: Restart the pool. (helped 1 of 1)", "do first (look)",
	} {
		require.Contains(t, told.out, want)
	}
	require.Contains(t, cli(t, "feedback", "show", "--nats", here, fmt.Sprintf("%016x", 100)).out, "averted")
	require.Contains(t, cli(t, "sightings", "scorecard", "--nats", here).out, "12 of 12 that are known were right")
	require.Contains(t, cli(t, "warnings", "--nats", here).out, "cart-planted")
	for _, p := range processes {
		require.Zero(t, p.stop(), p.errs.String())
	}
}

func TestWrongUsesOfSightingsAndFeedbackSayWhatToDo(t *testing.T) {
	t.Parallel()
	nats, tell := server(t)
	tell(ladder(0x1a, time.Hour, 0, false))
	tell(ladder(0x1b, time.Hour, 0, false))
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"feedback averted 000000000000001a", exitUsage, "--by names the remedy"},
		{"feedback ack 000000000000001", exitUsage, "write more of it"},
		{"feedback ack ffff", exitFailure, "`forewarn warnings --all` lists them"},
		{"feedback ack", exitUsage, "usage: forewarn feedback ack WARNING"},
		{"feedback false-alarm --by x 000000000000001a", exitUsage, "unknown flag: --by"},
		{"sightings show nosuch", exitFailure, "`forewarn sightings show` lists"},
		{"sightings scorecard nosuch", exitFailure, "`forewarn sightings scorecard` lists"},
		{"sightings import " + file(t, "bad.json", `{"kind":"forewarn-sightings","version":1,"tallies":[{"origin":"cart"}]}`), exitRefused, `tallies[0].origin: "cart"`},
		{"sightings import nosuch.json", exitFailure, "read sightings: open nosuch.json"},
		{"explain nosuch", exitFailure, "there is no warning"},
	} {
		t.Run(c.args, func(t *testing.T) {
			a := cli(t, append(strings.Fields(c.args), "--nats", nats)...)
			require.Equal(t, c.code, a.code, a.err)
			require.Contains(t, a.err, c.want)
		})
	}
	require.Contains(t, cli(t, "sightings", "show", "--nats", nats).out, "no warning is over yet")
	require.Contains(t, cli(t, "feedback", "show", "--nats", nats, "000000000000001a").out, "nobody has said anything of it yet")
}
