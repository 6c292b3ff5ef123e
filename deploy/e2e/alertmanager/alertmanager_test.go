//go:build e2e

// Package alertmanager runs a cluster of real Alertmanagers against forewarn's notifier. `make alertmanager-e2e` builds it and runs these tests.
package alertmanager

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

const (
	// patience is how long a test waits for what will come on any machine.
	patience = 60 * time.Second
	// quiet is how long a test waits to see that nothing more comes. A peer that would tell a thing twice does so after its timeout of two seconds.
	quiet = 4 * time.Second
)

// inbox is the receiver that Alertmanager tells.
type inbox struct {
	*httptest.Server

	mu   sync.Mutex
	told []string // "firing <id> <state>"
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			Alerts []struct {
				Status              string
				Labels, Annotations map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		for _, a := range message.Alerts {
			in.told = append(in.told, a.Status+" "+a.Labels["forewarn_id"]+" "+a.Annotations["state"])
		}
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) about(id string) (told []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.told {
		if strings.Contains(s, " "+id+" ") {
			told = append(told, s)
		}
	}
	return told
}

// peer is one Alertmanager of a cluster.
type peer struct {
	url, gossip string
	args        []string
	stop        func()
}

// free returns an address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// cluster starts two peers that tell one inbox.
func cluster(t *testing.T) ([]*peer, *inbox) {
	t.Helper()
	in := newInbox(t)
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
route: {receiver: inbox, group_by: [forewarn_id], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: inbox, webhook_configs: [{url: %q, send_resolved: true}]}]
`, in.URL), 0o600))
	peers := []*peer{{url: free(t), gossip: free(t)}, {url: free(t), gossip: free(t)}}
	for i, p := range peers {
		p.args = []string{
			"--config.file=" + file, "--storage.path=" + t.TempDir(), "--web.listen-address=" + p.url, "--cluster.listen-address=" + p.gossip, "--cluster.peer=" + peers[1-i].gossip,
			"--cluster.settle-timeout=1s", "--cluster.gossip-interval=50ms", "--cluster.peer-timeout=2s", "--cluster.reconnect-interval=1s", "--log.format=logfmt",
		}
		p.url = "http://" + p.url
		p.start(t)
	}
	t.Cleanup(func() {
		for _, p := range peers {
			p.stop()
		}
	})
	for _, p := range peers {
		require.Eventually(t, func() bool {
			var status struct{ Cluster struct{ Peers []any } }
			return p.get(t, "/api/v2/status", &status) == nil && len(status.Cluster.Peers) == 2
		}, patience, 100*time.Millisecond, "the peers find each other")
	}
	return peers, in
}

// start runs the peer, or runs it again.
func (p *peer) start(t *testing.T) {
	t.Helper()
	binary := os.Getenv("ALERTMANAGER")
	require.NotEmpty(t, binary, "ALERTMANAGER names no binary: run `make alertmanager-e2e`")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, p.args...)
	out, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if line := lines.Text(); strings.Contains(line, "level=ERROR") {
				_, _ = fmt.Fprintln(t.Output(), line)
			}
		}
	})
	p.stop = sync.OnceFunc(func() {
		cancel()
		read.Wait()
		_ = cmd.Wait() // it was killed
	})
	require.Eventually(t, func() bool { return p.get(t, "/api/v2/status", nil) == nil }, patience, 50*time.Millisecond, "it answers")
}

func (p *peer) get(t *testing.T, path string, into any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, res.StatusCode)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(into)
}

type alert struct {
	Fingerprint         string
	Labels, Annotations map[string]string
	Status              struct{ State string }
	GeneratorURL        string
}

// alerts are those that the peer has.
func (p *peer) alerts(t *testing.T) (all []alert) {
	t.Helper()
	require.NoError(t, p.get(t, "/api/v2/alerts", &all))
	return all
}

func notifier(t *testing.T, interval time.Duration, peers ...*peer) notify.Ticker {
	t.Helper()
	d := notify.Destination{Name: "alerts", Type: "alertmanager", Interval: signatures.Duration(interval)}
	for _, p := range peers {
		d.URLs = append(d.URLs, p.url)
	}
	n, err := notify.New(d, notify.Env{})
	require.NoError(t, err)
	return n.(notify.Ticker)
}

func warning(id string, revision uint32, state matcher.State) matcher.Warning {
	w := notify.Example(time.Now())
	w.ID, w.Revision, w.State = id, revision, state
	w.Links = []matcher.Link{{Title: "Console", URL: "https://forewarn.example.org/warnings/" + id}}
	return w
}

func tell(t *testing.T, n notify.Notifier, w matcher.Warning) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	require.NoError(t, n.Notify(ctx, notify.Single(w)))
}

// TestOneAlertLivesAsLongAsTheWarning: stages change its annotations, never its identity, and whoever is told is told once that it began and once that it
// ended, though both peers know.
func TestOneAlertLivesAsLongAsTheWarning(t *testing.T) {
	t.Parallel()
	peers, in := cluster(t)
	n := notifier(t, time.Minute, peers...)
	fingerprint := ""
	for i, state := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident} {
		tell(t, n, warning("0a", uint32(i+1), state))
		for _, p := range peers {
			all := p.alerts(t)
			require.Len(t, all, 1)
			if fingerprint == "" {
				fingerprint = all[0].Fingerprint
			}
			require.Equal(t, fingerprint, all[0].Fingerprint)
			require.Equal(t, string(state), all[0].Annotations["state"])
			require.Equal(t, "https://forewarn.example.org/warnings/0a", all[0].GeneratorURL)
			require.Equal(t, state != matcher.InIncident, all[0].Annotations["eta"] != "")
		}
		require.Eventually(t, func() bool { return len(in.about("0a")) > 0 }, patience, 50*time.Millisecond)
		time.Sleep(quiet) // what changes faster than a peer waits, Alertmanager itself tells twice
		require.Equal(t, []string{"firing 0a forming"}, in.about("0a"), "a stage is no new alert")
	}
	tell(t, n, warning("0a", 4, matcher.Resolved))
	require.Eventually(t, func() bool { return len(in.about("0a")) > 1 }, patience, 50*time.Millisecond)
	time.Sleep(quiet)
	require.Equal(t, []string{"firing 0a forming", "resolved 0a resolved"}, in.about("0a"))
	for _, p := range peers {
		require.Empty(t, p.alerts(t))
	}
}

// TestAPeerThatIsAwayHoldsNothingBackAndLearnsLater: the warning is taken by the one that is there, and the other has it after the next repeat.
func TestAPeerThatIsAwayHoldsNothingBackAndLearnsLater(t *testing.T) {
	t.Parallel()
	peers, in := cluster(t)
	n := notifier(t, time.Minute, peers...)
	peers[0].stop()
	tell(t, n, warning("0b", 1, matcher.Forming))
	require.Len(t, peers[1].alerts(t), 1)
	require.Error(t, n.Tick(t.Context(), time.Now()), "status says that one is away")
	peers[0].start(t)
	require.NoError(t, n.Tick(t.Context(), time.Now()))
	require.Len(t, peers[0].alerts(t), 1)
	require.Eventually(t, func() bool { return len(in.about("0b")) > 0 }, patience, 50*time.Millisecond)
}

// TestAnAlertEndsByItselfWhenForewarnDies: nobody repeats it.
func TestAnAlertEndsByItselfWhenForewarnDies(t *testing.T) {
	t.Parallel()
	peers, in := cluster(t)
	n := notifier(t, time.Second, peers...)
	tell(t, n, warning("0c", 1, matcher.Imminent))
	repeating := time.Now().Add(6 * time.Second) // longer than it would last without repeats
	for time.Now().Before(repeating) {
		require.NoError(t, n.Tick(t.Context(), time.Now()))
		require.Len(t, peers[0].alerts(t), 1, "what is repeated fires on")
		time.Sleep(n.Interval())
	}
	require.Eventually(t, func() bool { return len(in.about("0c")) == 2 }, patience, 50*time.Millisecond)
	require.Equal(t, "resolved 0c imminent", in.about("0c")[1])
}

// TestASilenceInAlertmanagerHoldsAWarning, by the labels that it keeps for its whole life.
func TestASilenceInAlertmanagerHoldsAWarning(t *testing.T) {
	t.Parallel()
	peers, in := cluster(t)
	silence, err := json.Marshal(map[string]any{
		"matchers": []map[string]any{{"name": "signature", "value": "example-memory-leak", "isRegex": false}, {"name": "pod", "value": "cart-.*", "isRegex": true}},
		"startsAt": time.Now(), "endsAt": time.Now().Add(time.Hour), "createdBy": "test", "comment": "test",
	})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, peers[0].url+"/api/v2/silences", bytes.NewReader(silence))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	n := notifier(t, time.Minute, peers...)
	other := warning("0e", 1, matcher.Forming)
	other.Key[1].Value = "checkout-1"
	for i, state := range []matcher.State{matcher.Forming, matcher.InIncident} {
		tell(t, n, warning("0d", uint32(i+1), state))
	}
	tell(t, n, other)
	require.Eventually(t, func() bool { return len(in.about("0e")) == 1 }, patience, 50*time.Millisecond)
	require.Empty(t, in.about("0d"))
	for _, a := range peers[0].alerts(t) {
		require.Equal(t, map[string]string{"0d": "suppressed", "0e": "active"}[a.Labels["forewarn_id"]], a.Status.State)
	}
}

// TestAStormArrivesWhole: what is told together is many alerts, in requests that a peer takes.
func TestAStormArrivesWhole(t *testing.T) {
	t.Parallel()
	peers, _ := cluster(t)
	n := notifier(t, time.Minute, peers...)
	storm := notify.Notice{ID: "storm-1", Thread: "storm"}
	for i := range 2000 {
		w := warning(fmt.Sprintf("f%04d", i), 1, matcher.Imminent)
		w.Key[1].Value = fmt.Sprintf("cart-%d", i)
		w.Title, w.Impact = "Größe \"ä\"\n\x1b[31m", strings.Repeat("é", 200)
		storm.Warnings = append(storm.Warnings, w)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, n.Notify(ctx, storm))
	require.NoError(t, n.Notify(ctx, storm), "and again, without harm")
	for _, p := range peers {
		require.Len(t, p.alerts(t), 2000)
	}
}
