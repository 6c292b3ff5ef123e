package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// running is a forewarn in a process of its own.
type running struct {
	tb        testing.TB
	cmd       *exec.Cmd
	out, errs buffer
	ended     chan struct{} // closed when it is gone
}

// start runs a command line as a process. What still runs when the test ends is killed.
func start(tb testing.TB, args ...string) *running {
	tb.Helper()
	exe, err := os.Executable()
	require.NoError(tb, err)
	p := &running{tb: tb, cmd: exec.Command(exe, args...), ended: make(chan struct{})} //nolint:noctx // the cleanup below kills it, after the test's context is done
	p.cmd.Env = append(os.Environ(), beMain+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	require.NoError(tb, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code is looked at by stop
		close(p.ended)
	}()
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("forewarn %s\nstdout: %.4000s\nstderr: %.8000s", strings.Join(args, " "), p.out.String(), p.errs.String())
		}
	})
	return p
}

func (p *running) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// stop asks it to stop, as an orchestrator does, and returns its exit code.
func (p *running) stop() int {
	p.tb.Helper()
	require.NoError(p.tb, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		require.Fail(p.tb, "it does not stop", p.errs.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// logged waits for a line on stderr.
func (p *running) logged(text string) {
	p.tb.Helper()
	eventually(p.tb, "stderr says "+text, func() bool { return strings.Contains(p.errs.String(), text) })
}

// growing is a file that lines are appended to.
type growing struct {
	tb   testing.TB
	path string
}

func (g growing) say(lines ...string) {
	g.tb.Helper()
	f, err := os.OpenFile(g.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(g.tb, err)
	for _, l := range lines {
		_, err = f.WriteString(time.Now().UTC().Format("2006-01-02T15:04:05.000000Z") + " " + l + "\n")
		require.NoError(g.tb, err)
	}
	require.NoError(g.tb, f.Close())
}

// receiver is a webhook's other end, and an Alertmanager's.
type receiver struct {
	*httptest.Server
	secret []byte

	mu     sync.Mutex
	hooks  []told   // in the order in which they came
	ids    []string // webhook-id of each
	bad    []string // what is wrong with what came
	alerts []postedAlert
}

type postedAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func newReceiver(tb testing.TB) *receiver {
	tb.Helper()
	r := &receiver{secret: []byte("0123456789abcdef0123456789abcdef")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hook", r.hook)
	mux.HandleFunc("POST /api/v2/alerts", r.alert)
	r.Server = httptest.NewServer(mux)
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) hook(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	var event struct {
		Type string `json:"type"`
		Data told   `json:"data"`
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || json.Unmarshal(body, &event) != nil || event.Type != "warning."+event.Data.State {
		r.bad = append(r.bad, "body: "+string(body))
	}
	sum := hmac.New(sha256.New, r.secret)
	_, _ = io.WriteString(sum, q.Header.Get("webhook-id")+"."+q.Header.Get("webhook-timestamp")+"."+string(body)) // a hash takes everything
	if q.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)) {
		r.bad = append(r.bad, "signature: "+q.Header.Get("webhook-signature"))
	}
	r.hooks, r.ids = append(r.hooks, event.Data), append(r.ids, q.Header.Get("webhook-id"))
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) alert(w http.ResponseWriter, q *http.Request) {
	var alerts []postedAlert
	err := json.NewDecoder(q.Body).Decode(&alerts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, "alerts: "+err.Error())
	}
	r.alerts = append(r.alerts, alerts...)
	w.WriteHeader(http.StatusOK)
}

// got returns what came to the webhook so far.
func (r *receiver) got() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]told(nil), r.hooks...)
}

// states waits for this many revisions and returns their states.
func (r *receiver) states(tb testing.TB, n int) (states []string) {
	tb.Helper()
	eventually(tb, "the webhook gets the warnings", func() bool { return len(r.got()) >= n })
	for _, w := range r.got() {
		states = append(states, w.State)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(tb, r.bad)
	return states
}

// config writes a configuration that tells the receiver of own signatures alone.
func (r *receiver) config(tb testing.TB, dir, signatures string, files ...string) string {
	tb.Helper()
	secret := filepath.Join(dir, "secret")
	require.NoError(tb, os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString(r.secret)+"\n"), 0o600))
	text := map[string]any{
		"data_dir": filepath.Join(dir, "data"), "no_catalog": true, "signatures": []string{signatures},
		"notify": []map[string]any{
			{"name": "hook", "type": "webhook", "urls": []string{r.URL + "/hook"}, "secret_files": []string{secret}},
			{"name": "alerts", "type": "alertmanager", "urls": []string{r.URL}},
		},
	}
	var list []map[string]string
	for _, f := range files {
		list = append(list, map[string]string{"path": f})
	}
	if len(list) > 0 {
		text["files"] = list
	}
	b, err := json.Marshal(text) // JSON is YAML
	require.NoError(tb, err)
	path := filepath.Join(dir, "forewarn.yaml")
	require.NoError(tb, os.WriteFile(path, b, 0o600))
	return path
}

// copyFile puts a file of testdata into a directory.
func copyFile(tb testing.TB, from, dir string) string {
	tb.Helper()
	b, err := os.ReadFile(from)
	require.NoError(tb, err)
	to := filepath.Join(dir, filepath.Base(from))
	require.NoError(tb, os.WriteFile(to, b, 0o600))
	return to
}
