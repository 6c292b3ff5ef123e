package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

func TestSilencesAreKeptInNATSHoldBackAndTellAtTheirEnd(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))

	require.Equal(t, "nothing is silenced\n", cli(t, "silence", "list", "--data-dir", home).out)
	a := cli(t, "silence", "add", "--data-dir", home, "--for", "1h", "--comment", "new disks", "--by", "ada", "node=worker-3", `signature=~"pod-.*"`)
	require.Zero(t, a.code, a.err)
	id := strings.TrimSpace(a.out)
	list := cli(t, "silence", "list", "--data-dir", home)
	require.Regexp(t, `^ID .*\n`+id+` +active +\S+ \S+ +ada +node=worker-3 signature=~"pod-\.\*" +new disks\n$`, list.out)
	var read []notify.Silence
	require.NoError(t, json.Unmarshal([]byte(cli(t, "silence", "list", "-o", "json", "--data-dir", home).out), &read))
	require.Equal(t, id, read[0].ID)

	// A process that delivers holds back what it matches, and tells it when the silence is ended by hand.
	var out buffer
	p := &process{globals: &globals{stdio: stdio{out: &out}, log: slog.New(slog.DiscardHandler), output: "text", color: "never"}, stream: s, registry: prometheus.NewRegistry()}
	require.NoError(t, p.openFeeds(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.runNotify(ctx) }()
	publish, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	for _, node := range []string{"worker-3", "worker-4"} {
		w := matcher.Warning{
			ID: node, Revision: 1, Signature: "pod-trouble-" + node, Title: "trouble", State: matcher.Forming, Severity: "high", Total: 1, Opened: time.Now(), Time: time.Now(),
			Key: []record.Attr{{Key: "node", Value: node}}, KeyText: node,
		}
		body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
		require.NoError(t, err)
		require.NoError(t, publish.PublishWarning(t.Context(), pipeline.WarningID(w.ID, 1), body))
	}
	require.NoError(t, publish.Close(t.Context()))
	eventually(t, "the other node is told of", func() bool { return strings.Contains(out.String(), "node=worker-4") })
	eventually(t, "the silenced one is counted", func() bool {
		return strings.Contains(cli(t, "status", "--data-dir", home).out, "silenced: pod-trouble-worker-3 worker-3, by silence "+id)
	})
	require.NotContains(t, out.String(), "node=worker-3")
	e := cli(t, "silence", "expire", "--data-dir", home, id)
	require.Equal(t, answer{0, "", "1 silence ended\n"}, e)
	eventually(t, "what was held back is told", func() bool { return strings.Contains(out.String(), "node=worker-3") })
	stop()
	require.NoError(t, <-ended)

	require.Contains(t, cli(t, "silence", "list", "--expired", "--data-dir", home).out, id)
	again := cli(t, "silence", "expire", "--data-dir", home, id)
	require.Equal(t, exitUsage, again.code)
	require.Contains(t, again.err, "has ended already")
}

func TestAListOfWarningsMarksWhatIsSilenced(t *testing.T) {
	var out buffer
	ws := []matcher.Warning{{ID: "a", State: matcher.Forming, Title: "one"}, {ID: "b", State: matcher.Imminent, Title: "two"}}
	require.NoError(t, warningTable(&out, ws, []silenced{{ID: "b"}}, time.UTC))
	require.Regexp(t, `(?m)^a +forming  `, out.String())
	require.Regexp(t, `(?m)^b +imminent, silenced `, out.String())
}

func TestWrongSilencesSayWhatToDo(t *testing.T) {
	home := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no time":      {[]string{"a=b"}, []string{"give either --for, such as --for 2h, or --end"}},
		"two times":    {[]string{"--for", "1h", "--end", "2030-01-01T00:00:00Z", "a=b"}, []string{"give either"}},
		"past":         {[]string{"--end", "2020-01-01T00:00:00Z", "--comment", "x", "a=b"}, []string{"it ended at 2020-01-01", "which is past"}},
		"no matcher":   {[]string{"--for", "1h", "--comment", "x"}, []string{"no matcher", `severity=~".*"`}},
		"bad matchers": {[]string{"--for", "1h", "--comment", "x", "namespace", "a=~[", "b==c"}, []string{`matcher "namespace": it has no operator`, `matcher "a=~[": error parsing regexp`, `"b==c"`, "no operator"}},
		"no comment":   {[]string{"--for", "1h", "a=b"}, []string{"no comment: say why"}},
		"no such time": {[]string{"--start", "tomorrow", "--for", "1h", "a=b"}, []string{"write a time like 2026-12-01T22:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := cli(t, append([]string{"silence", "add", "--by", "me", "--data-dir", home}, c.args...)...)
			require.Equal(t, exitUsage, a.code, a.err)
			for _, want := range c.want {
				require.Contains(t, a.err, want)
			}
		})
	}
	a := cli(t, "silence", "expire")
	require.Equal(t, exitUsage, a.code)
	a = cli(t, "silence", "list", "--data-dir", home)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "forewarn run")
}

const routedConfig = `notify:
  - {name: pager, type: webhook, urls: ["https://pager.example.org/"], severity: high}
  - {name: team, type: terminal}
  - {name: log, type: json}
routes:
  - {name: everything, to: [log], continue: true}
  - {name: payments, match: ['namespace=~"pay.*"', severity=critical], to: [pager, team], group_by: [namespace], budget: {messages: 3, per: 10m}}
  - {name: rest, to: [team], group_wait: 30s, group_interval: 2m}
inhibit:
  - {source: [signature=node-not-ready], target: ['signature=~"pod-.*"'], equal: [node]}
maintenance:
  - {name: patching, match: [namespace=batch], days: [mon-sun], from: "00:00", to: "00:00"}
`

func TestARouteIsExplained(t *testing.T) {
	path := file(t, "forewarn.yaml", routedConfig)
	require.Zero(t, cli(t, "config", "check", path).code, cli(t, "config", "check", path).err)
	a := cli(t, "notify", "route", "-c", path, "--severity", "critical", "--state", "imminent", "namespace=payments")
	require.Equal(t, answer{0, `everything matches: to log
payments matches: to pager, team
DESTINATION  TOLD  BECAUSE
pager        yes   by payments
team         yes   by payments
log          yes   by everything
`, ""}, a)
	a = cli(t, "notify", "route", "-c", path, "--severity", "medium", "namespace=batch")
	require.Equal(t, `everything matches: to log
payments does not match: namespace=~"pay.*" does not hold: it is "batch"
rest matches: to team
DESTINATION  TOLD  BECAUSE
pager        no    it takes nothing below severity high
team         no    held back by maintenance patching
log          no    held back by maintenance patching
`, a.out)
	require.Equal(t, exitUsage, cli(t, "notify", "route", "-c", path, "--severity", "worse").code)
	require.Equal(t, exitUsage, cli(t, "notify", "route", "-c", path, "namespace").code)
	require.Equal(t, exitUsage, cli(t, "notify", "route").code)
	require.Equal(t, exitUsage, cli(t, "notify", "nosuch").code)
}

func TestMistakesInRoutesAreToldWithTheirPlace(t *testing.T) {
	path := file(t, "forewarn.yaml", `notify: [{name: team, type: terminal}]
routes:
  - {to: [nobody], match: [severity]}
  - {to: [team]}
  - {to: [], match: [a=b], group_wait: -1s, budget: {messages: 0, per: 10m}, group_by: ["a=b"]}
inhibit:
  - {source: [a=b], target: []}
maintenance:
  - {name: x, days: [someday], from: "25:00", to: "02:00", zone: Nowhere}
`)
	a := cli(t, "config", "check", path)
	require.Equal(t, exitRefused, a.code)
	for _, want := range []string{
		`:3:11: there is no destination "nobody"`, "use one of: team", `:3:28: matcher "severity": it has no operator`,
		":4:5: the route takes everything", ":5:5: the route leads nowhere", "a warning that no route matches would go nowhere", "is no time to wait", "0 messages: use 1 to 1000",
		`"a=b" is no label`, ":7:5: it has no target", `"someday" is no day`, `"25:00" is no time of the day`, "unknown time zone Nowhere",
	} {
		require.Contains(t, a.err, want)
	}
}

// TestADamagedSilenceStopsNothing: somebody else wrote into the bucket.
func TestADamagedSilenceStopsNothing(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	require.NoError(t, s.PutSilence(t.Context(), "bad", []byte("nonsense")))
	good := strings.TrimSpace(cli(t, "silence", "add", "--data-dir", home, "--for", "1h", "--comment", "new disks", "--by", "ada", "node=worker-3").out)
	list := cli(t, "silence", "list", "--data-dir", home)
	require.Zero(t, list.code, list.err)
	require.Contains(t, list.out, good)
	require.Contains(t, list.err, "silence expire bad")
	warnings := cli(t, "warnings", "--data-dir", home)
	require.Zero(t, warnings.code, warnings.err)
	require.Zero(t, cli(t, "status", "--data-dir", home).code)
	ended := cli(t, "silence", "expire", "--data-dir", home, good, "bad")
	require.Zero(t, ended.code, ended.err)
	require.Contains(t, ended.err, "2 silences ended")
	require.Empty(t, cli(t, "silence", "list", "--data-dir", home).err, "the damaged one is gone")
}

func TestStatusTellsWhatMaintenanceHoldsBackAndThatSightingsFail(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	publish, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	w := matcher.Warning{
		ID: "00c0ffee00c0ffee", Revision: 1, Signature: "pod-trouble", Title: "trouble", State: matcher.Forming, Severity: "high", Total: 1, Opened: time.Now(), Time: time.Now(),
	}
	body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
	require.NoError(t, err)
	require.NoError(t, publish.PublishWarning(t.Context(), pipeline.WarningID(w.ID, 1), body))
	require.NoError(t, publish.Close(t.Context()))
	told, err := json.Marshal(deliveryStatus{
		Instance: "one", Time: time.Now(), Sightings: &sightings.Status{Failed: 2, LastError: "follow sightings: no room"},
	})
	require.NoError(t, err)
	require.NoError(t, s.PutStatus(t.Context(), stream.StatusKey(notifyStatus, "one"), told))
	config := filepath.Join(t.TempDir(), "forewarn.yaml")
	require.NoError(t, os.WriteFile(config, []byte("maintenance:\n  - {name: upgrade, from: '00:00', to: '00:00'}\n"), 0o600))
	status := cli(t, "status", "--data-dir", home, "--config", config)
	require.Zero(t, status.code, status.err)
	require.Contains(t, status.out, "by maintenance upgrade")
	require.Contains(t, status.out, "sightings, one: 2 failures")
	require.Contains(t, status.out, "no room")
}
