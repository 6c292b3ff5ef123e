package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/stream"
)

// statusOf asks a running forewarn.
func statusOf(tb testing.TB, args ...string) (overview, bool) {
	tb.Helper()
	a := cli(tb, append([]string{"status", "-o", "json"}, args...)...)
	var o overview
	if a.code != exitOK {
		return o, false
	}
	require.NoError(tb, json.Unmarshal([]byte(a.out), &o))
	return o, true
}

// TestRunFromAFileToEveryDestination lives through a failure: warnings arrive, status tells of them, a second process is refused, and
// after a stop and a start the same warning goes on under its id.
func TestRunFromAFileToEveryDestination(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newReceiver(t)
	log := growing{t, filepath.Join(dir, "cart.log")}
	log.say("all is well")
	config := r.config(t, dir, copyFile(t, cartSignature, t.TempDir()), log.path)
	data := filepath.Join(dir, "data")
	p := start(t, "run", "-c", config)
	p.logged("msg=running")
	require.NotContains(t, p.errs.String(), "signatures loaded from the store")

	log.say("slow query took 3s", "slow query took 4s", "slow query took 5s", "connection pool exhausted (50 of 50)")
	require.Equal(t, []string{"forming", "imminent"}, r.states(t, 2))
	eventually(t, "the Alertmanager has a firing alert", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.alerts) >= 2
	})
	first := r.got()[0]
	r.mu.Lock()
	labels := r.alerts[0].Labels
	require.Equal(t, "ForewarnWarning", labels["alertname"])
	require.Equal(t, first.ID, labels["forewarn_id"])
	require.Equal(t, labels, r.alerts[1].Labels, "one warning is one alert")
	require.True(t, r.alerts[0].EndsAt.After(time.Now()))
	require.Equal(t, first.ID+"-1", r.ids[0])
	r.mu.Unlock()

	t.Run("status", func(t *testing.T) {
		var o overview
		eventually(t, "status tells of the warning, the input and the signature", func() bool {
			var ok bool
			o, ok = statusOf(t, "--data-dir", data)
			return ok && len(o.Processes) == 1 && len(o.Processes[0].Inputs) > 0 && len(o.Open) == 1 &&
				len(o.Collectors) == 1 && o.Collectors[0].Collectors[0].Records == 5
		})
		require.Equal(t, collector.State{Collector: "files", Connected: true, Records: 5}, o.Collectors[0].Collectors[0])
		require.Equal(t, 1, o.Processes[0].Signatures)
		require.Empty(t, o.Processes[0].Losses)
		require.Empty(t, o.Processes[0].Unowned)
		require.Equal(t, "file/"+log.path, o.Processes[0].Inputs[0].Source)
		require.Equal(t, 1, o.Warnings)
		j := cli(t, "status", "--data-dir", data)
		require.Zero(t, j.code, j.err)
		for _, want := range []string{"1 armed, 0 disarmed, 0 refused", "lost        nothing", log.path, "alive", "COLLECTOR", "connected", "cart-loses-its-database", "2 of 2", "imminent", "digest " + o.Digest} {
			require.Contains(t, j.out, want)
		}
		require.Contains(t, cli(t, "status", "-o", "yaml", "-c", config).out, "digest: "+o.Digest)
	})
	t.Run("a second process is refused", func(t *testing.T) {
		for _, args := range [][]string{{"run", "--data-dir", data}, {"match", "--data-dir", data, "--nats", "nats://127.0.0.1:1"}} {
			a := cli(t, args...)
			require.Equal(t, exitFailure, a.code)
			require.Contains(t, a.err, data)
			require.Regexp(t, `(?i)another|other process|in use|lock`, a.err)
		}
		require.Len(t, r.got(), 2, "and the first goes on")
	})

	t.Run("what was recorded gives the same digest", func(t *testing.T) {
		recording := filepath.Join(dir, "run.fwrec")
		require.Zero(t, cli(t, "record", "-c", config, "--out", recording, "--since", "1h").code)
		var again replayed
		require.NoError(t, json.Unmarshal([]byte(cli(t, "replay", "-s", cartSignature, "-o", "json", recording).out), &again))
		o, ok := statusOf(t, "-c", config)
		require.True(t, ok)
		require.Equal(t, o.Digest, again.Digest)
	})

	require.Zero(t, p.stop(), p.errs.String())
	require.Contains(t, p.errs.String(), "stopping: what is under way is finished first")
	require.NotContains(t, p.errs.String(), "level=ERROR")
	a := cli(t, "status", "--data-dir", data)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "start `forewarn run`")

	log.say("database orders is unreachable") // while nobody looks
	p = start(t, "run", "-c", config)
	p.logged("signatures loaded from the store")
	require.Equal(t, []string{"forming", "imminent", "incident"}, r.states(t, 3), "nothing is told twice")
	require.Equal(t, first.ID, r.got()[2].ID)
	require.Equal(t, 3, r.got()[2].Revision)
	require.Zero(t, p.stop(), p.errs.String())
}

func TestRunWritesToTheTerminalWhenNothingIsConfigured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := growing{t, filepath.Join(dir, "cart.log")}
	p := start(t, "run", "--data-dir", filepath.Join(dir, "data"), "-s", cartSignature, "-o", "json", log.path)
	p.logged("msg=running") // the file comes later
	log.say("slow query", "slow query", "slow query")
	eventually(t, "a warning on stdout", func() bool { return strings.HasSuffix(p.out.String(), "}\n") })
	require.Zero(t, p.stop())
	ws := warnings(t, p.out.String())
	require.Equal(t, "forming", ws[0].State)
	require.NotContains(t, p.out.String(), "level=", "logs are for stderr")
}

func TestSignaturesAreTakenUpAndRefusedWhileItRuns(t *testing.T) {
	t.Parallel()
	dir, own, r := t.TempDir(), t.TempDir(), newReceiver(t)
	log := growing{t, filepath.Join(dir, "app.log")}
	log.say("all is well")
	cart := copyFile(t, cartSignature, own)
	config := r.config(t, dir, own, log.path)
	data := filepath.Join(dir, "data")
	p := start(t, "run", "-c", config)
	p.logged("msg=running")

	quota := copyFile(t, quotaSignature, own)
	eventually(t, "the new signature is armed", func() bool {
		log.say("disk quota exceeded")
		return len(r.got()) > 0
	})
	require.Equal(t, "disk-quota", r.got()[0].Signature)

	require.NoError(t, os.WriteFile(cart, []byte(brokenSignature), 0o600))
	p.logged("a signature is refused: mend it")
	require.Contains(t, p.errs.String(), "cart.yaml:3:11")
	n := len(r.got())
	eventually(t, "the sound one goes on", func() bool {
		log.say("volume is read-only now")
		return len(r.got()) > n
	})
	eventually(t, "what ran before the mistake goes on, too", func() bool {
		log.say("slow query")
		for _, w := range r.got() {
			if w.Signature == "cart-loses-its-database" {
				return true
			}
		}
		return false
	})
	eventually(t, "status says what is refused", func() bool {
		o, ok := statusOf(t, "--data-dir", data)
		return ok && len(o.Processes) == 1 && len(o.Processes[0].Refused) > 0 && strings.Contains(o.Processes[0].Refused[0], "cart.yaml:")
	})
	require.Contains(t, cli(t, "status", "--data-dir", data).out, "refused: "+cart+":")

	require.NoError(t, os.Remove(quota))
	eventually(t, "a signature that is gone is disarmed", func() bool {
		o, ok := statusOf(t, "--data-dir", data)
		return ok && len(o.Processes) == 1 && o.Processes[0].Signatures == 1
	})
	require.Zero(t, p.stop())
}

// TestIntakeRecordAndReplay sends JSON records as another program does, and takes what was recorded of them through the engine again.
func TestIntakeRecordAndReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := start(t, "run", "--data-dir", data, "-s", cartSignature, "-o", "json")
	p.logged("msg=running")
	began := time.Now().Add(-time.Minute).UTC()
	publish(t, data, func(say func(string)) {
		for i, text := range []string{"slow query", "slow query", "slow query", "connection pool exhausted", "database orders is unreachable"} {
			say(fmt.Sprintf(`{"kind":"log","time":%q,"text":%q,"attrs":{"k8s.namespace.name":"shop","k8s.pod.name":"cart-1"}}`,
				began.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), text))
		}
		say(`{"kind":"log","moment":1}`) // unusable, and told
	})
	eventually(t, "the warning of the records", func() bool { return strings.Count(p.out.String(), "\n") >= 3 })
	ws := warnings(t, p.out.String())
	require.Equal(t, "shop/cart-1", ws[0].Key)
	require.Equal(t, "incident", ws[2].State)
	var o overview
	eventually(t, "the unusable record is told", func() bool {
		o, _ = statusOf(t, "--data-dir", data)
		return len(o.Processes) == 1 && len(o.Processes[0].Dead) == 1
	})
	require.Contains(t, o.Processes[0].Dead[0].Reason, "moment")
	require.Contains(t, cli(t, "status", "--data-dir", data).out, "unusable: message")

	recording := filepath.Join(dir, "all.fwrec")
	a := cli(t, "record", "--data-dir", data, "--out", recording, "--note", "a test")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.err, "5 records of 1 source in "+recording)
	a = cli(t, "record", "--data-dir", data, "--out", recording)
	require.Equal(t, exitFailure, a.code, "a recording is not written over")

	var replayed replayed
	a = cli(t, "replay", "-s", cartSignature, "--catalog", "-o", "json", recording)
	require.Zero(t, a.code, a.err)
	require.NoError(t, json.Unmarshal([]byte(a.out), &replayed))
	require.Equal(t, o.Digest, replayed.Digest, "live as replayed")
	require.Len(t, replayed.Warnings, 1)
	require.Equal(t, "2s", replayed.Warnings[0].Lead)
	requireSame(t, a.out, cli(t, "replay", "-s", cartSignature, "--catalog", "-o", "yaml", recording).out)
	text := cli(t, "replay", "--utc", "-s", cartSignature, "--catalog", recording)
	require.Contains(t, text.out, "INCIDENT")
	require.Contains(t, text.out, "1 warning, digest "+o.Digest)
	require.NotContains(t, cli(t, "replay", "-q", "-s", cartSignature, recording).out, "do first")

	empty := filepath.Join(dir, "none.fwrec")
	a = cli(t, "record", "--data-dir", data, "--out", empty, "--until", "24h")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.err, "0 records of 0 sources")
	require.Zero(t, p.stop())
}

// publish sends JSON records on the intake subject of the forewarn that runs on a data directory.
func publish(tb testing.TB, data string, do func(say func(string))) {
	tb.Helper()
	url, err := stream.FindURL(data)
	require.NoError(tb, err)
	publishTo(tb, url, do)
}

func publishTo(tb testing.TB, url string, do func(say func(string))) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	s, err := stream.Open(ctx, stream.Options{URL: url})
	require.NoError(tb, err)
	defer func() { require.NoError(tb, s.Close()) }()
	out, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(tb, err)
	do(func(json string) { require.NoError(tb, out.Publish(ctx, stream.IntakeSubject, "", []byte(json), nil)) })
	require.NoError(tb, out.Close(ctx))
}

func TestListenServesMetricsAndHealth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := growing{t, filepath.Join(dir, "cart.log")}
	log.say("slow query", "slow query", "slow query")
	p := start(t, "run", "--data-dir", filepath.Join(dir, "data"), "-s", cartSignature, "--listen", "127.0.0.1:0", log.path)
	p.logged("msg=listening address=")
	_, rest, _ := strings.Cut(p.errs.String(), "msg=listening address=")
	base := "http://" + strings.Fields(rest)[0]
	get := func(path string) (int, string) {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		require.NoError(t, err)
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = a.Body.Close() }()
		b, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		return a.StatusCode, string(b)
	}
	eventually(t, "ready", func() bool { code, _ := get("/readyz"); return code == http.StatusOK })
	code, body := get("/healthz")
	require.Equal(t, "200 ok\n", fmt.Sprintf("%d %s", code, body))
	eventually(t, "a delivered warning in the metrics", func() bool {
		_, body = get("/metrics")
		return strings.Contains(body, `forewarn_notify_warnings_total{destination="terminal",result="delivered"} 1`)
	})
	code, body = get("/status")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `"signatures":`)
	require.Zero(t, p.stop())
}

func TestCollectDryRunPrintsTheRecords(t *testing.T) {
	t.Parallel()
	p := start(t, "collect", "--dry-run", "testdata/cart.log")
	eventually(t, "the records", func() bool { return strings.Count(p.out.String(), "\n") == 5 })
	for line := range strings.Lines(p.out.String()) {
		var r struct{ Kind, Time, Text string }
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		require.Equal(t, "log", r.Kind)
	}
	require.Zero(t, p.stop())
}

// TestADeadDestinationHoldsUpNeitherTheOthersNorTheStop also shows that what it missed reaches it after the next start.
func TestADeadDestinationHoldsUpNeitherTheOthersNorTheStop(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newReceiver(t)
	log := growing{t, filepath.Join(dir, "cart.log")}
	var dead atomic.Bool
	dead.Store(true)
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if dead.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.hook(w, q)
	}))
	defer flaky.Close()
	config := r.config(t, dir, cartSignature, log.path)
	b, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(b), r.URL+"/hook", flaky.URL, 1)), 0o600))
	p := start(t, "run", "-c", config)
	p.logged("msg=running")
	log.say("slow query", "slow query", "slow query")
	eventually(t, "the Alertmanager has it", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.alerts) > 0
	})
	require.Empty(t, r.got())
	require.Zero(t, p.stop(), p.errs.String())
	dead.Store(false)
	p = start(t, "run", "-c", config)
	require.Equal(t, []string{"forming"}, r.states(t, 1))
	require.Zero(t, p.stop(), p.errs.String())
}

// TestAKilledRunGoesOnWhereItWas kills the process, which leaves its lock and the file with its address behind.
func TestAKilledRunGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newReceiver(t)
	log := growing{t, filepath.Join(dir, "cart.log")}
	config := r.config(t, dir, cartSignature, log.path)
	p := start(t, "run", "-c", config)
	p.logged("msg=running")
	log.say("slow query", "slow query", "slow query")
	require.Equal(t, []string{"forming"}, r.states(t, 1))
	p.kill()
	a := cli(t, "status", "-c", config)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "forewarn run")

	log.say("connection pool exhausted")
	p = start(t, "run", "-c", config)
	eventually(t, "the next stage", func() bool {
		ws := r.got()
		return ws[len(ws)-1].State == "imminent"
	})
	for _, w := range r.got() {
		require.Equal(t, r.got()[0].ID, w.ID)
	}
	require.Zero(t, p.stop(), p.errs.String())
}

func TestRunSaysWhatIsWrongWithItsSurroundings(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	notADir := file(t, "file", "")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"the data directory is a file": {[]string{"run", "--data-dir", notADir}, notADir},
		"the address is taken":         {[]string{"run", "--data-dir", t.TempDir(), "--listen", strings.TrimPrefix(taken.URL, "http://")}, "address already in use"},
		"no NATS answers":              {[]string{"collect", "--nats", "nats://127.0.0.1:1", "testdata/cart.log"}, "127.0.0.1:1"},
		"no configuration":             {[]string{"run", "-c", filepath.Join(notADir, "x")}, "read configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			a := cli(t, c.args...)
			require.Equal(t, exitFailure, a.code, a.err)
			require.Contains(t, a.err, "forewarn: ")
			require.Contains(t, a.err, c.want)
			require.Empty(t, a.out)
		})
	}
}
